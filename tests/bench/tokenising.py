"""Tokenises a data file of N pairs with Equipoise (first start, second start, without a cache) and with Hugging Face's
`datasets` and `transformers` on the same machine:

    python tests/bench/tokenising.py [PAIRS] [--short] [--python PYTHON]

PYTHON is an interpreter that has these packages; without it Equipoise alone is measured. Needs the target
equipoise_tokenise."""

import argparse
import json
import pathlib
import random
import resource
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "tests/golden/lm/models/llama/policy"

HUGGING_FACE = '''
import json, resource, sys, time
start = time.monotonic()
from datasets import load_dataset
from transformers import AutoTokenizer
import datasets
datasets.disable_progress_bars()
model, file, cache = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(model)
imported = time.monotonic()
def encode(batch):
    chosen = [p + c + tokenizer.eos_token for p, c in zip(batch["prompt"], batch["chosen"])]
    rejected = [p + r + tokenizer.eos_token for p, r in zip(batch["prompt"], batch["rejected"])]
    return {"prompt_ids": tokenizer(batch["prompt"])["input_ids"], "chosen_ids": tokenizer(chosen)["input_ids"],
            "rejected_ids": tokenizer(rejected)["input_ids"]}
data = load_dataset("json", data_files=file, split="train", cache_dir=cache)
data = data.map(encode, batched=True, batch_size=4096, remove_columns=["prompt", "chosen", "rejected"])
done = time.monotonic()
print(json.dumps({"pairs": len(data), "seconds": done - imported, "import_seconds": imported - start,
                  "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
'''


def write_data(path, pairs, short):
    """A prompt of some 40 words, answers of 1 to 12 words; or one of 4 to 8, answers of a letter; 20 groups."""
    words = sorted({word for line in (ROOT / "tests/golden/lm/data/train.jsonl").open()
                    for word in json.loads(line)["prompt"].split() if word.isalpha()})
    numbers = random.Random(1)
    def text(low, high):
        return " ".join(numbers.choices(words, k=numbers.randint(low, high)))
    with path.open("w") as file:
        for i in range(pairs):
            prompt = text(4, 8) if short else text(30, 50)
            chosen, rejected = (" A", " B") if short else (" " + text(1, 12), " " + text(1, 12))
            file.write(json.dumps({"prompt": f"{prompt}\n{i}:", "chosen": chosen, "rejected": rejected,
                                   "group": f"group {i % 20}"}) + "\n")


def run(name, *command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name}: {done.stderr[-2000:]}")
    numbers = json.loads(done.stdout.splitlines()[-1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    numbers["cpu_seconds"] = round(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, 2)
    numbers["pairs_per_second"] = round(numbers["pairs"] / numbers["seconds"])
    print(f"{name}: {json.dumps(numbers)}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pairs", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--short", action="store_true", help="pairs of a few words")
    parser.add_argument("--python", help="interpreter with datasets and transformers")
    options = parser.parse_args()
    program = ROOT / "build/release/bin/equipoise_tokenise"
    with tempfile.TemporaryDirectory(prefix="equipoise-bench-") as name:
        folder = pathlib.Path(name)
        data = folder / "train.jsonl"
        write_data(data, options.pairs, options.short)
        print(f"{options.pairs} pairs, {data.stat().st_size / 1e6:.0f} MB of JSONL", flush=True)
        run("equipoise, first start", program, MODEL, data, folder / "cache")
        run("equipoise, second start", program, MODEL, data, folder / "cache")
        print(f"store: {sum(f.stat().st_size for f in (folder / 'cache').rglob('*.tokens')) / 1e6:.0f} MB", flush=True)
        run("equipoise, no cache", program, MODEL, data)
        if options.python:
            for start in ("first", "second"):
                run(f"hugging face, {start} start", options.python, "-c", HUGGING_FACE, MODEL, data, folder / "hf")


if __name__ == "__main__":
    main()

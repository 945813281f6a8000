"""Reads N short preference pairs, as JSONL and as Parquet, with `equipoise data check`, `equipoise data import
preferences` and Hugging Face's `load_dataset` with an empty cache, on the same machine:

    python tests/bench/importing.py [PAIRS] [--python PYTHON]

PYTHON is an interpreter with `datasets` and `pyarrow`, which also makes the Parquet file. Needs the target equipoise."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
EQUIPOISE = ROOT / "build/release/bin/equipoise"

MAKE = '''
import json, sys
import pyarrow as pa, pyarrow.parquet as pq
pairs, stem = int(sys.argv[1]), sys.argv[2]
countries = ["Nigeria", "Egypt", "India", "China", "Japan", "Kenya", "Peru", "Norway", "Chile", "Ghana"]
topics = ["tea", "trains", "rain", "schools", "taxes", "music", "rivers", "football", "winter", "bread"]
schema = pa.schema([(name, pa.string()) for name in ("prompt", "chosen", "rejected", "group")])
def row(i):
    country, topic = countries[i * 7919 % 10], topics[i // 10 % 10]
    return {"prompt": f'Question {i}: what do people in {country} think of {topic}, said "briefly"?\\n',
            "chosen": f"They like {topic} a lot, {i * 31 % 1009} of 1009 say so",
            "rejected": f"They dislike {topic}, {i * 17 % 911} say", "group": country}
with open(stem + ".jsonl", "w") as lines, pq.ParquetWriter(stem + ".parquet", schema) as table:
    for begin in range(0, pairs, 100000):
        rows = [row(i) for i in range(begin, min(pairs, begin + 100000))]
        lines.writelines(json.dumps(row) + "\\n" for row in rows)
        table.write_table(pa.Table.from_pylist(rows, schema=schema))
'''

LOAD = '''
import json, sys, time
import datasets
datasets.disable_progress_bars()
kind, file, cache = sys.argv[1:]
start = time.monotonic()
data = datasets.load_dataset(kind, data_files=file, split="train", cache_dir=cache)
print(json.dumps({"seconds": time.monotonic() - start, "pairs": len(data)}))
'''

# A child begins with its parent's peak, so that a small program starts it.
MEASURE = '''
import json, resource, subprocess, sys, time
start = time.monotonic()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
print(json.dumps({"seconds": time.monotonic() - start, "out": done.stdout, "err": done.stderr[-2000:],
                  "peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024}))
sys.exit(done.returncode)
'''


def measured(*command):
    done = subprocess.run([sys.executable, "-S", "-c", MEASURE, *map(str, command)], capture_output=True, text=True)
    result = json.loads(done.stdout)
    if done.returncode != 0:
        sys.exit(result["err"])
    return result


def report(name, pairs, seconds, peak):
    print(f"{name:32} {seconds:7.1f} s {pairs / seconds:12,.0f} pairs/s {peak:6} MiB", flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("pairs", nargs="?", type=int, default=1000000)
    arguments.add_argument("--python", default=sys.executable)
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="equipoise-bench-") as folder:
        stem = pathlib.Path(folder) / "pairs"
        subprocess.run([arguments.python, "-c", MAKE, str(arguments.pairs), str(stem)], check=True)
        for kind, ending in {"json": "jsonl", "parquet": "parquet"}.items():
            file = stem.with_suffix("." + ending)
            print(f"{file.name}: {arguments.pairs} pairs, {file.stat().st_size / 1e6:.0f} MB")
            out = pathlib.Path(folder) / "out.jsonl"
            for name, command in {"data check": ["check", file],
                                  "data import preferences": ["import", "preferences", file, "--output", out]}.items():
                result = measured(EQUIPOISE, "data", *command)
                report(f"  equipoise {name}", arguments.pairs, result["seconds"], result["peak_mib"])
            out.unlink()
            with tempfile.TemporaryDirectory(dir=folder) as cache:
                # Without the time that Python takes to start and to import.
                result = measured(arguments.python, "-c", LOAD, kind, file, cache)
                report(f"  datasets load_dataset(\"{kind}\")", arguments.pairs,
                       json.loads(result["out"].splitlines()[-1])["seconds"], result["peak_mib"])


if __name__ == "__main__":
    main()

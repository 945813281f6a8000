"""Does the demo show its point? Runs `deploy/demo/run` with each seed, which draws another survey, another split into
training and validation, other first weights and another order of the pairs, and judges what it ends with:

    python3 tests/bench/demo.py                     # seeds 1 to 5, into build/bench-demo
    python3 tests/bench/demo.py --seeds 7 8 --output DIR

Holds with a seed: the worst group's validation loss is lower with GR-DPO than with DPO, and the worst group's reward
accuracy higher, both by at least three standard errors of the difference. Fails where it does not hold with every one."""

import argparse
import collections
import math
import os
import pathlib
import resource
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from programs import ROOT, read_lines, run  # noqa: E402

WANTED = 3  # standard errors

Pair = collections.namedtuple("Pair", "prompt group loss right")


def run_demo(seed, folder):
    """`deploy/demo/run` into `folder`; ends the program where it fails."""
    demo = subprocess.run([ROOT / "deploy/demo/run"], env={**os.environ, "SEED": str(seed), "DEMO": str(folder)},
                          capture_output=True, text=True)
    if demo.returncode != 0:
        sys.exit(demo.stdout + demo.stderr)


def evaluated(folder, method):
    """The validation pairs of a run, from `equipoise evaluate`."""
    validation = folder / "data/validation.jsonl"
    output = folder / f"{method}-pairs.jsonl"
    result = run("equipoise", "evaluate", "--model", folder / method / "final", "--reference", folder / "sft/final",
                 "--data", validation, "--beta", 0.1, "--output", output, "--np", 2, "--quiet")
    if result.returncode != 0:
        sys.exit(result.stderr)
    pairs = []
    for source, line in zip(read_lines(validation), read_lines(output), strict=True):
        margin = ((line["policy_chosen_logp"] - line["policy_rejected_logp"]) -
                  (line["reference_chosen_logp"] - line["reference_rejected_logp"]))
        pairs.append(Pair(source["prompt"], line["group"], line["loss"], float(margin > 0)))
    return pairs


def mean(values):
    return sum(values) / len(values)


def of_group(pairs, group, measure):
    return [getattr(pair, measure) for pair in pairs if pair.group == group]


def worst_group(pairs, measure):
    means = {group: mean(of_group(pairs, group, measure)) for group in {pair.group for pair in pairs}}
    return max(means, key=means.get) if measure == "loss" else min(means, key=means.get)


def error_of_mean(values):
    centre = mean(values)
    return math.sqrt(sum((value - centre) ** 2 for value in values) / (len(values) - 1) / len(values))


def error_of_difference(some, group, others, other_group, measure):
    """The standard error of the difference of two groups' means under two policies: the larger of two.

    Either as if all pairs were independent; or by question, whose pairs go together: of one group under both policies
    they are the same pairs, and of two groups they may be each other's opposites. Each question adds to the difference
    what its pairs add to the two means, and questions are independent."""
    ours, theirs = of_group(some, group, measure), of_group(others, other_group, measure)
    by_question = collections.Counter()
    for pairs, name, values, sign in ((some, group, ours, 1), (others, other_group, theirs, -1)):
        centre = mean(values)
        for pair in pairs:
            if pair.group == name:
                by_question[pair.prompt] += sign * (getattr(pair, measure) - centre) / len(values)
    count = len(by_question)
    clustered = math.sqrt(count / (count - 1) * sum(value ** 2 for value in by_question.values()))
    return max(clustered, math.hypot(error_of_mean(ours), error_of_mean(theirs)))


def judged(dpo, robust, measure):
    """A line of text, and whether the difference is large enough."""
    before, after = worst_group(dpo, measure), worst_group(robust, measure)
    values = of_group(dpo, before, measure), of_group(robust, after, measure)
    difference = mean(values[1]) - mean(values[0])
    error = error_of_difference(robust, after, dpo, before, measure)
    errors = difference / error * (-1 if measure == "loss" else 1)
    name = "loss" if measure == "loss" else "accuracy"
    sides = [f"{mean(value):.3f} ± {error_of_mean(value):.3f} ({group}, {len(value)} pairs)"
             for value, group in zip(values, (before, after))]
    return (f"worst {name:8}  DPO {sides[0]}  GR-DPO {sides[1]}"
            f"  difference {difference:+.3f} ± {error:.3f}: {errors:.1f} standard errors", errors >= WANTED)


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    arguments.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench-demo")
    options = arguments.parse_args()
    all_hold = True
    for seed in options.seeds:
        folder = options.output.absolute() / f"seed-{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        before = processor_seconds()
        run_demo(seed, folder)
        print(f"seed {seed}: {processor_seconds() - before:.0f} seconds of processor time")
        dpo, robust = evaluated(folder, "dpo"), evaluated(folder, "gr-dpo")
        for measure in ("loss", "right"):
            text, holds = judged(dpo, robust, measure)
            print(f"  {text}{'' if holds else ', fewer than ' + str(WANTED)}", flush=True)
            all_hold &= holds
    sys.exit(0 if all_hold else 1)


if __name__ == "__main__":
    main()

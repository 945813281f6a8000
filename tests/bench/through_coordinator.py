"""Iterations per second of a log-linear job through coordinator and worker, on the paper's problem: 300 pairs, full
batch. Each number is the difference of a long and a short run, so that starting the programs does not count."""

import json
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from programs import ROOT, run  # noqa: E402

CASE = ROOT / "tests/golden/bandits/uneven_imbalanced_2021_swapped"
AUTHORS = 41  # iterations a second of the authors' program on one core


def seconds(folder, weight_sync, steps):
    problem = json.loads((CASE / "problem.json").read_text())
    policy = {key: problem[key] for key in ("features", "actions", "reward", "initial_theta")}
    job = {
        "name": "bench", "policy": {"log_linear": policy}, "data": {"train": str(CASE / "train.jsonl")},
        "loss": {"type": "dpo", "beta": 1},
        "robust": {"mode": "group_robust", "step_size": 0.9, "weight_sync": weight_sync},
        "optimizer": {"learning_rate": 0.5}, "training": {"max_steps": steps, "full_batch": True},
        "logging": {"at_steps": [steps]}, "output": "out", "overwrite": True,
    }
    path = folder / "job.yaml"
    path.write_text(json.dumps(job))
    start = time.monotonic()
    result = run("equipoise", "train", path, "--quiet")
    if result.returncode != 0:
        sys.exit(result.stderr)
    return time.monotonic() - start


def main():
    with tempfile.TemporaryDirectory(prefix="equipoise-bench-") as name:
        folder = pathlib.Path(name)
        for weight_sync, steps in (("coordinator", 5_000), ("speculative", 200_000)):
            taken = seconds(folder, weight_sync, 100 + steps) - seconds(folder, weight_sync, 100)
            rate = steps / taken
            print(f"through the coordinator, weight_sync {weight_sync}: {rate:,.0f} iterations/s, "
                  f"{rate / AUTHORS:,.0f} times the authors' program")


if __name__ == "__main__":
    main()

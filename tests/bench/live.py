"""How soon a job does its next step: a fork after `jobs fork`, a job whose coordinator was killed and came back. And
what the ledger costs whole runs: the time to record their steps once more, over the time that the steps took.

    python3 tests/bench/live.py [--rounds N]

The demo's model, data and batches, GR-DPO on two ranks. A step is seen by its line in metrics.jsonl."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402
from programs import BIN, ROOT, Coordinator  # noqa: E402

CASE = ROOT / "tests/golden/bandits/uneven_imbalanced_2021_swapped"
PATIENCE = 120  # seconds


def equipoise(*arguments):
    result = programs.run("equipoise", *arguments)
    if result.returncode != 0:
        sys.exit(result.stderr)
    return result.stdout


def make_demo(folder):
    """As deploy/demo/run does, but for the fine-tuning before."""
    equipoise("data", "generate", folder / "survey.jsonl", "--seed", 1)
    equipoise("data", "import", "opinionqa", folder / "survey.jsonl", "--output", folder / "data", "--seed", 1,
              "--omit-group", "--split-by-question", "--train-fraction", 0.6)
    equipoise("model", "init", folder / "base", "--data", folder / "data/train.jsonl", "--seed", 1, "--layers", 3,
              "--hidden-size", 128, "--intermediate-size", 512, "--head-dim", 32)


def demo_job(folder, name, steps):
    job = {
        "name": name, "model": {"path": str(folder / "base")},
        "data": {part: str(folder / f"data/{part}.jsonl") for part in ("train", "validation")},
        "loss": {"type": "dpo", "beta": 0.1}, "robust": {"mode": "group_robust", "step_size": 0.3},
        "optimizer": {"learning_rate": 1e-4},
        "training": {"max_steps": steps, "global_batch_size": 32, "sampling": "stratified"},
        "logging": {"every_steps": 1}, "checkpoint": {"every_seconds": 0}, "output": str(folder / name)}
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(job))
    return path


def last_step(output):
    """Of the newest line of a step; 0 where there is none."""
    try:
        lines = (output / "metrics.jsonl").read_bytes().splitlines()[-20:-1]
    except FileNotFoundError:
        return 0
    steps = [line["step"] for line in map(json.loads, filter(None, lines)) if "split" not in line]
    return steps[-1] if steps else 0


def wait_for_step(output, step):
    end = time.monotonic() + PATIENCE
    while last_step(output) < step:
        if time.monotonic() > end:
            sys.exit(f"{output} has not come to step {step}")
        time.sleep(0.005)
    return time.monotonic()


def submit(job, coordinator):
    said = equipoise("submit", job, "--np", 2, "--coordinator", coordinator.address)
    return said.strip().splitlines()[-1].split()[-1]


def fork_seconds(folder, rounds):
    seconds = []
    with Coordinator(folder / "state-fork", "--max-running-jobs", "2") as coordinator:
        for number in range(rounds):
            parent = submit(demo_job(folder, f"parent-{number}", 100_000), coordinator)
            wait_for_step(folder / f"parent-{number}", 5)
            output = folder / f"fork-{number}"
            start = time.monotonic()
            fork = equipoise("jobs", "fork", parent, "--set", "robust.trade_off=0.5", "--output", output, "-o", "name",
                             "--coordinator", coordinator.address).strip()
            job = json.loads(equipoise("jobs", "get", fork, "--json", "--coordinator", coordinator.address))
            seconds.append(wait_for_step(output, int(job["parent_step"]) + 1) - start)
            for job_id in (fork, parent):
                equipoise("jobs", "cancel", job_id, "--coordinator", coordinator.address)
    return seconds


def restart_seconds(folder, rounds):
    """From the start of the next coordinator on."""
    seconds = []
    output = folder / "restarted"
    coordinator = Coordinator(folder / "state-restart")
    try:
        submit(demo_job(folder, "restarted", 100_000), coordinator)
        wait_for_step(output, 5)
        for _ in range(rounds):
            coordinator.process.kill()
            coordinator.stop()
            time.sleep(1)  # the step under way is over, and ranks wait
            step = last_step(output)
            start = time.monotonic()
            coordinator = Coordinator(folder / "state-restart", listen=coordinator.address)
            seconds.append(wait_for_step(output, step + 1) - start)
            wait_for_step(output, step + 20)
    finally:
        coordinator.stop()
    return seconds


def recorded_nanoseconds(ledger):
    """Of a step of this ledger, once more."""
    result = subprocess.run(
        [BIN / "equipoise_bench", "--benchmark_filter=RecordRun", "--benchmark_format=json"], capture_output=True,
        text=True, env={**os.environ, "EQUIPOISE_BENCH_LEDGER": str(ledger)}, check=True)
    [found] = json.loads(result.stdout)["benchmarks"]
    return 1e9 / found["items_per_second"]


def ledger_share(output, job, ranks):
    """Nanoseconds of a step, and of its record."""
    process = subprocess.Popen([BIN / "equipoise", "train", job, "--np", str(ranks), "--quiet"],
                               stdin=subprocess.DEVNULL, env=programs.ENVIRONMENT)
    first, start = 0, 0.0
    while process.poll() is None:
        now = last_step(output)
        if now > 0 and first == 0:
            first, start = now, time.monotonic()
        if now > first > 0:
            last, end = now, time.monotonic()
        time.sleep(0.005)
    if process.returncode != 0:
        sys.exit(f"{output} failed")
    return (end - start) / (last - first) * 1e9, recorded_nanoseconds(output / "ledger.bin")


def log_linear_job(folder, steps):
    problem = json.loads((CASE / "problem.json").read_text())
    policy = {key: problem[key] for key in ("features", "actions", "reward", "initial_theta")}
    job = {
        "name": "log-linear", "policy": {"log_linear": policy}, "data": {"train": str(CASE / "train.jsonl")},
        "loss": {"type": "dpo", "beta": 1},
        "robust": {"mode": "group_robust", "step_size": 0.9, "weight_sync": "speculative"},
        "optimizer": {"learning_rate": 0.5}, "training": {"max_steps": steps, "full_batch": True},
        "logging": {"every_steps": 1000}, "output": str(folder / "log-linear")}
    path = folder / "log-linear.yaml"
    path.write_text(json.dumps(job))
    return path


def show(what, seconds):
    print(f"{what}: {statistics.median(seconds):.2f} s at the median of {len(seconds)}, at most {max(seconds):.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="equipoise-bench-") as name:
        folder = pathlib.Path(name)
        make_demo(folder)
        show("from `jobs fork` of a running job, with its checkpoint, to the first step", fork_seconds(folder, rounds))
        show("from a coordinator's restart to the next step", restart_seconds(folder, rounds))
        for what, output, job, ranks in (
                ("language model", "plain", demo_job(folder, "plain", 150), 2),
                ("log-linear, speculative", "log-linear", log_linear_job(folder, 1_000_000), 1)):
            step, record = ledger_share(folder / output, job, ranks)
            print(f"ledger of a run, {what}: {record:,.0f} ns of a step of {step:,.0f} ns, {100 * record / step:.3f} %")


if __name__ == "__main__":
    main()

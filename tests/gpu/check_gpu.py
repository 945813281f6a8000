#!/usr/bin/env python3
"""Checks Equipoise on a machine with a GPU that has nothing of it but Python's torch 2.11 for CUDA 13.

It lies in the bundle that `make check-gpu` makes, beside bin/ and lib/, and needs no other Python package than torch,
which it does not import. Each check has a time limit, and a failed one does not end the others. The folder --output
receives results.json with all numbers and results.md with a table.
Exit code 0: all passed; 1: something did not; 2: there is no NVIDIA driver, which the last line says.
"""

import argparse
import json
import math
import pathlib
import platform
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True  # the bundle stays as it was unpacked
from checklist import NOT_RUN, PASSED, Check, Checklist, Failed, Measured, NotHere
from machine_checks import FIRST_DRIVER, MachineChecks

LIMIT_S = 9.5 * 60  # of all checks, so that the whole takes less than ten minutes
LARGE_BYTES = 8_000_000_000  # of disk, for a model of Gemma 2B's shape

# Checks of equipoise-gpu-check: what is expected, most seconds. Each is a process of its own, so that a crash or an
# error that breaks the GPU's context leaves the others alone.
COMPUTING = {
    "collective": ("NCCL with one rank: sums, a broadcast and 200 buckets keep their numbers", 60),
    "attention": ("ten shapes of blocks: never cuDNN's kernel, 2e-2 (bfloat16) or 1e-4 (float32) from float64", 90),
    "varlen": ("the flash kernel over packed sequences: 2e-2 from float64", 60),
    "families": ("every family's log-probs: 1e-4 (float32) or 2e-2 (bfloat16) from float64 on the CPU; gradients", 90),
    "masks": ("dropout masks and four-bit codes are the CPU's bits", 60),
    "gemma-full": ("Gemma 2B's shape, 20 steps: first loss ln 2, all finite, memory within half and twice the estimate", 150),
    "gemma-lora": ("the same with LoRA", 120),
    "llama-nf4": ("four layers of an 8B Llama at four bits, 5 steps: the same", 120),
    "repeated": ("the same steps twice: losses within 1e-2; whether the bits are the same is reported", 60),
    "out-of-memory": ("one line that names micro_batch_tokens, gradient_checkpointing and dtype", 60),
}
LARGE = ("gemma-full", "gemma-lora", "llama-nf4")

# Each trains three steps on the device and on the CPU from the same model: longer runs drift apart by themselves.
# Numbers of a step may differ by so much of themselves, or of 1 where they are smaller.
VARIANTS = {
    "dpo": (["robust.mode=none"], 1e-3),
    "gr-dpo": ([], 1e-3),
    "bfloat16": (["model.dtype=bfloat16"], 2e-2),
    "recomputed": (["training.gradient_checkpointing=true"], 1e-3),
    "lora": (["model.lora.r=8"], 1e-3),
    "dora-dropout": (["model.lora.r=8", "model.lora.use_dora=true", "model.lora.dropout=0.1"], 1e-3),
    "nf4": (["model.quantization=nf4", "model.lora.r=8"], 1e-2),
}
STEPS = 3
CPU = {"EQUIPOISE_DEVICE": "cpu"}


def largest_difference(wanted, found):
    if len(wanted) != len(found):
        raise Failed(f"{len(found)} numbers, expected {len(wanted)}")
    differences = [abs(a - b) / max(1, abs(a)) for a, b in zip(wanted, found)]
    return max(differences) if all(map(math.isfinite, differences)) else math.inf


def within(what, difference, tolerance):
    text = f"{what} differ by {difference:.2g}"
    if not difference <= tolerance:
        raise Failed(f"{text}, expected at most {tolerance:g}", numbers={"difference": difference, "tolerance": tolerance})
    return Measured(text, {"difference": difference, "tolerance": tolerance})


class GpuChecks(MachineChecks):
    def __init__(self, options, checklist, folder):
        super().__init__(checklist, folder, pathlib.Path(options.torch).resolve() if options.torch else None)
        self.device, self.steps = options.device, {}

    def refused(self, text, workers, visible):
        """A job on these visible GPUs ends with exit code 2 and one line that has `text`."""
        done = self.run("equipoise", "train", "job.yaml", "--overwrite", "--quiet", "--np", workers, "--output",
                        "runs/refused", EQUIPOISE_DEVICE="cuda", CUDA_VISIBLE_DEVICES=visible)
        lines = done.stderr.strip().splitlines()
        if done.returncode != 2 or len(lines) != 1 or text not in lines[0]:
            raise Failed(f"exit code {done.returncode} and {len(lines)} lines, the last: {(lines or [''])[-1]}", done.stderr)
        return lines[0]

    def small_model(self):
        self.succeed("equipoise", "data", "generate", "survey.jsonl", "--questions", "80")
        self.succeed("equipoise", "data", "import", "opinionqa", "survey.jsonl", "--output", "data")
        self.succeed("equipoise", "model", "init", "model", "--data", "data/train.jsonl", "--hidden-size", "64", "--layers", "2",
                     "--heads", "4", "--head-dim", "32", "--intermediate-size", "128", "--vocab-size", "600")
        (self.folder / "job.yaml").write_text(json.dumps({
            "name": "check", "model": {"path": "model"}, "loss": {"type": "dpo"},
            "data": {"train": "data/train.jsonl", "max_length": 256}, "robust": {"mode": "group_robust", "step_size": 0.1},
            "optimizer": {"learning_rate": 1e-3}, "training": {"max_steps": STEPS, "global_batch_size": 32, "seed": 1},
            "logging": {"every_steps": 1}, "output": "runs/job"}))
        pairs = len((self.folder / "data/train.jsonl").read_text().splitlines())
        return f"{pairs} pairs to train on"

    def train(self, name, settings, workers=1, **environment):
        """What the steps report: loss, norm of the gradient, log-probs, losses and weights of the groups."""
        flags = [flag for setting in settings for flag in ("--set", setting)]
        self.succeed("equipoise", "train", "job.yaml", "--overwrite", "--quiet", "--np", workers, "--output", f"runs/{name}",
                     *flags, **environment)
        numbers = []
        lines = (self.folder / "runs" / name / "metrics.jsonl").read_text().splitlines()
        for line in map(json.loads, lines):
            numbers += [line[key] for key in ("loss", "grad_norm", "logps/chosen", "logps/rejected")]
            numbers += [value for key in ("group_loss", "group_weight") for value in line.get(key, {}).values()]
        if len(lines) != STEPS:
            raise Failed(f"metrics.jsonl has {len(lines)} steps, expected {STEPS}")
        return numbers

    def train_on_cpu(self):
        two = self.train("cpu-2", [], 2, **CPU)
        return within("three steps of one and two ranks", largest_difference(self.cpu_steps("gr-dpo"), two), 1e-3)

    def cpu_steps(self, name):
        if f"cpu {name}" not in self.steps:
            self.steps[f"cpu {name}"] = self.train(f"cpu-{name}", VARIANTS[name][0], **CPU)
        return self.steps[f"cpu {name}"]

    def variant(self, name):
        settings, tolerance = VARIANTS[name]
        self.steps[name] = self.train(f"device-{name}", settings, EQUIPOISE_DEVICE=self.device)
        return within("three steps", largest_difference(self.cpu_steps(name), self.steps[name]), tolerance)

    def half_precision(self):
        return within("three steps", largest_difference(self.steps["gr-dpo"], self.steps["bfloat16"]), 5e-2)

    def evaluation(self):
        def log_probs(device):
            self.succeed("equipoise", "evaluate", "--model", "model", "--data", "data/validation.jsonl", "--output",
                         f"pairs-{device}.jsonl", "--quiet", EQUIPOISE_DEVICE=device)
            lines = (self.folder / f"pairs-{device}.jsonl").read_text().splitlines()
            return [json.loads(line)[key] for line in lines for key in ("policy_chosen_logp", "policy_rejected_logp")]
        return within("log-probs", largest_difference(log_probs("cpu"), log_probs(self.device)), 1e-3)

    def train_on(self, name, visible, workers=1):
        found = self.train(name, [], workers, EQUIPOISE_DEVICE="cuda", **visible)
        return within("three steps", largest_difference(self.cpu_steps("gr-dpo"), found), 1e-3)

    def by_uuid(self):
        if not self.gpus:
            raise NotHere("no nvidia-smi has named the GPUs")
        return self.train_on("by-uuid", {"CUDA_VISIBLE_DEVICES": self.gpus[-1][0]})

    def two_gpus(self):
        if len(self.gpus) < 2:
            raise NotHere("this machine has one GPU" if self.gpus else "no nvidia-smi has counted the GPUs")
        return self.train_on("two-gpus", {}, 2)

    # -- equipoise-gpu-check

    def computing(self, name):
        if name in LARGE and self.device == "cuda" and shutil.disk_usage(self.folder).free < LARGE_BYTES:
            raise NotHere(f"{self.folder} has less than {LARGE_BYTES / 1e9:.0f} GB free: name another with --folder")
        file = self.folder / f"{name}.json"
        done = self.run("equipoise-gpu-check", "--only", name, "--output", file, EQUIPOISE_DEVICE=self.device)
        if not file.exists():
            lines = done.stderr.strip().splitlines() or ["nothing was said"]
            raise Failed(f"equipoise-gpu-check ended with exit code {done.returncode}: {lines[-1]}", done.stderr)
        report = json.loads(file.read_text())
        check = report["checks"][0]
        self.checklist.facts.update({key: report[key] for key in ("device", "name", "versions")})
        if check["left_out"]:
            raise NotHere(check["left_out"])
        if not check["passed"]:
            raise Failed(check["fault"], done.stderr, check["numbers"])
        if done.returncode != 0:
            raise Failed(f"passed, but the process ended with exit code {done.returncode}", done.stderr)
        return Measured(check["summary"], check["numbers"])

    # -- all of them

    def checks(self):
        gpu = ("driver",) if self.device == "cuda" else ()
        bundle = ("glibc", "torch", "libraries", "programs")
        job = (*gpu, "mpirun", "small model")
        checks = [
            Check("glibc", "not older than that of the system that made the bundle", 10, self.glibc),
            Check("torch", "2.11 for CUDA 13", 10, self.torch),
            Check("libraries", "the dynamic loader finds what programs and plugins need", 60, self.libraries, ("torch",)),
            Check("programs", "each starts", 60, self.programs, ("glibc", "torch", "libraries")),
            Check("mpirun", "starts two processes", 30, self.mpirun, bundle)]
        if gpu:
            checks.append(Check("driver", f"series {FIRST_DRIVER} or newer, with a GPU", 40, self.driver))
        checks += [
            Check("small model", "a survey, its pairs and a small model are made", 60, self.small_model, (*gpu, *bundle)),
            Check("1 and 2 ranks", "on the CPU: numbers of three steps agree to 1e-3", 90, self.train_on_cpu, job)]
        checks += [Check(name, expected, limit, lambda name=name: self.computing(name), (*gpu, *bundle))
                   for name, (expected, limit) in COMPUTING.items()]
        checks += [Check(f"training {name}", f"three steps are the CPU's to {tolerance:g}", 90,
                         lambda name=name: self.variant(name), job)
                   for name, (_, tolerance) in VARIANTS.items()]
        checks += [
            Check("bfloat16 against float32", "three steps agree to 0.05", 10, self.half_precision,
                  ("training gr-dpo", "training bfloat16")),
            Check("evaluation", "log-probs are the CPU's to 1e-3", 60, self.evaluation, job)]
        if gpu:
            checks += [
                Check("GPU by UUID", "the same three steps on the GPU that CUDA_VISIBLE_DEVICES names", 60, self.by_uuid, job),
                Check("2 ranks, 1 GPU", "exit code 2 and one line: they cannot have one each", 60,
                      lambda: self.refused("cannot have one each", 2, "0"), job),
                Check("no visible GPU", "exit code 2 and one line: CUDA_VISIBLE_DEVICES is empty", 60,
                      lambda: self.refused("CUDA_VISIBLE_DEVICES is empty", 1, ""), job),
                Check("2 ranks, 2 GPUs", "the same three steps over NCCL", 60, self.two_gpus, job)]
        return checks


def chosen(checks, only):
    """Those that were asked for and what they need, in their order."""
    wanted, known = set(), {check.name: check for check in checks}
    def add(name):
        if name not in wanted:
            wanted.add(name)
            for need in known[name].needs:
                add(need)
    for name in only or known:
        if name not in known:
            sys.exit(f"check-gpu: there is no check {name}; there are: {', '.join(known)}")
        add(name)
    return [check for check in checks if check.name in wanted]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", default="check-gpu", help="folder for results.json and results.md (default: %(default)s)")
    parser.add_argument("--torch", help="folder that holds torch/ and nvidia/ (default: where this Python finds them)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: try the checks themselves, small")
    parser.add_argument("--only", action="append", metavar="CHECK", help="this one and what it needs; may be repeated")
    parser.add_argument("--folder", help="where a temporary folder of about 6 GB is made (default: TMPDIR)")
    options = parser.parse_args()
    checklist = Checklist(options.output, LIMIT_S)
    checklist.facts.update(system=platform.platform(), python=platform.python_version())
    try:
        with tempfile.TemporaryDirectory(prefix="equipoise-check-gpu-", dir=options.folder, ignore_cleanup_errors=True) as folder:
            checks = GpuChecks(options, checklist, pathlib.Path(folder).resolve())
            checklist.run(chosen(checks.checks(), options.only))
    except KeyboardInterrupt:
        print("check-gpu: interrupted")
        return 130
    finally:
        checklist.write()
    counts = checklist.counts()
    print(f"{counts[PASSED]} passed, {len(checklist.failed())} failed, {counts[NOT_RUN]} not run; all numbers are in "
          f"{checklist.output}/results.json, a table in {checklist.output}/results.md")
    absent = next((row["measured"] for row in checklist.rows if row["name"] == "driver" and row["status"] == NOT_RUN), None)
    if absent is not None:
        print(f"check-gpu: {absent}")
    return 1 if checklist.failed() else 2 if absent is not None else 0


if __name__ == "__main__":
    sys.exit(main())

"""What does each choice of docs/choosing.md do to the worst held-out group? Runs the demo with each seed, trains from
its reference policy once with each choice, and prints the table of that page:

    python3 tests/bench/choices.py                  # seeds 1 to 3, into build/bench-choices
    python3 tests/bench/choices.py --seeds 7 --only dpo "gr-dpo, η 0.1"

A run that is finished in the output folder is not repeated."""

import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from demo import run_demo  # noqa: E402
from programs import ROOT, read_lines, run  # noqa: E402

PERMUTATION = ("training.sampling=permutation",)
CLOSED_FORM = ("robust.mode=group_robust", "training.sampling=stratified")  # no step size
# Name, the demo's job that is changed, and how.
CHOICES = [
    ("dpo", "dpo", ()),
    ("gr-dpo, η 0.01", "gr-dpo", ("robust.step_size=0.01",)),
    ("gr-dpo, η 0.03", "gr-dpo", ("robust.step_size=0.03",)),
    ("gr-dpo, η 0.1", "gr-dpo", ("robust.step_size=0.1",)),
    ("gr-dpo, η 0.3", "gr-dpo", ("robust.step_size=0.3",)),
    ("unbiased, permutation", "gr-dpo", ("robust.step_size=0.1", *PERMUTATION)),
    ("batch_mean, permutation", "gr-dpo", ("robust.step_size=0.1", "robust.estimator=batch_mean", *PERMUTATION)),
    ("dataset_scaled, permutation", "gr-dpo",
     ("robust.step_size=0.1", "robust.estimator=dataset_scaled", *PERMUTATION)),
    ("cvar, κ 0.3", "dpo", (*CLOSED_FORM, "robust.ambiguity_set=cvar", "robust.kappa=0.3")),
    ("chi_square, ρ 0.5", "dpo", (*CLOSED_FORM, "robust.ambiguity_set=chi_square", "robust.rho=0.5")),
    ("kl, τ 0.3", "dpo", (*CLOSED_FORM, "robust.ambiguity_set=kl", "robust.tau=0.3")),
]


def train(folder, name, job, seed, settings):
    """The demo's job with other settings, from the demo's reference."""
    output = folder / name
    if not (output / "final").is_dir():
        flags = [flag for setting in settings for flag in ("--set", setting)]
        result = run("equipoise", "train", ROOT / f"deploy/demo/{job}.yaml", "--np", 2, "--overwrite", "--quiet",
                     "--output", output, "--set", f"model.path={folder / 'sft/final'}",
                     "--set", f"data.train={folder / 'data/train.jsonl'}",
                     "--set", f"data.validation={folder / 'data/validation.jsonl'}",
                     "--set", f"training.seed={seed}", *flags, timeout=3600)
        if result.returncode != 0:
            sys.exit(f"{name}: {result.stderr}")
    return output


def outcome(output):
    """Worst group's loss and lowest accuracy of the last evaluation, and each group's weight at the end."""
    evaluated, weights = None, {}
    for line in read_lines(output / "metrics.jsonl"):
        if line.get("split") == "validation":
            evaluated = line
        elif "group_weight" in line:
            weights = line["group_weight"]
    return max(evaluated["group_loss"].values()), min(evaluated["group_accuracy"].values()), max(weights.values())


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments.add_argument("--only", nargs="+", help="names of choices")
    arguments.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench-choices")
    options = arguments.parse_args()
    outcomes = {}
    for seed in options.seeds:
        folder = options.output.absolute() / f"seed-{seed}"
        if not (folder / "sft/final").is_dir():
            run_demo(seed, folder)
        for name, job, settings in CHOICES:
            if options.only and name not in options.only:
                continue
            letters = name.translate(str.maketrans("ηκρτ", "ekrt"))
            place = "run-" + "".join(c if c.isalnum() or c in ".-" else "-" for c in letters)
            outcomes.setdefault(name, []).append(outcome(train(folder, place, job, seed, settings)))
            print(f"seed {seed}  {name:28} loss {outcomes[name][-1][0]:.3f}  accuracy {outcomes[name][-1][1]:.3f}  "
                  f"largest weight {outcomes[name][-1][2]:.2f}", file=sys.stderr, flush=True)
    print("| choice | worst group's loss | its range | lowest accuracy | its range | largest weight at the end |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, values in outcomes.items():
        losses, accuracies, weights = zip(*values)
        print(f"| {name} | {statistics.mean(losses):.3f} | {min(losses):.3f} to {max(losses):.3f} "
              f"| {statistics.mean(accuracies):.3f} | {min(accuracies):.3f} to {max(accuracies):.3f} "
              f"| {statistics.mean(weights):.2f} |")


if __name__ == "__main__":
    main()

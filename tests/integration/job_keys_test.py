"""The tables of docs/configuration.md: every key of a job, and what they say of defaults and ranges is what programs do."""

import concurrent.futures
import pathlib
import re
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
sys.path.insert(0, str(programs.ROOT / ".ci"))
sys.path.insert(0, str(programs.DEPS / "python-docs"))
import job_keys  # noqa: E402
import yaml  # noqa: E402

PAGE = programs.ROOT / "docs/configuration.md"
# What stands in front of a table's keys in a job.
PREFIXES = {"JobSpec": "", "ModelSpec": "model.", "LoraSpec": "model.lora.", "LogLinearSpec": "policy.log_linear.",
            "DataSpec": "data.", "DataFileSpec": "data.train_files[].", "LossSpec": "loss.", "RobustSpec": "robust.",
            "OptimizerSpec": "optimizer.", "TrainingSpec": "training.", "EarlyStoppingSpec": "training.early_stopping.",
            "CheckpointSpec": "checkpoint.", "EvaluationSpec": ""}
# A key that only another one gives a meaning.
WITH = {"robust.kappa": ["robust.ambiguity_set=cvar"], "robust.rho": ["robust.ambiguity_set=chi_square"],
        "robust.tau": ["robust.ambiguity_set=kl"], "optimizer.momentum": ["optimizer.type=rmsprop"],
        "optimizer.smoothing": ["optimizer.type=rmsprop"], "optimizer.adamw_learning_rate": ["optimizer.type=muon"],
        "optimizer.schedule.": ["optimizer.schedule.type=plateau", "evaluation.every_steps=1"],
        "training.early_stopping.": ["training.early_stopping.metric=worst_group_loss", "training.early_stopping.mode=min",
                                     "evaluation.every_steps=1"],
        "launch.min_workers": ["launch.workers=2"]}
# Groups and batches are known once the data has been read.
OF_THE_DATA = {"robust.min_weight"}


def rows():
    """Key in full, type, default, range and unit of each row."""
    found = {}
    text = PAGE.read_text()
    for match in job_keys.TABLE.finditer(text):
        prefix = PREFIXES[match[1].split()[0].rstrip(",")]
        for line in match[0].splitlines():
            if line.startswith("| `"):
                key, *cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                found[prefix + key.strip("`")] = cells
    return found


def number(text):
    """10¹² and 2³¹−1 as a number."""
    digits = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
    power = re.fullmatch(r"(\d+)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)(−1)?", text)
    if power:
        return int(power[1]) ** int(power[2].translate(digits)) - (1 if power[3] else 0)
    return float(text) if re.search(r"[.e]", text) else int(text)


def outside(limits):
    """Numbers just outside of a range such as `> 0`, `[0, 1)` or `1 to 10¹²`."""
    of_list = limits.startswith("each ")
    limits = limits.removeprefix("each ").removeprefix("ascending, ").split(";")[0]
    value = r"(-?[\d.]+(?:e-?\d+)?[⁰¹²³⁴⁵⁶⁷⁸⁹]*(?:−1)?)"
    found = []
    if match := re.match(rf"([>≥]) {value}", limits):
        found = [number(match[2]) - 1] + ([number(match[2])] if match[1] == ">" else [])
    elif match := re.match(rf"([\[(]){value}, (?:{value}|[^\])]+)([\])])", limits):
        low = number(match[2])
        found = [low - 1] + ([low] if match[1] == "(" else [])
        if match[3]:
            high = number(match[3])
            found += [high + 1] + ([high] if match[4] == ")" else [])
    elif match := re.match(rf"{value} to (?:{value})?", limits):
        found = [number(match[1]) - 1] + ([number(match[2]) + 1] if match[2] else [])
    return [f"[{one}, 0.5]" if of_list else one for one in found]


class JobKeys(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        self.rows = rows()

    def test_every_field_of_a_job_has_a_row_with_all_of_it(self):
        keys = job_keys.Keys(programs.ROOT / "proto")
        fields = []

        def walk(name, prefix):
            for field in keys.messages[name][1].field:
                short = field.type_name.split(".")[-1]
                key = f"{prefix}{field.name}"
                if short == "DataFileSpec" and field.name == "validation_files":
                    fields.append(key)
                elif short in keys.messages:
                    walk(short, f"{key}[]." if short == "DataFileSpec" else f"{key}.")
                else:
                    fields.append(key)

        walk("JobSpec", "")
        self.assertGreater(len(fields), 110)
        for key in fields:
            self.assertIn(key, self.rows)
            kind, default, limits, _, meaning = self.rows[key]
            self.assertTrue(kind and default and meaning, key)
            if "number" in kind or "integer" in kind or kind == "enum":
                self.assertTrue(limits, key)

    def test_a_field_without_default_range_or_unit_is_found(self):
        shutil.copytree(programs.ROOT / "proto", self.folder / "proto")
        path = self.folder / "proto/equipoise/v1/job.proto"
        path.write_text(path.read_text().replace(
            "message EvaluationSpec {", "message EvaluationSpec {\n  // New.\n  optional int32 bare = 9;"))
        made, missing = job_keys.configuration(PAGE.read_text(), self.folder / "proto")
        self.assertIn("| `evaluation.bare` |", made)
        self.assertEqual(missing, ["EvaluationSpec.bare has no Absent or Required, no a Range, no a Unit"])

    def test_what_is_outside_of_a_range_is_refused(self):
        base = {"name": "a", "data": {"train": "train.jsonl", "validation": "v.jsonl"},
                "robust": {"mode": "group_robust"}, "output": "o"}
        jobs = {"LM": {**base, "model": {"path": "m", "lora": {}}},
                "LL": {**base, "policy": {"log_linear": {"features": "same", "actions": 8, "reward": [[1, 2], [2, 1]]}}}}
        for name, job in jobs.items():
            (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(job))
        tried = []
        for key, (kind, _, limits, _, _) in self.rows.items():
            if key in OF_THE_DATA or "[]" in key or not re.search("number|integer", kind):
                continue
            job = "LL" if key.startswith("policy") else "LM"
            extra = [setting for start, settings in WITH.items() if key.startswith(start) for setting in settings]
            for value in outside(limits):
                tried.append((key, value, [self.folder / f"{job}.yaml", *(f"--set={setting}" for setting in extra),
                                           f"--set={key}={value}"]))
        self.assertGreater(len(tried), 90)
        # The port answers nobody: what is not refused is not started either.
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda one: programs.run("equipoise", "submit", *one[2], "--coordinator", "127.0.0.1:1"),
                                 tried))
        for (key, value, _), result in zip(tried, done):
            with self.subTest(key=key, value=value):
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(key, result.stderr)
                self.assertNotIn("needs", result.stderr)

    def test_defaults_are_those_of_the_job_that_a_run_writes(self):
        self.small_model()
        self.write_job("plain", loss={}, robust={"mode": "group_robust"}, optimizer={}, training={"max_steps": 1})
        self.succeed("equipoise", "train", self.folder / "plain.yaml")
        job = yaml.safe_load((self.folder / "plain/job.yaml").read_text())
        compared = 0
        for key, (kind, default, _, _, _) in self.rows.items():
            value, found = job, "[]" not in key
            for part in key.split("."):
                found = found and isinstance(value, dict) and part in value
                value = value[part] if found else None
            default = default.split(";")[0].strip("`")
            is_plain = kind in ("number", "integer", "bool", "enum") and re.fullmatch(r"[a-z0-9_.-]+", default)
            if not found or not is_plain or key in GIVEN:
                continue
            wanted = {"true": True, "false": False}.get(default, default)
            if kind in ("number", "integer"):
                value, wanted = float(value), float(default)
            self.assertEqual(value, wanted, key)
            compared += 1
        self.assertGreater(compared, 30, job)


# Keys that the job of the test gives, and one whose default the data decides.
GIVEN = {"robust.mode", "training.sampling", "training.max_steps", "model.reference", "launch.workers"}

if __name__ == "__main__":
    unittest.main()

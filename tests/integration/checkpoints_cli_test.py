"""What people do with checkpoints: list, verify, prune, go on from one, move a run, start a job from one."""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from programs import BIN, ENVIRONMENT, ROOT, ProgramTest, read_lines, run  # noqa: E402

CASE = ROOT / "tests/golden/bandits/even_imbalanced_2021_swapped"
STEPS = 22  # checkpoints every 5
MANY_STEPS = 3000  # some seconds, so that a signal comes before the end


def without_speeds(lines):
    return [{name: value for name, value in line.items() if not name.endswith("_per_second")} for line in lines]


def damages(content):
    """A file as a disk, a copy or a person may leave it."""
    yield "cut by a byte", content[:-1]
    yield "cut in half", content[:len(content) // 2]
    yield "empty", b""
    yield "a byte longer", content + b"\n"
    for place in (0, len(content) // 3, len(content) // 2, len(content) - 1):
        yield f"byte {place} changed", content[:place] + bytes([content[place] ^ 1]) + content[place + 1:]


class CheckpointsTest(ProgramTest):
    def write_bandit(self, name="out", steps=STEPS, every=5, **sections):
        """The job file of a log-linear run, which is made in no time."""
        problem = json.loads((CASE / "problem.json").read_text())
        job = {
            "name": "bandit",
            "policy": {"log_linear": {part: problem[part] for part in
                                      ("features", "actions", "reward", "initial_theta")}},
            "data": {"train": str(CASE / "train.jsonl"), "validation": str(CASE / "validation.jsonl")},
            "loss": {"type": "dpo", "beta": 1},
            "robust": {"mode": "group_robust", "step_size": 0.1},
            "optimizer": {"learning_rate": 0.1},
            "training": {"max_steps": steps, "global_batch_size": 16, "seed": 3},
            "checkpoint": {"every_steps": every, "keep": 100},
            "output": name,
        }
        job.update(sections)
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(job))
        return path

    def train(self, *arguments):
        return self.succeed("equipoise", "train", *arguments)

    def checkpoints(self, verb, *arguments):
        return run("equipoise", "checkpoints", verb, *arguments)

    def listed(self, output):
        return json.loads(self.succeed("equipoise", "checkpoints", "list", output, "--json"))["checkpoints"]

    def steps(self, output):
        return [checkpoint["step"] for checkpoint in self.listed(output)]

    def start(self, *arguments):
        """`equipoise train` in the background, once it has written a checkpoint."""
        process = subprocess.Popen([str(BIN / "equipoise"), "train", *map(str, arguments)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        while not list((self.folder / "out/checkpoints").glob("step-*")):
            self.assertIsNone(process.poll(), "it ended before its first checkpoint")
            time.sleep(0.02)
        return process

    def interrupt(self, process):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130, errors)
        lines = errors.strip().splitlines()
        self.assertEqual(len(lines), 1, errors)
        return lines[0]

    def test_list_has_a_row_for_each_newest_first(self):
        self.train(self.write_bandit(), "--np", 2, "--quiet")
        out = self.folder / "out"
        found = self.listed(out)
        steps = [one["step"] for one in found]
        self.assertEqual(steps, sorted(steps, reverse=True))
        self.assertLessEqual({5, 10, 15, 20}, set(steps))
        self.assertEqual([one["newest"] for one in found], [True] + [False] * (len(found) - 1))
        for one in found:
            self.assertEqual(one["ranks"], 2)
            self.assertEqual(one["generation"], 1)
            self.assertTrue(one["job_id"].startswith("bandit-"))
            folder = pathlib.Path(one["folder"])
            files = [path for path in folder.iterdir() if path.name != "manifest.json"]
            self.assertEqual(one["bytes"], sum(path.stat().st_size for path in files))
            self.assertEqual(one["files"], len(files))
        rows = self.succeed("equipoise", "checkpoints", "list", out).splitlines()
        self.assertEqual([row.split()[0] for row in rows[2:]], [str(step) for step in steps])
        self.assertEqual([row.endswith("  newest") for row in rows[2:]], [True] + [False] * (len(found) - 1))

    def test_verify_finds_every_damage_of_every_file(self):
        self.train(self.write_bandit(), "--quiet")
        out = self.folder / "out"
        count = len(self.steps(out))
        whole = self.succeed("equipoise", "checkpoints", "verify", out)
        self.assertEqual(whole.count(": whole, "), count)
        for path in sorted((out / "checkpoints/step-20").iterdir()):
            content = path.read_bytes()
            cases = [*damages(content), ("removed", None)]
            for what, damaged in cases:
                with self.subTest(file=path.name, what=what):
                    path.unlink()
                    if damaged is not None:
                        path.write_bytes(damaged)
                    result = self.checkpoints("verify", out)
                    self.assertEqual(result.returncode, 1, result.stdout)
                    self.assertIn(f"step 20: {path.name}: ", result.stdout)
                    self.assertEqual(result.stdout.count(": whole, "), count - 1)
                    self.assertEqual(len(result.stderr.strip().splitlines()), 1)
                    listed = self.checkpoints("list", out)
                    self.assertEqual(listed.returncode, 1 if path.name == "manifest.json" else 0, listed.stdout)
                    path.write_bytes(content)
        self.assertEqual(self.succeed("equipoise", "checkpoints", "verify", out), whole)

    def test_prune_keeps_the_newest_and_waits_for_the_run(self):
        job = self.write_bandit(steps=MANY_STEPS, every=100)
        process = self.start(job, "--quiet")
        out = self.folder / "out"
        for flags in ([], ["--dry-run"]):
            refusal = self.refused("equipoise", "checkpoints", "prune", out, "--keep", 1, *flags)
            self.assertIn(" is in use by job bandit-", refusal)
        while len(list((out / "checkpoints").glob("step-*"))) < 3 and process.poll() is None:
            time.sleep(0.02)
        self.interrupt(process)
        steps = self.steps(out)
        self.assertGreaterEqual(len(steps), 3)
        dry = self.succeed("equipoise", "checkpoints", "prune", out, "--keep", 2, "--dry-run")
        self.assertEqual(self.steps(out), steps)
        pruned = self.succeed("equipoise", "checkpoints", "prune", out, "--keep", 2)
        self.assertEqual(self.steps(out), steps[:2])
        for step in steps[2:]:
            self.assertIn(f"would remove step {step}: ", dry)
            self.assertIn(f"removed step {step}: ", pruned)
        self.assertIn("\n2 checkpoints stay, ", pruned)
        self.assertFalse((out / ".equipoise-lock").exists())
        self.train(job, "--resume", "--quiet")
        self.assertEqual(read_lines(out / "metrics.jsonl")[-1]["step"], MANY_STEPS)

    def test_a_cancelled_run_goes_on_and_its_metrics_are_those_of_an_undisturbed_one(self):
        sections = {"logging": {"every_steps": 50}}
        job = self.write_bandit(steps=MANY_STEPS, every=100, **sections)
        said = self.interrupt(self.start(job, "--quiet"))
        out = self.folder / "out"
        newest = self.steps(out)[0]
        self.assertTrue(said.endswith(f"; equipoise train {job} --resume goes on from step {newest}"), said)
        self.assertIn(" holds a run already ", self.refused("equipoise", "train", job))
        # The file of the job is lost, and the run is moved.
        moved = self.folder / "moved"
        out.rename(moved)
        job.unlink()
        text = self.train(moved, "--resume")
        self.assertTrue(text.startswith(f"goes on from step {newest} of {moved}/checkpoints/step-{newest}\n"), text)
        self.assertFalse(out.exists())
        self.train(self.write_bandit("undisturbed", MANY_STEPS, 0, **sections), "--quiet")
        self.assertEqual(without_speeds(read_lines(moved / "metrics.jsonl")),
                         without_speeds(read_lines(self.folder / "undisturbed/metrics.jsonl")))
        self.assertEqual(json.loads((moved / "final/theta.json").read_text()),
                         json.loads((self.folder / "undisturbed/final/theta.json").read_text()))

    def test_a_step_a_folder_and_another_output(self):
        job = self.write_bandit()
        self.train(job, "--quiet")
        out = self.folder / "out"
        metrics = without_speeds(read_lines(out / "metrics.jsonl"))
        other = self.folder / "other"
        text = self.train(job, "--resume", out / "checkpoints/step-10", "--output", other)
        self.assertTrue(text.startswith(f"goes on from step 10 of {out}/checkpoints/step-10\n"), text)
        self.assertEqual(json.loads((other / "final/theta.json").read_text()),
                         json.loads((out / "final/theta.json").read_text()))
        self.assertEqual(without_speeds(read_lines(other / "metrics.jsonl")), metrics)
        self.assertLessEqual({5, 10, 15, 20}, set(self.steps(out)))
        text = self.train(job, "--resume_from_checkpoint", 15)
        self.assertTrue(text.startswith(f"goes on from step 15 of {out}/checkpoints/step-15\n"), text)
        self.assertEqual(without_speeds(read_lines(out / "metrics.jsonl")), metrics)
        text = self.train(out, "--resume", "--set", f"training.max_steps={STEPS + 10}")
        self.assertTrue(text.startswith(f"goes on from step {STEPS} of {out}/checkpoints/step-{STEPS}\n"), text)
        self.assertEqual(read_lines(out / "metrics.jsonl")[-1]["step"], STEPS + 10)

    def test_without_a_checkpoint_training_starts_at_the_beginning(self):
        job = self.write_bandit(every=0)
        text = self.train("--resume", job, "--np", 1)
        self.assertTrue(text.startswith(
            f"there is no checkpoint in {self.folder}/out: training starts at the beginning\n"), text)
        self.assertEqual(read_lines(self.folder / "out/metrics.jsonl")[-1]["step"], STEPS)
        listed = self.succeed("equipoise", "checkpoints", "list", self.folder / "out")
        self.assertEqual(listed, f"no checkpoints in {self.folder}/out\n")
        # A run that is done is not done again by the command that was repeated until it is; one that is not, is.
        self.assertIn(" holds a run already ", self.refused("equipoise", "train", job, "--resume"))
        shutil.rmtree(self.folder / "out/final")
        text = self.train(job, "--resume")
        self.assertTrue(text.startswith("there is no checkpoint in "), text)

    def test_what_cannot_be_gone_on_from_is_refused_in_one_line(self):
        job = self.write_bandit()
        self.train(job, "--quiet")
        out = self.folder / "out"
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        self.assertIn("give one of them", self.refused("equipoise", "train", job, "--resume", "--overwrite"))
        missing = self.refused("equipoise", "train", job, "--resume", 7)
        self.assertIn("/checkpoints/step-7 does not exist, expected a checkpoint; there are steps ", missing)
        self.assertIn(" is a run's output: name one of its checkpoints",
                      self.refused("equipoise", "train", job, "--resume", out))
        self.assertIn("--resume goes on with the run", self.refused("equipoise", "train", out))
        manifest = out / "checkpoints/step-10/manifest.json"
        manifest.write_bytes(before[manifest][:-20])
        self.assertIn(str(manifest), self.refused("equipoise", "train", job, "--resume", 10))
        manifest.write_bytes(before[manifest])
        self.assertEqual({path: path.read_bytes() for path in out.rglob("*") if path.is_file()}, before)

    def test_a_checkpoint_is_the_start_of_another_job(self):
        self.small_model()
        checkpoint = {"every_steps": 3}
        self.train(self.write_job("full", checkpoint=checkpoint), "--quiet")
        start = self.folder / "full/checkpoints" / f"step-{self.steps(self.folder / 'full')[0]}"
        self.assertTrue((start / "manifest.json").exists())
        self.train(self.write_job("second", model={"path": str(start)}), "--quiet")
        self.assertTrue((self.folder / "second/final/model.safetensors").exists())
        self.assertEqual([path.name for path in (self.folder / "second/final").iterdir()
                          if path.name == "manifest.json" or path.name.startswith("optimizer")], [])
        self.succeed("equipoise", "evaluate", "--model", start, "--data", self.folder / "data/validation.jsonl",
                     "--output", self.folder / "pairs.jsonl")
        refusal = self.refused("equipoise", "export", "--model", self.folder / "model", "--adapter", start, "--merge",
                               "--output", self.folder / "merged")
        self.assertIn(" is a model, not an adapter", refusal)

    def test_an_adapters_checkpoint_is_an_adapter(self):
        self.small_model()
        self.train(self.write_job("lora", model={"path": "model", "lora": {"r": 4}}, checkpoint={"every_steps": 3}),
                   "--quiet")
        adapter = self.folder / "lora/checkpoints" / f"step-{self.steps(self.folder / 'lora')[0]}"
        self.train(self.write_job("second", model={"path": "model", "adapter": str(adapter)}), "--quiet")
        self.assertFalse((self.folder / "second/final/manifest.json").exists())
        self.succeed("equipoise", "export", "--model", self.folder / "model", "--adapter", adapter, "--merge",
                     "--output", self.folder / "merged", "--quiet")
        self.assertFalse((self.folder / "merged/manifest.json").exists())
        # A run that has not come to its end is known by its checkpoints.
        shutil.rmtree(self.folder / "lora/final")
        refusal = self.refused("equipoise", "export", "--model", self.folder / "model", "--adapter",
                               self.folder / "lora", "--merge", "--output", self.folder / "again")
        self.assertIn(f"the newest is checkpoints/{adapter.name}", refusal)


if __name__ == "__main__":
    unittest.main()

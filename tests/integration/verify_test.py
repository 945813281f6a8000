"""Receipts: `equipoise verify` accepts what a run has left, finds what was changed, and trains steps again."""

import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402
from programs import BIN, ENVIRONMENT, ROOT  # noqa: E402

BANDIT = ROOT / "tests/golden/bandits"
TRAINING = {"max_steps": 12, "global_batch_size": 8, "seed": 3, "micro_batch_tokens": 600}


class VerifyTest(programs.ProgramTest):
    def verify(self, name, *flags):
        return programs.run("equipoise", "verify", self.folder / name, *flags)

    def accepts(self, name, *flags):
        result = self.verify(name, *flags)
        self.assertEqual(result.returncode, 0, f"{result.stdout}\n{result.stderr}")
        return result.stdout

    def finds(self, name, *flags):
        """The one line about what is not as recorded."""
        result = self.verify(name, *flags)
        self.assertEqual(result.returncode, 1, f"{result.stdout}\n{result.stderr}")
        lines = result.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        return lines[0]

    def train(self, name, ranks=1, **sections):
        self.succeed("equipoise", "train", self.write_job(name, **sections), "--np", ranks, "--quiet")

    def changed(self, file, content, name):
        """What verify says while a file has another content."""
        before = file.read_bytes()
        file.write_bytes(content)
        try:
            return self.finds(name)
        finally:
            file.write_bytes(before)


class LanguageModels(VerifyTest):
    def setUp(self):
        super().setUp()
        self.small_model()

    def test_a_run_and_what_is_changed_in_it(self):
        self.train("run", 2, training=TRAINING, checkpoint={"every_steps": 5, "keep": 10})
        shown = self.accepts("run")
        for check in ("ledger", "weights", "job.yaml", "metrics.jsonl", "checkpoints", "final/", "receipt.json"):
            self.assertIn(f"\n{check} ", shown)
        self.assertIn("12 steps, bit for bit", shown)
        receipt = json.loads((self.folder / "run/receipt.json").read_text())
        self.accepts("run", "--chain", receipt["ledger"]["chain"])
        self.assertIn("expected 0000", self.finds("run", "--chain", "0" * 64))

        output = self.folder / "run"
        draw = random.Random(5)
        ledger = (output / "ledger.bin").read_bytes()
        for _ in range(10):
            bit = draw.randrange(8 * len(ledger))
            damaged = bytearray(ledger)
            damaged[bit // 8] ^= 1 << bit % 8
            self.assertIn("ledger.bin", self.changed(output / "ledger.bin", bytes(damaged), "run"))
        for size in (len(ledger) - 1, len(ledger) // 2, 24):
            self.assertIn("ledger.bin", self.changed(output / "ledger.bin", ledger[:size], "run"))

        lines = (output / "metrics.jsonl").read_text().splitlines(keepends=True)
        number = next(n for n, line in enumerate(lines) if json.loads(line)["step"] == 7)
        line = json.loads(lines[number])
        group = next(iter(line["group_weight"]))
        line["group_weight"][group] += 1e-12
        other = "".join(lines[:number] + [json.dumps(line) + "\n"] + lines[number + 1:])
        said = self.changed(output / "metrics.jsonl", other.encode(), "run")
        self.assertIn(f"metrics.jsonl:{number + 1}: group_weight of \"{group}\" is ", said)
        line = json.loads(lines[number])
        group = next(iter(line["group_loss"]))
        line["group_loss"][group] *= 1 + 1e-12
        other = "".join(lines[:number] + [json.dumps(line) + "\n"] + lines[number + 1:])
        said = self.changed(output / "metrics.jsonl", other.encode(), "run")
        self.assertIn(f"metrics.jsonl:{number + 1}: group_loss of \"{group}\" is ", said)

        for file in ("final/model.safetensors", "checkpoints/step-10/model-00001-of-00002.safetensors"):
            content = bytearray((output / file).read_bytes())
            content[-1] ^= 1
            self.assertIn(file, self.changed(output / file, bytes(content), "run"))
        self.accepts("run")

    def test_steps_are_trained_again(self):
        for name, sections in {
                "plain": {},
                "speculative": {"robust": {"mode": "group_robust", "step_size": 0.5, "weight_sync": "speculative"}},
                "after": {"robust": {"mode": "group_robust", "step_size": 0.5, "update": "after_gradient"}},
                "mean": {"robust": {"mode": "none"}}}.items():
            with self.subTest(run=name):
                self.train(name, 2, **{"training": TRAINING, "checkpoint": {"every_steps": 5, "keep": 10}, **sections})
                self.assertIn("trained again on 2 ranks from the checkpoint of step 5: S_g, n_g and weights have the "
                              "same bits", self.accepts(name, "--steps", "7-9"))
        shown = self.accepts("plain", "--steps", "1-12")
        self.assertIn("from the start", shown)
        self.assertIn("the parameters of 3 checkpoints", shown)
        self.assertIn("and the trained parameters", shown)
        result = self.verify("plain", "--steps", "10-13")
        self.assertEqual(result.returncode, 2)
        self.assertIn("the ledger has steps 1 to 12", result.stderr)

    def test_steps_are_trained_again_on_the_ranks_that_each_part_of_the_run_had(self):
        optimizer = {"learning_rate": 1e-3, "schedule": {"type": "plateau", "patience": 0}}
        sections = {"optimizer": optimizer, "checkpoint": {"every_steps": 5, "keep": 10},
                    "evaluation": {"every_steps": 3}}
        self.train("run", 2, training={**TRAINING, "max_steps": 7}, **sections)
        for ranks, steps in ((1, 11), (3, 14)):
            job = self.write_job("run", training={**TRAINING, "max_steps": steps}, **sections)
            self.succeed("equipoise", "train", job, "--np", ranks, "--resume", "--quiet")
        shown = self.accepts("run", "--steps", "6-14")
        self.assertIn("trained again on 2 ranks from the checkpoint of step 5, on 1 rank from step 8 on, on 3 ranks "
                      "from step 12 on: S_g, n_g and weights have the same bits", shown)
        # 10 and 11. 7 is there, and not made again.
        self.assertIn("and so have the parameters of 2 checkpoints (1 was not made again)", shown)
        self.assertIn("and the trained parameters", shown)
        # Checkpoints in between that are not there any more are made again.
        for step in (5, 7, 10, 11):
            shutil.rmtree(self.folder / f"run/checkpoints/step-{step}")
        shown = self.accepts("run", "--steps", "1-14")
        self.assertIn("on 2 ranks from the start, on 1 rank from step 8 on, on 3 ranks from step 12 on", shown)
        # 7 and 11, with which the parts begin.
        self.assertIn("and so have the parameters of 2 checkpoints (2 were not made again), and the trained parameters",
                      shown)

    def test_other_data_give_other_steps(self):
        self.train("run", training=TRAINING)
        train = self.folder / "data/train.jsonl"
        lines = [json.loads(line) for line in train.read_text().splitlines()]
        train.write_text("".join(json.dumps({**line, "chosen": line["rejected"], "rejected": line["chosen"]}) + "\n"
                                 for line in lines))
        self.assertIn("steps 1 to 12: the training data or the tokenizer are not those on record",
                      self.finds("run", "--steps", "1-12"))

    def test_a_run_that_was_killed_leaves_the_same_steps(self):
        # Long enough that it has not ended by the time its ranks notice.
        sections = {"training": {**TRAINING, "max_steps": 3000}, "checkpoint": {"every_steps": 50, "keep": 2}}
        self.train("whole", **sections)
        job = self.write_job("killed", **sections)
        process = subprocess.Popen([str(BIN / "equipoise"), "train", str(job), "--quiet"], env=ENVIRONMENT,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        checkpoints = self.folder / "killed/checkpoints"
        while not list(checkpoints.glob("step-*")):
            self.assertIsNone(process.poll(), "it ended before its first checkpoint")
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        # Its ranks notice a moment later; what they leave is a run that has not ended.
        deadline = time.monotonic() + 60
        while programs.run("equipoise", "checkpoints", "prune", self.folder / "killed", "--keep", "2").returncode != 0:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)
        self.assertIn("the run has not ended", self.accepts("killed"))
        self.succeed("equipoise", "train", job, "--resume", "--quiet")
        shown = self.accepts("killed", "--steps", "2998-3000")
        self.assertIn("3000 steps, bit for bit", shown)
        self.accepts("whole")
        whole, killed = (json.loads((self.folder / name / "receipt.json").read_text()) for name in ("whole", "killed"))
        self.assertEqual(whole["dataset_sha256"], killed["dataset_sha256"])
        model = [next(file for file in receipt["final"] if file["name"] == "model.safetensors")
                 for receipt in (whole, killed)]
        self.assertEqual(*model)

    def test_a_run_that_goes_on_in_another_folder_takes_the_ledger_along(self):
        self.train("first", training=TRAINING, checkpoint={"every_steps": 5, "keep": 10})
        on = str(self.folder / "first/checkpoints/step-5")
        self.train("second", training={**TRAINING, "resume_from_checkpoint": on}, checkpoint={"every_steps": 5})
        self.assertIn("12 steps, bit for bit", self.accepts("second"))


class LogLinear(VerifyTest):
    def run_job(self, sync, name, **sections):
        case = sorted(folder.name for folder in BANDIT.iterdir() if folder.is_dir())[0]
        problem = json.loads((BANDIT / case / "problem.json").read_text())
        job = {
            "name": name,
            "policy": {"log_linear": {
                "features": problem["features"], "actions": problem["actions"], "reward": problem["reward"],
                "initial_theta": problem["initial_theta"]}},
            "data": {part: str(BANDIT / case / f"{part}.jsonl") for part in ("train", "validation", "test")},
            "loss": {"type": "dpo", "beta": 1.0},
            "robust": {"mode": "group_robust", "step_size": 0.01, "weight_sync": sync},
            "optimizer": {"type": "sgd", "learning_rate": 0.1},
            "training": {"max_steps": 2000, "full_batch": True},
            "checkpoint": {"every_steps": 500, "keep": 10},
            "logging": {"every_steps": 100},
            "output": name,
            **sections,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(job))
        self.succeed("equipoise", "train", path, "--np", 2, "--quiet")

    def test_steps_without_records_of_their_own_are_vouched_for_by_blocks(self):
        for sync in ("coordinator", "speculative"):
            with self.subTest(sync=sync):
                self.run_job(sync, sync, ledger={"steps_mib": 0})
                shown = self.accepts(sync)
                self.assertIn("of 2000 others the ledger has digests", shown)
                self.assertIn("as recorded: step 500, 1000, 1500, 2000", shown)
                self.assertIn("steps 1001 to 1500  ok  trained again on 2 ranks from the checkpoint of step 1000",
                              self.accepts(sync, "--steps", "1200-1201"))
                self.assertIn("and the trained parameters", self.accepts(sync, "--steps", "2000"))

    def test_a_run_of_many_steps(self):
        for sync in ("coordinator", "speculative"):
            with self.subTest(sync=sync):
                self.run_job(sync, sync)
                self.assertIn("2000 steps, bit for bit", self.accepts(sync))
                shown = self.accepts(sync, "--steps", "1200-2000")
                self.assertIn("from the checkpoint of step 1000", shown)
                self.assertIn("and the trained parameters", shown)
        # Both ways to the weights give the same run, and so the same steps; only the attempt names the way.
        one, other = (json.loads((self.folder / sync / "receipt.json").read_text()) for sync in
                      ("coordinator", "speculative"))
        self.assertEqual(one["final"], other["final"])
        self.assertNotEqual(one["ledger"]["chain"], other["ledger"]["chain"])


if __name__ == "__main__":
    unittest.main()

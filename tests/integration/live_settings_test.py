"""Jobs whose settings people change while they run: from which step on a change holds, and that a job which is
disturbed afterwards ends like one that was not. Jobs that begin with a checkpoint of another one."""

import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402
import restarts_test  # noqa: E402
from resume_test import TRAINING, without_speeds  # noqa: E402

STEPS = 1500  # so that none ends before what is asked of it has come with a heartbeat
ROBUST = {"mode": "group_robust", "step_size": 0.1, "estimator": "batch_mean"}


class LiveJobs(restarts_test.Restarts):
    """Without the tests of its base."""

    SECTIONS = {**restarts_test.Restarts.SECTIONS, "training": {**TRAINING, "max_steps": STEPS}, "robust": ROBUST,
                "evaluation": {"every_steps": 200}, "checkpoint": {"every_steps": 100, "every_seconds": 0}}

    def jobs(self, verb, job_id, *options):
        return self.succeed("equipoise", "jobs", verb, job_id, *options, "--coordinator", self.coordinator.address)

    def history(self, job_id):
        return json.loads(self.jobs("weights", job_id, "--json"))

    def wait_for_step(self, job_id, step):
        return self.wait_for(job_id, lambda job: int(job["step"]) >= step)

    def effective_steps(self, job_id):
        """Of all changes, once each has taken effect."""
        job = self.wait_for(job_id, lambda job: all("effective_step" in change for change in job["settings_changes"]))
        return [int(change["effective_step"]) for change in job["settings_changes"]]

    def changes(self, name):
        """Of metrics.jsonl: each after the lines of its step and before those of the next one."""
        changes, step = [], 0
        for line in self.lines(name):
            self.assertGreaterEqual(line["step"], step)
            step = line["step"]
            if line.get("split") == "settings":
                changes.append((step, line["setting"], line.get("from"), line["to"], line["settings_version"]))
            elif changes:
                self.assertGreater(step, changes[-1][0])
        return changes

    def same_training(self, name, other):
        """As same_run(), with a run whose settings were those from the beginning."""
        self.assertEqual(self.steps_and_evaluations(name), self.steps_and_evaluations(other))
        self.assertEqual(self.final(name), self.final(other))

    def steps_and_evaluations(self, name):
        return [line for line in self.lines(name) if line.get("split") != "settings"]

    def check_alpha(self, history, steps, settings, alpha_before=None):
        """Algorithm 1 once more, from what is on record of each step. settings: (first step, eta_alpha, chi)."""
        self.assertEqual([int(record["step"]) for record in history["records"]], list(steps))
        log_alpha = [math.log(alpha) for alpha in alpha_before or [1.0] * len(history["group_names"])]
        for record in history["records"]:
            _, eta, chi = [setting for setting in settings if setting[0] <= int(record["step"])][-1]
            for group, loss, pairs in zip(record["group"], record["loss_sum"], record["pair_count"]):
                log_alpha[group] += eta * chi * loss / pairs
            largest = max(log_alpha)
            total = sum(math.exp(value - largest) for value in log_alpha)
            for value, alpha in zip(log_alpha, record["alpha"]):
                self.assertAlmostEqual(math.exp(value - largest) / total, alpha, delta=1e-9)

    def set_before_the_first_step(self, name, settings, *options):
        """A job that is given settings while it waits behind another one."""
        first = self.submit(f"before-{name}")
        job_id = self.submit(name, *options)
        self.jobs("pause", job_id)
        self.jobs("set", job_id, *settings)
        self.jobs("cancel", first)
        self.jobs("resume", job_id)
        return job_id


# unittest would run the tests of the base again.
for inherited in [name for name in dir(LiveJobs) if name.startswith("test_")]:
    setattr(LiveJobs, inherited, None)


class Settings(LiveJobs):
    def test_settings_of_before_the_first_step_are_those_of_a_spec_that_has_them(self):
        for origin in ("coordinator", "speculative"):
            with self.subTest(weight_sync=origin):
                training = {**TRAINING, "max_steps": 40}
                self.SECTIONS = {**LiveJobs.SECTIONS, "training": {**training, "max_steps": 60},
                                 "robust": {**ROBUST, "weight_sync": origin}}
                # Twice the learning rate: factor 2 is exact.
                self.train(f"spec-{origin}", 2, **{
                    **self.SECTIONS, "training": training,
                    "robust": {**ROBUST, "weight_sync": origin, "step_size": 0.3, "trade_off": 0.25},
                    "optimizer": {"learning_rate": 2e-3, "schedule": {"warmup_steps": 5}}})
                self.start_coordinator()
                job_id = self.set_before_the_first_step(
                    f"set-{origin}", ("trade_off=0.25", "robust.step_size=0.3", "learning_rate=2e-3", "max_steps=40"))
                job = self.finished(job_id)
                self.assertEqual(self.effective_steps(job_id), [0])
                self.assertEqual((int(job["step"]), int(job["total_steps"])), (40, 40))
                self.same_training(f"spec-{origin}", f"set-{origin}")
                self.assertEqual(self.coordinator.stop(), 0)

    def test_a_killed_rank_does_the_steps_after_a_change_again_with_the_same_bits(self):
        for origin in ("coordinator", "speculative"):
            with self.subTest(weight_sync=origin):
                name = f"killed-{origin}"
                self.SECTIONS = {**LiveJobs.SECTIONS, "robust": {**ROBUST, "weight_sync": origin}}
                self.start_coordinator()
                job_id = self.submit(name)
                self.wait_for_checkpoint(job_id, 100)
                self.jobs("set", job_id, "trade_off=0.5", "learning_rate=5e-4")
                [first] = self.effective_steps(job_id)
                self.jobs("set", job_id, "step_size=0.4")
                _, second = self.effective_steps(job_id)
                self.assertLess(first, second)
                self.wait_for_step(job_id, second + 5)
                # The last line may still be written.
                texts = (self.folder / name / "metrics.jsonl").read_text().splitlines()[:-1]
                before = without_speeds([json.loads(text) for text in texts])
                os.kill(self.ranks(job_id)[-1], signal.SIGKILL)
                job = self.finished(job_id)
                self.assertEqual((int(job["generation"]), int(job["step"])), (2, STEPS))
                self.assertEqual(self.effective_steps(job_id), [first, second])
                self.assertEqual(self.lines(name)[:len(before)], before)
                self.check_alpha(self.history(job_id), range(STEPS),
                                 [(0, 0.1, 1), (first, 0.1, 0.5), (second, 0.4, 0.5)])
                rates = {line["step"]: line["learning_rate"] for line in self.lines(name) if "split" not in line}
                self.assertEqual((rates[first], rates[first + 1]), (1e-3, 5e-4))
                self.assertEqual(self.changes(name), [
                    (first, "trade_off", 1, 0.5, 1), (first, "learning_rate", 1e-3, 5e-4, 1),
                    (second, "step_size", 0.1, 0.4, 2)])
                self.assertEqual(self.coordinator.stop(), 0)

    def test_both_origins_of_the_weights_train_the_same_after_a_change(self):
        """From one checkpoint, and changed at its step: nobody's clock decides where."""
        training = {**TRAINING, "max_steps": 50}
        self.train("start", 2, **{**self.SECTIONS, "training": training,
                                  "checkpoint": {"every_steps": 50, "every_seconds": 0}})
        start = str(self.checkpoint("start", 50))
        self.start_coordinator()
        names = []
        for origin, is_killed in (("coordinator", False), ("speculative", False), ("coordinator", True)):
            name = f"{origin}-{'killed' if is_killed else 'whole'}"
            names.append(name)
            self.SECTIONS = {**LiveJobs.SECTIONS, "robust": {**ROBUST, "weight_sync": origin},
                             "training": {**TRAINING, "max_steps": 400, "resume_from_checkpoint": start}}
            job_id = self.set_before_the_first_step(name, ("trade_off=0.5", "step_size=0.4", "learning_rate=5e-4"))
            if is_killed:
                self.wait_for_checkpoint(job_id, 100)
                os.kill(self.ranks(job_id)[-1], signal.SIGKILL)
            job = self.finished(job_id)
            self.assertEqual(int(job["generation"]), 2 if is_killed else 1)
            self.assertEqual(self.effective_steps(job_id), [50])
        self.same_run(names[0], names[1])
        self.same_run(names[0], names[2])

    def test_a_run_ends_sooner_and_later(self):
        self.start_coordinator()
        job_id = self.submit("sooner")
        self.wait_for_step(job_id, 10)
        self.jobs("set", job_id, "max_steps=1000")
        job = self.finished(job_id)
        self.assertEqual((int(job["step"]), int(job["total_steps"])), (1000, 1000))
        self.SECTIONS = {**self.SECTIONS, "training": {**TRAINING, "max_steps": 1000}}
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.same_training("whole", "sooner")
        self.SECTIONS = LiveJobs.SECTIONS
        job_id = self.submit("later")
        self.wait_for_step(job_id, 10)
        self.jobs("set", job_id, "max_steps=1550")
        self.assertEqual(int(self.finished(job_id)["step"]), 1550)
        self.assertEqual([line for line in self.steps_and_evaluations("later") if line["step"] < 1000],
                         [line for line in self.lines("whole") if line["step"] < 1000])

    def test_a_job_goes_on_from_a_checkpoint_beyond_the_end_that_its_spec_has(self):
        self.SECTIONS = {**LiveJobs.SECTIONS, "training": {**TRAINING, "max_steps": 1000}}
        self.start_coordinator()
        job_id = self.submit("beyond")
        self.wait_for_step(job_id, 10)
        end = STEPS + 500
        self.jobs("set", job_id, f"max_steps={end}")
        self.wait_for_checkpoint(job_id, 1100)
        os.kill(self.ranks(job_id)[-1], signal.SIGKILL)
        job = self.finished(job_id)
        self.assertEqual((int(job["generation"]), int(job["step"])), (2, end))


class Evaluations(LiveJobs):
    def test_one_that_was_asked_for_adds_a_line_and_changes_nothing_else(self):
        self.SECTIONS = {**self.SECTIONS, "evaluation": {"every_steps": 300},
                         "optimizer": {"learning_rate": 1e-3, "schedule": {"type": "plateau", "patience": 0}}}
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        job_id = self.submit("asked")
        self.wait_for_step(job_id, 10)
        self.jobs("evaluate", job_id, "--wait")
        step = int(self.job(job_id)["validation_step"])
        self.finished(job_id)
        lines = self.lines("asked")
        added = [line for line in lines if line.get("split") == "validation" and line["step"] == step]
        self.assertEqual(len(added), 1)
        if step % 300:
            lines.remove(added[0])
        self.assertEqual(lines, self.lines("whole"))
        self.assertEqual(self.final("asked"), self.final("whole"))

    def test_one_whose_steps_are_done_again_is_made_again(self):
        self.SECTIONS = {**self.SECTIONS, "evaluation": {"every_steps": 700}, "checkpoint": {"every_steps": 1400}}
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        job_id = self.submit("asked")
        self.wait_for_step(job_id, 10)
        self.jobs("evaluate", job_id, "--wait")
        step = int(self.job(job_id)["validation_step"])
        os.kill(self.ranks(job_id)[-1], signal.SIGKILL)
        job = self.finished(job_id)
        self.assertEqual((int(job["generation"]), job["asked_evaluation_steps"]), (2, [str(step)]))
        lines = self.lines("asked")
        [added] = [line for line in lines if line.get("split") == "validation" and line["step"] == step]
        lines.remove(added)
        self.assertEqual(lines, self.lines("whole"))
        self.assertEqual(self.final("asked"), self.final("whole"))


class Checkpoints(LiveJobs):
    def wait_for_checkpoint_of(self, job_id):
        """After how many steps it was asked for, and who waits for it."""
        waits = subprocess.Popen([str(programs.BIN / "equipoise"), "jobs", "checkpoint", job_id, "--wait",
                                  "--coordinator", self.coordinator.address], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=programs.ENVIRONMENT)
        job = self.wait_for(job_id, lambda job: "checkpoint_step" in job.get("open_requests", {}))
        return int(job["open_requests"]["checkpoint_step"]), waits

    def test_one_that_was_asked_for_is_the_first_of_the_next_attempt(self):
        self.SECTIONS = {**self.SECTIONS, "evaluation": {"every_steps": 700}, "checkpoint": {"every_steps": 1400}}
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        job_id = self.submit("asked")
        self.wait_for_step(job_id, 300)
        ranks = self.ranks(job_id)
        for rank in ranks:
            os.kill(rank, signal.SIGSTOP)
        asked, waits = self.wait_for_checkpoint_of(job_id)
        for rank in ranks:
            os.kill(rank, signal.SIGKILL)
        said, errors = waits.communicate(timeout=restarts_test.STATE_WAIT)
        self.assertEqual(waits.returncode, 0, errors)
        step = int(re.fullmatch(rf"{job_id} has a checkpoint of step (\d+)\n", said)[1])
        self.assertLess(step, asked)
        job = self.job(job_id)
        self.assertEqual(int(job["generation"]), 2)
        self.assertNotIn("checkpoint_step", job.get("open_requests", {}), "it is there, and still asked for")
        self.finished(job_id)
        self.same_run("whole", "asked")


class Forks(LiveJobs):
    def setUp(self):
        super().setUp()
        self.SECTIONS = {**LiveJobs.SECTIONS, "checkpoint": {"every_steps": 0, "every_seconds": 0, "keep": 1}}
        self.coordinator = programs.Coordinator(self.folder / "state", "--max-running-jobs", "2")
        self.addCleanup(self.coordinator.stop)

    def fork(self, job_id, *options):
        said = self.jobs("fork", job_id, *options)
        self.assertRegex(said, r"^[\w-]+\n$")  # the progress of the checkpoint before it is not in it
        return said.strip()

    def test_a_fork_begins_where_its_parent_was_and_the_parent_goes_on_undisturbed(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        parent = self.submit("parent")
        self.wait_for_step(parent, 20)
        other = self.fork(parent, "--set", "robust.trade_off=0.5", "--set", "robust.step_size=0.4", "--name", "other",
                          "--output", self.folder / "other")
        step = int(self.job(other)["parent_step"])
        self.assertGreaterEqual(step, 20)
        # With keep 1 the checkpoint that the first one needs is not there any more once the next one is.
        self.jobs("checkpoint", parent, "--wait")
        job = self.finished(other)
        self.assertEqual((job["parent_id"], int(job["step"]), int(job["generation"])), (parent, STEPS, 1))
        self.finished(parent)
        self.same_run("whole", "parent")
        records = self.history(parent)["records"]
        # Its first step begins with the parameters of the checkpoint: on the same pairs, the same losses to the last
        # bit, whatever weight they have; and what comes of them differs.
        losses, own = ({line["step"]: line["group_loss"] for line in self.lines(name) if "split" not in line}
                       for name in ("whole", "other"))
        self.assertEqual(own[step + 1], losses[step + 1])
        self.assertNotEqual([own[later] for later in range(step + 2, step + 20)],
                            [losses[later] for later in range(step + 2, step + 20)])
        self.check_alpha(self.history(other), range(step, STEPS), [(step, 0.4, 0.5)], records[step - 1]["alpha"])
        # Up to the fork its lines are its parent's.
        self.assertEqual([line for line in self.steps_and_evaluations("other") if line["step"] <= step],
                         [line for line in self.lines("whole") if line["step"] <= step])
        for file in ("final/README.md", "report.html"):
            text = (self.folder / "other" / file).read_text()
            told = f"the checkpoint of step {step} of job {parent}" if file.endswith("md") else \
                json.dumps({"job": parent, "step": step}, separators=(",", ":"))
            self.assertIn(told, text)
            self.assertNotIn(told, (self.folder / "parent" / file).read_text())
        tree = self.jobs("tree", other).splitlines()
        self.assertEqual(len(tree), 2)
        self.assertTrue(tree[0].startswith(f"{parent}  SUCCEEDED"), tree)
        self.assertIn(f"{other}  SUCCEEDED", tree[1])
        self.assertIn(f"from step {step}", tree[1])

    def test_a_fork_without_settings_of_its_own_ends_like_its_parent(self):
        parent = self.submit("parent")
        self.wait_for_step(parent, 20)
        self.jobs("set", parent, "trade_off=0.5", "step_size=0.4", "learning_rate=5e-4")
        [changed] = self.effective_steps(parent)
        self.wait_for_step(parent, changed + 5)
        fork = self.fork(parent, "--output", self.folder / "fork")
        self.assertGreater(int(self.job(fork)["parent_step"]), changed)
        self.finished(parent)
        self.finished(fork)
        self.same_run("parent", "fork")

    def test_what_does_not_go_with_the_checkpoint_is_named(self):
        parent = self.submit("parent")
        self.wait_for_step(parent, 10)
        self.jobs("checkpoint", parent, "--wait")
        step = self.job(parent)["checkpoint_step"]
        line = self.refused("equipoise", "jobs", "fork", parent, "--at", step, "--set", "model.path=elsewhere",
                            "--coordinator", self.coordinator.address)
        self.assertIn("model is not that of the job whose checkpoint is taken", line)
        for setting, fault in {"training.seed=9": "training.seed is 9, but 3 in the job of the checkpoint",
                               "loss.type=ipo": "loss.type is LOSS_TYPE_IPO, but LOSS_TYPE_DPO in the job",
                               "training.max_steps=1": "training.max_steps is 1, expected at least the checkpoint's"
                               }.items():
            line = self.refused("equipoise", "jobs", "fork", parent, "--at", step, "--set", setting,
                                "--output", self.folder / "fork", "--coordinator", self.coordinator.address)
            self.assertIn(fault, line)
        self.jobs("cancel", parent)


if __name__ == "__main__":
    unittest.main()

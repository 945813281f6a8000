"""Receipts of jobs that were changed, forked and disturbed: `equipoise verify --steps` trains their steps again."""

import os
import pathlib
import shutil
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import live_settings_test  # noqa: E402
import programs  # noqa: E402
from resume_test import TRAINING  # noqa: E402
from verify_test import VerifyTest  # noqa: E402


class LiveJobs(live_settings_test.LiveJobs, VerifyTest):
    """Jobs of a coordinator whose settings change while they run."""

    SECTIONS = {**live_settings_test.LiveJobs.SECTIONS, "checkpoint": {"every_steps": 100, "keep": 100}}

    def changed_job(self, name):
        """Its id and the steps at which its settings were changed."""
        job_id = self.submit(name)
        self.wait_for_step(job_id, 10)
        self.jobs("set", job_id, "trade_off=0.5", "learning_rate=5e-4")
        [first] = self.effective_steps(job_id)
        self.jobs("set", job_id, "step_size=0.4", "max_steps=600")
        _, second = self.effective_steps(job_id)
        return job_id, first, second

    def test_steps_with_settings_that_were_changed_are_trained_again(self):
        for origin in ("coordinator", "speculative"):
            with self.subTest(weight_sync=origin):
                self.SECTIONS = {**LiveJobs.SECTIONS, "robust": {**live_settings_test.ROBUST, "weight_sync": origin}}
                self.start_coordinator()
                job_id, first, second = self.changed_job(origin)
                self.wait_for_checkpoint(job_id, 200)
                os.kill(self.ranks(job_id)[-1], signal.SIGKILL)
                self.finished(job_id)
                self.assertEqual(self.coordinator.stop(), 0)
                shown = self.accepts(origin, "--steps", f"{first}-{second + 5}")
                self.assertIn("2 changes of settings: S_g, n_g and weights have the same bits", shown)
                # From a checkpoint after them, which has all but the trade-off; over the restart, to the new end.
                shown = self.accepts(origin, "--steps", "590-600")
                self.assertIn("on 2 ranks from the checkpoint of step 500: ", shown)
                self.assertIn("and the trained parameters", shown)

    def test_the_first_steps_of_a_fork_are_trained_again_from_the_checkpoint_of_the_other_run(self):
        self.SECTIONS = {**LiveJobs.SECTIONS, "training": {**TRAINING, "max_steps": 300}}
        self.coordinator = programs.Coordinator(self.folder / "state", "--max-running-jobs", "2")
        self.addCleanup(self.coordinator.stop)
        parent = self.submit("parent")
        self.wait_for_step(parent, 20)
        fork = self.jobs("fork", parent, "--set", "robust.trade_off=0.5", "--set", "robust.step_size=0.4",
                         "--set", "optimizer.learning_rate=5e-4", "--output", self.folder / "fork").split()[0]
        step = int(self.job(fork)["parent_step"])
        for job_id in (fork, parent):
            self.finished(job_id)
        self.assertIn(f"on 2 ranks from the checkpoint of step {step}, with 1 change of settings: ",
                      self.accepts("fork", "--steps", f"{step + 1}-{step + 20}"))
        shutil.rmtree(self.folder / "parent/checkpoints")
        result = self.verify("fork", "--steps", f"{step + 1}-{step + 20}")
        self.assertEqual(result.returncode, 2)
        self.assertIn("no checkpoint of an earlier step is there", result.stderr)


if __name__ == "__main__":
    unittest.main()

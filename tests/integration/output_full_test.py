"""A full disk of a job's whole output, as disk_full_test has it, with other weights, a lost rank and a cancel."""

import json
import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import disk_full_test  # noqa: E402


class FullOutput(disk_full_test.FullOutput):
    def test_speculative_training_waits_too(self):
        robust = {"mode": "group_robust", "step_size": 0.1, "weight_sync": "speculative"}
        self.start()
        job_id = self.submit("ahead", robust=robust)
        self.held(job_id)
        self.disk.drain()
        self.ends_as_if_undisturbed(job_id, "ahead", robust=robust)

    def test_a_job_that_waits_is_cancelled_and_goes_on_after_a_lost_rank(self):
        self.start()
        job_id = self.submit("killed")
        self.held(job_id)
        ranks = json.loads(self.jobs("ranks", job_id, "--json"))["ranks"]
        os.kill(int(ranks[1]["pid"]), signal.SIGKILL)
        # The next attempt waits with its first file.
        self.wait("it starts again", lambda: int(self.job(job_id)["generation"]) == 2 and
                  self.job(job_id)["state"] == "JOB_STATE_RUNNING")
        time.sleep(3)
        self.assertEqual(self.job(job_id)["generation"], "2")
        self.disk.drain()
        self.ends_as_if_undisturbed(job_id, "killed")
        other = self.submit("cancelled")
        self.held(other)
        self.jobs("cancel", other)
        self.wait("it is CANCELLED", lambda: self.job(other)["state"] == "JOB_STATE_CANCELLED")


# unittest would run the test of the base again.
FullOutput.test_training_waits_for_room_and_ends_as_if_undisturbed = None

if __name__ == "__main__":
    disk_full_test.with_own_mounts()
    unittest.main()

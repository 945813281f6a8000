"""Several jobs and few places: one of a higher priority takes the place of another, which goes on afterwards. They end
like runs that nobody disturbed."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import pause_test  # noqa: E402
import programs  # noqa: E402

STEPS = pause_test.STEPS


class Queue(pause_test.LeavingJobs):
    def listed(self):
        return self.succeed("equipoise", "jobs", "list", "--coordinator", self.coordinator.address)


class Priorities(Queue):
    def test_a_job_of_a_higher_priority_takes_the_place_of_a_running_one(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        low = self.submit("low")
        self.wait_for(low, lambda job: int(job["step"]) >= 50)
        self.assertNotIn("priority", self.listed())
        equal = self.submit("equal")
        high = self.submit("high", "--set", "launch.priority=5")
        self.assertIn("priority", self.listed())
        queued = self.wait_for_state(low, "QUEUED")
        self.assertRegex(queued["state_reason"],
                         rf"^preempted at step \d+ by job {high} of a higher priority, with a checkpoint; waiting")
        step = int(queued["step"])
        self.assertEqual(int(queued["checkpoint_step"]), step)
        self.assertIn(step, self.steps_of_checkpoints("low"))
        self.assertEqual(int(self.finished(high)["generation"]), 1)
        # Older than the other one of its priority.
        self.wait_for_state(low, "RUNNING")
        self.assertEqual(self.job(equal)["state"], "JOB_STATE_QUEUED")
        job = self.finished(low)
        self.assertEqual((int(job["generation"]), job["restarts"], int(job["step"])), (2, 1, STEPS))
        self.assertEqual(self.metric("equipoise_restarts_total", job=low, cause="preemption"), 1)
        self.assertEqual(int(self.finished(equal)["generation"]), 1)
        for name in ("low", "high", "equal"):
            self.same_run("whole", name)


class TimeLimits(Queue):
    def test_a_job_is_paused_at_the_end_of_its_time_and_a_resume_gives_it_as_much_again(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        job_id = self.submit("limited", "--set", "launch.time_limit_seconds=1")
        job = self.wait_for_state(job_id, "PAUSED")
        self.assertRegex(job["state_reason"], r"^paused at step \d+ with a checkpoint; it has been RUNNING for the 1 s of "
                                              r"its time limit, and a resume gives it as much again$")
        self.assertGreaterEqual(float(job["running_time"].removesuffix("s")), 1)
        self.assertLess(int(job["step"]), STEPS)
        self.assertEqual(self.coordinator.stop(), 0)
        self.start_coordinator()
        resumes = 0
        while job["state"] == "JOB_STATE_PAUSED":
            before = float(job["running_time"].removesuffix("s"))
            self.jobs("resume", job_id)
            resumes += 1
            job = self.wait_for(job_id, lambda now: now["state"] in ("JOB_STATE_PAUSED", "JOB_STATE_SUCCEEDED"))
            self.assertGreater(float(job["running_time"].removesuffix("s")), before)
        self.assertEqual((job["state"], int(job["generation"])), ("JOB_STATE_SUCCEEDED", resumes + 1))
        self.same_run("whole", "limited")

    def test_a_run_without_a_service_ends_with_its_time(self):
        job = self.write_job("alone", **self.SECTIONS, launch={"time_limit_seconds": 1})
        result = programs.run("equipoise", "train", job, "--np", "2", "--quiet")
        self.assertEqual(result.returncode, 130, result.stderr)
        self.assertRegex(result.stderr, r"of its time limit, and a resume gives it as much again; equipoise train \S+ "
                                        r"--resume goes on from step \d+")


if __name__ == "__main__":
    unittest.main()

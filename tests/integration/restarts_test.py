"""Jobs that go on by themselves when a rank, a coordinator or both are killed, and end like a run that was not."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402
from resume_test import TRAINING, ResumeTest  # noqa: E402

STATE_WAIT = 900
FINAL_STATES = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


class RunsOfService(ResumeTest):
    """Jobs of two ranks at a coordinator."""

    SECTIONS = {"training": {**TRAINING, "max_steps": 400}, "checkpoint": {"every_steps": 10},
                "evaluation": {"every_steps": 50}}

    def setUp(self):
        super().setUp()
        self.small_model()

    def start_coordinator(self, **options):
        self.coordinator = programs.Coordinator(self.folder / "state", **options)
        self.addCleanup(self.coordinator.stop)

    def submit(self, name, *options):
        job = self.write_job(name, **self.SECTIONS)
        return self.succeed("equipoise", "submit", job, "--np", "2", "--coordinator", self.coordinator.address,
                            *options).strip().splitlines()[-1].split()[-1]

    def of_service(self, verb, job_id):
        return json.loads(self.succeed("equipoise", "jobs", verb, job_id, "--json", "--coordinator",
                                       self.coordinator.address))

    def job(self, job_id):
        return self.of_service("get", job_id)

    def wait_for(self, job_id, is_reached):
        end = time.monotonic() + STATE_WAIT
        while time.monotonic() < end:
            job = self.job(job_id)
            if is_reached(job):
                return job
            self.assertNotIn(job["state"], FINAL_STATES, job["state_reason"])
            time.sleep(0.05)
        self.fail(f"still {job['state']}: {job['state_reason']}")

    def wait_for_checkpoint(self, job_id, step):
        return self.wait_for(job_id, lambda job: int(job.get("checkpoint_step", -1)) >= step)

    def finished(self, job_id):
        job = self.wait_for(job_id, lambda job: job["state"] in FINAL_STATES)
        self.assertEqual(job["state"], "JOB_STATE_SUCCEEDED", job["state_reason"])
        return job

    @staticmethod
    def ranks(job_id):
        found = subprocess.run(["pgrep", "-f", rf"^[^ ]*equipoise-worker .*{job_id}"], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]


class Restarts(RunsOfService):
    def test_a_job_whose_rank_is_killed_ends_like_one_that_was_not(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        job_id = self.submit("killed")
        for attempt, step in enumerate((50, 200), 1):
            self.wait_for_checkpoint(job_id, step)
            os.kill(self.ranks(job_id)[-1], signal.SIGKILL)
            # The state in between may be over before anybody asks.
            self.wait_for(job_id, lambda job: int(job["generation"]) > attempt)
        job = self.finished(job_id)
        self.assertEqual((int(job["generation"]), job["restarts"], int(job["step"])), (3, 2, 400))
        self.same_run("whole", "killed")
        # Each step once, as the coordinator has it on record.
        kept = json.loads(self.succeed("equipoise", "jobs", "weights", job_id, "--json", "--coordinator",
                                       self.coordinator.address))
        self.assertEqual([int(record["step"]) for record in kept["records"]], list(range(400)))

    def test_a_job_goes_on_with_the_next_coordinator(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        job_id = self.submit("left")
        self.wait_for_checkpoint(job_id, 50)
        self.coordinator.process.kill()
        self.coordinator.stop()
        self.start_coordinator(listen=self.coordinator.address)
        self.wait_for_checkpoint(job_id, 200)
        self.assertEqual((self.job(job_id)["generation"], self.job(job_id)["restarts"]), ("1", 0))
        self.assertEqual(self.coordinator.stop(), 0)  # in order
        self.assertEqual(self.ranks(job_id), [])
        self.start_coordinator()
        job = self.finished(job_id)
        self.assertEqual((int(job["generation"]), job["restarts"]), (2, 1))
        self.same_run("whole", "left")

    def test_a_run_without_a_service_goes_on_too(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        job = self.write_job("alone", **self.SECTIONS)
        with subprocess.Popen([str(programs.BIN / "equipoise"), "train", str(job), "--np", "2", "--quiet"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env=programs.ENVIRONMENT) as process:
            while not any(step >= 50 for step in self.steps_of_checkpoints("alone")):
                self.assertIsNone(process.poll())
                time.sleep(0.02)
            os.kill(self.ranks("alone-")[-1], signal.SIGKILL)
            self.assertEqual(process.wait(timeout=STATE_WAIT), 0, process.stderr.read())
        self.same_run("whole", "alone")

    def test_without_restarts_the_first_failure_is_the_end(self):
        self.start_coordinator()
        job_id = self.submit("once", "--set", "launch.max_restarts=0")
        self.wait_for_checkpoint(job_id, 20)
        os.kill(self.ranks(job_id)[-1], signal.SIGKILL)
        job = self.wait_for(job_id, lambda job: job["state"] in FINAL_STATES)
        self.assertEqual((job["state"], job["failure_kind"]), ("JOB_STATE_FAILED", "FAILURE_KIND_INFRASTRUCTURE"))
        self.assertEqual(int(job["generation"]), 1)


if __name__ == "__main__":
    unittest.main()

"""deploy/slurm/run-ranks around an mpirun of ours: ranks that are killed are started again, and SIGTERM, as a batch system
sends it, makes them leave with a checkpoint from which the next one goes on."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import pause_test  # noqa: E402
import programs  # noqa: E402

RUN_RANKS = programs.ROOT / "deploy/slurm/run-ranks"
STEPS = pause_test.STEPS


class RunRanks(pause_test.LeavingJobs):
    def mpirun(self, job_id):
        return ["mpirun", "--bind-to", "none", "--oversubscribe", "-np", "2", str(programs.BIN / "equipoise-worker"),
                "--coordinator", self.coordinator.address, "--job", job_id]

    def start(self, job_id, *options, command=None):
        variables = {**programs.ENVIRONMENT, "EQUIPOISE": str(programs.BIN / "equipoise"),
                     "EQUIPOISE_COORDINATOR": self.coordinator.address}
        process = subprocess.Popen([str(RUN_RANKS), *options, job_id, *(command or self.mpirun(job_id))],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True, env=variables, start_new_session=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
        return process

    def ended(self, process, code):
        said = process.communicate(timeout=pause_test.STATE_WAIT)[1]
        self.assertEqual(process.returncode, code, said)
        return said

    def test_ranks_are_started_again_and_leave_with_a_checkpoint(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        job_id = self.submit("wrapped", "--external", "--set", "launch.max_restarts=3")
        process = self.start(job_id)
        self.wait_for_checkpoint(job_id, 50)
        os.kill(self.ranks_of_coordinator(process.pid)[-1], signal.SIGKILL)
        self.wait_for(job_id, lambda job: int(job["generation"]) == 2)
        step = int(self.wait_for_state(job_id, "RUNNING")["step"])
        self.wait_for(job_id, lambda job: int(job["step"]) > step)
        process.terminate()
        said = self.ended(process, 130)
        self.assertIn("to make a checkpoint and leave", said)
        job = self.job(job_id)
        self.assertEqual(job["state"], "JOB_STATE_PAUSED")
        self.assertEqual(int(job["checkpoint_step"]), int(job["step"]))
        # As the queued batch job does.
        self.ended(self.start(job_id), 0)
        job = self.job(job_id)
        self.assertEqual((job["state"], int(job["generation"])), ("JOB_STATE_SUCCEEDED", 3))
        self.same_run("whole", "wrapped")
        self.ended(self.start(job_id), 0)  # there is nothing left to do

    def hangs_once(self, job_id):
        """A command that starts no ranks the first time, and ignores SIGTERM, as an srun may that waits for a node."""
        script = self.folder / "hangs"
        marker = self.folder / "has-hung"
        ranks = " ".join(self.mpirun(job_id))
        script.write_text(f"#!/bin/bash\n[ ! -e {marker} ] || exec {ranks}\ntrap '' TERM\ntouch {marker}\n"
                          "while true; do sleep 0.2; done\n")
        script.chmod(0o755)
        return script, marker

    def test_a_start_that_hangs_is_ended_and_tried_again(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        job_id = self.submit("hung", "--external")
        script, _ = self.hangs_once(job_id)
        said = self.ended(self.start(job_id, "--start-timeout", "3", command=[str(script)]), 0)
        self.assertIn(f"the ranks of {job_id} have not registered after 3 s", said)
        self.same_run("whole", "hung")

    def test_sigterm_while_a_start_hangs(self):
        self.start_coordinator()
        job_id = self.submit("hung", "--external")
        script, marker = self.hangs_once(job_id)
        process = self.start(job_id, command=[str(script)])
        while not marker.exists():
            time.sleep(0.05)
        process.terminate()
        self.ended(process, 130)
        self.assertEqual(self.job(job_id)["state"], "JOB_STATE_PAUSED")

    def start_again(self):
        """The coordinator, on the port that ranks know."""
        self.coordinator = programs.Coordinator(self.folder / "state", "--on-shutdown", "keep",
                                                listen=self.coordinator.address)
        self.addCleanup(self.coordinator.stop)

    def goes_on(self, job_id, ranks, process):
        """With the same ranks, in the same attempt."""
        job = self.job(job_id)
        self.assertEqual((job["state"], int(job["generation"])), ("JOB_STATE_RUNNING", 1))
        self.wait_for(job_id, lambda now: int(now["step"]) > int(job["step"]))
        self.assertEqual(self.ranks_of_coordinator(process.pid), ranks)

    def test_ranks_wait_for_the_next_coordinator(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        # Without a single restart.
        job_id = self.submit("waiting", "--external", "--set", "launch.max_restarts=0")
        process = self.start(job_id)
        for step in (50, 200, 350):
            self.wait_for_checkpoint(job_id, step)
            ranks = self.ranks_of_coordinator(process.pid)
            self.assertEqual(len(ranks), 2)
            if step == 350:  # in order, as for an upgrade
                self.assertEqual(self.coordinator.stop(), 0)
            else:
                self.coordinator.process.kill()
                self.coordinator.stop()
            self.assertEqual(self.ranks_of_coordinator(process.pid), ranks)
            self.start_again()
            self.goes_on(job_id, ranks, process)
            if step == 50:
                second = programs.run(*self.mpirun(job_id))
                self.assertNotEqual(second.returncode, 0)
                self.assertIn("has a live attempt, whose rank 0 is another process", second.stderr + second.stdout)
        self.ended(process, 0)
        job = self.job(job_id)
        self.assertEqual((job["state"], int(job["generation"]), job["restarts"]), ("JOB_STATE_SUCCEEDED", 1, 0))
        self.assertIn("the coordinator was away, and attempt 1 has waited for it", job["conditions"])
        self.same_run("whole", "waiting")

    def test_ranks_that_are_killed_while_there_is_no_coordinator(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        job_id = self.submit("lost", "--external", "--set", "launch.max_restarts=3")
        process = self.start(job_id)
        self.wait_for_checkpoint(job_id, 50)
        self.coordinator.process.kill()
        self.coordinator.stop()
        os.kill(self.ranks_of_coordinator(process.pid)[-1], signal.SIGKILL)
        self.start_again()
        # Others may register once the ranks of the first attempt have had their time.
        self.ended(process, 0)
        job = self.job(job_id)
        self.assertEqual((job["state"], int(job["generation"])), ("JOB_STATE_SUCCEEDED", 2))
        self.same_run("whole", "lost")

    def test_it_ends_with_the_job(self):
        self.start_coordinator()
        job_id = self.submit("cancelled", "--external")
        process = self.start(job_id)
        self.wait_for(job_id, lambda job: int(job["step"]) >= 10)
        self.jobs("cancel", job_id)
        self.assertIn(f"{job_id} is CANCELLED", self.ended(process, 1))
        self.assertIn("no-such-job", self.ended(self.start("no-such-job"), 2))
        self.assertIn("run-ranks [--restarts N]", self.ended(self.start(job_id, "--restart", "3"), 2))


if __name__ == "__main__":
    unittest.main()

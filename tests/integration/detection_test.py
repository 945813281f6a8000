"""Ranks that hang, are killed or crash: who is found to be at fault, what is told of it, and that training goes on."""

import ctypes
import os
import pathlib
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402
from restarts_test import FINAL_STATES, RunsOfService  # noqa: E402
from resume_test import TRAINING  # noqa: E402

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
WALL = 0x40000000  # waits for threads of other processes, too


class StoppedThread:
    """The thread of another process whose id is the process's: the other threads of that process go on."""

    def __init__(self, pid):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self.call(PTRACE_SEIZE, pid)
        self.call(PTRACE_INTERRUPT, pid)
        # Until somebody has waited for it, its own parent does not see it end.
        self.waiting = threading.Thread(target=self.wait, args=(pid,), daemon=True)
        self.waiting.start()

    def call(self, request, pid):
        if self.libc.ptrace(request, pid, None, None) != 0:
            error = ctypes.get_errno()
            raise OSError(error, f"ptrace of process {pid}: {os.strerror(error)}")

    @staticmethod
    def wait(pid):
        while True:
            try:
                _, status = os.waitpid(pid, WALL)
            except ChildProcessError:
                return
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                return


class Detection(RunsOfService):
    # No checkpoint and no evaluation between: what a rank does is a step, and an attempt begins at the first.
    SECTIONS = {"training": {**TRAINING, "max_steps": 400}}

    def start(self, *arguments):
        self.coordinator = programs.Coordinator(self.folder / "state", *arguments)
        self.addCleanup(self.coordinator.stop)

    def rank(self, job_id, number):
        ranks = self.of_service("ranks", job_id)["ranks"]
        return next(rank for rank in ranks if rank["rank"] == number)

    def wait_for_step(self, job_id, step):
        return self.wait_for(job_id, lambda job: int(job["step"]) >= step)

    def wait_for_attempt(self, job_id, generation):
        return self.wait_for(job_id, lambda job: int(job["generation"]) >= generation)

    def test_a_rank_that_is_stopped_for_good_is_found_and_the_job_ends_like_one_that_was_not(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start("--stall-timeout", "5")
        job_id = self.submit("stopped")
        self.wait_for_step(job_id, 50)
        rank = self.rank(job_id, 1)
        os.kill(int(rank["pid"]), signal.SIGSTOP)
        failure = self.wait_for_attempt(job_id, 2)["failure"]
        self.assertEqual((failure["rank"], failure["host"], failure["phase"]), (1, rank["host"], "RANK_PHASE_TRAINING"))
        self.assertGreaterEqual(int(failure["step"]), 50)
        self.assertRegex(failure["reason"], r"^rank 1 on \S+ has stood still for \d+ s in training, after step \d+")
        self.finished(job_id)
        self.same_run("whole", "stopped")

    def test_a_rank_whose_training_hangs_while_its_heartbeats_come_is_found(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start("--stall-timeout", "8")
        job_id = self.submit("hangs")
        self.wait_for_step(job_id, 50)
        try:
            StoppedThread(int(self.rank(job_id, 1)["pid"]))
        except PermissionError as refused:
            self.skipTest(f"one thread of a rank cannot be stopped here: {refused}")
        failure = self.wait_for_attempt(job_id, 2)["failure"]
        self.assertEqual((failure["rank"], failure["phase"]), (1, "RANK_PHASE_TRAINING"))
        self.assertRegex(failure["reason"], r"^rank 1 on \S+ has stood still for \d+ s in training, after step \d+")
        self.finished(job_id)
        self.same_run("whole", "hangs")

    def test_a_rank_that_is_stopped_for_a_while_is_no_failure(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start()
        job_id = self.submit("paused")
        self.wait_for_step(job_id, 50)
        pid = int(self.rank(job_id, 1)["pid"])
        os.kill(pid, signal.SIGSTOP)
        time.sleep(5)
        os.kill(pid, signal.SIGCONT)
        job = self.finished(job_id)
        self.assertEqual((int(job["generation"]), job["restarts"], "failure" in job), (1, 0, False))
        self.same_run("whole", "paused")

    def test_a_killed_rank_is_named_with_all_that_is_known_of_it(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start()
        job_id = self.submit("killed")
        self.wait_for_step(job_id, 50)
        # The first heartbeat of an attempt may come before its first step.
        end = time.monotonic() + 60
        while (rank := self.rank(job_id, 1))["phase"] != "RANK_PHASE_TRAINING" and time.monotonic() < end:
            time.sleep(0.1)
        os.kill(int(rank["pid"]), signal.SIGKILL)
        failure = self.wait_for_attempt(job_id, 2)["failure"]
        self.assertEqual((failure["rank"], failure["signal"], failure["host"], failure["phase"]),
                         (1, signal.SIGKILL, rank["host"], "RANK_PHASE_TRAINING"))
        self.assertGreaterEqual(int(failure["step"]), 50)
        self.assertNotEqual(failure["last_collective"], "")
        self.assertIn(f"rank 1 on {rank['host']}, signal 9", self.succeed(
            "equipoise", "jobs", "get", job_id, "--coordinator", self.coordinator.address))
        job = self.finished(job_id)
        self.assertEqual(job["failure"]["generation"], "1")
        self.same_run("whole", "killed")

    def test_crashes_that_come_again_end_the_job_with_their_causes(self):
        self.start()
        job_id = self.submit("crashes", "--set", "launch.max_restarts=3")
        for attempt in range(1, 6):
            job = self.wait_for(job_id, lambda job: job["state"] in FINAL_STATES or (
                int(job["generation"]) >= attempt and job["state"] == "JOB_STATE_RUNNING" and int(job["step"]) >= 20))
            if job["state"] in FINAL_STATES:
                break
            os.kill(int(self.rank(job_id, 1)["pid"]), signal.SIGABRT)
            self.wait_for(job_id, lambda job: job["state"] in FINAL_STATES or int(job["generation"]) > attempt)
        # They hardly ever meet the same step, where two would be enough.
        self.assertEqual(job["state"], "JOB_STATE_FAILED")
        self.assertRegex(job["state_reason"], r"failed (after 3 restarts|twice in a row at step \d+, alike).*; before: ")
        self.assertEqual((job["failure"]["rank"], job["failure"]["signal"]), (1, signal.SIGABRT))


if __name__ == "__main__":
    unittest.main()

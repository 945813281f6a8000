#!/usr/bin/env python3
"""A disk that fails with EIO at one operation that orders what is on it: under the output of a run, and under the state
folder of a coordinator. Nothing that was acknowledged is lost, and the run ends like one that was not disturbed.

EQUIPOISE_ERROR_STRIDE=1 tries every operation; without it some of them are tried.
"""

import errno
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import checkpoint_crash_test  # noqa: E402
import restarts_test  # noqa: E402

PRELOAD = checkpoint_crash_test.PRELOAD
STRIDE = int(os.environ.get("EQUIPOISE_ERROR_STRIDE", "11"))
MOST = 500  # operations of a run


def failing(program, folder, at):
    return {"LD_PRELOAD": str(PRELOAD), "EQUIPOISE_CRASH_PROGRAM": program, "EQUIPOISE_CRASH_BELOW": str(folder),
            "EQUIPOISE_CRASH_AT": str(at), "EQUIPOISE_FAIL_WITH": str(errno.EIO)}


class Outputs(checkpoint_crash_test.CheckpointCrashes):
    """Of a run: it goes on without the checkpoint, or ends with one line, and goes on from the newest whole one."""

    test_at_each_operation_a_whole_checkpoint_is_left = None  # of its base

    def test_at_each_operation(self):
        self.succeed("equipoise", "train", self.job("whole"), "--quiet")
        ended = []
        for at in range(0, MOST, STRIDE):
            name = f"failed-{at}"
            job, output = self.job(name), self.folder / name
            result = programs.run("equipoise", "train", job, "--quiet", **failing("equipoise-worker", output, at))
            with self.subTest(operation=at):
                if result.returncode != 0:
                    self.assertIn("Input/output error", result.stderr)
                    self.succeed("equipoise", "train", job, "--quiet", "--resume")
                ended.append(result.returncode)
                self.assertEqual(self.final("whole"), self.final(name))
                self.assertEqual(self.lines("whole"), self.lines(name))
                self.succeed("equipoise", "verify", output, "--quiet")
            if at > 0 and not self.was_reached(output, at):
                break
        self.assertGreater(len(ended), 3)

    def was_reached(self, output, at):
        """Whether a run has as many operations."""
        probe = self.job(f"{output.name}-probe")
        result = programs.run("equipoise", "train", probe, "--quiet", LD_PRELOAD=str(PRELOAD),
                              EQUIPOISE_CRASH_AT=str(at),
                              EQUIPOISE_CRASH_BELOW=str(self.folder / f"{output.name}-probe"))
        return result.returncode != 0


class StateFolders(restarts_test.RunsOfService):
    """Of a coordinator: what it has acknowledged is there, and the job ends like one that was not disturbed."""

    SECTIONS = restarts_test.Restarts.SECTIONS

    def test_at_some_operations_of_a_job(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        for at in (3, 8, 20, 60):
            with self.subTest(operation=at):
                state = self.folder / f"state-{at}"
                coordinator = programs.Coordinator(state, variables=failing("equipoise-coordinator", state, at))
                self.addCleanup(coordinator.stop)
                self.coordinator = coordinator
                job_id = self.submit(f"job-{at}")
                self.finished(job_id)
                self.same_run("whole", f"job-{at}")
                self.assertEqual(coordinator.stop(), 0)
                self.succeed("equipoise-coordinator", "--state", state, "--check")


if __name__ == "__main__":
    unittest.main()

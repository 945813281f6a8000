#!/usr/bin/env python3
"""The power of a rank is cut at each operation that orders what is on its disk: whatever is left, the run goes on from a
whole checkpoint, and ends like one that was not disturbed.

EQUIPOISE_CRASH_STRIDE=1 tries every operation; without it some of them are tried.
"""

import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import resume_test  # noqa: E402  (its own tests are not this file's)

PRELOAD = programs.BIN.parent / "lib/crash_preload.so"
STRIDE = int(os.environ.get("EQUIPOISE_CRASH_STRIDE", "7"))
FEWEST, MOST = 20, 500  # operations of a run


class CheckpointCrashes(resume_test.ResumeTest):
    def job(self, name):
        case = sorted(folder.name for folder in resume_test.BANDIT.iterdir() if folder.is_dir())[0]
        method = sorted(path.stem for path in (resume_test.BANDIT / case).glob("*.json") if path.stem != "problem")[0]
        return resume_test.LogLinear.write_bandit(self, name, case, method, training={"max_steps": 30},
                                      checkpoint={"every_steps": 10, "keep": 2}, launch={"max_restarts": 0})

    def crash(self, job, output, at):
        """The exit code of a run whose rank dies before operation `at`, if it has as many."""
        return programs.run("equipoise", "train", job, "--quiet", LD_PRELOAD=str(PRELOAD), EQUIPOISE_CRASH_AT=str(at),
                            EQUIPOISE_CRASH_BELOW=str(output)).returncode

    def test_at_each_operation_a_whole_checkpoint_is_left(self):
        self.assertTrue(PRELOAD.exists(), PRELOAD)
        self.succeed("equipoise", "train", self.job("whole"), "--quiet")
        at, crashed = 0, True
        while crashed and at < MOST:
            name = f"cut-{at}"
            with self.subTest(operation=at):
                job, output = self.job(name), self.folder / name
                crashed = self.crash(job, output, at) != 0
                if crashed and output.exists():
                    self.succeed("equipoise", "checkpoints", "verify", output)
                if crashed:
                    self.succeed("equipoise", "train", job, "--quiet", "--resume")
                self.same_run("whole", name)
            at += STRIDE
        self.assertFalse(crashed)
        self.assertGreater(at, FEWEST)


if __name__ == "__main__":
    unittest.main()

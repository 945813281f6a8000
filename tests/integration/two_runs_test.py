"""Two runs with one output: the second is refused at once, by its owner's name, and nothing of the first is lost."""

import fcntl
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs

OFD_SETLK = 37  # F_OFD_SETLK of Linux; Python has no name for it before 3.13


def hold(path):
    """The open lock file of an output that another process has."""
    file = open(path, "w")
    file.write("somebody else\n\n77\nhost\n2026-01-31T12:00:00Z\n")
    file.flush()
    fcntl.fcntl(file, OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 2, 0))
    return file


class TwoRuns(programs.ProgramTest):
    def setUp(self):
        super().setUp()
        self.small_model()

    def start(self, job, *arguments):
        process = subprocess.Popen(
            [str(programs.BIN / "equipoise"), "train", str(job), "--quiet", *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=programs.ENVIRONMENT)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, path, process=None):
        while not path.exists():
            self.assertTrue(process is None or process.poll() is None, "the run has ended")
            time.sleep(0.02)

    def long_job(self, name="long"):
        return self.write_job(name, training={"max_steps": 1000000, "global_batch_size": 16, "seed": 1})

    def assert_owned(self, line, job):
        self.assertRegex(line, rf"in use by job {job}-[0-9a-f]+ of (this |equipoise-)coordinator"
                               r"( \(pid \d+ on .+ since 20[0-9T:-]+Z\))?; wait until that has ended")

    def test_train_beside_train(self):
        job = self.long_job()
        first = self.start(job)
        self.wait_for(self.folder / "long/.equipoise-lock", first)
        while not (self.folder / "long/.equipoise-lock").stat().st_size:  # it is locked before its owner is written
            time.sleep(0.02)
        # From its first second, long before there are metrics.
        self.assert_owned(self.refused("equipoise", "train", job, "--overwrite"), "long")
        self.wait_for(self.folder / "long/metrics.jsonl", first)
        inode = (self.folder / "long/metrics.jsonl").stat().st_ino
        (self.folder / "link").symlink_to("long")
        for output in ("link", "long/../long/", "long/final/inner"):
            self.assert_owned(self.refused("equipoise", "train", job, "--overwrite", "--output", self.folder / output),
                              "long")
        self.assert_owned(self.refused("equipoise", "evaluate", "--model", self.folder / "model", "--data",
                                       self.folder / "data/validation.jsonl", "--output",
                                       self.folder / "long/pairs.jsonl"), "long")
        self.assert_owned(self.refused("equipoise", "data", "generate", self.folder / "long/metrics.jsonl"), "long")
        first.send_signal(signal.SIGINT)
        self.assertEqual(first.wait(timeout=60), 130)
        self.assertEqual((self.folder / "long/metrics.jsonl").stat().st_ino, inode)
        self.assertFalse((self.folder / "long/.equipoise-lock").exists())
        self.succeed("equipoise", "train", job, "--overwrite", "--set", "training.max_steps=2")

    def test_two_coordinators_and_a_queue(self):
        with programs.Coordinator(self.folder / "state") as one, programs.Coordinator(self.folder / "state-2") as two:
            def submit(job, coordinator, *arguments):
                return ["equipoise", "submit", job, "--coordinator", coordinator.address, "--overwrite", *arguments]
            self.succeed(*submit(self.long_job("runs"), one))
            queued = self.long_job("queued")
            self.succeed(*submit(queued, one))
            for coordinator in (one, two):
                for name in ("runs", "queued"):
                    line = self.refused(*submit(self.folder / f"{name}.yaml", coordinator))
                    self.assertIn(f"in use by job {name}-", line)
            self.assert_owned(self.refused("equipoise", "train", queued), "queued")
            for output in ("/", self.folder / "state", self.folder / "state/logs/x", self.folder / "model/run",
                           self.folder / "data"):
                self.assertRegex(self.refused(*submit(queued, one, "--output", output)),
                                 r"output: .* (is the root|is in ).*choose")
        self.assertFalse((self.folder / "queued/.equipoise-lock").exists())

    def test_places_that_are_no_output(self):
        job = self.write_job("short")
        for output in ("/", "/proc/x", self.folder / "model", self.folder / "model/run", self.folder / "data"):
            self.assertRegex(self.refused("equipoise", "train", job, "--output", output),
                             r"output: .* (is the root|is in )")
        (self.folder / "coordinator.sqlite3").touch()
        self.assertIn("the state folder of a coordinator", self.refused("equipoise", "train", job))

    def deleted_during_the_run(self, delete):
        job = self.long_job()
        process = self.start(job)
        self.wait_for(self.folder / "long/metrics.jsonl", process)
        delete(self.folder / "long")
        _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1, errors)
        self.assertRegex(errors, r"output: .*/long(: .*)? was (deleted|replaced)")

    def test_a_deleted_output_is_no_success(self):
        self.deleted_during_the_run(shutil.rmtree)

    def test_an_emptied_output_is_no_success(self):
        def empty(folder):  # as `rm -rf out/*` does, which leaves the lock
            for path in folder.iterdir():
                if not path.name.startswith("."):
                    path.unlink() if path.is_file() else shutil.rmtree(path)
        self.deleted_during_the_run(empty)

    def test_a_replaced_output_is_no_success(self):
        def replace(folder):
            folder.rename(self.folder / "moved")
            folder.mkdir()
        self.deleted_during_the_run(replace)

    def test_the_lock_of_a_killed_run_holds_nobody_up(self):
        job = self.long_job()
        process = self.start(job)
        self.wait_for(self.folder / "long/metrics.jsonl", process)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 60
        while True:
            result = programs.run("equipoise", "train", job, "--overwrite", "--set", "training.max_steps=2")
            if result.returncode == 0 or time.monotonic() > deadline:
                break
            self.assertIn("in use by", result.stderr)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_a_log_linear_run_owns_its_folder_too(self):
        self.succeed("equipoise", "data", "log-linear", self.folder / "bandit")
        job = self.folder / "bandit/job.yaml"
        process = self.start(job, "--set", "training.max_steps=2000000000")
        self.wait_for(self.folder / "bandit/out/metrics.jsonl", process)
        self.assertIn("in use by job", self.refused("equipoise", "train", job, "--overwrite"))
        shutil.rmtree(self.folder / "bandit/out")
        self.assertEqual(process.wait(timeout=120), 1)

    def test_every_command_respects_the_owner_of_its_output(self):
        (self.folder / "bandit").mkdir()
        (self.folder / "experiment").mkdir()
        data = self.folder / "data/validation.jsonl"
        cases = [
            (".pairs.jsonl.equipoise-lock", ["evaluate", "--model", self.folder / "model", "--data", data, "--output",
                                             self.folder / "pairs.jsonl"]),
            (".survey.jsonl.equipoise-lock", ["data", "generate", self.folder / "survey.jsonl"]),
            ("data/.equipoise-lock", ["data", "import", "opinionqa", self.folder / "survey.jsonl", "--output",
                                      self.folder / "data"]),
            (".more.jsonl.equipoise-lock", ["data", "import", "preferences", data, "--output",
                                            self.folder / "more.jsonl"]),
            ("bandit/.equipoise-lock", ["data", "log-linear", self.folder / "bandit"]),
            (".other.equipoise-lock", ["model", "init", self.folder / "other", "--data", data]),
            (".bandits.equipoise-lock", ["reproduce", "bandits", "--output", self.folder / "bandits"]),
            ("experiment/.equipoise-lock", ["reproduce", "opinions", "--quick", "--output",
                                            self.folder / "experiment"]),
        ]
        for lock, command in cases:
            with self.subTest(command=command[:2]), hold(self.folder / lock):
                line = self.refused("equipoise", *command)
                self.assertIn("in use by somebody else (pid 77 on host since 2026-01-31T12:00:00Z)", line)


if __name__ == "__main__":
    unittest.main()

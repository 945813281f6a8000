"""Coordinators that are killed, stopped or replaced beside jobs that train: the jobs go on where they are."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402
import restarts_test  # noqa: E402
from pause_test import children_of, name_of  # noqa: E402

STATE_WAIT = 900
STEPS = 800


class JobsAlone(restarts_test.Restarts):
    """Without the tests of its base."""

    SECTIONS = {**restarts_test.Restarts.SECTIONS, "training": {**restarts_test.TRAINING, "max_steps": STEPS},
                "checkpoint": {"every_steps": 25}, "evaluation": {"every_steps": 200}}

    def start(self, *arguments, listen="127.0.0.1:0"):
        self.coordinator = programs.Coordinator(self.folder / "state", *arguments, listen=listen)
        self.addCleanup(self.coordinator.stop)

    def start_again(self, *arguments):
        """On the port that ranks know."""
        self.start(*arguments, listen=self.coordinator.address)

    def kill_coordinator(self):
        self.coordinator.process.kill()
        self.coordinator.stop()

    def log(self):
        return (self.folder / "state.log").read_text()

    def attempt_files(self):
        return [file.name for file in (self.folder / "state/attempts").iterdir()]

    @staticmethod
    def shims(job_id):
        found = subprocess.run(["pgrep", "-f", rf"^[^ ]*equipoise-shim .*{job_id}"], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def wait_until_gone(self, job_id):
        end = time.monotonic() + STATE_WAIT
        while self.ranks(job_id) or self.shims(job_id):
            self.assertLess(time.monotonic(), end, "its processes are still there")
            time.sleep(0.05)

    def goes_on(self, job_id):
        """Another step than the newest that the coordinator knows."""
        step = int(self.job(job_id)["step"])
        self.wait_for(job_id, lambda job: int(job["step"]) > step)

    def ends_like(self, name, job_id, generation, restarts):
        job = self.finished(job_id)
        self.assertEqual((int(job["generation"]), job["restarts"], int(job["step"])), (generation, restarts, STEPS))
        self.same_run("whole", name)
        kept = json.loads(self.succeed("equipoise", "jobs", "weights", job_id, "--json", "--coordinator",
                                       self.coordinator.address))
        self.assertEqual([int(record["step"]) for record in kept["records"]], list(range(STEPS)))
        self.wait_until_gone(job_id)
        self.assertEqual(self.attempt_files(), [])


# unittest would run the tests of the base again.
for inherited in [name for name in dir(JobsAlone) if name.startswith("test_")]:
    setattr(JobsAlone, inherited, None)


class Reattachment(JobsAlone):
    def test_a_killed_coordinator_comes_back_to_the_same_ranks(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start()
        job_id = self.submit("kept")
        for step in (50, 200, 350):
            self.wait_for_checkpoint(job_id, step)
            ranks = self.ranks(job_id)
            self.assertEqual(len(ranks), 2)
            self.kill_coordinator()
            self.assertEqual(self.ranks(job_id), ranks)
            self.start_again()
            self.assertEqual(self.job(job_id)["state"], "JOB_STATE_RUNNING")
            self.goes_on(job_id)
            self.assertEqual(self.ranks(job_id), ranks)
        self.assertIn("the coordinator was away, and attempt 1 has waited for it", self.job(job_id)["conditions"])
        self.ends_like("kept", job_id, 1, 0)

    def test_training_waits_while_there_is_no_coordinator(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start()
        job_id = self.submit("waited")
        self.wait_for_checkpoint(job_id, 50)
        self.kill_coordinator()
        metrics = self.folder / "waited/metrics.jsonl"
        lines, end = [], time.monotonic() + STATE_WAIT
        while len(lines) < 3 or lines[-1] != lines[-3]:  # nothing is written for a second
            self.assertLess(time.monotonic(), end)
            lines.append(metrics.read_text())
            time.sleep(0.5)
        self.start_again()
        self.ends_like("waited", job_id, 1, 0)

    def test_away_for_too_long_the_job_goes_on_from_its_checkpoint(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start("--rank-wait", "5")
        job_id = self.submit("late", "--set", "launch.max_restarts=1")
        self.wait_for_checkpoint(job_id, 50)
        self.kill_coordinator()
        self.wait_until_gone(job_id)
        self.assertEqual(self.attempt_files(), [f"{job_id}.1"])
        self.start_again()
        self.ends_like("late", job_id, 2, 1)
        self.assertIn("the coordinator was away for longer than its ranks wait", self.log())

    def test_ranks_and_shims_that_are_killed_meanwhile(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start()
        job_id = self.submit("killed")
        self.wait_for_checkpoint(job_id, 50)
        self.kill_coordinator()
        os.kill(self.ranks(job_id)[-1], signal.SIGKILL)
        self.wait_until_gone(job_id)
        self.start_again()
        self.wait_for_checkpoint(job_id, 200)
        self.assertIn("mpirun exited with code 137", self.log())
        self.kill_coordinator()
        os.kill(self.shims(job_id)[0], signal.SIGKILL)
        self.wait_until_gone(job_id)
        self.start_again()
        self.assertIn("the coordinator was lost while the job was RUNNING", self.log())
        self.ends_like("killed", job_id, 3, 2)

    def test_coordinators_that_cannot_begin_leave_the_job_alone(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start()
        job_id = self.submit("shared")
        self.wait_for_checkpoint(job_id, 50)
        ranks = self.ranks(job_id)
        address = self.coordinator.address
        second = ("equipoise-coordinator", "--state", self.folder / "state", "--metrics-listen", "", "--listen")
        self.assertIn("in use by the equipoise-coordinator with pid", self.refused(*second, "127.0.0.1:0"))
        self.goes_on(job_id)
        self.kill_coordinator()
        host, port = address.split(":")
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((host, int(port)))
            taken.listen()
            result = programs.run(*second, address)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("cannot listen there", result.stderr)
            self.assertEqual(self.ranks(job_id), ranks)
        self.start_again()
        self.assertEqual(self.ranks(job_id), ranks)
        self.ends_like("shared", job_id, 1, 0)

    def test_a_paused_job_survives(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start()
        job_id = self.submit("paused")
        self.wait_for_checkpoint(job_id, 50)
        self.kill_coordinator()
        self.start_again()
        self.succeed("equipoise", "jobs", "pause", job_id, "--wait", "--coordinator", self.coordinator.address)
        self.kill_coordinator()
        self.start_again()
        self.assertEqual(self.job(job_id)["state"], "JOB_STATE_PAUSED")
        self.assertEqual(self.ranks(job_id), [])
        self.succeed("equipoise", "jobs", "resume", job_id, "--coordinator", self.coordinator.address)
        self.ends_like("paused", job_id, 2, 0)

    def test_a_cancelled_job_ends_with_the_next_coordinator(self):
        self.start()
        job_id = self.submit("cancelled")
        self.wait_for_checkpoint(job_id, 10)
        self.kill_coordinator()
        self.start_again()
        self.succeed("equipoise", "jobs", "cancel", job_id, "--coordinator", self.coordinator.address)
        self.kill_coordinator()
        self.start_again()
        end = time.monotonic() + STATE_WAIT
        while self.job(job_id)["state"] != "JOB_STATE_CANCELLED":
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.wait_until_gone(job_id)

    def test_a_restart_in_order_may_keep_the_ranks(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start("--on-shutdown", "keep")
        job_id = self.submit("upgraded")
        self.wait_for_checkpoint(job_id, 50)
        ranks = self.ranks(job_id)
        with subprocess.Popen([str(programs.BIN / "equipoise"), "jobs", "watch", job_id, "--coordinator",
                               self.coordinator.address], stdout=subprocess.PIPE, text=True,
                              env=programs.ENVIRONMENT) as watch:
            watch.stdout.readline()
            self.assertEqual(self.coordinator.stop(), 0)
            self.assertEqual(self.ranks(job_id), ranks)
            self.start_again("--on-shutdown", "leave")
            self.assertEqual(self.job(job_id)["state"], "JOB_STATE_RUNNING")
            self.goes_on(job_id)
            self.assertEqual(self.ranks(job_id), ranks)
            watch.stdout.read()
            self.assertEqual(watch.wait(timeout=STATE_WAIT), 0)
        self.ends_like("upgraded", job_id, 1, 0)

    def test_keep_is_refused_for_what_ends_with_its_parent(self):
        self.assertIn("expected leave", self.refused("equipoise-coordinator", "--state", self.folder / "state",
                                                     "--on-shutdown", "keep", "--exit-with-parent"))


class Chained(JobsAlone):
    def killed(self, program):
        """What is left of `equipoise train` once one of its processes is killed."""
        name = f"alone-{program}"
        job = self.write_job(name, **self.SECTIONS)
        with subprocess.Popen([str(programs.BIN / "equipoise"), "train", str(job), "--np", "2", "--quiet", "--set",
                               "launch.max_restarts=0"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=programs.ENVIRONMENT) as process:
            while not any(step >= 10 for step in self.steps_of_checkpoints(name)):
                self.assertIsNone(process.poll())
                time.sleep(0.02)
            family = [process.pid, *children_of(process.pid)]
            # The kernel keeps 15 characters of a program's name.
            victims = [pid for pid in family if name_of(pid) == program[:15]]
            self.assertEqual(len(victims), 1, [name_of(pid) for pid in family])
            os.kill(victims[0], signal.SIGKILL)
            self.assertNotEqual(process.wait(timeout=STATE_WAIT), 0)
        end = time.monotonic() + STATE_WAIT
        while self.ranks(name) or self.shims(name):
            self.assertLess(time.monotonic(), end, "its processes are still there")
            time.sleep(0.05)

    def test_nothing_outlives_train(self):
        for program in ("equipoise", "equipoise-coordinator", "equipoise-shim"):
            with self.subTest(killed=program):
                self.killed(program)


if __name__ == "__main__":
    unittest.main()

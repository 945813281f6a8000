"""Jobs that leave with a checkpoint: paused by people, asked to end by a batch system, or with their coordinator. They
end like a run that nobody disturbed."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402
import disk_full_test  # noqa: E402
import restarts_test  # noqa: E402

STATE_WAIT = 900
STEPS = 1200


def children_of(pid):
    """The processes below one, at any depth, as /proc has them now."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The name in parentheses may have spaces.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(entry.name)] = int(fields[1])
    found, fresh = [], [pid]
    while fresh:
        fresh = [child for child, parent in parents.items() if parent in fresh]
        found += fresh
    return found


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


class LeavingJobs(restarts_test.Restarts):
    """Without the tests of its base. Its runs are long enough that none ends before it is asked to leave."""

    SECTIONS = {**restarts_test.Restarts.SECTIONS, "training": {**restarts_test.TRAINING, "max_steps": STEPS},
                "evaluation": {"every_steps": 200}}
    WITHOUT = {**SECTIONS, "checkpoint": {"every_steps": 0, "every_seconds": 0}}  # but those that are asked for

    def ranks_of_coordinator(self, pid=None):
        # The kernel keeps 15 characters of a program's name.
        return [child for child in children_of(pid or self.coordinator.process.pid)
                if name_of(child) == "equipoise-worker"[:15]]

    def jobs(self, verb, job_id, *options):
        return self.succeed("equipoise", "jobs", verb, job_id, *options, "--coordinator", self.coordinator.address)

    def wait_for_state(self, job_id, state):
        return self.wait_for(job_id, lambda job: job["state"] == f"JOB_STATE_{state}")

    def metric(self, name, **labels):
        page = urllib.request.urlopen(f"http://{self.coordinator.metrics}/metrics").read().decode()
        for line in page.splitlines():
            if line.startswith(name + "{") and all(f'{label}="{value}"' in line for label, value in labels.items()):
                return float(line.split()[-1])
        return 0.0


# unittest would run the tests of the base again.
for inherited in [name for name in dir(LeavingJobs) if name.startswith("test_")]:
    setattr(LeavingJobs, inherited, None)


class Pauses(LeavingJobs):
    def test_a_paused_job_frees_its_place_and_ends_like_one_that_was_not(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        job_id = self.submit("paused")
        self.wait_for_checkpoint(job_id, 50)
        self.assertIn("is PAUSED: paused at step", self.jobs("pause", job_id, "--wait"))
        job = self.job(job_id)
        self.assertEqual(job["state"], "JOB_STATE_PAUSED")
        step = int(job["step"])
        self.assertEqual(int(job["checkpoint_step"]), step)
        self.assertIn(step, self.steps_of_checkpoints("paused"))
        self.assertEqual(self.ranks_of_coordinator(), [])
        self.assertEqual(self.metric("equipoise_job_state", job=job_id, state="paused"), 1)
        listed = self.succeed("equipoise", "jobs", "list", "--coordinator", self.coordinator.address)
        self.assertIn(f"{job_id} is paused: paused at step {step} with a checkpoint", listed)
        # Its output stays reserved.
        line = self.refused("equipoise", "submit", self.folder / "paused.yaml", "--overwrite", "--coordinator",
                            self.coordinator.address)
        self.assertIn(job_id, line)
        self.assertEqual(self.coordinator.stop(), 0)
        self.start_coordinator()
        self.assertEqual(self.job(job_id)["state"], "JOB_STATE_PAUSED")
        self.jobs("resume", job_id)
        job = self.finished(job_id)
        self.assertEqual((int(job["generation"]), job["restarts"], int(job["step"])), (2, 0, STEPS))
        self.same_run("whole", "paused")

    def test_a_checkpoint_is_made_when_asked_for(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.SECTIONS = self.WITHOUT
        self.start_coordinator()
        job_id = self.submit("asked")
        self.wait_for(job_id, lambda job: int(job["step"]) >= 10)
        said = self.jobs("checkpoint", job_id, "--wait")
        step = int(re.search(r"has a checkpoint of step (\d+)", said)[1])
        self.assertEqual(self.steps_of_checkpoints("asked"), [step])
        self.assertEqual(self.job(job_id)["state"], "JOB_STATE_RUNNING")
        self.finished(job_id)
        self.same_run("whole", "asked")

    def test_a_paused_job_is_cancelled(self):
        self.start_coordinator()
        job_id = self.submit("dropped")
        self.wait_for_checkpoint(job_id, 10)
        self.jobs("pause", job_id, "--wait")
        self.jobs("cancel", job_id)
        self.assertEqual(self.job(job_id)["state"], "JOB_STATE_CANCELLED")
        self.assertTrue(self.steps_of_checkpoints("dropped"))

    def test_a_queued_job_is_paused_without_ranks(self):
        self.start_coordinator()
        first = self.submit("first")
        second = self.submit("second")
        self.assertIn("is PAUSED", self.jobs("pause", second))
        self.wait_for_checkpoint(first, 10)
        self.jobs("cancel", first)
        self.assertEqual(self.job(second)["generation"], "0")
        self.jobs("resume", second)
        self.wait_for_checkpoint(second, 10)

    def test_a_full_disk_keeps_the_job_running(self):
        """The checkpoint of the pause finds no room: the job goes on, and is paused once there is some."""
        if os.environ[disk_full_test.MOUNTS]:
            self.skipTest(os.environ[disk_full_test.MOUNTS])
        self.SECTIONS = self.WITHOUT
        self.start_coordinator()
        job_id = self.submit("full")
        self.wait_for(job_id, lambda job: int(job["step"]) >= 10)
        disk = self.folder / "full/checkpoints"
        disk.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(disk)], capture_output=True)
        self.jobs("pause", job_id)
        job = self.wait_for(job_id, lambda job: any("could not pause" in text for text in job["conditions"]))
        self.assertEqual(job["state"], "JOB_STATE_RUNNING", job["state_reason"])
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
        self.jobs("pause", job_id, "--wait")
        self.assertEqual(self.job(job_id)["state"], "JOB_STATE_PAUSED")


class Terminations(LeavingJobs):
    def test_a_rank_that_is_asked_to_end_makes_all_leave_and_start_again(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        # None of it uses up the one restart.
        job_id = self.submit("preempted", "--set", "launch.max_restarts=1")
        for attempt, step in enumerate((50, 120, 200), 1):
            self.wait_for_checkpoint(job_id, step)
            os.kill(self.ranks_of_coordinator()[-1], signal.SIGTERM)
            self.wait_for(job_id, lambda job: int(job["generation"]) > attempt)
        self.assertEqual(self.metric("equipoise_restarts_total", job=job_id, cause="preemption"), 3)
        job = self.finished(job_id)
        self.assertEqual((int(job["generation"]), job["restarts"]), (4, 3))
        self.same_run("whole", "preempted")

    def test_a_coordinator_that_is_stopped_loses_no_step(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.SECTIONS = self.WITHOUT
        self.start_coordinator()
        job_id = self.submit("stopped")
        self.wait_for(job_id, lambda job: int(job["step"]) >= 50)
        ranks = self.ranks_of_coordinator()
        self.assertEqual(len(ranks), 2)
        self.assertEqual(self.coordinator.stop(), 0)
        self.assertFalse(any(name_of(rank).startswith("equipoise") for rank in ranks))
        kept = self.steps_of_checkpoints("stopped")
        self.assertEqual(len(kept), 1)
        self.start_coordinator()
        job = self.finished(job_id)
        self.assertEqual((int(job["generation"]), job["restarts"]), (2, 1))
        self.same_run("whole", "stopped")

    def test_without_a_grace_or_after_a_second_signal_ranks_are_ended(self):
        for options, signals in ((("--shutdown-grace", "0"), 1), (("--shutdown-grace", "3600"), 2)):
            with self.subTest(options=options):
                name = f"ended-{signals}"
                self.SECTIONS = self.WITHOUT
                self.coordinator = programs.Coordinator(self.folder / f"state-{signals}", *options)
                self.addCleanup(self.coordinator.stop)
                job_id = self.submit(name)
                self.wait_for(job_id, lambda job: int(job["step"]) >= 10)
                # A rank that is stopped cannot leave.
                os.kill(self.ranks_of_coordinator()[-1], signal.SIGSTOP)
                for _ in range(signals):
                    self.coordinator.process.terminate()
                    if signals > 1:
                        self.wait_for_log("stopping")
                self.assertEqual(self.coordinator.process.wait(timeout=60), 0)
                self.assertEqual(self.steps_of_checkpoints(name), [])

    def wait_for_log(self, text):
        log = pathlib.Path(self.coordinator.log.name)
        end = time.monotonic() + STATE_WAIT
        while text not in log.read_text():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def left(self, name, *signals, prefix=()):
        """What `train` says that is sent these signals while it trains, and its exit code."""
        job = self.write_job(name, **self.WITHOUT)
        command = [*prefix, str(programs.BIN / "equipoise"), "train", str(job), "--np", "2", "--quiet"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True, env=programs.ENVIRONMENT) as process:
            metrics = self.folder / name / "metrics.jsonl"
            while not (metrics.exists() and len(metrics.read_text().splitlines()) > 20):
                self.assertIsNone(process.poll())
                time.sleep(0.02)
            for number in signals:
                process.send_signal(number)
                time.sleep(0.2)
            said = process.communicate(timeout=STATE_WAIT)[1]
            return said, process.returncode

    def test_train_leaves_with_a_checkpoint_and_says_how_to_go_on(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        # A terminal that goes sends SIGHUP, and so does its shell.
        for name, signals in (("alone", [signal.SIGTERM]), ("hung-up", [signal.SIGHUP, signal.SIGHUP])):
            with self.subTest(signals=signals):
                said, code = self.left(name, *signals)
                self.assertEqual(code, 130, said)
                step = self.steps_of_checkpoints(name)[-1]
                self.assertIn(f"paused at step {step} with a checkpoint", said)
                self.assertIn(f"--resume goes on from step {step}", said)
                self.succeed("equipoise", "train", self.folder / f"{name}.yaml", "--np", "2", "--quiet", "--resume")
                self.same_run("whole", name)

    def test_train_under_nohup_goes_on_without_its_terminal(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        said, code = self.left("kept", signal.SIGHUP, prefix=("nohup",))
        self.assertEqual(code, 0, said)
        self.same_run("whole", "kept")


if __name__ == "__main__":
    disk_full_test.with_own_mounts()
    unittest.main()

"""Faults of a job's surroundings: after each the run ends like one that nobody disturbed, or is over for one clear reason.

It takes minutes: `make test-faults` runs it beside the faster tests of faults, which `make test` runs too.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import hosts  # noqa: E402
import programs  # noqa: E402
import pause_test  # noqa: E402
import restarts_test  # noqa: E402

EARLY_EXIT = """#!/bin/sh
# Rank 1 of the first attempt: killed while it trains, and its launcher is told that all is well.
if [ "$OMPI_COMM_WORLD_RANK" != 1 ] || [ -e {marker} ]; then exec {worker} "$@"; fi
{worker} "$@" &
while [ ! -d {checkpoint} ]; do sleep 0.05; done
touch {marker}
kill -9 $!
exit 0
"""


class FaultyCalls:
    """Of a test: calls to the kernel that fail or take long."""

    @contextlib.contextmanager
    def injected(self, pids, calls, fault):
        """Meanwhile the `calls` of these processes have a fault in strace's words: "error=EIO", "delay_enter=1s"."""
        self.assertIsNotNone(shutil.which("strace"), "strace is not installed; deploy/bootstrap --tests installs it")
        processes = [word for pid in pids for word in ("-p", str(pid))]
        log = self.folder / "calls"
        command = ["strace", "-f", *processes, "-o", str(log), "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as strace:
            # It says of each process that it follows it.
            for _ in pids:
                self.assertIn("attached", strace.stderr.readline())
            try:
                yield
            finally:
                strace.terminate()
                strace.communicate()
        self.assertRegex(log.read_text(), "INJECTED|DELAYED|killed by SIGKILL", "nothing has failed")


class Faults(FaultyCalls, pause_test.LeavingJobs):
    """Coordinator, ranks and `equipoise` in a network of their own, in which packets can be lost."""

    SECTIONS = restarts_test.Restarts.SECTIONS

    def setUp(self):
        super().setUp()
        hosts.require_tools()
        self.cluster = hosts.Cluster(self.folder, 1)
        self.addCleanup(self.cluster.close)
        self.host = self.cluster.hosts[0]
        self.train_undisturbed("whole", 2, **self.SECTIONS)

    def succeed(self, *arguments, **environment):
        return super().succeed(*arguments, prefix=self.host.command() if hasattr(self, "host") else (), **environment)

    def start_coordinator(self, *arguments, **options):
        self.coordinator = programs.Coordinator(self.folder / "state", *arguments, prefix=self.host.command(), **options)
        self.addCleanup(self.coordinator.stop)
        self.port = self.coordinator.address.rpartition(":")[2]

    def mpirun(self):
        return [pid for pid in self.host.processes("mpirun") if pause_test.name_of(pid) == "mpirun"]

    def coordinator_pid(self):
        """nsenter executes the program: it has its process."""
        return self.coordinator.process.pid

    @contextlib.contextmanager
    def stopped(self, *pids):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def wait_until(self, what, is_so):
        end = time.monotonic() + restarts_test.STATE_WAIT
        while not is_so():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.05)

    def running(self, name, step=30):
        """A job that has done some steps and has a checkpoint."""
        job_id = self.submit(name)
        self.wait_for_checkpoint(job_id, step)
        return job_id

    def ends_as_if_undisturbed(self, job_id, name, restarts):
        job = self.finished(job_id)
        self.assertEqual((job.get("restarts", 0), int(job["generation"])), (restarts, restarts + 1),
                         (self.folder / "state.log").read_text()[-3000:])
        self.same_run("whole", name)
        kept = json.loads(self.jobs("weights", job_id, "--json"))
        self.assertEqual([int(record["step"]) for record in kept["records"]], list(range(int(job["step"]))))

    def wait_for_end(self, job_id):
        end = time.monotonic() + restarts_test.STATE_WAIT
        while time.monotonic() < end:
            job = self.job(job_id)
            if job["state"] in restarts_test.FINAL_STATES:
                return job
            time.sleep(0.1)
        self.fail(f"still {job['state']}: {job['state_reason']}")

    def has_no_ranks(self, job_id):
        end = time.monotonic() + 15
        while self.ranks(job_id):
            self.assertLess(time.monotonic(), end, "ranks are left")
            time.sleep(0.1)


class LostMessages(Faults):
    """Between the ranks and the coordinator."""

    def test_rank_0_is_killed_before_its_report_arrives(self):
        self.killed_while_lost("unsent", "dport")

    def test_rank_0_is_killed_before_the_answer_to_its_report_arrives(self):
        self.killed_while_lost("unanswered", "sport")

    def killed_while_lost(self, name, direction):
        self.start_coordinator()
        job_id = self.running(name)
        self.host.lose([f"{direction} {self.port}"])
        time.sleep(1)  # a step takes milliseconds: rank 0 waits in ReportStep
        os.kill(min(self.ranks(job_id)), signal.SIGKILL)
        self.has_no_ranks(job_id)
        self.host.open_firewall()
        self.ends_as_if_undisturbed(job_id, name, restarts=1)

    def test_five_seconds_without_a_packet(self):
        self.start_coordinator()
        job_id = self.running("cut")
        self.host.lose([f"dport {self.port}", f"sport {self.port}"])
        time.sleep(5)
        self.host.open_firewall()
        self.ends_as_if_undisturbed(job_id, "cut", restarts=0)

    def test_a_network_that_loses_one_packet_in_ten(self):
        self.start_coordinator()
        job_id = self.running("lossy")
        self.host.lose([f"dport {self.port}", f"sport {self.port}"], share=10)
        self.ends_as_if_undisturbed(job_id, "lossy", restarts=0)

    def test_a_slow_network(self):
        """10 kB/s between the ranks, which share memory, and the coordinator: each report waits for its turn."""
        self.start_coordinator()
        job_id = self.running("slow")
        self.host.run("ip", "link", "set", "lo", "mtu", "1500")
        self.host.run("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "80kbit", "burst", "2000",
                      "latency", "2s")
        step = int(self.job(job_id)["step"])
        self.wait_for(job_id, lambda job: int(job["step"]) >= min(step + 20, 400))
        self.host.run("tc", "qdisc", "del", "dev", "lo", "root")
        self.ends_as_if_undisturbed(job_id, "slow", restarts=0)


class StoppedProcesses(Faults):

    def test_a_coordinator_that_is_stopped_for_20_seconds(self):
        self.coordinator_stopped("short", 20, restarts=0)

    def test_a_coordinator_that_is_stopped_for_45_seconds(self):
        """Longer than ranks wait for it: they end, and start again once it is back."""
        self.coordinator_stopped("long", 45, restarts=1)

    def coordinator_stopped(self, name, seconds, restarts):
        self.start_coordinator()
        job_id = self.running(name)
        with self.stopped(self.coordinator_pid()):
            time.sleep(seconds)
        self.ends_as_if_undisturbed(job_id, name, restarts)

    def test_a_launcher_that_is_stopped_keeps_no_rank_from_training(self):
        self.start_coordinator()
        job_id = self.running("launcher")
        with self.stopped(*self.mpirun()):
            step = int(self.job(job_id)["step"])
            self.wait_for(job_id, lambda job: int(job["step"]) >= min(step + 50, 400))
        self.ends_as_if_undisturbed(job_id, "launcher", restarts=0)

    def test_a_machine_that_stands_still_for_10_seconds(self):
        """As a virtual machine that is moved."""
        self.start_coordinator()
        job_id = self.running("frozen")
        with self.stopped(self.coordinator_pid(), *self.mpirun(), *self.ranks(job_id)):
            time.sleep(10)
        self.ends_as_if_undisturbed(job_id, "frozen", restarts=0)


class LyingProcesses(Faults):

    def test_a_rank_that_ends_early_with_0_is_no_success(self):
        name = "early"
        worker = self.folder / "worker"
        worker.write_text(EARLY_EXIT.format(marker=self.folder / "marker", worker=programs.BIN / "equipoise-worker",
                                            checkpoint=self.folder / name / "checkpoints/step-30"))
        worker.chmod(0o755)
        self.start_coordinator("--worker", str(worker))
        job_id = self.submit(name)
        self.ends_as_if_undisturbed(job_id, name, restarts=1)


class Clocks(Faults):

    def test_a_wall_clock_that_jumps_by_an_hour_either_way(self):
        library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        self.assertIsNotNone(library, "libfaketime is not installed; deploy/bootstrap --tests installs it")
        clock = self.folder / "clock"
        clock.write_text("+0")
        self.start_coordinator(variables={
            "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"})
        job_id = self.running("jumps")
        for offset in ("+3600", "-3600", "+0"):
            clock.write_text(offset)
            step = int(self.job(job_id)["step"])
            self.wait_for(job_id, lambda job: int(job["step"]) >= min(step + 20, 400))
        self.ends_as_if_undisturbed(job_id, "jumps", restarts=0)


class FullDisks(Faults):

    def test_a_checkpoint_that_finds_no_room_ends_no_training(self):
        self.start_coordinator()
        job_id = self.running("full", step=20)
        disk = self.folder / "full/checkpoints"
        self.host.run("mount", "-t", "tmpfs", "-o", "size=64k", "none", disk)  # seen there alone
        job = self.wait_for(job_id, lambda job: any("checkpoint" in text for text in job.get("conditions", [])))
        self.assertEqual(job["state"], "JOB_STATE_RUNNING", job["state_reason"])
        self.host.run("umount", "--lazy", disk)
        kept = int(job["checkpoint_step"])
        self.assertIn(kept, self.steps_of_checkpoints("full"))
        self.wait_for_checkpoint(job_id, kept + 10)
        self.ends_as_if_undisturbed(job_id, "full", restarts=0)


class FailingDisks(Faults):
    """Disks that answer with an error (EIO), as broken ones do."""

    def test_a_checkpoint_that_cannot_be_synced_ends_no_training(self):
        self.start_coordinator()
        job_id = self.running("unsynced", step=20)
        with self.injected(self.ranks(job_id), "fdatasync", "error=EIO"):
            job = self.wait_for(job_id, lambda job: any("checkpoint" in text for text in job.get("conditions", [])))
        self.assertEqual(job["state"], "JOB_STATE_RUNNING", job["state_reason"])
        kept = int(job["checkpoint_step"])
        self.assertIn(kept, self.steps_of_checkpoints("unsynced"))
        self.wait_for_checkpoint(job_id, kept + 10)
        self.ends_as_if_undisturbed(job_id, "unsynced", restarts=0)

    def test_a_state_that_cannot_be_synced_holds_training(self):
        self.start_coordinator()
        job_id = self.running("held")
        log = self.folder / "state.log"
        with self.injected([self.coordinator_pid()], "fsync,fdatasync", "error=EIO"):
            self.wait_until("nobody says that nothing can be stored", lambda: "disk I/O error" in log.read_text())
            step = int(self.job(job_id)["step"])
            time.sleep(3)  # in which hundreds of steps would be trained
            self.assertLessEqual(int(self.job(job_id)["step"]), step + 1)
        self.ends_as_if_undisturbed(job_id, "held", restarts=0)
        # What was acknowledged is there for the next one.
        self.assertEqual(self.coordinator.stop(), 0)
        self.start_coordinator()
        kept = json.loads(self.jobs("weights", job_id, "--json"))
        self.assertEqual([int(record["step"]) for record in kept["records"]], list(range(400)))


class KilledWhileItStores(FaultyCalls, programs.ProgramTest):
    """A coordinator that is killed as it brings what somebody asked for to the disk, and before it answers then."""

    STATES = ([], ["QUEUED"], ["PAUSED"], ["QUEUED"], ["CANCELLED"])  # of the jobs, after so many requests
    CALLS = "fsync,fdatasync"

    def setUp(self):
        super().setUp()
        (self.folder / "data").mkdir()
        pair = {"prompt": "a", "chosen": "b", "rejected": "c", "group": "g"}
        (self.folder / "data/train.jsonl").write_text(f"{json.dumps(pair)}\n" * 40)
        self.job_file = self.write_job("run", data={"train": "data/train.jsonl"})

    def start(self, state):
        coordinator = programs.Coordinator(state)
        self.addCleanup(coordinator.stop)
        return coordinator

    def is_answered(self, number, coordinator):
        arguments = (("submit", self.job_file, "--external", "--request-id", "once"), ("jobs", "pause", self.job_id),
                     ("jobs", "resume", self.job_id), ("jobs", "cancel", self.job_id))[number]
        result = programs.run("equipoise", *arguments, "--coordinator", coordinator.address, "--timeout", "2")
        if number == 0 and result.returncode == 0:
            self.job_id = result.stdout.strip().splitlines()[-1].split()[-1]
        return result.returncode == 0

    def states(self, coordinator):
        listed = json.loads(self.succeed("equipoise", "jobs", "list", "--json", "--coordinator", coordinator.address))
        return [job["state"].removeprefix("JOB_STATE_") for job in listed["jobs"]]

    def killed(self, number, fault, state):
        """What the next coordinator has of the jobs; all requests before that one were answered."""
        self.job_id = ""
        coordinator = self.start(state)
        for earlier in range(number):
            self.assertTrue(self.is_answered(earlier, coordinator))
        with self.injected([coordinator.process.pid], self.CALLS, fault):
            self.assertFalse(self.is_answered(number, coordinator))
            coordinator.process.kill()
            coordinator.process.wait()
        coordinator.stop()
        after = self.start(state)
        found = self.states(after)
        # Whoever asks again for what was not answered has it, once.
        if number == 0 or found == self.STATES[number]:
            self.assertTrue(self.is_answered(number, after))
        self.assertEqual(self.states(after), self.STATES[number + 1])
        after.stop()
        return found

    def test_what_was_answered_is_there_and_the_rest_wholly_or_not_at_all(self):
        for number in range(4):
            with self.subTest(request=number, killed="before the sync"):
                found = self.killed(number, "signal=SIGKILL", self.folder / f"before-{number}")
                self.assertIn(found, self.STATES[number:number + 2])
            with self.subTest(request=number, killed="before the answer"):
                found = self.killed(number, "delay_exit=60s", self.folder / f"after-{number}")
                self.assertEqual(found, self.STATES[number + 1])


class ChangedData(Faults):

    def test_data_that_changes_during_a_pause_is_refused_and_the_job_stays_paused(self):
        self.start_coordinator()
        job_id = self.running("changed")
        self.jobs("pause", job_id, "--wait")
        checkpoints = self.steps_of_checkpoints("changed")
        data = self.folder / "data/train.jsonl"
        shutil.copy(data, self.folder / "train.before")
        lines = data.read_text().splitlines(keepends=True)
        data.write_text("".join(reversed(lines)))
        self.jobs("resume", job_id)
        job = self.wait_for(job_id, lambda job: job["state"] == "JOB_STATE_PAUSED" and job["generation"] == "2")
        self.assertIn("its inputs are refused, which an earlier attempt had read: rank 0: the training data",
                      job["state_reason"])
        self.assertEqual(job["failure"]["kind"], "FAILURE_KIND_INVALID_INPUT")
        self.assertEqual(self.steps_of_checkpoints("changed"), checkpoints)
        self.has_no_ranks(job_id)
        # A disk that is not there is the same.
        data.unlink()
        self.jobs("resume", job_id)
        job = self.wait_for(job_id, lambda job: job["state"] == "JOB_STATE_PAUSED" and job["generation"] == "3")
        self.assertIn(str(data), job["state_reason"])
        # With the data as it was the run goes on to the same end.
        shutil.copy(self.folder / "train.before", data)
        self.jobs("resume", job_id)
        job = self.wait_for_end(job_id)
        self.assertEqual(job["state"], "JOB_STATE_SUCCEEDED", job["state_reason"])
        self.same_run("whole", "changed")


class Backups(Faults):

    def test_a_restored_backup_says_how_to_go_on(self):
        """Of before the steps that the job has done since: these are in its checkpoints alone."""
        self.start_coordinator()
        job_id = self.running("older")
        database, backup = self.folder / "state/coordinator.sqlite3", self.folder / "backup.sqlite3"
        with contextlib.closing(sqlite3.connect(database)) as source:
            with contextlib.closing(sqlite3.connect(backup)) as copy:
                source.backup(copy)
        self.wait_for_checkpoint(job_id, 100)
        address = self.coordinator.address
        os.kill(self.coordinator_pid(), signal.SIGKILL)
        self.coordinator.stop()
        for suffix in ("-wal", "-shm"):
            (self.folder / f"state/coordinator.sqlite3{suffix}").unlink(missing_ok=True)
        shutil.copy(backup, database)
        self.start_coordinator(listen=address)  # beside the ranks, which have done steps that it does not know
        job = self.wait_for(job_id, lambda job: job["state"] == "JOB_STATE_PAUSED")
        self.assertRegex(job["state_reason"], r"its checkpoint is of \d+ steps, but the steps on record end at \d+")
        self.assertIn("cancel the job, and submit it again with training.resume_from_checkpoint: latest",
                      job["state_reason"])
        self.assertTrue(self.steps_of_checkpoints("older"))
        self.jobs("cancel", job_id)
        job = self.wait_for_end(self.submit("older", "--set", "training.resume_from_checkpoint=latest"))
        self.assertEqual(job["state"], "JOB_STATE_SUCCEEDED", job["state_reason"])
        self.same_run("whole", "older")


class Requests(Faults):
    """Of people, at bad moments."""

    def cancelled(self, job_id):
        self.jobs("cancel", job_id)
        job = self.wait_for_end(job_id)
        self.assertEqual(job["state"], "JOB_STATE_CANCELLED", job["state_reason"])
        self.has_no_ranks(job_id)
        time.sleep(2)  # no later attempt
        self.assertEqual(self.job(job_id)["generation"], job["generation"])
        self.assertEqual(self.ranks(job_id), [])
        self.jobs("cancel", job_id)  # twice does no harm

    def test_cancel_while_the_ranks_start(self):
        self.start_coordinator()
        job_id = self.submit("starting")
        self.wait_for(job_id, lambda job: job["state"] == "JOB_STATE_STARTING")
        self.cancelled(job_id)

    def test_cancel_while_the_job_recovers(self):
        self.start_coordinator()
        job_id = self.running("recovering")
        os.kill(self.ranks(job_id)[-1], signal.SIGKILL)
        self.wait_for(job_id, lambda job: job["state"] != "JOB_STATE_RUNNING")
        self.cancelled(job_id)

    def test_cancel_while_the_job_pauses(self):
        self.start_coordinator()
        job_id = self.running("pausing")
        with self.stopped(*self.ranks(job_id)):
            self.jobs("pause", job_id)
            self.wait_for_state(job_id, "PAUSING")
            self.jobs("cancel", job_id)
        self.cancelled(job_id)

    def test_cancel_while_a_checkpoint_is_written(self):
        self.start_coordinator()
        job_id = self.running("writing")
        with self.injected(self.ranks(job_id), "fdatasync", "delay_enter=3s"):
            self.jobs("checkpoint", job_id)
            self.wait_until("no checkpoint is written", lambda: "fdatasync" in (self.folder / "calls").read_text())
            self.cancelled(job_id)

    def test_cancel_while_the_job_succeeds(self):
        """One of the two, and what that means: with success there is a model, after a cancel nothing changes."""
        self.SECTIONS = {**self.SECTIONS, "training": {**self.SECTIONS["training"], "max_steps": 20},
                         "checkpoint": {"every_steps": 0, "every_seconds": 0}}
        self.start_coordinator()
        for last in (20, 19, 15, 5):
            name = f"last-{last}"
            job_id = self.submit(name)
            self.wait_for(job_id, lambda job: int(job["step"]) >= last)
            # Refused where the job has succeeded.
            programs.run("equipoise", "jobs", "cancel", job_id, "--coordinator", self.coordinator.address,
                         prefix=self.host.command())
            job = self.wait_for_end(job_id)
            self.assertIn(job["state"], ("JOB_STATE_SUCCEEDED", "JOB_STATE_CANCELLED"))
            if job["state"] == "JOB_STATE_SUCCEEDED":
                self.assertTrue((self.folder / name / "final/model.safetensors").exists())
            self.has_no_ranks(job_id)
            self.assertEqual(self.job(job_id)["state"], job["state"])

    def test_cancel_while_the_coordinator_starts_again(self):
        self.start_coordinator()
        job_id = self.running("returning")
        os.kill(self.coordinator_pid(), signal.SIGKILL)
        self.coordinator.stop()
        self.start_coordinator()
        self.cancelled(job_id)

    def test_a_job_that_trains_is_not_deleted(self):
        self.start_coordinator()
        job_id = self.running("kept")
        refused = programs.run("equipoise", "jobs", "delete", job_id, "--coordinator", self.coordinator.address,
                               prefix=self.host.command())
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("RUNNING", refused.stderr)
        self.ends_as_if_undisturbed(job_id, "kept", restarts=0)


# unittest would run the tests of the base again.
for inherited in [name for name in dir(restarts_test.Restarts) if name.startswith("test_")]:
    setattr(Faults, inherited, None)

if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Programs that are killed, or lose their power, at each of their writes: when a fork is made, in the files of
attempts, when a job is resumed, in the webhook's cursor, while a run is resumed, when a checkpoint is removed, and in
checkpoints of language models. Whatever is left, the service starts, what was acknowledged is there, and each run ends
like one that was not disturbed.

EQUIPOISE_CRASH_STRIDE=1 tries every operation; without it some of them are tried.
"""

import json
import os
import pathlib
import shutil
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import checkpoint_crash_test  # noqa: E402  (its own tests, and those below, are not this file's)
import restarts_test  # noqa: E402
import resume_test  # noqa: E402
import webhook_test  # noqa: E402

STRIDE = os.environ.get("EQUIPOISE_CRASH_STRIDE")
MOST = 1000  # operations of a case
BEFORE_REMOVAL = 6  # operations on a checkpoint of a log-linear policy, which make it


def stride(usual):
    return int(STRIDE or usual)


class Crash:
    """Of a program, at one operation below a folder, once."""

    def __init__(self, folder, program, below, at, kills=False, named=None, writes=True, during=None):
        self.at = at
        self.marker = folder / f"crashed-{program}-{at}-{kills}"
        self.variables = {
            "LD_PRELOAD": str(checkpoint_crash_test.PRELOAD), "EQUIPOISE_CRASH_PROGRAM": program,
            "EQUIPOISE_CRASH_BELOW": str(below), "EQUIPOISE_CRASH_AT": str(at),
            "EQUIPOISE_CRASH_ONCE": str(self.marker), **({"EQUIPOISE_CRASH_EACH": "1"} if writes else {}),
            **({"EQUIPOISE_CRASH_KILLS": "1"} if kills else {}), **({"EQUIPOISE_CRASH_NAMED": named} if named else {}),
            **({"EQUIPOISE_CRASH_WHILE": str(during)} if during else {})}

    def has_come(self):
        return self.marker.exists()


def without_tests(base):
    """unittest would run the tests of the base again."""
    for inherited in [name for name in dir(base) if name.startswith("test_")]:
        setattr(base, inherited, None)
    return base


@without_tests
class CrashesOfService(checkpoint_crash_test.CheckpointCrashes):
    """One coordinator after the other at one address, and jobs of one rank that train in a second."""

    coordinator = None
    arguments = ()  # of the coordinator

    def start(self, crash=None):
        """False: the crash has come before the coordinator could be reached."""
        listen = self.coordinator.address if self.coordinator else "127.0.0.1:0"
        try:
            self.coordinator = programs.Coordinator(self.folder / "state", *self.arguments, listen=listen,
                                                    variables=crash.variables if crash else None)
        except RuntimeError as failure:
            self.assertTrue(crash and crash.has_come(), failure)
            return False
        self.addCleanup(self.coordinator.stop)
        return True

    def revive(self):
        if self.coordinator.process.poll() is not None:
            self.coordinator.stop()
            self.start()

    def ask(self, verb, *arguments):
        return programs.run("equipoise", *verb.split(), *arguments, "--timeout", "2", "--coordinator",
                            self.coordinator.address)

    def finish(self, job_id, meanwhile=lambda: None):
        """The job at its end, whatever befalls the coordinator before."""
        end = time.monotonic() + restarts_test.STATE_WAIT
        while time.monotonic() < end:
            meanwhile()
            self.revive()
            answer = self.ask("jobs get", job_id, "--json")
            job = json.loads(answer.stdout) if answer.returncode == 0 else {"state": answer.stderr}
            if job["state"] in restarts_test.FINAL_STATES:
                self.assertEqual(job["state"], "JOB_STATE_SUCCEEDED", job["state_reason"])
                return job
            time.sleep(0.05)
        self.fail(f"still {job}")

    def each_step_once(self, job_id, first=0, steps=30):
        kept = json.loads(self.ask("jobs weights", job_id, "--json").stdout)
        self.assertEqual([int(record.get("step", 0)) for record in kept["records"]], list(range(first, steps)))

    @staticmethod
    def id_of(output):
        return output.strip().splitlines()[-1].split()[-1]


class Forks(CrashesOfService):
    """The coordinator, at the links to the checkpoint that a fork begins with."""

    def test_at_each_operation_of_a_fork(self):
        self.start()
        parent = self.id_of(self.ask("submit", self.job("parent"), "--np", "1").stdout)
        self.finish(parent)
        for kills in (False, True):
            at, has_come = 0, True
            while has_come and at < MOST:
                has_come = False
                with self.subTest(operation=at, kills=kills):
                    has_come = self.fork_with_crash(parent, at, kills)
                at += stride(3)
            self.assertFalse(has_come)
            self.assertGreater(at, 10)

    def fork_with_crash(self, parent, at, kills):
        self.assertEqual(self.coordinator.stop(), 0)
        output = self.folder / f"fork-{at}-{kills}"
        crash = Crash(self.folder, "equipoise-coordinator", self.folder / "parent", at, kills)
        fork = None
        if self.start(crash):
            asked = self.ask("jobs fork", parent, "--at", "20", "--output", output)
            fork = self.id_of(asked.stdout) if asked.returncode == 0 else None
            self.assertTrue(fork or crash.has_come(), asked.stderr)
        self.revive()
        if fork is None:
            listed = json.loads(self.ask("jobs list", "--json").stdout)["jobs"]
            fork = next((job["id"] for job in listed if job["spec"]["output"] == str(output)), None)
        if fork is None:
            again = self.ask("jobs fork", parent, "--at", "20", "--output", output)
            self.assertEqual(again.returncode, 0, again.stderr)
            fork = self.id_of(again.stdout)
        self.finish(fork)
        self.same_run("parent", output.name)
        self.each_step_once(fork, 20)
        self.succeed("equipoise", "checkpoints", "verify", self.folder / "parent")
        if crash.has_come():  # what it has left goes with the next start at the latest
            self.revive()
            self.assertEqual(self.coordinator.stop(), 0)
            self.start()
        left = [entry.name for entry in (self.folder / "parent").iterdir() if entry.name.startswith("fork-")]
        self.assertEqual(left, [])
        return crash.has_come()


class AttemptFiles(CrashesOfService):
    """Of an attempt: the shim's, and what the coordinator makes for it."""

    def test_at_each_operation_of_a_shim(self):
        self.each_operation("equipoise-shim", with_coordinator=False)

    def test_at_each_operation_of_a_shim_and_the_coordinator_with_it(self):
        self.each_operation("equipoise-shim", with_coordinator=True)

    def test_at_each_operation_of_the_coordinator(self):
        self.each_operation("equipoise-coordinator", with_coordinator=False)

    def each_operation(self, program, with_coordinator):
        self.succeed("equipoise", "train", self.job("whole"), "--quiet")
        at, has_come = 0, True
        while has_come and at < MOST:
            has_come = False
            with self.subTest(operation=at):
                has_come = self.run_with_crash(program, at, with_coordinator)
            at += stride(1)
        self.assertFalse(has_come)
        self.assertGreater(at, 2)

    def run_with_crash(self, program, at, with_coordinator):
        if self.coordinator:
            self.assertEqual(self.coordinator.stop(), 0)
        crash = Crash(self.folder, program, self.folder / "state/attempts", at, kills=True)
        self.assertTrue(self.start(crash))
        name, killed = f"job-{at}", []

        def kill():
            if with_coordinator and crash.has_come() and not killed:
                killed.append(True)
                self.coordinator.process.kill()
                self.coordinator.process.wait()

        self.job(name)
        submitted = self.ask("submit", self.folder / f"{name}.yaml", "--np", "1", "--set", "launch.max_restarts=2")
        if submitted.returncode != 0:
            self.assertTrue(crash.has_come(), submitted.stderr)
            self.revive()
            listed = json.loads(self.ask("jobs list", "--json").stdout)["jobs"]
            job_id = next(job["id"] for job in listed if job["spec"]["output"] == str(self.folder / name))
        else:
            job_id = self.id_of(submitted.stdout)
        self.finish(job_id, kill)
        self.same_run("whole", name)
        self.each_step_once(job_id)
        self.revive()
        self.assertEqual(self.coordinator.stop(), 0)
        self.start()
        self.assertEqual(list((self.folder / "state/attempts").iterdir()), [])
        return crash.has_come()


class ResumesOfJobs(CrashesOfService):
    """The coordinator, from `jobs resume` until the attempt that comes of it has begun. Its mpirun waits meanwhile, so
    that no step's writes count."""

    def setUp(self):
        super().setUp()
        self.counting, self.began = self.folder / "counting", self.folder / "began"
        mpirun = self.folder / "mpirun"
        mpirun.write_text(f'#!/bin/sh\ntouch {self.began}\nwhile [ -e {self.counting} ]; do sleep 0.02; done\n'
                          f'exec {shutil.which("mpirun")} "$@"\n')
        mpirun.chmod(0o755)
        self.arguments = ("--mpirun", str(mpirun))

    def submit(self, name):
        said = self.ask("submit", self.job(name), "--np", "1", "--set", "launch.max_restarts=3")
        self.assertEqual(said.returncode, 0, said.stderr)
        return self.id_of(said.stdout)

    def get(self, job_id):
        return json.loads(self.ask("jobs get", job_id, "--json").stdout)

    def wait_for(self, is_reached):
        end = time.monotonic() + restarts_test.STATE_WAIT
        while not is_reached():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def each_operation(self, run_with_crash, usual):
        at, has_come = 0, True
        while has_come and at < MOST:
            has_come = False
            with self.subTest(operation=at):
                crash = Crash(self.folder, "equipoise-coordinator", self.folder / "state", at, kills=True,
                              during=self.counting)
                run_with_crash(crash)
                has_come = crash.has_come()
            at += stride(usual)
        self.assertFalse(has_come)
        self.assertGreater(at, 2)

    def each_operation_from(self, job_id, steps, usual):
        """As the job is now, again and again."""
        self.assertEqual(self.coordinator.stop(), 0)
        places = [name for name in ("state", "resumed") if (self.folder / name).exists()]
        for name in places:
            shutil.copytree(self.folder / name, self.folder / "kept" / name)

        def run_with_crash(crash):
            self.coordinator.stop()
            for name in ("state", "resumed"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
            for name in places:
                shutil.copytree(self.folder / "kept" / name, self.folder / name)
            self.assertTrue(self.start(crash))
            self.resume(job_id, crash, self.until_it_has_begun)
            self.ends_undisturbed(job_id, "resumed", steps)

        self.each_operation(run_with_crash, usual)

    def until_it_has_begun(self):
        self.wait_for(lambda: self.began.exists() or self.coordinator.process.poll() is not None)
        time.sleep(0.1)  # until the coordinator has stored that, too

    def resume(self, job_id, crash, counted):
        """`counted`: what is done before operations count no more."""
        self.began.unlink(missing_ok=True)
        self.counting.touch()
        resumed = self.ask("jobs resume", job_id)
        counted()
        self.counting.unlink()
        self.revive()
        if resumed.returncode != 0:
            self.assertTrue(crash.has_come(), resumed.stderr)
            if self.get(job_id)["state"] in ("JOB_STATE_PAUSED", "JOB_STATE_PAUSING"):
                self.assertEqual(self.ask("jobs resume", job_id).returncode, 0)

    def ends_undisturbed(self, job_id, name, steps):
        self.finish(job_id)
        self.same_run("whole", name)
        self.each_step_once(job_id, steps=steps)
        self.assertEqual(self.coordinator.stop(), 0)
        self.start()
        self.assertEqual(list((self.folder / "state/attempts").iterdir()), [])

    def test_of_a_job_that_has_not_begun(self):
        self.succeed("equipoise", "train", self.job("whole"), "--quiet")
        self.start()
        self.counting.touch()
        first, job_id = self.submit("first"), self.submit("resumed")
        self.succeed("equipoise", "jobs", "pause", job_id, "--wait", "--coordinator", self.coordinator.address)
        self.succeed("equipoise", "jobs", "cancel", first, "--coordinator", self.coordinator.address)
        self.wait_for(lambda: self.get(first)["state"] == "JOB_STATE_CANCELLED")
        self.counting.unlink()
        self.assertEqual((self.get(job_id)["state"], self.get(job_id)["generation"]), ("JOB_STATE_PAUSED", "0"))
        self.each_operation_from(job_id, 30, usual=9)


class ResumesOfLongJobs(ResumesOfJobs):
    """Those of jobs that have done steps."""

    STEPS = 1500  # so that none ends before a pause has come with a heartbeat
    test_of_a_job_that_has_not_begun = None

    def setUp(self):
        super().setUp()
        self.small_model()
        self.succeed("equipoise", "train", self.job("whole"), "--quiet")
        self.start()

    def job(self, name):
        return self.write_job(name, training={**resume_test.TRAINING, "max_steps": self.STEPS},
                              checkpoint={"every_steps": 100, "every_seconds": 0, "keep": 2})

    def training(self, name):
        job_id = self.submit(name)
        self.wait_for(lambda: int(self.get(job_id).get("step", 0)) >= 10)
        return job_id

    def test_of_a_paused_job_whose_resume_makes_an_attempt(self):
        job_id = self.training("resumed")
        self.succeed("equipoise", "jobs", "pause", job_id, "--wait", "--coordinator", self.coordinator.address)
        self.assertEqual(self.get(job_id)["generation"], "1")
        self.each_operation_from(job_id, self.STEPS, usual=1)

    def test_of_a_job_whose_ranks_are_about_to_leave(self):
        def run_with_crash(crash):
            self.coordinator.stop()
            self.assertTrue(self.start(crash))
            name = f"leaving-{crash.at}"
            job_id = self.training(name)
            [rank] = restarts_test.RunsOfService.ranks(job_id)
            os.kill(rank, signal.SIGSTOP)
            try:
                self.assertEqual(self.ask("jobs pause", job_id).returncode, 0)
                self.assertEqual(self.get(job_id)["state"], "JOB_STATE_PAUSING")
                self.resume(job_id, crash, lambda: None)  # its ranks would do steps
            finally:
                os.kill(rank, signal.SIGCONT)
            self.ends_undisturbed(job_id, name, self.STEPS)

        self.each_operation(run_with_crash, usual=1)

    def test_of_a_failed_job_nothing_is_stored(self):
        said = self.ask("submit", self.job("failing"), "--np", "1", "--set", "launch.max_restarts=0")
        job_id = self.id_of(said.stdout)
        self.wait_for(lambda: int(self.get(job_id).get("step", 0)) >= 10)
        os.kill(restarts_test.RunsOfService.ranks(job_id)[0], signal.SIGKILL)
        self.wait_for(lambda: self.get(job_id)["state"] == "JOB_STATE_FAILED")
        self.assertEqual(self.coordinator.stop(), 0)
        crash = Crash(self.folder, "equipoise-coordinator", self.folder / "state", 0, kills=True, during=self.counting)
        self.assertTrue(self.start(crash))
        before = self.get(job_id)
        self.counting.touch()
        resumed = self.ask("jobs resume", job_id)
        self.assertEqual(resumed.returncode, 2, resumed.stderr)
        self.assertIn("a job that has ended cannot be resumed", resumed.stderr)
        self.assertEqual(self.get(job_id), before)
        self.counting.unlink()
        self.assertFalse(crash.has_come())


@without_tests
class Receivers(webhook_test.Webhook):
    """Without the tests of its base."""


class WebhookCursor(Receivers):
    """The coordinator, at the file in which it keeps what has been delivered."""

    def test_at_each_operation_no_event_is_left_out(self):
        jobs = []
        for kills in (False, True):
            at, has_come = 0, True
            while has_come and at < MOST:
                has_come = False
                with self.subTest(operation=at, kills=kills):
                    crash = Crash(self.folder, "equipoise-coordinator", self.folder / "state", at, kills, "webhook")
                    jobs.append(self.events_with_crash(crash, f"job-{len(jobs)}"))
                    has_come = crash.has_come()
                at += stride(1)
            self.assertFalse(has_come)
            self.assertGreater(at, 5)
        self.start()
        left = [entry.name for entry in (self.folder / "state").iterdir() if ".partial-" in entry.name]
        self.assertEqual(left, [], "what kills have left of the file is still there")
        wanted = self.ids(*jobs)
        received = self.receiver.events()
        self.assertEqual(set(received), set(wanted))
        self.assertGreater(len(received), len(wanted), "what was not on record has come again")
        for job in jobs:
            first = list(dict.fromkeys(event for event in received if event.startswith(job + "/")))
            self.assertEqual(first, self.ids(job), "in their order")

    def start(self, crash=None):
        try:
            self.coordinator = programs.Coordinator(
                self.folder / "state", "--webhook", f"http://127.0.0.1:{self.receiver.port}/",
                "--webhook-secret-file", str(self.secret), variables=crash.variables if crash else None)
        except RuntimeError as failure:
            self.assertTrue(crash and crash.has_come(), failure)
            self.coordinator = programs.Coordinator(
                self.folder / "state", "--webhook", f"http://127.0.0.1:{self.receiver.port}/",
                "--webhook-secret-file", str(self.secret))
        self.addCleanup(self.coordinator.stop)

    def ask(self, *arguments):
        """By a coordinator that may be killed meanwhile, and is started again then."""
        if self.coordinator.process.poll() is not None:
            self.coordinator.stop()
            self.start()
        return programs.run("equipoise", *arguments, "--timeout", "1", "--coordinator", self.coordinator.address)

    def events_with_crash(self, crash, name):
        """A job that is made and cancelled, and told of."""
        self.start(crash)
        job, end = None, time.monotonic() + restarts_test.STATE_WAIT
        while job is None or job["state"] != "JOB_STATE_CANCELLED":
            self.assertLess(time.monotonic(), end)
            listed = self.ask("jobs", "list", "--json")
            jobs = json.loads(listed.stdout)["jobs"] if listed.returncode == 0 else []
            job = next((one for one in jobs if one["spec"]["name"] == name), None)
            if job is not None:
                self.ask("jobs", "cancel", job["id"])
            elif listed.returncode == 0:
                self.assertNotEqual(self.ask("submit", self.write_job(name), "--external").returncode, 2)
        while not set(self.ids_of(job["id"])) <= set(self.receiver.events()):
            self.assertLess(time.monotonic(), end, self.log())
            time.sleep(0.02)
        time.sleep(0.1)  # until the newest is on record, or the crash has come
        self.ask("jobs", "list")
        self.assertEqual(self.coordinator.stop(), 0)
        return job["id"]

    def ids_of(self, job_id):
        listed = self.ask("jobs", "events", job_id, "--json")
        events = json.loads(listed.stdout)["events"] if listed.returncode == 0 else [{"revision": "not known"}]
        return [f"{job_id}/{event['revision']}" for event in events]



class CrashesOfRuns(checkpoint_crash_test.CheckpointCrashes):
    """Of rank 0 of runs without a service, which go on with --resume."""

    test_at_each_operation_a_whole_checkpoint_is_left = None  # of its base

    def train_with_crash(self, job, output, at, kills, *options, **which):
        """Whether the crash has come."""
        crash = Crash(self.folder, "equipoise-worker", output, at, kills, **which)
        crash.marker.unlink(missing_ok=True)
        result = programs.run("equipoise", "train", job, "--quiet", *options, **crash.variables)
        self.assertEqual(result.returncode != 0, crash.has_come(), result.stderr)
        return crash.has_come()

    def goes_on_from_a_whole_checkpoint(self, job, name):
        if (self.folder / name).exists():
            self.succeed("equipoise", "checkpoints", "verify", self.folder / name)
        self.succeed("equipoise", "train", job, "--quiet", "--resume")
        self.same_run("whole", name)
        self.succeed("equipoise", "verify", self.folder / name, "--quiet")


class Resumes(CrashesOfRuns):
    """While a run goes on that has been cut off before."""

    def test_at_each_operation_of_a_resume(self):
        self.succeed("equipoise", "train", self.job("whole"), "--quiet")
        job = self.job("cut")
        self.assertTrue(self.train_with_crash(job, self.folder / "cut", 90, kills=True))
        steps = self.steps_of_checkpoints("cut")
        self.assertTrue(steps and steps[-1] < 30, steps)
        for kills in (False, True):
            at, has_come = 0, True
            while has_come and at < MOST:
                has_come = False
                with self.subTest(operation=at, kills=kills):
                    name = f"resumed-{at}-{str(kills).lower()}"
                    shutil.copytree(self.folder / "cut", self.folder / name)
                    job = self.job(name)
                    has_come = self.train_with_crash(job, self.folder / name, at, kills, "--resume")
                    self.goes_on_from_a_whole_checkpoint(job, name)
                    left = [entry.name for entry in (self.folder / name).iterdir() if ".partial-" in entry.name]
                    self.assertEqual(left, [], "of files that were being written")
                at += stride(17)
            self.assertFalse(has_come)
            self.assertGreater(at, 30)


class Removals(CrashesOfRuns):
    """Of a checkpoint that is not kept: it is whole, or no checkpoint any more."""

    def test_at_each_operation_on_the_first_checkpoint(self):
        self.succeed("equipoise", "train", self.job("whole"), "--quiet")
        at, has_come = BEFORE_REMOVAL, True
        while has_come and at < MOST:
            has_come = False
            with self.subTest(operation=at):
                job = self.job(f"cut-{at}")
                has_come = self.train_with_crash(job, self.folder / f"cut-{at}", at, False, named="step-10",
                                                 writes=False)
                if has_come:
                    self.goes_on_from_a_whole_checkpoint(job, f"cut-{at}")
            at += stride(1)
        self.assertFalse(has_come)
        self.assertGreater(at, BEFORE_REMOVAL + 3)


class LanguageModels(CrashesOfRuns):
    """In checkpoints of all kinds of parameters and optimisers' states."""

    KINDS = {
        "full": {"model": {"path": "model"}},
        "muon": {"model": {"path": "model", "dtype": "bfloat16"}, "optimizer": {"type": "muon", "learning_rate": 1e-3}},
        "nf4": {"model": {"path": "model", "lora": {"r": 4, "dropout": 0.1}, "quantization": "nf4"}},
    }

    def job(self, name):
        return self.write_job(name, training={**resume_test.TRAINING, "max_steps": 6},
                              checkpoint={"every_steps": 2, "keep": 2}, launch={"max_restarts": 0}, **self.sections)

    def each_operation(self, kind):
        self.small_model()
        self.sections = self.KINDS[kind]
        self.succeed("equipoise", "train", self.job("whole"), "--quiet")
        for kills, first in ((False, 0), (True, stride(61) // 2)):
            at, has_come = first, True
            while has_come and at < MOST:
                has_come = False
                with self.subTest(operation=at, kills=kills):
                    name = f"cut-{at}-{str(kills).lower()}"
                    job = self.job(name)
                    has_come = self.train_with_crash(job, self.folder / name, at, kills)
                    if has_come:
                        self.goes_on_from_a_whole_checkpoint(job, name)
                at += stride(61)
            self.assertFalse(has_come)
            self.assertGreater(at, 60)

    def test_of_all_parameters(self):
        self.each_operation("full")

    def test_of_bfloat16_with_masters_and_momentum(self):
        self.each_operation("muon")

    def test_of_an_adapter_on_quantised_weights(self):
        self.each_operation("nf4")


if __name__ == "__main__":
    unittest.main()

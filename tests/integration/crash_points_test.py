#!/usr/bin/env python3
"""Programs that are killed, or lose their power, at each of their writes: when a fork is made, in the files of
attempts, in the webhook's cursor, while a run is resumed, when a checkpoint is removed, and in checkpoints of language
models. Whatever is left, the service starts, what was acknowledged is there, and each run ends like one that was not
disturbed.

EQUIPOISE_CRASH_STRIDE=1 tries every operation; without it some of them are tried.
"""

import json
import os
import pathlib
import shutil
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

    def __init__(self, folder, program, below, at, kills=False, named=None, writes=True):
        self.marker = folder / f"crashed-{program}-{at}-{kills}"
        self.variables = {
            "LD_PRELOAD": str(checkpoint_crash_test.PRELOAD), "EQUIPOISE_CRASH_PROGRAM": program,
            "EQUIPOISE_CRASH_BELOW": str(below), "EQUIPOISE_CRASH_AT": str(at),
            "EQUIPOISE_CRASH_ONCE": str(self.marker), **({"EQUIPOISE_CRASH_EACH": "1"} if writes else {}),
            **({"EQUIPOISE_CRASH_KILLS": "1"} if kills else {}), **({"EQUIPOISE_CRASH_NAMED": named} if named else {})}

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

    def start(self, crash=None):
        """False: the crash has come before the coordinator could be reached."""
        listen = self.coordinator.address if self.coordinator else "127.0.0.1:0"
        try:
            self.coordinator = programs.Coordinator(self.folder / "state", listen=listen,
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

    def each_step_once(self, job_id, first=0):
        kept = json.loads(self.ask("jobs weights", job_id, "--json").stdout)
        self.assertEqual([int(record.get("step", 0)) for record in kept["records"]], list(range(first, 30)))

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

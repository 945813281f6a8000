#!/usr/bin/env python3
"""Jobs with checkpoints under random faults, for ten minutes: how fast they recover, what they lose, and whether they end
like a run that was not disturbed.

    tests/soak/soak.py [--seconds 600] [--seed N] [--steps 1500]

Faults come every 5 to 15 s: kill -9 of a rank, of mpirun, of the coordinator; SIGSTOP of a rank; SIGTERM of a rank and of
the coordinator; a pause and a resume. The last line is "N passed, N failed": a job passes where its metrics and its model
are those of the undisturbed run, bit by bit, and each step is on record once.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))
sys.path.insert(0, str(TESTS / "integration"))
import programs  # noqa: E402

programs.with_python_deps()
import resume_test  # noqa: E402

FINAL_STATES = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
LONGEST_JOB = 1800  # seconds, with all its faults
POLL = 0.1
SETTLING = 0.3  # seconds in which steps that were under way at a fault may still be reported


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def pids(pattern):
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


class Soak(resume_test.ResumeTest):
    """One coordinator after the other, at one address and over one state folder."""

    maxDiff = 1000

    def begin(self, options):
        self.random = random.Random(options.seed)
        self.sections = {"training": {**resume_test.TRAINING, "max_steps": options.steps},
                         "checkpoint": {"every_steps": 25}, "evaluation": {"every_steps": options.steps // 4},
                         "launch": {"max_restarts": 50}}
        self.small_model()
        start = time.monotonic()
        self.train("whole", 2, **self.sections)
        self.undisturbed = time.monotonic() - start
        self.coordinator = programs.Coordinator(self.folder / "state")
        self.addCleanup(lambda: self.coordinator.stop())
        self.recoveries, self.faults, self.lost, self.doubled = [], {}, 0, 0

    def restart_coordinator(self):
        address = self.coordinator.address
        self.coordinator.stop()
        self.coordinator = programs.Coordinator(self.folder / "state", listen=address)

    def job(self, job_id):
        return json.loads(self.succeed("equipoise", "jobs", "get", job_id, "--json", "--coordinator",
                                       self.coordinator.address))

    def ask(self, verb, job_id):
        """What people ask may come at a time when it is refused."""
        return programs.run("equipoise", "jobs", verb, job_id, "--coordinator", self.coordinator.address).returncode == 0

    # --- faults; each returns whether it befell the job

    def kill_rank(self, job_id):
        return self.signal(self.ranks(job_id), signal.SIGKILL)

    def terminate_rank(self, job_id):
        return self.signal(self.ranks(job_id), signal.SIGTERM)

    def stop_rank(self, job_id):
        """For a time that no deadline counts as a failure."""
        ranks = self.ranks(job_id)
        if not ranks:
            return False
        pid = self.random.choice(ranks)
        if not self.signal([pid], signal.SIGSTOP):
            return False
        time.sleep(self.random.uniform(0.5, 4))
        return self.signal([pid], signal.SIGCONT)

    def kill_mpirun(self, job_id):
        return self.signal(pids(rf"^[^ ]*mpirun .*{job_id}"), signal.SIGKILL)

    def kill_coordinator(self, _):
        self.befell_at = time.monotonic()
        self.coordinator.process.kill()
        self.restart_coordinator()
        return True

    def stop_coordinator(self, _):
        self.befell_at = time.monotonic()
        self.restart_coordinator()
        return True

    def pause_and_resume(self, job_id):
        if not self.ask("pause", job_id):
            return False
        time.sleep(self.random.uniform(0, 3))
        while not self.ask("resume", job_id):
            if self.job(job_id)["state"] in FINAL_STATES:
                return False
            time.sleep(POLL)
        self.befell_at = time.monotonic()
        return True

    @staticmethod
    def ranks(job_id):
        return pids(rf"^[^ ]*equipoise-worker .*{job_id}")

    def signal(self, found, number):
        if not found:
            return False
        self.befell_at = time.monotonic()
        try:
            os.kill(self.random.choice(found), number)
        except ProcessLookupError:
            return False
        return True

    # --- jobs

    def await_progress(self, job_id, end):
        """Until a step is done that was not soon after the fault; returns the job."""
        time.sleep(SETTLING)
        before = self.job(job_id)
        while time.monotonic() < end:
            now = self.job(job_id)
            has_gone_on = now["state"] == "JOB_STATE_RUNNING" and int(now.get("step", 0)) > int(before.get("step", 0))
            if has_gone_on:
                self.recoveries.append(time.monotonic() - self.befell_at)
            if has_gone_on or now["state"] in FINAL_STATES:
                return now
            time.sleep(POLL)
        self.fail(f"{job_id} is {now['state']}: {now['state_reason']}")

    def disturb(self, job_id, end):
        kinds = (self.kill_rank, self.terminate_rank, self.stop_rank, self.kill_mpirun, self.kill_coordinator,
                 self.stop_coordinator, self.pause_and_resume)
        fault = self.random.choice(kinds)
        if not fault(job_id):
            return
        name = fault.__name__
        self.faults[name] = self.faults.get(name, 0) + 1
        self.await_progress(job_id, end)

    def run_job(self, name):
        """Returns how long it took, with all that befell it."""
        job = self.write_job(name, **self.sections)
        start = time.monotonic()
        job_id = self.succeed("equipoise", "submit", job, "--np", "2", "--coordinator",
                              self.coordinator.address).strip().splitlines()[-1].split()[-1]
        end = start + LONGEST_JOB
        next_fault = start + self.random.uniform(2, 10)
        while (now := self.job(job_id))["state"] not in FINAL_STATES:
            self.assertLess(time.monotonic(), end, now["state_reason"])
            if time.monotonic() >= next_fault:
                self.disturb(job_id, end)
                next_fault = time.monotonic() + self.random.uniform(5, 15)
            time.sleep(POLL)
        taken = time.monotonic() - start
        self.assertEqual(now["state"], "JOB_STATE_SUCCEEDED", now["state_reason"])
        self.check_steps(job_id)
        self.same_run("whole", name)
        return taken

    def check_steps(self, job_id):
        kept = json.loads(self.succeed("equipoise", "jobs", "weights", job_id, "--json", "--coordinator",
                                       self.coordinator.address))
        steps = [int(record.get("step", 0)) for record in kept["records"]]
        wanted = range(self.sections["training"]["max_steps"])
        self.lost += len(set(wanted) - set(steps))
        self.doubled += len(steps) - len(set(steps))
        self.assertEqual(steps, list(wanted))

    def run_for(self, seconds):
        passed = failed = 0
        taken = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            name = f"soak{passed + failed}"
            try:
                taken.append(self.run_job(name))
                passed += 1
                print(f"{name}: like the run that was not disturbed, after {taken[-1]:.0f} s", flush=True)
            except Exception:  # whatever it is: the next job tells whether it comes again
                traceback.print_exc()
                failed += 1
                if self.coordinator.process.poll() is not None:
                    self.restart_coordinator()
        self.report(taken)
        print(f"{passed} passed, {failed} failed")
        return failed == 0 and passed > 0

    def report(self, taken):
        print("faults: " + ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(self.faults.items())))
        print(f"recovery from {len(self.recoveries)} faults: " + ", ".join(
            f"{name} {percentile(self.recoveries, share):.1f} s"
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("longest", 1))))
        if taken:
            goodput = 100 * len(taken) * self.undisturbed / sum(taken)
            print(f"goodput {goodput:.0f} %: {self.undisturbed:.0f} s of work a job, {sum(taken) / len(taken):.0f} s with faults")
        print(f"steps of alpha lost {self.lost}, doubled {self.doubled}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None, help="of the faults; default: another one each time")
    parser.add_argument("--steps", type=int, default=1500, help="of each job")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {options.seed}, {options.seconds:.0f} s", flush=True)
    soak = Soak("run_for")
    soak.setUp()
    try:
        soak.begin(options)
        ok = soak.run_for(options.seconds)
    finally:
        soak.doCleanups()
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Jobs with checkpoints under random faults, for ten minutes: how fast they recover, what they lose, and whether they end
like a run that was not disturbed.

    tests/soak/soak.py [--seconds 600] [--seed N] [--steps 1500]

Faults come every 5 to 15 s: kill -9 of a rank, of mpirun, of the coordinator; SIGSTOP of a rank; SIGTERM of a rank and
of the coordinator, with and without the ranks; a pause and a resume; a full disk under the coordinator's state, where
this may mount one. The last line is "N passed, N failed": a job passes where its metrics and its model are those of the
undisturbed run, bit by bit, and each step is on record once. Every third job is forked while faults go on, and the fork
must end so too. Every third has its settings changed: it passes where the weights and learning rates of all its steps
are what the changes on record give, and where its receipt is verified. The whole fails, too, where a step of alpha was
lost or doubled, or where jobs took longer to go on than p95 15 s and p99 20 s.
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
import disk_full_test  # noqa: E402
import live_settings_test  # noqa: E402
import resume_test  # noqa: E402

FINAL_STATES = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
LONGEST_JOB = 1800  # seconds, with all its faults
POLL = 0.1
SETTLING = 0.3  # seconds in which steps that were under way at a fault may still be reported
STATE_DISK = "64m"
WARMUP = 5  # steps
KINDS = ("plain", "changed", "forked")
RECOVERY_BARS = ((0.95, 15), (0.99, 20))  # share of faults, seconds until another step is done


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
        self.disk = None
        if os.environ[disk_full_test.MOUNTS]:
            print(f"no full disks: {os.environ[disk_full_test.MOUNTS]}", flush=True)
        else:
            self.disk = disk_full_test.Disk(self, self.folder / "state", STATE_DISK)
        self.start_coordinator()
        self.addCleanup(lambda: self.coordinator.stop())
        self.recoveries, self.faults, self.lost, self.doubled, self.work = [], {}, 0, 0, 0
        self.changes = self.forks = 0

    def start_coordinator(self, **options):
        on_shutdown = self.random.choice(("leave", "keep"))
        self.coordinator = programs.Coordinator(self.folder / "state", "--max-running-jobs", "2", "--on-shutdown",
                                                on_shutdown, **options)

    def restart_coordinator(self):
        address = self.coordinator.address
        self.coordinator.stop()
        self.start_coordinator(listen=address)

    def job(self, job_id):
        return json.loads(self.succeed("equipoise", "jobs", "get", job_id, "--json", "--coordinator",
                                       self.coordinator.address))

    def ask(self, verb, job_id, *options):
        """What people ask may come at a time when it is refused."""
        return programs.run("equipoise", "jobs", verb, job_id, *options, "--coordinator",
                            self.coordinator.address).returncode == 0

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

    def fill_disk(self, _):
        self.disk.fill()
        time.sleep(self.random.uniform(1, 6))
        self.disk.drain()
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
        kinds = [self.kill_rank, self.terminate_rank, self.stop_rank, self.kill_mpirun, self.kill_coordinator,
                 self.stop_coordinator, self.pause_and_resume] + ([self.fill_disk] if self.disk else [])
        fault = self.random.choice(kinds)
        if not fault(job_id):
            return
        name = fault.__name__
        self.faults[name] = self.faults.get(name, 0) + 1
        self.await_progress(job_id, end)

    @staticmethod
    def id_of(output):
        return output.strip().splitlines()[-1].split()[-1]

    def change_settings(self, job_id):
        settings = [f"trade_off={self.random.choice((0.25, 0.5, 0.75, 1))}",
                    f"step_size={self.random.choice((0.05, 0.1, 0.2))}",
                    f"learning_rate={self.random.choice((0.0005, 0.001, 0.002))}"]
        chosen = self.random.sample(settings, self.random.randint(1, len(settings)))
        self.changes += self.ask("set", job_id, *chosen)

    def fork(self, parent):
        """The id of a job that begins with the newest checkpoint of `parent`; None: there is none yet."""
        made = programs.run("equipoise", "jobs", "fork", parent, "--output", self.folder / f"{parent}-fork",
                            "--coordinator", self.coordinator.address)
        if made.returncode != 0:
            return None
        self.forks += 1
        return self.id_of(made.stdout)

    def run_job(self, name, kind):
        """Returns how long it took, with all that befell it."""
        sections = {**self.sections, "robust": live_settings_test.ROBUST} if kind == "changed" else self.sections
        job = self.write_job(name, **sections)
        start = time.monotonic()
        jobs = [self.id_of(self.succeed("equipoise", "submit", job, "--np", "2", "--coordinator",
                                        self.coordinator.address))]
        end = start + LONGEST_JOB
        next_fault = start + self.random.uniform(2, 10)
        next_wish = start + self.random.uniform(2, 6)
        while running := [job_id for job_id in jobs if self.job(job_id)["state"] not in FINAL_STATES]:
            self.assertLess(time.monotonic(), end, [self.job(job_id)["state_reason"] for job_id in running])
            if time.monotonic() >= next_wish:
                if kind == "changed":
                    self.change_settings(running[0])
                elif kind == "forked" and len(jobs) == 1 and (fork := self.fork(running[0])):
                    jobs.append(fork)
                next_wish = time.monotonic() + self.random.uniform(1, 4)
            if time.monotonic() >= next_fault:
                self.disturb(self.random.choice(running), end)
                next_fault = time.monotonic() + self.random.uniform(5, 15)
            time.sleep(POLL)
        taken = time.monotonic() - start
        for job_id in jobs:
            self.assertEqual(self.job(job_id)["state"], "JOB_STATE_SUCCEEDED", self.job(job_id)["state_reason"])
            self.check_steps(job_id)
        self.work += self.undisturbed
        if kind == "changed":
            self.check_changes(name, jobs[0])
        else:
            self.same_run("whole", name)
        for fork in jobs[1:]:
            self.same_run("whole", f"{jobs[0]}-fork")
            self.work += self.undisturbed * (1 - self.first_step(fork) / self.sections["training"]["max_steps"])
        return taken

    def first_step(self, job_id):
        return int(self.job(job_id).get("parent_step", 0))

    def history(self, job_id):
        return json.loads(self.succeed("equipoise", "jobs", "weights", job_id, "--json", "--coordinator",
                                       self.coordinator.address))

    def check_steps(self, job_id):
        steps = [int(record.get("step", 0)) for record in self.history(job_id)["records"]]
        wanted = range(self.first_step(job_id), self.sections["training"]["max_steps"])
        self.lost += len(set(wanted) - set(steps))
        self.doubled += len(steps) - len(set(steps))
        self.assertEqual(steps, list(wanted))

    def check_changes(self, name, job_id):
        """What held in each step is what the changes on record say, of two that hold the newer one."""
        steps = self.sections["training"]["max_steps"]
        changes = [change for change in self.job(job_id).get("settings_changes", []) if "effective_step" in change]

        def in_force(field, step, first):
            values = [change["settings"][field] for change in changes
                      if int(change["effective_step"]) <= step and field in change["settings"]]
            return float(values[-1]) if values else first

        begins = sorted({0} | {int(change["effective_step"]) for change in changes})
        live_settings_test.LiveJobs.check_alpha(
            self, self.history(job_id), range(steps),
            [(step, in_force("step_size", step, live_settings_test.ROBUST["step_size"]), in_force("trade_off", step, 1))
             for step in begins])
        for line in self.lines(name):
            if "split" not in line and line["step"] > WARMUP:
                self.assertEqual(line["learning_rate"], in_force("learning_rate", line["step"] - 1, 1e-3), line["step"])
        self.succeed("equipoise", "verify", self.folder / name)

    def run_for(self, seconds):
        passed = failed = 0
        taken = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            name = f"soak{passed + failed}"
            kind = KINDS[(passed + failed) % len(KINDS)]
            try:
                taken.append(self.run_job(name, kind))
                passed += 1
                print(f"{name}, {kind}: as it must be, after {taken[-1]:.0f} s", flush=True)
            except Exception:  # whatever it is: the next job tells whether it comes again
                traceback.print_exc()
                failed += 1
                if self.coordinator.process.poll() is not None:
                    self.restart_coordinator()
        self.report(taken)
        broken = self.broken_bars()
        for bar in broken:
            print(bar)
        print(f"{passed} passed, {failed + len(broken)} failed")
        return failed == 0 and passed > 0 and not broken

    def broken_bars(self):
        """A sentence for each that does not hold."""
        broken = [f"recovery: {percentile(self.recoveries, share):.1f} s at p{share * 100:.0f}, expected at most {most} s"
                  for share, most in RECOVERY_BARS if percentile(self.recoveries, share) > most]
        if self.lost or self.doubled:
            broken.append(f"steps of alpha lost {self.lost}, doubled {self.doubled}, expected 0 of both")
        if not self.recoveries:
            broken.append("no fault has befallen a job that went on")
        return broken

    def report(self, taken):
        print("faults: " + ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(self.faults.items())))
        print(f"recovery from {len(self.recoveries)} faults: " + ", ".join(
            f"{name} {percentile(self.recoveries, share):.1f} s"
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("longest", 1))))
        if taken:
            goodput = 100 * self.work / sum(taken)
            print(f"{self.changes} changes of settings, {self.forks} forks")
            print(f"goodput {goodput:.0f} %: {self.undisturbed:.0f} s of work a job, {sum(taken) / len(taken):.0f} s with faults")
        print(f"steps of alpha lost {self.lost}, doubled {self.doubled}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None, help="of the faults; default: another one each time")
    parser.add_argument("--steps", type=int, default=1500, help="of each job")
    options = parser.parse_args()
    disk_full_test.with_own_mounts()
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

#!/usr/bin/env python3
"""Runs a GoogleTest program as one process and says of each of its cases whether it passed.

  gtest_program.py REPORT PROGRAM

Shows the output of cases that failed alone. A case that ends the program, or that takes longer than CASE_LIMIT_S, has
failed, and the program is started again for those that are left. A case that was skipped or is disabled has not passed.
Writes {"passed": N, "failed": [NAME, ...]} to REPORT. GTEST_FILTER chooses cases, as without this.
"""
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import threading
import time

CASE_LIMIT_S = float(os.environ.get("EQUIPOISE_CASE_LIMIT_S", "300"))
# Anywhere in a line, for what a test prints may lack its line end.
EVENT = re.compile(r"\[ +(RUN|OK|FAILED|SKIPPED) +\] ([^\s,]+)")


def listed_cases(program):
    """The names of all cases in order, disabled ones too."""
    text = subprocess.run([program, "--gtest_list_tests"], check=True, stdout=subprocess.PIPE, text=True).stdout
    cases, suite = [], ""
    for line in text.splitlines():
        name = line.split("#")[0].rstrip()
        if name.startswith("  "):
            cases.append(suite + name.strip())
        elif name.endswith("."):
            suite = name
    return cases


class Process:
    """One process of the program, for some of its cases."""

    def __init__(self, program, cases):
        self.process = subprocess.Popen([program, "--gtest_filter=" + ":".join(cases)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode(errors="replace"))
        self.lines.put(None)

    def next_line(self, deadline):
        """The next line of its output, or None at its end. Throws TimeoutError at the deadline."""
        while time.monotonic() < deadline:
            try:
                return self.lines.get(timeout=1)
            except queue.Empty:
                # What the program has started may hold its output open.
                if self.process.poll() is not None:
                    return None
        raise TimeoutError

    def kill(self):
        """Ends it, with all that it has started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.process.wait()

    def status(self):
        """Its exit status in words, "" for success; waits for its end."""
        code = self.process.wait(timeout=CASE_LIMIT_S)
        if code == 0:
            return ""
        return f"ended with {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


class Program:
    """A GoogleTest program, its cases and which of them passed and failed."""

    def __init__(self, path):
        self.path = path
        self.cases = listed_cases(path)
        self.passed, self.failed = [], []
        self.running, self.output = None, []

    def run(self):
        left = self.cases
        while left:
            before = len(left)
            self.run_process(left)
            left = [case for case in left if case not in {*self.passed, *self.failed}]
            if len(left) == before:
                for case in left:
                    self.fail(case, "did not run: it is disabled, or the program ended before it")
                return

    def run_process(self, cases):
        process = Process(self.path, cases)
        failures = len(self.failed)
        self.running, self.output = None, []
        try:
            deadline = time.monotonic() + CASE_LIMIT_S
            while (line := process.next_line(deadline)) is not None:
                if self.take(line):
                    deadline = time.monotonic() + CASE_LIMIT_S
            status = process.status()
        except (TimeoutError, subprocess.TimeoutExpired):
            status = f"took longer than {CASE_LIMIT_S:g} s"
        finally:
            process.kill()
        if self.running:
            self.fail(self.running, status or "ended the program with exit code 0")
        elif status and len(self.failed) == failures:
            self.fail(pathlib.Path(self.path).name, f"{status} though each case that ran passed")

    def take(self, line):
        """Reads a line of output; true where a case begins or ends."""
        self.output.append(line)
        event = EVENT.search(line)
        if event and event[1] == "RUN":
            self.running, self.output = event[2], [line]
            return True
        if not event or event[2] != self.running:
            return False
        if event[1] == "OK":
            self.passed.append(self.running)
        else:
            self.fail(self.running, "was skipped" if event[1] == "SKIPPED" else "")
        self.running, self.output = None, []
        return True

    def fail(self, case, reason):
        self.failed.append(case)
        print("".join(self.output) + (f"{case} {reason}" if reason else ""), flush=True)
        self.running, self.output = None, []


def main(report, path):
    report = pathlib.Path(report)
    report.unlink(missing_ok=True)
    if not os.access(path, os.X_OK):
        print(f"{path} is not built: deploy/build {pathlib.Path(path).name}")
        return 1
    program = Program(path)
    program.run()
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps({"passed": len(program.passed), "failed": program.failed}))
    for case in program.failed:
        print("failed:", case)
    print(f"{len(program.passed)} passed, {len(program.failed)} failed")
    return 1 if program.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

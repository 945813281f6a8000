"""A list of checks that run one after the other, each within its time: progress, results.json and results.md."""

import dataclasses
import json
import pathlib
import sys
import threading
import time

SHORT_WAIT_S = 2  # a wait that needs no line
PASSED, FAILED, NOT_RUN = "passed", "FAILED", "not run"
KEPT_LINES = 40  # of what a program said, for a check that failed


class Failed(Exception):
    """A check has not passed; the text says why. `output` is what a program said, `numbers` what was measured."""

    def __init__(self, why, output="", numbers=None):
        super().__init__(why)
        self.output, self.numbers = output, numbers


class NotHere(Exception):
    """This machine cannot show it; the text says why."""


@dataclasses.dataclass
class Measured:
    text: str
    numbers: object = None


@dataclasses.dataclass
class Check:
    name: str
    expected: str
    limit_s: float
    work: object  # returns what was measured, a text or Measured
    needs: tuple = ()


def clock_text(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class Progress:
    """One line while a check runs: rewritten on a terminal, elsewhere after two seconds and then every ten."""

    def __init__(self, line_of):
        self.line_of, self.terminal = line_of, sys.stderr.isatty()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.show, daemon=True)

    def show(self):
        wait = SHORT_WAIT_S
        while not self.ended.wait(wait):
            sys.stderr.write(f"\r\033[K{self.line_of()}" if self.terminal else f"{self.line_of()}\n")
            sys.stderr.flush()
            wait = 1 if self.terminal else 10

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        if self.terminal:
            sys.stderr.write("\r\033[K")


class Checklist:
    """Runs checks and keeps their rows; `facts` are what else is written of the machine."""

    def __init__(self, output, limit_s):
        self.output, self.limit_s = pathlib.Path(output), limit_s
        self.begin = time.monotonic()
        self.rows, self.facts = [], {}
        self.deadline = self.begin + limit_s  # of the check that runs
        self.output.mkdir(parents=True, exist_ok=True)

    def elapsed(self):
        return time.monotonic() - self.begin

    def status(self, name):
        return next((row["status"] for row in self.rows if row["name"] == name), None)

    def failed(self):
        return [row for row in self.rows if row["status"] == FAILED]

    def run(self, checks):
        """All of them; a check goes without what it needs only if that was not asked for."""
        for number, check in enumerate(checks, 1):
            row = {"name": check.name, "status": NOT_RUN, "expected": check.expected, "measured": "", "seconds": 0.0}
            self.rows.append(row)
            lacking = next((name for name in check.needs if self.status(name) in (FAILED, NOT_RUN)), None)
            if lacking is not None:
                row["measured"] = f"needs what {lacking} checks"
            elif self.elapsed() >= self.limit_s:
                row.update(status=FAILED, measured=f"the {clock_text(self.limit_s)} minutes for all checks were over")
            else:
                self.run_one(check, row, f"[{number}/{len(checks)}]")
            print(f"[{number}/{len(checks)}] {check.name}: {row['status']}, {row['seconds']:.1f} s  {row['measured']}", flush=True)
            self.write()

    def run_one(self, check, row, position):
        start = time.monotonic()
        self.deadline = min(start + check.limit_s, self.begin + self.limit_s)

        def line():
            return (f"{position} {check.name}: {clock_text(time.monotonic() - start)} of at most "
                    f"{clock_text(self.deadline - start)}; all checks: {clock_text(self.elapsed())} of at most "
                    f"{clock_text(self.limit_s)}")
        try:
            with Progress(line):
                found = check.work()
            measured = found if isinstance(found, Measured) else Measured(found or "")
            row.update(status=PASSED, measured=measured.text)
            if measured.numbers is not None:
                row["numbers"] = measured.numbers
        except NotHere as why:
            row["measured"] = str(why)
        except Failed as failure:
            row.update(status=FAILED, measured=str(failure))
            if failure.output:
                row["output"] = failure.output.splitlines()[-KEPT_LINES:]
            if failure.numbers is not None:
                row["numbers"] = failure.numbers
        except Exception as failure:  # of the check itself: the other checks go on
            row.update(status=FAILED, measured=f"{type(failure).__name__}: {failure}")
        row["seconds"] = round(time.monotonic() - start, 1)

    def counts(self):
        return {status: sum(row["status"] == status for row in self.rows) for status in (PASSED, FAILED, NOT_RUN)}

    def write(self):
        counts = self.counts()
        result = {"passed": counts[PASSED], "failed": counts[FAILED], "not_run": counts[NOT_RUN],
                  "seconds": round(self.elapsed(), 1), **self.facts, "rows": self.rows}
        (self.output / "results.json").write_text(json.dumps(result, indent=1) + "\n")
        (self.output / "results.md").write_text(self.table())

    def table(self):
        def cell(text):
            return " ".join(str(text).split()).replace("|", "\\|")
        lines = ["| check | result | expected | measured | seconds |", "| --- | --- | --- | --- | ---: |"]
        lines += [f"| {cell(row['name'])} | {row['status']} | {cell(row['expected'])} | {cell(row['measured'])} | "
                  f"{row['seconds']:.1f} |" for row in self.rows]
        facts = [f"{name}: {cell(value)}" for name, value in self.facts.items() if not isinstance(value, (dict, list))]
        return "\n\n".join(["# Checks on a GPU", *facts, "\n".join(lines)]) + "\n"

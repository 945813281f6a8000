"""Runs programs of the bundle within the time of the check that wants them."""

import os
import pathlib
import signal
import subprocess

from checklist import Failed


class BundledPrograms:
    """Their output is text, their folder one for what they write. `environment` is only for them: programs of the
    system have their own libraries."""

    def __init__(self, checklist, folder):
        self.checklist, self.folder = checklist, folder
        self.environment = {**os.environ, "TMPDIR": str(folder)}

    def run(self, *command, **environment):
        """A finished program. One that is not done at the check's deadline is ended, with what it started."""
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", cwd=self.folder, env={**self.environment, **environment}, start_new_session=True)
        try:
            left = max(self.checklist.deadline - self.checklist.begin - self.checklist.elapsed(), 0)
            out, err = process.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            out, err = self.end(process)
            raise Failed(f"{pathlib.Path(command[0]).name} was not done within the check's time", out + err) from None
        except BaseException:
            self.end(process)
            raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    @staticmethod
    def end(process):
        for way in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, way)
                return process.communicate(timeout=5)
            except ProcessLookupError:
                pass
            except subprocess.TimeoutExpired:
                continue
        return "", ""

    def succeed(self, *command, **environment):
        try:
            done = self.run(*command, **environment)
        except OSError as absent:
            raise Failed(f"{pathlib.Path(command[0]).name} does not start: {absent.strerror}") from None
        if done.returncode != 0:
            lines = (done.stderr.strip() or done.stdout.strip() or "nothing was said").splitlines()
            raise Failed(f"{pathlib.Path(command[0]).name} ended with exit code {done.returncode}: {lines[-1]}",
                         done.stdout + done.stderr)
        return done.stdout

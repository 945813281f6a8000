"""Runs the project's programs for the integration tests: real processes, temporary folders, no fixed ports."""

import atexit
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("EQUIPOISE_BIN", ROOT / "build/release/bin"))
DEPS = ROOT / ".deps"

# What programs keep between runs goes with the test program. The variable survives with_python_deps().
CACHE = os.environ.get("EQUIPOISE_TEST_CACHE") or tempfile.mkdtemp(prefix="equipoise-test-cache-")
os.environ["EQUIPOISE_TEST_CACHE"] = CACHE
atexit.register(shutil.rmtree, CACHE, ignore_errors=True)

# As root mpirun wants to be told twice; two cores carry four ranks.
ENVIRONMENT = dict(
    os.environ,
    OMPI_ALLOW_RUN_AS_ROOT="1",
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
    OMP_NUM_THREADS="1",
    OMP_WAIT_POLICY="passive",
    # Ranks that wait leave the core to another test's.
    OMPI_MCA_mpi_yield_when_idle="1",
    EQUIPOISE_CACHE=CACHE,
    # Numbers are compared with those of a CPU, with more ranks than most machines have GPUs.
    EQUIPOISE_DEVICE=os.environ.get("EQUIPOISE_DEVICE", "cpu"),
)


def run(*arguments, timeout=600, prefix=(), **environment):
    """The finished process of one program, with its output as text. `prefix`: a command that runs it elsewhere."""
    program, *rest = [str(argument) for argument in arguments]
    path = BIN / program
    return subprocess.run(
        [*prefix, str(path) if path.exists() else program, *rest],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        env={**ENVIRONMENT, **environment})


def verbs():
    """Every verb of `equipoise` with its options, as the program's own completion lists them."""
    script = run("equipoise", "completion", "bash").stdout
    lines = re.findall(r"^    \"([^\"]*)\"\) verbs='([^']*)' options='([^']*)' ;;$", script, re.MULTILINE)
    return {path: options.split() for path, inner, options in lines if path and not inner}


def read_lines(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


class Coordinator:
    """A coordinator of its own, on free ports unless `listen` and `http` say which; it listens at `address` and `http`.
    `prefix`: a command that runs it elsewhere; `variables`: of its environment."""

    def __init__(self, state, *arguments, listen="127.0.0.1:0", http="127.0.0.1:0", prefix=(), variables=None):
        self.state = pathlib.Path(state)
        announce = self.state.parent / (self.state.name + ".announce.json")
        announce.unlink(missing_ok=True)
        self.log = open(self.state.parent / (self.state.name + ".log"), "a+")
        self.process = subprocess.Popen(
            [*prefix, str(BIN / "equipoise-coordinator"), "--listen", listen, "--http-listen", http,
             "--state", str(self.state), "--announce", str(announce), *arguments],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env={**ENVIRONMENT, **(variables or {})})
        while not announce.exists():
            if self.process.poll() is not None:
                with self.log:
                    self.log.seek(0)
                    raise RuntimeError(f"the coordinator ended with {self.process.returncode}: {self.log.read()}")
            time.sleep(0.02)
        where = json.loads(announce.read_text())
        self.address, self.http = where["address"], where["http"]
        self.metrics = self.http

    def stop(self):
        """Asks it to end and returns its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=60)
        self.log.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class ProgramTest(unittest.TestCase):
    """A test with a temporary folder that goes with it."""

    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="equipoise-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def succeed(self, *arguments, **environment):
        result = run(*arguments, **environment)
        self.assertEqual(result.returncode, 0, f"{arguments}\n{result.stdout}\n{result.stderr}")
        return result.stdout

    def refused(self, *arguments, **environment):
        """Runs a command that must be refused: exit code 2 and one line on standard error, which is returned."""
        result = run(*arguments, **environment)
        self.assertEqual(result.returncode, 2, f"{arguments}\n{result.stdout}\n{result.stderr}")
        lines = result.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        return lines[0]

    def small_model(self, *options):
        """Preference pairs of a small survey and an untrained model for them."""
        self.succeed("equipoise", "data", "generate", self.folder / "survey.jsonl", "--questions", "80")
        self.succeed("equipoise", "data", "import", "opinionqa", self.folder / "survey.jsonl", "--output",
                     self.folder / "data")
        self.succeed("equipoise", "model", "init", self.folder / "model", "--data", self.folder / "data/train.jsonl",
                     "--hidden-size", "32", "--layers", "2", "--heads", "2", "--head-dim", "16",
                     "--intermediate-size", "64", "--vocab-size", "600", *options)

    def write_job(self, name, /, **sections):
        """A job file over small_model(); sections replace the defaults given here."""
        job = {
            "name": name,
            "model": {"path": "model"},
            "data": {"train": "data/train.jsonl", "validation": "data/validation.jsonl"},
            "loss": {"type": "dpo", "beta": 0.1},
            "robust": {"mode": "group_robust", "step_size": 0.1},
            "optimizer": {"learning_rate": 1e-3, "schedule": {"warmup_steps": 5}},
            "training": {"max_steps": 8, "global_batch_size": 16, "seed": 1},
            "output": name,
        }
        job.update(sections)
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(job))  # JSON is YAML
        return path


class ServiceTest(ProgramTest):
    """A test of jobs at a coordinator, self.coordinator."""

    def jobs(self, *arguments):
        return self.succeed("equipoise", "jobs", *arguments, "--coordinator", self.coordinator.address)

    def job(self, job_id):
        return json.loads(self.jobs("get", job_id, "--json"))


def with_python_deps():
    """Starts this script again with the test-only Python packages, if it does not have them yet."""
    wanted = [str(DEPS / "python-tests"), str(DEPS / "python"), str(DEPS / "python-peft"),
              str(DEPS / "site-packages"), str(DEPS / "python-trl")]
    if os.environ.get("PYTHONPATH", "").split(":")[:len(wanted)] != wanted:
        os.environ["PYTHONPATH"] = ":".join(wanted)
        os.execv(sys.executable, [sys.executable, *sys.argv])

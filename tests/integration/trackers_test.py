"""`python -m equipoise.trackers` with the real trackers, which keep what they get on this machine: the numbers of
metrics.jsonl, afterwards and while the run goes on. `make test-trackers`; deploy/bootstrap --trackers brings them."""

import json
import math
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import python_client  # noqa: E402

equipoise = python_client.load()
from equipoise.metrics import tagged_numbers  # noqa: E402

# Prints the history of an offline run: a file of LevelDB's log format behind a header of 7 bytes.
READ_WANDB = """
import json, pathlib, struct, sys
from wandb.proto import wandb_internal_pb2
data = pathlib.Path(sys.argv[1]).read_bytes()
at, record = 7, b""
while at + 7 <= len(data):
    if 32768 - at % 32768 < 7:
        at += 32768 - at % 32768
        continue
    length, kind = struct.unpack("<HB", data[at + 4:at + 7])
    record += data[at + 7:at + 7 + length]
    at += 7 + length
    if kind not in (1, 4):  # a whole record, or the last piece of one
        continue
    message = wandb_internal_pb2.Record.FromString(record)
    record = b""
    if message.WhichOneof("record_type") == "history":
        print(json.dumps({item.key or "/".join(item.nested_key): json.loads(item.value_json)
                          for item in message.history.item}))
"""


class Trackers(programs.ProgramTest):
    VARIABLES = {"WANDB_MODE": "offline", "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}

    def setUp(self):
        super().setUp()
        self.small_model()

    def python(self, tracker, *arguments):
        """The command of a Python with that tracker, and its environment."""
        paths = [programs.DEPS / f"python-{tracker}", python_client.PACKAGE / "src", programs.DEPS / "python-tests"]
        store = self.folder / tracker
        store.mkdir(exist_ok=True)
        environment = {**os.environ, **self.VARIABLES, "PYTHONPATH": ":".join(map(str, paths)), "HOME": str(store),
                       "TRACKIO_DIR": str(store), "WANDB_DIR": str(store), "MLFLOW_TRACKING_URI": f"file:{store}/runs"}
        return [sys.executable, *map(str, arguments)], environment

    def send(self, tracker, *arguments):
        command, environment = self.python(tracker, "-m", "equipoise.trackers", tracker, *arguments)
        result = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=240)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    # What each has, by name and step.

    def of_wandb(self):
        file, = (self.folder / "wandb").glob("wandb/offline-run-*/*.wandb")
        command, environment = self.python("wandb", "-c", READ_WANDB, file)
        printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        found = {}
        for text in printed.splitlines():
            row = json.loads(text)
            for name, value in row.items():
                if not name.startswith("_"):
                    found.setdefault(name, {})[row["_step"]] = float(value)
        return found

    def of_trackio(self):
        found = {}
        database, = (self.folder / "trackio").glob("*.db")
        with sqlite3.connect(database) as connection:
            for step, text in connection.execute("select step, metrics from metrics"):
                for name, value in json.loads(text).items():
                    found.setdefault(name, {})[step] = float(value)
        return found

    def of_mlflow(self):
        found = {}
        for folder in (self.folder / "mlflow").glob("runs/*/*/metrics"):
            for file in folder.rglob("*"):
                for line in file.read_text().splitlines() if file.is_file() else ():
                    _, value, step = line.split()
                    found.setdefault(str(file.relative_to(folder)), {})[int(step)] = float(value)
        return found

    def check(self, tracker, run):
        expected = {}
        for line in equipoise.read_lines(self.folder / run):
            for name, number in tagged_numbers(line).items():
                expected.setdefault(name, {})[line["step"]] = number
        found = getattr(self, f"of_{tracker}")()
        self.assertEqual(set(found), set(expected))
        for name, of_steps in expected.items():
            self.assertEqual(set(found[name]), set(of_steps), name)
            for step, number in of_steps.items():
                self.assertTrue(found[name][step] == number or math.isnan(number), (name, step))

    def test_a_run_afterwards(self):
        self.succeed("equipoise", "train", self.write_job("after"))
        for tracker in ("wandb", "mlflow", "trackio"):
            with self.subTest(tracker=tracker):
                self.send(tracker, self.folder / "after", "--project", "tests")
                self.check(tracker, "after")
        parameters, = (self.folder / "mlflow").glob("runs/*/*/params")
        self.assertEqual((parameters / "loss.beta").read_text(), "0.1")

    def test_names_of_any_kind_and_length(self):
        """MLflow takes few letters, and names of 250 characters whose parts can be files."""
        groups = ["a" * 256, "a" * 255 + "b", "\u4e16" * 85, "constructor", "..", "a/b", "=1+1", "<b>&\"'", "100 %", "."]
        run = self.folder / "odd"
        run.mkdir()
        (run / "metrics.jsonl").write_text("".join(
            json.dumps({"step": step, **{f"group/{name}/{what}": step + at for at, name in enumerate(groups)
                                         for what in ("loss", "weight")}}) + "\n" for step in (1, 2)))
        for tracker in ("wandb", "mlflow", "trackio"):
            with self.subTest(tracker=tracker):
                self.send(tracker, run)
                if tracker != "mlflow":
                    self.check(tracker, "odd")
        found = self.of_mlflow()
        self.assertEqual(len(found), 2 * len(groups))
        self.assertEqual(sorted(tuple(of_steps.values()) for name, of_steps in found.items() if "loss" in name[-8:]),
                         [(1 + at, 2 + at) for at in range(len(groups))])

    def test_a_run_that_goes_back_to_a_checkpoint_meanwhile(self):
        with programs.Coordinator(self.folder / "state") as coordinator, \
                equipoise.Client(coordinator.address) as client:
            job = client.submit(self.write_job("live", training={"max_steps": 150, "global_batch_size": 16},
                                               checkpoint={"every_steps": 40}), workers=2)
            senders = []
            for tracker in ("wandb", "mlflow", "trackio"):
                command, environment = self.python(tracker, "-m", "equipoise.trackers", tracker, self.folder / "live",
                                                   "--follow", "--every", "0.1")
                senders.append(subprocess.Popen(command, env=environment, cwd=self.folder, text=True,
                                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
            next(now for now in client.watch(job.id) if now.step > 60)
            os.kill(client.ranks(job.id)[1].pid, signal.SIGKILL)
            self.assertEqual(client.wait(job.id, timeout=300).generation, 2)
        for sender in senders:
            text, _ = sender.communicate(timeout=240)
            self.assertEqual(sender.returncode, 0, text)
        for tracker in ("wandb", "mlflow", "trackio"):
            with self.subTest(tracker=tracker):
                self.check(tracker, "live")

    def test_what_is_missing_is_named(self):
        command, environment = self.python("wandb", "-m", "equipoise.trackers", "mlflow", self.folder)
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1))
        self.assertIn("has no metrics.jsonl", result.stderr)
        (self.folder / "metrics.jsonl").write_text("")
        for folder in (None, "mlflow"):  # which its runs may be in, where Python looks for packages
            with self.subTest(folder=folder):
                if folder:
                    (self.folder / folder).mkdir()
                result = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True)
                self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1))
                self.assertIn("pip install mlflow", result.stderr)


if __name__ == "__main__":
    unittest.main()

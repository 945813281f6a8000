"""A file system that stops answering, as one over a network whose server is gone: what needs its files is refused with
one line, and everybody else goes on. Real programs over a real FUSE file system."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import hung_files  # noqa: E402
import programs  # noqa: E402

programs.with_python_deps()
import python_client  # noqa: E402
from http_test import JSON, ask  # noqa: E402

equipoise = python_client.load()


@unittest.skipIf(os.environ.get(hung_files.MOUNTS), os.environ.get(hung_files.MOUNTS, ""))
class HungFiles(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        self.coordinator = programs.Coordinator(self.folder / "state")
        self.addCleanup(self.coordinator.stop)
        # Later than the coordinator, so gone before it: it must be able to end.
        self.disk = hung_files.HungFolder(self, self.folder / "disk", self.folder / "behind")
        self.small_model()

    def get(self, path):
        status, _, body = ask(self.coordinator.http, "GET", path)
        return status, json.loads(body) if body.startswith(b"{") else body

    def submit(self, name, output):
        return programs.run("equipoise", "submit", self.write_job(name, output=str(output)), "--external",
                            "--coordinator", self.coordinator.address)

    def submitted(self, name, output):
        """The id of a job that waits for ranks that nobody starts, with a line of metrics."""
        said = self.submit(name, output)
        self.assertEqual(said.returncode, 0, said.stderr)
        pathlib.Path(output).mkdir(exist_ok=True)
        (pathlib.Path(output) / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 0.7}) + "\n")
        return said.stdout.strip().splitlines()[-1].split()[-1]

    def expect_others_to_go_on(self, healthy):
        for path, text in (("/healthz", b"serving"), ("/metrics", b"equipoise_build_info"), ("/", b"<!doctype html>")):
            status, body = self.get(path)
            self.assertEqual(status, 200, path)
            self.assertIn(text, body.lower() if path == "/" else body)
        self.assertEqual(self.get("/v1/jobs")[0], 200)
        self.assertEqual(self.get(f"/v1/jobs/{healthy}/curves?points={self.next_points()}")[1]["train"]["step"], [1])
        self.assertEqual(self.get(f"/v1/jobs/{healthy}/log")[0], 200)
        self.assertEqual(json.loads(self.succeed("equipoise", "jobs", "get", healthy, "--json", "--coordinator",
                                                 self.coordinator.address))["id"], healthy)

    def next_points(self):
        """Another number each time, so that no answer is one that was kept."""
        self.points = getattr(self, "points", 100) + 1
        return self.points

    def expect_silence(self, status, body):
        self.assertEqual(status, 503, body)
        self.assertEqual(body["error"]["details"][0]["reason"], "FILES_UNREACHABLE")
        self.assertEqual(body["error"]["message"],
                         f"the file system at {self.disk.folder} does not answer; it is asked again once it does")

    def test_curves_and_logs_keep_nobody_waiting(self):
        healthy = self.submitted("healthy", self.folder / "healthy")
        hung = [self.submitted(name, self.disk.folder / name) for name in ("first", "second")]
        (self.folder / "link").symlink_to(self.disk.folder)
        linked = self.submitted("linked", self.folder / "link" / "third")
        self.assertEqual(self.get(f"/v1/jobs/{hung[0]}/curves")[1]["train"]["step"], [1])
        self.disk.hang()
        # More than there are threads for answers, and for files.
        answers = []
        askers = [threading.Thread(target=lambda: answers.append(
            self.get(f"/v1/jobs/{hung[0]}/curves?points={self.next_points()}"))) for _ in range(12)]
        for asker in askers:
            asker.start()
        self.assertTrue(self.disk.asked.acquire(timeout=60), "nobody has asked for the file")
        self.expect_others_to_go_on(healthy)
        for asker in askers:
            asker.join(60)
        self.assertEqual(len(answers), len(askers))
        for status, body in answers:
            self.assertIn(status, (429, 503), body)
        self.assertIn(503, [status for status, _ in answers])
        # Of the whole mount, whoever else asks, and however the path leads there.
        for job in (*hung, linked):
            self.expect_silence(*self.get(f"/v1/jobs/{job}/curves?points={self.next_points()}"))
        self.expect_others_to_go_on(healthy)
        self.disk.go_on()
        deadline = time.monotonic() + 60
        while self.get(f"/v1/jobs/{hung[1]}/curves?points={self.next_points()}")[0] != 200:
            self.assertLess(time.monotonic(), deadline, "nobody has asked again")
            time.sleep(0.05)
        self.assertEqual(self.get(f"/v1/jobs/{linked}/curves?points={self.next_points()}")[1]["train"]["step"], [1])

    def test_jobs_with_files_there_are_refused_and_others_go_on(self):
        healthy = self.submitted("healthy", self.folder / "healthy")
        hung = self.submitted("hung", self.disk.folder / "hung")
        self.disk.hang()
        said = []

        # `equipoise submit` looks at the folder itself.
        def submit_late():
            with equipoise.Client(self.coordinator.address) as client:
                try:
                    client.submit(self.write_job("late", output=str(self.disk.folder / "late")), external=True)
                except equipoise.FilesUnreachable as refusal:
                    said.append(str(refusal))

        asker = threading.Thread(target=submit_late)
        asker.start()
        self.assertTrue(self.disk.asked.acquire(timeout=60), "nobody has asked for the output")
        self.expect_others_to_go_on(healthy)
        # What needs no file of the run is done, the end of a job too.
        status, _, body = ask(self.coordinator.http, "POST", f"/v1/jobs/{hung}:cancel", "{}", **JSON)
        self.assertEqual(status, 200, body)
        self.expect_others_to_go_on(healthy)
        # And its deletion, though there may be files of it to remove.
        self.succeed("equipoise", "jobs", "delete", hung, "--coordinator", self.coordinator.address)
        asker.join(60)
        self.assertEqual(len(said), 1, "it was not refused in time")
        self.assertIn(f"the file system at {self.disk.folder} does not answer", said[0])
        self.expect_others_to_go_on(healthy)
        self.disk.go_on()
        deadline = time.monotonic() + 60
        while self.submit("late", self.disk.folder / "late").returncode != 0:
            self.assertLess(time.monotonic(), deadline, "nobody has asked again")
            time.sleep(0.2)

    def test_a_submit_that_is_stopped_in_its_midst_keeps_nobody_waiting(self):
        healthy = self.submitted("healthy", self.folder / "healthy")
        self.disk.hang_at(hung_files.CREATE)  # of the lock on the output
        said = []

        def submit_late():
            with equipoise.Client(self.coordinator.address) as client:
                said.append(client.submit(self.write_job("late", output=str(self.disk.folder / "late"))))

        asker = threading.Thread(target=submit_late)
        asker.start()
        self.assertTrue(self.disk.asked.acquire(timeout=60), "nobody has asked for the output")
        self.expect_others_to_go_on(healthy)
        answered = [line for line in self.get("/metrics")[1].decode().splitlines()
                    if "CreateTrainingJob" in line and "UNAVAILABLE" in line]
        self.assertEqual(answered, [], "others have waited until it was given up")
        self.disk.go_on()
        asker.join(60)
        self.assertEqual(len(said), 1, "it has not gone on")

    def test_submit_does_not_wait_for_the_folder_that_it_looks_at(self):
        self.disk.hang()
        try:
            results = {output: self.submit("late", output) for output in (self.disk.folder / "late", self.disk.folder)}
        finally:
            self.disk.go_on()  # cleaning up asks it, too
        for output, result in results.items():
            self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
            self.assertEqual(result.stderr.splitlines(),
                             [f"equipoise submit: the file system of {output} does not answer"])
        self.assertEqual(self.submit("late", self.disk.folder / "late").returncode, 0)

    def job(self, job_id):
        return json.loads(self.succeed("equipoise", "jobs", "get", job_id, "--json", "--coordinator",
                                       self.coordinator.address))

    def wait_for(self, job_id, is_reached, seconds=60):
        deadline = time.monotonic() + seconds
        while not is_reached(self.job(job_id)):
            self.assertLess(time.monotonic(), deadline, self.job(job_id))
            time.sleep(0.1)

    def launched(self, name, **sections):
        said = self.succeed("equipoise", "submit", self.write_job(name, launch={"workers": 1}, **sections),
                            "--coordinator", self.coordinator.address, "-o", "name")
        return said.split()[-1]

    def ranks_of(self, job_id):
        ranks = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_text().split("\0") if entry.name.isdigit() else []
            except OSError:
                continue  # it has ended
            if job_id in command and command[0].endswith("equipoise-worker"):  # mpirun's command has it elsewhere
                ranks.append(entry.name)
        return ranks

    def test_nothing_is_started_beside_a_rank_that_survives_sigkill(self):
        """It may have a GPU yet, or write files: the next attempt was started beside it."""
        train = self.disk.folder / "train.jsonl"
        train.write_text((self.folder / "data/train.jsonl").read_text())
        self.disk.hang_at(hung_files.READ)
        stuck = self.launched("stuck", data={"train": str(train), "validation": "data/validation.jsonl"})
        self.assertTrue(self.disk.asked.acquire(timeout=60), "nobody has read the pairs")
        [pid] = self.ranks_of(stuck)
        self.succeed("equipoise", "jobs", "cancel", stuck, "--coordinator", self.coordinator.address)
        left = f"process {pid} (rank 0 of job {stuck}) has survived SIGKILL, in state D"
        self.wait_for(stuck, lambda job: left in " ".join(job.get("conditions", [])))
        self.assertEqual(self.job(stuck)["state"], "JOB_STATE_CANCELLED")
        beside = self.launched("beside")
        self.wait_for(beside, lambda job: f"where {left}" in job["state_reason"])
        self.assertIn("waiting for this machine; not used: ", self.job(beside)["state_reason"])
        self.assertIn(left, self.succeed("equipoise", "hosts", "list", "--coordinator", self.coordinator.address))
        self.assertTrue(pathlib.Path(f"/proc/{pid}").exists())
        self.disk.go_on()
        self.wait_for(beside, lambda job: job["state"] == "JOB_STATE_SUCCEEDED", seconds=120)

    def test_run_ranks_starts_nothing_beside_a_rank_that_survives_sigkill(self):
        job_id = self.submit("outside", self.folder / "outside").stdout.split()[-1]
        file = self.disk.folder / "file"
        file.write_text("x")
        self.disk.hang_at(hung_files.READ)
        # What is left of a rank of which the kernel waits for a file.
        left = subprocess.Popen(["equipoise-worker", "-c", f"open({str(file)!r}).read()", "--job", job_id],
                                executable=sys.executable)
        self.addCleanup(left.wait)
        self.addCleanup(self.disk.go_on)
        self.assertTrue(self.disk.asked.acquire(timeout=60))
        left.kill()
        command = [str(programs.ROOT / "deploy/slurm/run-ranks"), job_id, "mpirun", "--bind-to", "none",
                   "--oversubscribe", "-np", "1", str(programs.BIN / "equipoise-worker"), "--coordinator",
                   self.coordinator.address, "--job", job_id]
        variables = {**programs.ENVIRONMENT, "EQUIPOISE": str(programs.BIN / "equipoise"),
                     "EQUIPOISE_COORDINATOR": self.coordinator.address}
        said = subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(said.returncode, 4, said.stderr)
        self.assertEqual(said.stderr, f"run-ranks: a rank of {job_id} is there yet that nobody can end: process "
                         f"{left.pid}, in state D; nothing is started beside it\n")
        self.disk.go_on()
        said = subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertEqual(self.job(job_id)["state"], "JOB_STATE_SUCCEEDED")

    def test_the_coordinator_ends_while_a_file_system_is_silent(self):
        hung = self.submitted("hung", self.disk.folder / "hung")
        self.disk.hang()
        asker = threading.Thread(target=lambda: self.get(f"/v1/jobs/{hung}/curves"), daemon=True)
        asker.start()
        self.assertTrue(self.disk.asked.acquire(timeout=60), "nobody has asked for the file")
        # The kernel keeps a thread whose question the server has taken, and with it the process: nothing that the next
        # coordinator needs may go with it.
        self.coordinator.process.terminate()
        status, deadline = pathlib.Path(f"/proc/{self.coordinator.process.pid}/status"), time.monotonic() + 60
        while "State:\tZ" not in status.read_text():
            self.assertLess(time.monotonic(), deadline, "it has not ended")
            time.sleep(0.05)
        with programs.Coordinator(self.folder / "state", listen=self.coordinator.address, http=self.coordinator.http):
            self.assertEqual(self.get("/healthz")[0], 200)
            self.disk.go_on()
        self.assertEqual(self.coordinator.process.wait(timeout=60), 0)

    def test_a_coordinator_that_was_killed_and_cannot_go_is_told_of(self):
        hung = self.submitted("hung", self.disk.folder / "hung")
        self.disk.hang()

        def ask_for_curves():
            with contextlib.suppress(OSError):  # nobody is left to answer
                self.get(f"/v1/jobs/{hung}/curves")

        asker = threading.Thread(target=ask_for_curves)
        asker.start()
        self.assertTrue(self.disk.asked.acquire(timeout=60), "nobody has asked for the file")
        killed = self.coordinator.process
        killed.kill()
        status, deadline = pathlib.Path(f"/proc/{killed.pid}/status"), time.monotonic() + 60
        while "State:\tZ" not in status.read_text():
            self.assertLess(time.monotonic(), deadline, "it has not ended")
            time.sleep(0.05)
        state = self.folder / "state"
        self.assertEqual(
            self.refused("equipoise-coordinator", "--state", state, "--listen", "127.0.0.1:0"),
            f"equipoise-coordinator: state folder {state}: in use by the equipoise-coordinator with pid {killed.pid}, "
            "which was ended and cannot go, as a thread of it waits for a file system that does not answer: start this "
            "one again once that answers, or is unmounted (umount --force)")
        subprocess.run(["umount", "--force", self.disk.folder], check=False, capture_output=True, timeout=60)
        self.assertEqual(killed.wait(timeout=60), -9)
        asker.join(60)
        with programs.Coordinator(state, listen=self.coordinator.address, http=self.coordinator.http):
            self.assertEqual(self.get(f"/v1/jobs/{hung}")[0], 200)


if __name__ == "__main__":
    hung_files.with_own_mounts()
    unittest.main()

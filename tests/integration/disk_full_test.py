"""Full disks: of the coordinator's state, of TMPDIR, of the output. Real programs on small file systems of their own."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import grpc  # noqa: E402
from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: E402

SPEEDS = ("pairs_per_second", "tokens_per_second")
MOUNTS = "DISK_FULL_TEST_MOUNTS"


def with_own_mounts():
    """Starts this script again where it may mount, and where mounts go with it; without that its tests are skipped."""
    if MOUNTS in os.environ:
        return
    flags = "-m" if os.geteuid() == 0 else "-rm"
    may_mount = subprocess.run(["unshare", flags, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True)
    if may_mount.returncode != 0:
        os.environ[MOUNTS] = "no file system can be mounted here, which takes root: " + may_mount.stderr.strip()
        return
    os.environ[MOUNTS] = ""
    os.execvp("unshare", ["unshare", flags, sys.executable, *sys.argv])


class Disk:
    """A file system of a few MiB, which `fill` leaves without a free byte and `drain` empties of what filled it."""

    def __init__(self, test, folder, size):
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
        test.addCleanup(subprocess.run, ["umount", "--lazy", str(folder)], check=False)
        self.folder = folder

    def fill(self):
        page = b"\0" * 4096
        with open(self.folder / "filler", "ab", buffering=0) as filler:
            while os.statvfs(self.folder).f_bfree > 0:
                try:
                    filler.write(page)
                except OSError:
                    pass  # full; what becomes free meanwhile is filled too

    def drain(self):
        (self.folder / "filler").unlink()


def is_serving(address):
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
    return answer.status == health_pb2.HealthCheckResponse.SERVING


class FullDisk(programs.ServiceTest):
    STEPS = 400

    def setUp(self):
        if os.environ[MOUNTS]:
            self.skipTest(os.environ[MOUNTS])
        super().setUp()
        self.small_model()

    def wait(self, what, is_so):
        """Waits until `is_so()`, and returns what it gave."""
        deadline = time.monotonic() + 120
        while not (found := is_so()):
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)
        return found

    def page(self, metrics):
        with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=30) as answer:
            return answer.read().decode()

    def job_file(self, name, steps, **sections):
        return self.write_job(name, training={"max_steps": steps, "global_batch_size": 16, "seed": 1}, **sections)

    def result(self, name):
        """What a run has written, without what depends on time."""
        lines = programs.read_lines(self.folder / name / "metrics.jsonl")
        numbers = [{field: value for field, value in line.items() if field not in SPEEDS} for line in lines]
        return numbers, (self.folder / name / "final/model.safetensors").read_bytes()


class FullState(FullDisk):
    """The disk of the coordinator's state, on which are the logs of ranks too."""

    def setUp(self):
        super().setUp()
        self.disk = Disk(self, self.folder / "state", "12m")
        self.start()

    def start(self):
        self.coordinator = programs.Coordinator(self.folder / "state")
        self.addCleanup(self.coordinator.stop)

    def training_job(self, job_file):
        """A job of two ranks that has done a step."""
        said = self.succeed("equipoise", "submit", job_file, "--np", "2", "--coordinator", self.coordinator.address)
        job_id = said.split()[-1]
        self.wait("it trains", lambda: int(self.job(job_id).get("step", 0)) > 0)
        return job_id

    def is_serving(self):
        return is_serving(self.coordinator.address)

    def fill_until_held(self):
        self.disk.fill()
        self.wait("health says NOT_SERVING", lambda: not self.is_serving())

    def ranks(self, job_id):
        found = subprocess.run(["pgrep", "-f", f"equipoise-worker.*{job_id}"], capture_output=True, text=True).stdout
        return [int(pid) for pid in found.split() if self.name_of(pid) == "equipoise-worke"]  # not mpirun

    @staticmethod
    def name_of(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            return ""

    def refused_steps(self):
        found = re.search(r'^equipoise_rpc_requests_total\{code="RESOURCE_EXHAUSTED",method="WorkerService/ReportStep"\} '
                          r"(\S+)$", self.page(self.coordinator.metrics), re.MULTILINE)
        return float(found[1]) if found else 0

    def test_ranks_wait_until_there_is_room_and_train_what_an_undisturbed_run_trains(self):
        job_id = self.training_job(self.job_file("held", self.STEPS))
        self.fill_until_held()
        self.wait("rank 0 tries again", lambda: self.refused_steps() >= 3)
        step = self.job(job_id)["step"]
        refused = self.refused_steps()
        self.wait("rank 0 tries again", lambda: self.refused_steps() >= refused + 2)
        held = self.job(job_id)
        self.assertEqual((held["state"], held["step"]), ("JOB_STATE_RUNNING", step))
        self.assertLess(int(step), self.STEPS)
        self.assertIn("waits at its next step, as nothing can be stored", " ".join(held["conditions"]))
        self.assertIn("database or disk is full", " ".join(held["conditions"]))
        page = self.page(self.coordinator.metrics)
        self.assertIn("\nequipoise_state_writable 0\n", page)
        self.assertIn("\nequipoise_state_free_bytes ", page)
        self.assertIn(job_id, self.jobs("list"))
        another = programs.run("equipoise", "submit", self.job_file("another", 1), "--coordinator",
                               self.coordinator.address)
        self.assertNotEqual(another.returncode, 0)
        self.assertIn("cannot store anything at the moment: ", another.stderr)
        self.assertIn("database or disk is full", another.stderr)

        self.disk.drain()
        self.wait("health says SERVING", self.is_serving)
        self.assertIn("\nequipoise_state_writable 1\n", self.page(self.coordinator.metrics))
        self.jobs("watch", job_id)
        self.assertEqual(self.job(job_id)["state"], "JOB_STATE_SUCCEEDED")
        self.assertIn("goes on", " ".join(self.job(job_id)["conditions"]))
        undisturbed = self.job_file("undisturbed", self.STEPS)
        self.succeed("equipoise", "train", undisturbed, "--np", "2", "--quiet")
        self.assertEqual(self.result("held"), self.result("undisturbed"))

        log = (self.folder / "state.log").read_text()
        self.assertEqual(log.count("until there is room, nothing is stored"), 1, log)
        self.assertRegex(log, r"coordinator\.sqlite3: database or disk is full; the disk of \S+/state has .* free of 12\.0 MiB")

    def test_speculative_ranks_wait_too(self):
        robust = {"mode": "group_robust", "step_size": 0.1, "weight_sync": "speculative"}
        job_id = self.training_job(self.job_file("ahead", self.STEPS, robust=robust))
        self.fill_until_held()
        self.disk.drain()
        self.jobs("watch", job_id)
        self.assertEqual(int(self.job(job_id)["step"]), self.STEPS)
        self.succeed("equipoise", "train", self.job_file("not-ahead", self.STEPS), "--np", "2", "--quiet")
        self.assertEqual(self.result("ahead"), self.result("not-ahead"))

    def test_a_cancel_is_stored_and_ends_the_ranks(self):
        job_id = self.training_job(self.job_file("cancelled", 1000000))
        self.fill_until_held()
        self.jobs("cancel", job_id)
        self.wait("it is CANCELLED", lambda: self.job(job_id)["state"] == "JOB_STATE_CANCELLED")
        self.assertEqual(self.ranks(job_id), [])
        self.assertFalse(self.is_serving())
        self.assertEqual(self.coordinator.stop(), 0)
        self.start()  # on the full disk
        self.assertEqual(self.job(job_id)["state"], "JOB_STATE_CANCELLED")
        self.jobs("delete", job_id)
        self.disk.drain()
        self.wait("health says SERVING", self.is_serving)

    def test_sigterm_ends_everything_where_nothing_can_be_stored(self):
        job_id = self.training_job(self.job_file("stopped", 1000000, launch={"max_restarts": 0}))
        self.fill_until_held()
        self.disk.fill()  # with what was kept for ends of jobs
        self.assertEqual(self.coordinator.stop(), 0)
        self.assertEqual(self.ranks(job_id), [])
        self.disk.drain()
        self.start()
        job = self.job(job_id)
        self.assertEqual(job["state"], "JOB_STATE_FAILED")
        self.assertRegex(job["state_reason"], "the coordinator was (lost|stopped) while the job was RUNNING")

    def test_a_silent_rank_is_given_up_where_nothing_can_be_stored(self):
        job_id = self.training_job(self.job_file("silent", 1000000, launch={"max_restarts": 0}))
        self.fill_until_held()
        self.disk.fill()
        os.kill(self.ranks(job_id)[-1], signal.SIGSTOP)
        self.wait("its ranks are ended", lambda: not self.ranks(job_id))
        self.assertFalse(self.is_serving())
        self.disk.drain()
        self.wait("health says SERVING", self.is_serving)
        self.wait("it is FAILED", lambda: self.job(job_id)["state"] == "JOB_STATE_FAILED")
        self.assertIn("has not been heard of for 30 s", self.job(job_id)["state_reason"])


class FullElsewhere(FullDisk):
    def start_training(self, job_file, **environment):
        process = subprocess.Popen(
            [str(programs.BIN / "equipoise"), "train", str(job_file), "--np", "2", "--quiet"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**programs.ENVIRONMENT, **environment})
        self.addCleanup(process.kill)
        return process

    def test_train_waits_for_room_in_tmpdir(self):
        disk = Disk(self, self.folder / "tmp", "40m")
        process = self.start_training(self.job_file("held", self.STEPS), TMPDIR=str(disk.folder))
        lines = self.folder / "held/metrics.jsonl"
        self.wait("it trains", lambda: lines.exists() and lines.stat().st_size)
        disk.fill()
        sizes = []

        def stands_still():  # for a second
            sizes.append(lines.stat().st_size)
            time.sleep(0.5)
            return len(sizes) > 2 and sizes[-1] == sizes[-3]

        self.wait("it waits for room", stands_still)
        self.assertIsNone(process.poll())
        disk.drain()
        self.assertEqual(process.wait(timeout=240), 0, process.stderr.read())
        self.succeed("equipoise", "train", self.job_file("undisturbed", self.STEPS), "--np", "2", "--quiet")
        self.assertEqual(self.result("held"), self.result("undisturbed"))


class FullOutput(FullDisk):
    """The disk that a job has its whole output on, as most have."""

    def start(self, size="24m"):
        self.disk = Disk(self, self.folder / "out", size)
        self.coordinator = programs.Coordinator(self.folder / "state")
        self.addCleanup(self.coordinator.stop)

    def submit(self, name, **sections):
        sections = {"checkpoint": {"every_steps": 50}, "logging": {"every_steps": 1, "tensorboard": True}, **sections}
        job_file = self.job_file(name, self.STEPS, output=f"out/{name}", **sections)
        said = self.succeed("equipoise", "submit", job_file, "--np", "2", "--coordinator", self.coordinator.address)
        return said.split()[-1]

    def stands_still(self, job_id):
        """Whether it trains no step for a second."""
        step = self.job(job_id)["step"]
        time.sleep(1)
        return self.job(job_id)["step"] == step

    def held(self, job_id):
        """The job, once its disk is full and it waits."""
        self.wait("it trains", lambda: int(self.job(job_id).get("step", 0)) > 20)
        self.disk.fill()
        self.wait("it waits for room", lambda: any("training waits until there is room" in text
                                                   for text in self.job(job_id).get("conditions", [])))
        self.wait("it stands still", lambda: self.stands_still(job_id))
        job = self.job(job_id)
        self.assertEqual(job["state"], "JOB_STATE_RUNNING", job["state_reason"])
        self.assertLess(int(job["step"]), self.STEPS)
        return job

    def ends_as_if_undisturbed(self, job_id, name, **sections):
        self.jobs("watch", job_id)
        job = self.job(job_id)
        self.assertEqual(job["state"], "JOB_STATE_SUCCEEDED", job["state_reason"])
        self.assertIn("has room again", " ".join(job["conditions"]))
        kept = json.loads(self.jobs("weights", job_id, "--json"))
        self.assertEqual([int(record["step"]) for record in kept["records"]], list(range(self.STEPS)))
        undisturbed = self.job_file("undisturbed", self.STEPS, logging={"every_steps": 1}, **sections)
        self.succeed("equipoise", "train", undisturbed, "--np", "2", "--quiet")
        self.assertEqual(self.result(f"out/{name}"), self.result("undisturbed"))
        self.succeed("equipoise", "verify", self.folder / "out" / name)
        return job

    def test_training_waits_for_room_and_ends_as_if_undisturbed(self):
        self.start()
        job_id = self.submit("held")
        self.held(job_id)
        self.disk.drain()
        job = self.ends_as_if_undisturbed(job_id, "held")
        self.assertEqual((job["generation"], job.get("restarts", 0)), ("1", 0))


if __name__ == "__main__":
    with_own_mounts()
    unittest.main()

"""Jobs in a real Slurm of two nodes: deploy/slurm/train.sbatch over preemption, requeue, scancel, the end of its time,
a lost node or slurmd and a start that hangs, and a coordinator inside of an allocation. Runs end like one that nobody
disturbed."""

import json
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import pause_test  # noqa: E402
import programs  # noqa: E402
import slurm  # noqa: E402

SLURM_WAIT = 300  # seconds
STEPS = pause_test.STEPS


class SlurmTest(pause_test.LeavingJobs):
    @classmethod
    def setUpClass(cls):
        slurm.require_tools()
        cls.slurm_folder = pathlib.Path(tempfile.mkdtemp(prefix="equipoise-slurm-"))
        cls.addClassCleanup(shutil.rmtree, cls.slurm_folder, ignore_errors=True)
        cls.slurm = slurm.Slurm(cls.slurm_folder / "slurm")
        cls.addClassCleanup(cls.slurm.close)

    def setUp(self):
        super().setUp()
        self.addCleanup(self.slurm.return_lost_nodes)  # where a test has failed, after its job is cancelled
        # What EQUIPOISE_HOME names on all nodes.
        self.home = self.folder / "home"
        (self.home / "build/release").mkdir(parents=True)
        (self.home / "build/release/bin").symlink_to(programs.BIN)
        (self.home / "deploy").symlink_to(programs.ROOT / "deploy")

    def sbatch(self, job_id, *options, script=()):
        """The documented line, for two nodes of one rank each."""
        variables = {**self.slurm.environment, **programs.ENVIRONMENT, "EQUIPOISE_HOME": str(self.home),
                     "EQUIPOISE_COORDINATOR": self.coordinator.address, "PATH": self.slurm.environment["PATH"]}
        number = self.slurm.submit(f"--export=ALL,JOB={job_id}", "--ntasks-per-node=1", "--gpus-per-node=1",
                                   f"--output={self.folder}/slurm-%j.out", *options,
                                   *(script or (self.home / "deploy/slurm/train.sbatch",)), **variables)
        self.addCleanup(self.slurm.run, "scancel", number, check=False)
        return number

    def said(self, number):
        log = self.folder / f"slurm-{number}.out"
        return log.read_text() if log.exists() else ""

    def wait_for_slurm(self, number, *states):
        end = time.monotonic() + SLURM_WAIT
        while (state := self.slurm.job(number, "JobState")) not in states:
            self.assertLess(time.monotonic(), end, f"{number} is {state}: {self.said(number)}")
            time.sleep(0.1)
        return state

    def nodes_of_ranks(self, job_id):
        nodes = []
        for pid in self.ranks(job_id):
            variables = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
            nodes += [variable.split("=", 1)[1] for variable in variables if variable.startswith("SLURMD_NODENAME=")]
        return sorted(nodes)

    def external(self, name):
        return self.submit(name, "--external", "--set", "launch.max_restarts=10")


class Batch(SlurmTest):
    """deploy/slurm/train.sbatch, for a coordinator that runs elsewhere."""

    def run_again(self, number):
        """Slurm keeps a job that was queued again back for two minutes."""
        self.wait_for_slurm(number, "PENDING")
        self.assertEqual(self.slurm.job(number, "Restarts"), "1")
        self.slurm.await_idle()
        # It may still be about to end what is left of the job.
        end = time.monotonic() + SLURM_WAIT
        while self.slurm.run("scontrol", "update", f"JobId={number}", "StartTime=now", check=False) or (
                self.slurm.job(number, "JobState") == "PENDING"):
            self.assertLess(time.monotonic(), end, self.slurm.run("scontrol", "show", "job", number))
            time.sleep(0.5)

    def ended_well(self, job_id, number):
        self.finished(job_id)
        self.wait_for_slurm(number, "COMPLETED")
        self.assertNotIn("has no effect", self.said(number))
        self.same_run("whole", "run")

    def left(self, job_id):
        """The job once its ranks have left with a checkpoint of their newest step."""
        job = self.wait_for_state(job_id, "PAUSED")
        self.assertEqual(int(job["checkpoint_step"]), int(job["step"]), job["state_reason"])
        self.assertGreater(int(job["step"]), 0)
        self.assertLess(int(job["step"]), STEPS)

    def began(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        job_id = self.external("run")
        number = self.sbatch(job_id)
        self.wait_for_checkpoint(job_id, 50)
        return job_id, number

    def test_a_job_runs_over_both_nodes_to_its_end(self):
        job_id, number = self.began()
        self.assertEqual(self.nodes_of_ranks(job_id), list(slurm.NODES))
        self.ended_well(job_id, number)
        self.assertEqual(self.job(job_id)["generation"], "1")

    def test_a_job_that_is_preempted_leaves_and_goes_on_when_there_is_room(self):
        self.SECTIONS = self.WITHOUT | {"checkpoint": {"every_steps": 50, "every_seconds": 0}}
        job_id, number = self.began()
        urgent = self.slurm.submit("--partition=urgent", "--nodes=2", "--exclusive", f"--output={self.folder}/urgent",
                                   "--wrap", "sleep 2")
        self.left(job_id)
        self.wait_for_slurm(urgent, "COMPLETED")
        self.run_again(number)
        self.ended_well(job_id, number)
        self.assertEqual(self.job(job_id)["generation"], "2")

    def test_a_job_that_is_queued_again_by_the_administrator_leaves_and_goes_on(self):
        job_id, number = self.began()
        self.slurm.run("scontrol", "requeue", number)
        self.left(job_id)
        self.run_again(number)
        self.ended_well(job_id, number)
        self.assertEqual(self.job(job_id)["generation"], "2")

    def test_a_job_at_the_end_of_its_time_leaves_and_goes_on(self):
        job_id, number = self.began()
        # What Slurm sends for --signal=B:TERM@120, two minutes before the end of the time.
        self.slurm.run("scancel", "--batch", "--signal=TERM", number)
        self.left(job_id)
        self.run_again(number)
        self.ended_well(job_id, number)

    def test_a_cancelled_job_stays_cancelled_and_the_next_one_goes_on(self):
        job_id, number = self.began()
        self.slurm.run("scancel", number)
        self.left(job_id)
        self.wait_for_slurm(number, "CANCELLED")
        end = time.monotonic() + SLURM_WAIT
        while self.slurm.run("squeue", "--noheader").strip():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.2)
        self.assertEqual(self.slurm.job(number, "JobState"), "CANCELLED", self.said(number))
        self.ended_well(job_id, self.sbatch(job_id))

    def test_a_lost_node(self):
        """Its slurmd and all processes there die at once: Slurm notices after a while, and queues the job again."""
        job_id, number = self.began()
        self.slurm.lose_node("n2")
        self.wait_for_slurm(number, "PENDING")
        self.slurm.return_node("n2")
        self.run_again(number)
        self.ended_well(job_id, number)
        self.assertIn("NODE FAILURE", self.said(number))

    def test_a_start_that_hangs_is_left_to_the_next_run(self):
        """As where Slurm lets srun wait for ever, here the first time."""
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        self.start_coordinator()
        job_id = self.external("run")
        marker, hangs = self.folder / "has-hung", self.folder / "hangs"
        hangs.write_text(f'#!/bin/bash\n[ -e {marker} ] && exec mpirun --bind-to none --map-by slot "$@"\n'
                         f"touch {marker}\nexec sleep 1000\n")
        hangs.chmod(0o755)
        number = self.sbatch(
            job_id, "--nodes=2", "--requeue", "--open-mode=append", "--signal=B:TERM@120", script=(
                "--wrap", f"export EQUIPOISE={programs.BIN}/equipoise\n"
                f"exec {self.home}/deploy/slurm/run-ranks --requeue --start-timeout 3 {job_id} {hangs} "
                f"{programs.BIN}/equipoise-worker --coordinator {self.coordinator.address} --job {job_id}"))
        end = time.monotonic() + SLURM_WAIT
        while not marker.exists():  # until then it is PENDING for the first time
            self.assertLess(time.monotonic(), end, self.said(number))
            time.sleep(0.1)
        self.run_again(number)
        self.ended_well(job_id, number)
        self.assertIn("have not registered after 3 s", self.said(number))
        self.assertEqual(self.job(job_id)["generation"], "1")

    def test_a_killed_slurmd_whose_processes_go_on(self):
        # Longer than Slurm takes to give the node up, on any machine.
        self.SECTIONS = {**self.SECTIONS, "training": {**self.SECTIONS["training"], "max_steps": 3 * STEPS}}
        job_id, number = self.began()
        self.slurm.kill_node("n2")
        # Training goes on until Slurm gives the node up.
        step = int(self.job(job_id)["step"])
        self.wait_for(job_id, lambda job: int(job["step"]) > step)
        self.wait_for_slurm(number, "PENDING")
        self.slurm.return_node("n2")
        self.run_again(number)
        self.ended_well(job_id, number)


class InsideOfAnAllocation(SlurmTest):
    """The documented line: a coordinator whose mpirun starts ranks on all nodes of its Slurm job."""

    def start(self, number_of_start):
        announce = self.folder / f"announce-{number_of_start}.json"
        variables = {**self.slurm.environment, **programs.ENVIRONMENT, "PATH": f"{programs.BIN}:"
                     + self.slurm.environment["PATH"]}
        number = self.slurm.submit(
            "--nodes=2", "--ntasks-per-node=1", "--gpus-per-node=1", f"--output={self.folder}/slurm-%j.out", "--wrap",
            f"exec equipoise-coordinator --allocation --listen 0.0.0.0:0 --insecure --metrics-listen '' "
            f"--state {self.folder}/state --announce {announce}", **variables)
        self.addCleanup(self.slurm.run, "scancel", number, check=False)
        end = time.monotonic() + SLURM_WAIT
        while not announce.exists():
            self.assertLess(time.monotonic(), end, self.said(number))
            time.sleep(0.1)
        port = json.loads(announce.read_text())["address"].rsplit(":", 1)[1]
        self.coordinator = InAllocation(f"127.0.0.1:{port}")
        return number

    def test_ranks_run_on_all_nodes_and_go_on_in_the_next_allocation(self):
        self.train_undisturbed("whole", 2, **self.SECTIONS)
        number = self.start(1)
        job_id = self.submit("run")
        self.wait_for_checkpoint(job_id, 50)
        self.assertEqual(self.nodes_of_ranks(job_id), list(slurm.NODES))
        # As at the end of the time, with --signal=B:TERM@120.
        self.slurm.run("scancel", "--batch", "--signal=TERM", number)
        self.wait_for_slurm(number, "COMPLETED")
        number = self.start(2)
        job = self.finished(job_id)
        self.assertEqual((job["generation"], job["restarts"]), ("2", 1))
        self.same_run("whole", "run")
        self.slurm.run("scancel", number)
        self.wait_for_slurm(number, "CANCELLED")


class InAllocation:
    """A coordinator that Slurm has started."""

    def __init__(self, address):
        self.address = address


if __name__ == "__main__":
    unittest.main()

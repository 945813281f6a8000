"""Jobs under Open MPI 5, whose launcher (PRRTE) has other parameters than Open MPI 4's: on one machine, over several
hosts (network namespaces), and after the loss of one. The worker is the one that was built with Open MPI 4: both have
the same interface."""

import os
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import hosts_test  # noqa: E402
import programs  # noqa: E402
import resume_test  # noqa: E402

FOLDER = programs.DEPS / "openmpi5"
STATE_WAIT = hosts_test.STATE_WAIT
ENVIRONMENT = {"PATH": f"{FOLDER}/bin:{programs.ENVIRONMENT['PATH']}", "LD_LIBRARY_PATH": f"{FOLDER}/lib",
               "PRTE_ALLOW_RUN_AS_ROOT": "1", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def require_openmpi5():
    version = programs.run(FOLDER / "bin/mpirun", "--version", **ENVIRONMENT).stdout
    if "(Open MPI) 5." not in version:
        raise RuntimeError(f"{FOLDER} has no Open MPI 5 ({version}); deploy/bootstrap --openmpi5 installs it")


class OneMachine(resume_test.ResumeTest):
    @classmethod
    def setUpClass(cls):
        require_openmpi5()

    def test_train_and_evaluate_compute_what_they_do_under_open_mpi_4(self):
        self.small_model()
        self.train("four", 2)
        # A default hostfile names machines that `train` must not use.
        (self.folder / "others").write_text("no-such-host slots=8\n")
        variables = {**ENVIRONMENT, "PRTE_MCA_prte_default_hostfile": str(self.folder / "others")}
        job = self.write_job("five")
        self.succeed("equipoise", "train", job, "--np", "2", "--quiet", **variables)
        self.same_run("four", "five")
        said = self.succeed("equipoise", "evaluate", "--model", self.folder / "five/final", "--reference",
                            self.folder / "model", "--data", self.folder / "data/validation.jsonl", "--output",
                            self.folder / "pairs.jsonl", "--np", "2", **variables)
        self.assertIn("worst", said)


for inherited in [name for name in dir(resume_test.ResumeTest) if name.startswith("test_")]:
    setattr(OneMachine, inherited, None)


class SeveralHosts(hosts_test.Hosts):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        require_openmpi5()

    def start(self, **options):
        agent = self.cluster.agent
        # What ssh would give them on hosts with Open MPI 5.
        agent.write_text(agent.read_text().replace(
            "exec env -i PATH=/usr/bin:/bin",
            "exec env -i PATH=" + f"{FOLDER}/bin:/usr/bin:/bin LD_LIBRARY_PATH={FOLDER}/lib"))
        self.start_coordinator(environment={**ENVIRONMENT, "PRTE_MCA_plm_ssh_agent": str(agent)}, **options)

    def test_ranks_run_on_all_hosts_and_get_what_is_passed_to_them(self):
        self.start(slots=((1, 1), (2, 2)))
        job_id = self.submit(self.job_file("over", steps=1000000, workers=3))
        self.wait_for(job_id, "RUNNING")
        self.wait_for_ranks(self.second, 2)
        # Command lines of mpirun and the shim have the worker's name too.
        ranks = [pid for host in (self.head, self.second) for pid in host.ranks()
                 if os.readlink(f"/proc/{pid}/exe").endswith("/equipoise-worker")]
        self.assertEqual(len(ranks), 3)
        for rank in ranks:
            maps = pathlib.Path(f"/proc/{rank}/maps").read_text()
            self.assertIn(str(FOLDER / "lib/libmpi.so"), maps)
            self.assertIn("EQUIPOISE_ATTEMPT_TOKEN", self.variables_of(rank))
        self.equipoise("jobs", "cancel", job_id)
        self.assertEqual(self.wait_for(job_id, "CANCELLED")["state"], "JOB_STATE_CANCELLED")
        self.assertEqual(self.second.ranks(), [])

    def test_a_job_over_hosts_ends(self):
        self.start(slots=((1, 1), (2, 2)))
        self.finish(self.submit(self.job_file("short", workers=3)))

    def test_a_rank_that_is_killed_is_noticed_and_the_job_goes_on(self):
        self.start(slots=((1, 1), (2, 2)))
        job_id = self.submit(self.job_file("killed", steps=1000000, workers=3, max_restarts=3))
        self.wait_for(job_id, "RUNNING")
        subprocess.run(["kill", "-9", str(self.wait_for_ranks(self.second, 2)[0])], check=True)
        end = time.monotonic() + STATE_WAIT
        while int(self.job(job_id)["generation"]) < 2 or self.job(job_id)["state"] != "JOB_STATE_RUNNING":
            self.assertLess(time.monotonic(), end, self.job(job_id))
            time.sleep(0.2)
        self.equipoise("jobs", "cancel", job_id)

    def test_a_host_that_is_lost_is_noticed(self):
        """The mpirun of Open MPI 5 then ends with 0."""
        self.start(slots=((1, 1), (2, 2)))
        job_id = self.submit(self.job_file("lost", steps=1000000, workers=3))
        self.wait_for(job_id, "RUNNING")
        self.wait_for_ranks(self.second, 2)
        self.cluster.cut_off(self.second)
        self.assertIn("lost contact with eqn2", self.failure(job_id))
        self.assertEqual(self.job(job_id)["failure_kind"], "FAILURE_KIND_INFRASTRUCTURE")


if __name__ == "__main__":
    unittest.main()

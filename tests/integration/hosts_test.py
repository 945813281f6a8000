"""A coordinator and ranks on three hosts (network namespaces): what reaches the ranks, who runs where, and what people
are told when hosts or networks fail."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import hosts  # noqa: E402
import hung_files  # noqa: E402
import programs  # noqa: E402

STATE_WAIT = 150  # seconds
STEPS = 1200       # of a job that is disturbed meanwhile
SPEEDS = ("pairs_per_second", "tokens_per_second")


class Hosts(programs.ProgramTest):
    limit = STATE_WAIT

    @classmethod
    def setUpClass(cls):
        hosts.require_tools()

    def setUp(self):
        super().setUp()
        self.mount()
        self.cluster = hosts.Cluster(self.folder, 3)
        self.addCleanup(self.cluster.close)
        self.head, self.second, self.third = self.cluster.hosts
        self.coordinator = None
        self.write_data()

    def mount(self):
        """What all hosts see."""

    def write_data(self):
        """Log-linear jobs: ranks start in a second and need no model."""
        rows = [{"state": [1.0, 0.5], "group": i % 2, "chosen": i % 3, "rejected": 3} for i in range(24)]
        (self.folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def job_file(self, name, steps=5, **launch):
        job = {
            "name": name,
            "policy": {"log_linear": {"features": "swapped", "actions": 8, "reward": [[1, 3, 1, 3], [3, 1, 3, 1]],
                                      "initial_theta": [1, 2, 3, 4]}},
            "data": {"train": "train.jsonl", "shuffle": False},
            "loss": {"type": "dpo", "beta": 1},
            "robust": {"mode": "group_robust", "step_size": 0.1},
            "optimizer": {"type": "sgd", "learning_rate": 0.1},
            "training": {"max_steps": steps, "global_batch_size": 12},
            "logging": {"every_steps": 1000},
            "launch": {"max_restarts": 0, **launch},  # what people are told of a first failure
            "output": name,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(job))
        return path

    def start_coordinator(self, slots=((1, 1), (2, 2)), listen="0.0.0.0:0", environment=None, arguments=()):
        """On the first host; `slots` are (host, slots) of the hostfile, where a host is a number or a name."""
        (self.folder / "hosts").write_text(
            "".join(f"{host if isinstance(host, str) else f'eqn{host}'} slots={count}\n" for host, count in slots))
        announce = self.folder / "announce.json"
        announce.unlink(missing_ok=True)
        variables = {**programs.ENVIRONMENT, "OMPI_MCA_plm_rsh_agent": str(self.cluster.agent), **(environment or {})}
        log = open(self.folder / "coordinator.log", "a")
        self.addCleanup(log.close)
        self.coordinator = subprocess.Popen(
            self.head.command(programs.BIN / "equipoise-coordinator", "--listen", listen, "--insecure",
                              "--metrics-listen", "", "--state", self.folder / "state", "--announce", announce,
                              "--hostfile", self.folder / "hosts", "--max-running-jobs", "4", *arguments),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables)
        self.addCleanup(self.stop_coordinator)
        while not announce.exists():
            if self.coordinator.poll() is not None:
                raise RuntimeError("the coordinator ended: " + (self.folder / "coordinator.log").read_text())
            time.sleep(0.02)
        self.port = json.loads(announce.read_text())["address"].rsplit(":", 1)[1]

    def stop_coordinator(self):
        if self.coordinator.poll() is None:
            self.coordinator.terminate()
        self.coordinator.wait(timeout=90)

    def equipoise(self, *arguments):
        return subprocess.run(
            self.head.command(programs.BIN / "equipoise", *arguments, "--coordinator", f"127.0.0.1:{self.port}"),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=programs.ENVIRONMENT)

    def submit(self, job):
        result = self.equipoise("submit", job)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout.strip().splitlines()[-1].split()[-1]

    def job(self, job_id):
        return json.loads(self.equipoise("jobs", "get", job_id, "--json").stdout)

    def wait_for(self, job_id, *states):
        """The job once it is in one of `states`, or over."""
        wanted = {f"JOB_STATE_{state}" for state in (*states, "SUCCEEDED", "FAILED", "CANCELLED")}
        end = time.monotonic() + self.limit
        while time.monotonic() < end:
            job = self.job(job_id)
            if job["state"] in wanted:
                return job
            time.sleep(0.2)
        self.fail(f"still {job['state']}: {job['state_reason']}\n{(self.folder / 'coordinator.log').read_text()}")

    def finish(self, job_id):
        job = self.wait_for(job_id)
        self.assertEqual(job["state"], "JOB_STATE_SUCCEEDED", job.get("state_reason"))
        return job

    def failure(self, job_id):
        job = self.wait_for(job_id)
        self.assertEqual(job["state"], "JOB_STATE_FAILED", job.get("state_reason"))
        return job["state_reason"]

    def log(self, job_id, name="stderr.log"):
        return (self.folder / "state/logs" / job_id / "1" / name).read_text()

    def wait_for_ranks(self, host, number):
        end = time.monotonic() + 60
        while len(host.ranks()) < number:
            self.assertLess(time.monotonic(), end, f"no {number} ranks on {host.name}")
            time.sleep(0.1)
        return host.ranks()

    def variables_of(self, pid):
        pairs = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


class WhatReachesTheRanks(Hosts):

    def test_variables_travel_and_the_token_is_in_no_command_line(self):
        self.start_coordinator(environment={
            "NCCL_IB_HCA": "=mlx5_0:1", "NCCL_DEBUG": "WARN;x", "EQUIPOISE_CACHE": str(self.folder / "cache"),
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "SITE_SETTING": "a b", "NOT_NAMED": "1", "LISTED": "2",
            "OMPI_MCA_mca_base_env_list": "LISTED;GIVEN=3", "PMIX_RANK": "5", "SLURM_JOB_ID": "77",
            "SLURM_NODELIST": "node9", "SLURM_TASKS_PER_NODE": "1", "SLURM_NNODES": "1", "OMPI_MCA_plm": "slurm"})
        job_id = self.submit(self.job_file("travel", steps=1000000, workers=3, environment=["SITE_SETTING", "UNSET"]))
        rank = self.wait_for_ranks(self.second, 2)[0]
        variables = self.variables_of(rank)
        for name, value in {"NCCL_IB_HCA": "=mlx5_0:1", "NCCL_DEBUG": "WARN;x", "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
                            "EQUIPOISE_CACHE": str(self.folder / "cache"), "OMP_NUM_THREADS": "1",
                            "SITE_SETTING": "a b", "LISTED": "2", "GIVEN": "3"}.items():
            self.assertEqual(variables.get(name), value, name)
        self.assertNotIn("NOT_NAMED", variables)
        self.assertNotIn("UNSET", variables)
        token = variables["EQUIPOISE_ATTEMPT_TOKEN"]
        self.assertEqual(self.wait_for(job_id, "RUNNING")["state"], "JOB_STATE_RUNNING")
        for entry in pathlib.Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace") if entry.name.isdigit() else ""
            except OSError:
                continue
            self.assertNotIn(token, command)
        self.assertEqual(self.equipoise("jobs", "cancel", job_id).returncode, 0)
        self.assertEqual(self.wait_for(job_id)["state"], "JOB_STATE_CANCELLED")
        self.assertEqual(self.second.ranks(), [])
        self.assertEqual(self.head.ranks(), [])
        for name in ("stderr.log", "stdout.log"):
            self.assertNotIn(token, self.log(job_id, name))
        self.assertNotIn(token, (self.folder / "coordinator.log").read_text())

    def test_bridges_with_the_same_address_everywhere_do_no_harm(self):
        for host in self.cluster.hosts:
            host.run("ip", "link", "add", "docker0", "type", "bridge")
            host.run("ip", "addr", "add", "172.17.0.1/16", "dev", "docker0")
            host.run("ip", "link", "set", "docker0", "up")
        self.start_coordinator(slots=((2, 1), (3, 1)))
        self.finish(self.submit(self.job_file("bridges", workers=2, start_timeout_seconds=30)))
        # A bridge of another name is left out by the job.
        for host in self.cluster.hosts:
            host.run("ip", "link", "set", "docker0", "down")
            host.run("ip", "link", "set", "docker0", "name", "br-site")
            host.run("ip", "link", "set", "br-site", "up")
        options = {"btl_tcp_if_include": "eth0", "oob_tcp_if_include": "10.77.0.0/24"}
        self.finish(self.submit(self.job_file("chosen", workers=2, start_timeout_seconds=30, mpi_options=options)))
        reason = self.failure(self.submit(self.job_file("misled", workers=2, start_timeout_seconds=4,
                                                        mpi_options={"btl_tcp_if_include": "br-site"})))
        self.assertRegex(reason, r"rank \d on eqn[23] \(.*br-site 172\.17\.0\.1.*\) has waited 4 s for rank \d over MPI")

    def test_hostile_options_are_refused(self):
        self.start_coordinator()
        canary = self.folder / "canary"
        for options in ({"plm_rsh_agent": f"touch {canary}"}, {"orte_launch_agent": f"touch {canary}"},
                        {"btl_tcp_if_include": f"eth0 --mca orte_launch_agent {canary}"}):
            result = self.equipoise("submit", self.job_file("hostile", workers=3, mpi_options=options))
            self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
            self.assertIn("launch.mpi_options", result.stderr)
        self.assertFalse(canary.exists())


class WhoRunsWhere(Hosts):

    def test_jobs_at_once_have_hosts_of_their_own(self):
        self.start_coordinator(slots=((2, 1), (3, 1)))
        first = self.submit(self.job_file("first", steps=1000000, workers=1))
        second = self.submit(self.job_file("second", steps=1000000, workers=1))
        third = self.submit(self.job_file("third", workers=2))
        self.wait_for(first, "RUNNING")
        self.wait_for(second, "RUNNING")
        self.assertEqual(len(self.second.ranks()), 1)
        self.assertEqual(len(self.third.ranks()), 1)
        self.assertEqual(self.job(third)["state_reason"], "waiting for 2 free slots; 0 of 2 are free")
        result = self.equipoise("submit", self.job_file("never", workers=3))
        self.assertEqual(result.returncode, 2)
        self.assertIn("launch.workers is 3, expected at most 2: the hostfile has no more slots, on eqn2, eqn3",
                      result.stderr)
        for job_id in (first, second):
            self.assertEqual(self.equipoise("jobs", "cancel", job_id).returncode, 0)
        self.finish(third)
        self.assertEqual(self.log(third, "hosts"), "eqn2 slots=1\neqn3 slots=1\n")

    def test_addresses_that_cannot_work_are_refused_at_the_start(self):
        for arguments, complaint in (
                (dict(arguments=("--advertise", "nowhere.invalid")), '--advertise is "nowhere.invalid", which this machine'),
                (dict(arguments=("--advertise", "eqn1:7443")), "without a port"),
                (dict(listen="127.0.0.1:0"), "which ranks on eqn2 of --hostfile cannot reach"),
                (dict(slots=(("eqn2 slots", 1),)), 'hosts:1: slots is ""')):
            with self.assertRaises(RuntimeError) as refused:
                self.start_coordinator(**arguments)
            self.assertIn(complaint, str(refused.exception))
            self.assertEqual(self.coordinator.returncode, 2)


class WhatPeopleAreTold(Hosts):

    def test_a_firewall_between_the_ranks(self):
        self.start_coordinator(slots=((2, 1), (3, 1)))
        self.second.block_all_but_ssh()
        self.third.block_all_but_ssh()
        reason = self.failure(self.submit(self.job_file("walled", workers=2, start_timeout_seconds=4)))
        self.assertRegex(reason, r"rank (0 on eqn2 \(eth0 10\.77\.0\.2\)|1 on eqn3 \(eth0 10\.77\.0\.3\)) has waited 4 s "
                                 r"for rank [01] over MPI: .*firewalls")
        # The ports of docs/operations.md are enough.
        for host in (self.second, self.third):
            host.admit("50000-50099")
        options = {"btl_tcp_port_min_v4": "50000", "btl_tcp_port_range_v4": "100"}
        self.finish(self.submit(self.job_file("gated", workers=2, start_timeout_seconds=30, mpi_options=options)))

    def test_a_firewall_before_the_coordinators_host(self):
        self.start_coordinator(slots=((2, 1), (3, 1)))
        self.head.block_all_but_ssh()
        reason = self.failure(self.submit(self.job_file("shut", workers=2, start_timeout_seconds=3)))
        self.assertRegex(reason, r"^rank 0 on eqn2, rank 1 on eqn3 have not registered within 3 s: all hosts and this one "
                                 r"\(eth0 10\.77\.0\.1\).*firewalls")
        self.head.admit("50100-50199")
        self.head.admit(self.port)
        options = {"oob_tcp_dynamic_ipv4_ports": "50100-50199"}
        self.stop_coordinator()  # the slots of the hosts that could not be reached would be waited for
        self.start_coordinator(slots=((2, 1), (3, 1)), listen=f"0.0.0.0:{self.port}")
        self.finish(self.submit(self.job_file("ajar", workers=2, start_timeout_seconds=30, mpi_options=options)))

    def test_a_host_without_the_worker_and_one_that_is_unknown(self):
        self.start_coordinator(slots=((2, 1), ("eqn8", 1)))
        reason = self.failure(self.submit(self.job_file("unknown", workers=2)))
        self.assertIn("ssh: Could not resolve hostname eqn8: Name or service not known", reason)
        self.stop_coordinator()
        self.third.run("mount", "-t", "tmpfs", "none", programs.BIN)
        self.start_coordinator(slots=((2, 1), (3, 1)))
        reason = self.failure(self.submit(self.job_file("bare", workers=2)))
        self.assertRegex(reason, r"equipoise-worker is not on eqn3")

    def test_ssh_that_is_not_answered(self):
        self.start_coordinator(slots=((2, 1), (3, 1)), environment={
            "OMPI_MCA_plm_rsh_agent": "ssh -o BatchMode=yes -o ConnectTimeout=3"})
        self.assertIn("ssh: connect to host eqn", self.failure(self.submit(self.job_file("no-ssh", workers=2))))

    def test_a_daemon_that_is_ended(self):
        self.start_coordinator(slots=((2, 1), (3, 1)))
        job_id = self.submit(self.job_file("daemon", steps=1000000, workers=2))
        self.wait_for(job_id, "RUNNING")
        for pid in self.third.processes("orted"):
            os.kill(pid, 9)
        # The rank on the other host may see its peer go before mpirun sees the daemon.
        self.assertRegex(self.failure(job_id), r"(daemon on a host .* was lost|unexpectedly disconnected|lost contact with).*eqn3")

    def test_a_host_that_is_lost_and_one_lost_before_a_cancel(self):
        self.start_coordinator(slots=((2, 1), (3, 1)))
        lost = self.submit(self.job_file("lost", steps=1000000, workers=2))
        self.wait_for(lost, "RUNNING")
        self.cluster.cut_off(self.third)
        self.assertIn("lost contact with eqn3", self.failure(lost))
        self.cluster.plug_in(self.third)
        self.stop_coordinator()

        self.start_coordinator(slots=((2, 1), (3, 1)))
        cancelled = self.submit(self.job_file("cancelled", steps=1000000, workers=2))
        self.wait_for(cancelled, "RUNNING")
        self.cluster.cut_off(self.third)
        self.assertEqual(self.equipoise("jobs", "cancel", cancelled).returncode, 0)
        job = self.wait_for(cancelled)
        self.assertEqual(job["state"], "JOB_STATE_CANCELLED")
        self.assertIn("its processes on eqn3 could not be reached", job["state_reason"])
        self.assertEqual(self.second.ranks(), [])


class TrainingGoesOn(Hosts):
    """Jobs of two ranks on two hosts: after each fault the end is that of a job which nobody disturbed."""

    limit = 600
    undisturbed = None  # what all of them are compared with

    def setUp(self):
        super().setUp()
        self.start_coordinator(slots=((2, 1), (3, 1)))
        if TrainingGoesOn.undisturbed is None:
            self.finish(self.submit(self.long_job("whole")))
            TrainingGoesOn.undisturbed = self.result("whole")

    def long_job(self, name, **launch):
        path = self.job_file(name, steps=STEPS, **{"workers": 2, "max_restarts": 3, **launch})
        job = {**json.loads(path.read_text()), "checkpoint": {"every_steps": 100}, "logging": {"every_steps": 1}}
        path.write_text(json.dumps(job))
        return path

    def result(self, name):
        """The lines of metrics without speeds, and the bytes of what was trained, by file."""
        lines = [{field: value for field, value in line.items() if field not in SPEEDS}
                 for line in programs.read_lines(self.folder / name / "metrics.jsonl")]
        files = {file.name: file.read_bytes() for file in (self.folder / name / "final").iterdir()
                 if file.suffix in (".safetensors", ".json")}
        self.assertTrue(files)
        return lines, files

    def running(self, name, **launch):
        """A job that has a checkpoint and is far from its end."""
        job_id = self.submit(self.long_job(name, **launch))
        job = self.wait_until(job_id, lambda job: int(job.get("checkpoint_step", -1)) >= 100)
        self.assertLess(int(job["step"]), STEPS)
        return job_id

    def wait_until(self, job_id, is_reached):
        """The job once that is so, which must be before anything happens to it."""
        end = time.monotonic() + self.limit
        while not is_reached(job := self.job(job_id)):
            self.assertIn(job["state"], ("JOB_STATE_QUEUED", "JOB_STATE_STARTING", "JOB_STATE_RUNNING"),
                          job["state_reason"])
            self.assertLess(time.monotonic(), end, job["state_reason"])
            time.sleep(0.05)
        return job

    def each_step_once(self, job_id):
        kept = json.loads(self.equipoise("jobs", "weights", job_id, "--json").stdout)
        self.assertEqual([int(record["step"]) for record in kept["records"]], list(range(STEPS)))

    def ends_as_if_undisturbed(self, job_id, name, restarts):
        job = self.finish(job_id)
        self.assertEqual((job.get("restarts", 0), int(job["generation"])), (restarts, restarts + 1),
                         (self.folder / "coordinator.log").read_text()[-3000:])
        for part, undisturbed in zip(self.result(name), self.undisturbed, strict=True):
            self.assertEqual(part, undisturbed)
        self.each_step_once(job_id)

    def test_a_killed_daemon_costs_one_restart(self):
        job_id = self.running("daemon")
        for pid in self.third.processes("orted"):
            os.kill(pid, 9)
        self.ends_as_if_undisturbed(job_id, "daemon", restarts=1)

    def test_five_seconds_without_a_network(self):
        """Neither the ranks nor the launcher's daemons nor the coordinator reach that host meanwhile."""
        job_id = self.running("cut")
        self.cluster.cut_off(self.third)
        time.sleep(5)
        self.cluster.plug_in(self.third)
        self.ends_as_if_undisturbed(job_id, "cut", restarts=0)

    def steps_without(self, name, *partings):
        """A job during which, for 5 s, which are less than a lease, no packet goes between some hosts: (host, others).
        Returns how many steps it did in the last four of them."""
        job_id = self.running(name)
        with contextlib.ExitStack() as stack:
            for host, others in partings:
                stack.enter_context(host.parted_from(*others))
            time.sleep(1)  # for what was under way
            before = self.steps_written(name)
            time.sleep(4)
            done = self.steps_written(name) - before
        self.ends_as_if_undisturbed(job_id, name, restarts=0)
        return done

    def steps_written(self, name):
        return (self.folder / name / "metrics.jsonl").read_text().count("\n")

    def test_five_seconds_without_a_packet_between_the_hosts_of_two_ranks(self):
        self.assertEqual(self.steps_without("ranks", (self.second, [self.third])), 0)

    def test_five_seconds_without_a_packet_between_rank_0_and_the_coordinator(self):
        self.assertEqual(self.steps_without("reports", (self.second, [self.head])), 0)

    def test_five_seconds_without_a_packet_between_another_rank_and_the_coordinator(self):
        self.steps_without("heartbeats", (self.third, [self.head]))

    def test_five_seconds_in_which_no_host_hears_of_another(self):
        self.assertEqual(self.steps_without("all", (self.second, [self.head, self.third]), (self.third, [self.head])), 0)

    def test_a_slow_network(self):
        """For a hundred steps 1 Mbit/s, and packets that wait for up to half a second."""
        job_id = self.running("slow")
        for host in (self.second, self.third):
            host.run("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "1mbit", "burst", "3000",
                     "latency", "500ms")
        step = int(self.job(job_id)["step"])
        self.wait_until(job_id, lambda job: int(job["step"]) >= step + 100)
        for host in (self.second, self.third):
            host.run("tc", "qdisc", "del", "dev", "eth0", "root")
        self.ends_as_if_undisturbed(job_id, "slow", restarts=0)

    def test_a_host_that_is_cut_off_for_good_writes_nothing_more(self):
        """Its rank ends by itself, and the others' sums are those of two ranks but for rounding."""
        job_id = self.running("gone", min_workers=1)
        self.assertEqual(len(self.third.ranks()), 1)
        self.cluster.cut_off(self.third)
        job = self.finish(job_id)
        self.assertEqual((job["world_size"], int(job["generation"])), (1, 2))
        self.each_step_once(job_id)
        lines, _ = self.result("gone")
        for line, undisturbed in zip(lines, self.undisturbed[0], strict=True):
            self.assertEqual(line["step"], undisturbed["step"])
            for group, weight in line.get("group_weight", {}).items():
                self.assertAlmostEqual(weight, undisturbed["group_weight"][group], delta=1e-9)
        before = {file: file.read_bytes() for file in (self.folder / "gone").rglob("*") if file.is_file()}
        end = time.monotonic() + self.limit
        while self.third.ranks():
            self.assertLess(time.monotonic(), end, "a rank without a coordinator goes on")
            time.sleep(0.2)
        self.assertEqual(
            {file: file.read_bytes() for file in (self.folder / "gone").rglob("*") if file.is_file()}, before)


class HostsThatAreGone(Hosts):

    def test_a_job_goes_on_with_fewer_ranks_and_has_all_again_once_the_host_answers(self):
        self.start_coordinator(slots=((2, 1), (3, 1)))
        job_id = self.submit(self.job_file("fewer", steps=1000000, workers=2, min_workers=1, max_restarts=3))
        self.wait_for(job_id, "RUNNING")
        self.assertEqual(self.equipoise("jobs", "checkpoint", job_id, "--wait").returncode, 0)
        first = int(self.job(job_id)["checkpoint_step"])
        self.cluster.cut_off(self.third)
        self.assertIn("lost contact with eqn3", self.wait_for(job_id, "RECOVERING")["state_reason"])
        job = self.wait_for(job_id, "RUNNING")
        self.assertEqual((job["state"], job["world_size"]), ("JOB_STATE_RUNNING", 1))
        self.assertGreaterEqual(int(job["step"]), first)
        self.assertIn("has 1 of 2 ranks, as no more slots are free; not used: eqn3, which does not answer",
                      " ".join(job["conditions"]))
        self.cluster.plug_in(self.third)
        end = time.monotonic() + STATE_WAIT
        while "eqn3 answers, and is used again" not in (self.folder / "coordinator.log").read_text():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.5)
        self.assertEqual(self.equipoise("jobs", "pause", job_id, "--wait").returncode, 0)
        self.assertEqual(self.equipoise("jobs", "resume", job_id).returncode, 0)
        job = self.wait_for(job_id, "RUNNING")
        self.assertEqual((job["state"], job["world_size"]), ("JOB_STATE_RUNNING", 2))
        self.assertEqual(self.equipoise("jobs", "cancel", job_id).returncode, 0)
        self.assertEqual(self.wait_for(job_id)["state"], "JOB_STATE_CANCELLED")


class RanksThatSurvive(Hosts):
    """Of which the kernel waits for a file system that does not answer: SIGKILL does not end them."""

    def mount(self):
        self.assertEqual(os.environ[hung_files.MOUNTS], "")
        self.hung = hung_files.HungFolder(self, self.folder / "hung", self.folder / "behind")

    def hosts_list(self):
        listed = json.loads(self.equipoise("hosts", "list", "--json").stdout)["hosts"]
        return {host["name"]: host for host in listed}

    def wait_until(self, is_reached, what):
        end = time.monotonic() + STATE_WAIT
        while not is_reached():
            self.assertLess(time.monotonic(), end, what + "\n" + (self.folder / "coordinator.log").read_text())
            time.sleep(0.2)

    def test_their_host_is_not_used_before_they_are_gone(self):
        (self.folder / "behind" / "train.jsonl").write_text((self.folder / "train.jsonl").read_text())
        self.start_coordinator(slots=((2, 1), (3, 1)))
        stuck = self.job_file("stuck", workers=1)
        stuck.write_text(stuck.read_text().replace('"train.jsonl"', '"hung/train.jsonl"'))
        self.hung.hang()
        job_id = self.submit(stuck)
        self.assertTrue(self.hung.asked.acquire(timeout=60))
        [pid] = self.wait_for_ranks(self.second, 1)
        self.assertEqual(self.equipoise("jobs", "cancel", job_id).returncode, 0)
        self.assertEqual(self.wait_for(job_id)["state"], "JOB_STATE_CANCELLED")
        self.wait_until(lambda: self.hosts_list()["eqn2"]["state"] == "HOST_STATE_CORDONED", "eqn2 is used")
        cordon = self.hosts_list()["eqn2"]["cordon"]
        left = f"process {pid} (rank 0 of job {job_id}) has survived SIGKILL, in state D"
        self.assertEqual((cordon["cause"], cordon["reason"]), ("CORDON_CAUSE_SURVIVOR", left))
        self.assertIn(left, self.equipoise("hosts", "list").stdout)
        self.assertIn(left, " ".join(self.job(job_id)["conditions"]))
        self.finish(self.submit(self.job_file("beside", workers=1)))
        self.assertEqual(pathlib.Path(f"/proc/{pid}/comm").exists(), True)
        waiting = self.submit(self.job_file("waiting", workers=2))
        self.wait_until(lambda: f"not used: eqn2, where {left}" in self.job(waiting)["state_reason"], "it waits")
        self.stop_coordinator()  # the next one knows of it
        self.start_coordinator(slots=((2, 1), (3, 1)))
        self.assertEqual(self.hosts_list()["eqn2"]["cordon"]["reason"], left)
        self.hung.go_on()
        self.finish(waiting)
        self.assertEqual(self.hosts_list()["eqn2"]["state"], "HOST_STATE_READY")


if __name__ == "__main__":
    hung_files.with_own_mounts()
    unittest.main()

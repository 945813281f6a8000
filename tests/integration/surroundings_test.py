"""What a command finds around it: an allocation of a batch system, a full TMPDIR, a reader that leaves."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs

HOST = socket.gethostname()
SLURM = {"SLURM_JOBID": "77", "SLURM_JOB_ID": "77", "SLURM_NODELIST": f"{HOST},node02",
         "SLURM_JOB_NODELIST": f"{HOST},node02", "SLURM_TASKS_PER_NODE": "1(x2)", "SLURM_NNODES": "2"}


class Surroundings(programs.ProgramTest):
    def setUp(self):
        super().setUp()
        self.small_model()
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir()

    def evaluate(self, *arguments):
        return ("equipoise", "evaluate", "--model", self.folder / "model", "--data",
                self.folder / "data/validation.jsonl", "--output", self.folder / "pairs.jsonl", *arguments)

    def start(self, *command, **options):
        program, *rest = [str(word) for word in command]
        process = subprocess.Popen([str(programs.BIN / program), *rest], stdin=subprocess.DEVNULL, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**programs.ENVIRONMENT, "TMPDIR": str(self.temporary)}, **options)
        self.addCleanup(process.kill)
        return process

    def assert_nothing_is_left(self):
        self.assertEqual(sorted(path.name for path in self.temporary.iterdir()), [])

    def test_an_allocation_of_several_nodes_is_none_of_theirs(self):
        hosts = self.folder / "hosts"
        hosts.write_text(f"{HOST}\nnode02.invalid\n")
        around = {
            "slurm": SLURM,
            "pbs": {"PBS_JOBID": "12.head", "PBS_ENVIRONMENT": "PBS_BATCH", "PBS_NODEFILE": str(hosts)},
            "lsf": {"LSB_JOBID": "5", "LSB_HOSTS": f"{HOST} node02", "LSB_MCPU_HOSTS": f"{HOST} 1 node02 1",
                    "LSB_DJOB_HOSTFILE": str(hosts)},
            "grid": {"SGE_ROOT": "/opt/sge", "ARC": "lx-amd64", "PE_HOSTFILE": str(hosts), "JOB_ID": "5"},
            "default": {"OMPI_MCA_orte_default_hostfile": str(hosts)},
            "mpirun": {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_UNIVERSE_SIZE": "2",
                       "OMPI_MCA_ess": "^singleton", "OMPI_MCA_orte_ess_num_procs": "2", "PMIX_RANK": "0"},
        }
        for name, variables in around.items():
            with self.subTest(around=name):
                job = self.write_job(name, training={"max_steps": 1, "global_batch_size": 8})
                self.succeed("equipoise", "train", job, "--np", "2", "--quiet", **variables)
                self.succeed(*self.evaluate("--np", "2", "--quiet"), **variables)

    def test_a_coordinator_uses_an_allocation_only_if_told_to(self):
        self.assertIn("--allocation: this program runs in no job of a batch system",
                      self.refused("equipoise-coordinator", "--allocation", "--state", self.folder / "state",
                                   "--listen", "127.0.0.1:0", "--metrics-listen", ""))
        # A srun that says what it was asked for stands for Slurm's.
        tools = self.folder / "tools"
        tools.mkdir()
        asked = self.folder / "asked"
        (tools / "srun").write_text(f'#!/bin/sh\necho "$@" >> {asked}\nexit 1\n')
        (tools / "srun").chmod(0o755)
        before = dict(programs.ENVIRONMENT)
        self.addCleanup(programs.ENVIRONMENT.update, {"PATH": before["PATH"]})
        for name in SLURM:
            self.addCleanup(programs.ENVIRONMENT.pop, name, None)
        programs.ENVIRONMENT.update(SLURM, PATH=f"{tools}:{before['PATH']}")
        for flags in ([], ["--allocation"]):
            with self.subTest(flags=flags), programs.Coordinator(self.folder / f"state{len(flags)}", *flags) as here:
                job = self.write_job(f"job{len(flags)}", training={"max_steps": 1, "global_batch_size": 8})
                result = programs.run("equipoise", "submit", job, "--np", "2", "--watch", "--coordinator", here.address)
                self.assertEqual(result.returncode, 1 if flags else 0, result.stderr)
                self.assertEqual(asked.exists(), bool(flags))
        self.assertIn("node02", asked.read_text())

    def test_a_full_tmpdir_is_named(self):
        job = self.write_job("run")
        commands = [["equipoise", "train", str(job)], [str(word) for word in self.evaluate()],
                    ["equipoise", "reproduce", "opinions", "--quick", "--output", str(self.folder / "experiment")]]
        for size, inodes in (("4096", 0), ("64k", 0), ("2m", 0), ("64m", 2)):
            for command in commands:
                mount = f"mount -t tmpfs -o size={size}{f',nr_inodes={inodes}' if inodes else ''} full {self.temporary}"
                command[0] = str(programs.BIN / "equipoise")
                result = programs.run("unshare", "-rm", "sh", "-c", f'{mount} || exit 99; exec "$@"', "sh", *command,
                                      TMPDIR=str(self.temporary))
                if result.returncode == 99:
                    self.fail("no file system can be mounted here, which this test needs: " + result.stderr)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
                self.assertIn(f"TMPDIR ({self.temporary})", result.stderr)
                self.assertIn("set TMPDIR to another folder", result.stderr)
        for folder in (self.folder / "none", job):
            line = self.refused("equipoise", "train", job, TMPDIR=str(folder))
            self.assertIn(f"TMPDIR ({folder}) takes no new folder", line)

    def test_each_program_warns_once_of_a_variable_that_none_reads(self):
        job = self.write_job("run", training={"max_steps": 1, "global_batch_size": 8})
        result = programs.run("equipoise", "train", job, "--np", "2", EQUIPOISE_DEVCE="cpu")
        self.assertEqual(result.returncode, 0, result.stderr)
        warning = 'the environment variable "EQUIPOISE_DEVCE" has no effect, the nearest known name is EQUIPOISE_DEVICE'
        self.assertEqual(result.stderr, f"equipoise: warning: {warning}\n")
        self.assertEqual(result.stdout.count(warning), 1, result.stdout)  # of the ranks one alone, as a condition

    def test_nothing_is_left_in_tmpdir(self):
        job = self.write_job("run")
        self.succeed("equipoise", "train", job, "--quiet", TMPDIR=str(self.temporary))
        self.assert_nothing_is_left()
        self.refused("equipoise", "train", job, "--overwrite", "--set", "data.max_length=1",
                     TMPDIR=str(self.temporary))
        self.assert_nothing_is_left()
        job = self.write_job("long", training={"max_steps": 1000000, "global_batch_size": 16})
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130)):
            process = self.start("equipoise", "train", job, "--overwrite", "--np", "2")
            self.wait_until_it_trains(process)
            process.send_signal(number)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, code)
            self.assert_nothing_is_left()

    def wait_until_it_trains(self, process):
        for line in process.stdout:
            if "/1000000" in line:
                return
        self.fail(process.stderr.read())

    def test_a_failure_leaves_its_logs_with_the_run(self):
        job = self.write_job("long", training={"max_steps": 1000000, "global_batch_size": 16})
        process = self.start("equipoise", "train", job, "--np", "2", "--set", "launch.max_restarts=0")
        self.wait_until_it_trains(process)
        ranks = [int(path.name) for path in pathlib.Path("/proc").iterdir() if path.name.isdigit()
                 and b"equipoise-worker" in self.command_of(path) and str(self.temporary).encode() in
                 self.environment_of(path)]
        os.kill(ranks[-1], signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1)
        self.assertEqual(len(errors.strip().splitlines()), 1, errors)
        self.assertIn(f"log: {self.folder}/long/failure", errors)
        self.assertTrue((self.folder / "long/failure/stderr.log").exists())
        self.assert_nothing_is_left()
        self.succeed("equipoise", "train", job, "--overwrite", "--quiet", "--set", "training.max_steps=1")
        self.assertFalse((self.folder / "long/failure").exists())

    @staticmethod
    def command_of(process):
        try:
            return (process / "cmdline").read_bytes().split(b"\0")[0]
        except OSError:
            return b""

    @staticmethod
    def environment_of(process):
        try:
            return (process / "environ").read_bytes()
        except OSError:
            return b""

    def test_killed_it_leaves_nothing_either(self):
        job = self.write_job("long", training={"max_steps": 1000000, "global_batch_size": 16})
        process = self.start("equipoise", "train", job)
        self.wait_until_it_trains(process)
        process.kill()
        process.communicate()
        deadline = time.monotonic() + 60
        while any(self.temporary.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assert_nothing_is_left()

    def test_a_reader_that_leaves_ends_no_training(self):
        job = self.write_job("run", training={"max_steps": 40, "global_batch_size": 16})
        process = self.start("equipoise", "train", job)
        self.assertNotEqual(process.stdout.readline(), "")
        process.stdout.close()
        self.assertEqual(process.wait(timeout=240), 0, process.stderr.read())
        self.assertEqual(process.stderr.read(), "")
        self.assertEqual(json.loads((self.folder / "run/metrics.jsonl").read_text().splitlines()[-1])["step"], 40)
        self.assertTrue((self.folder / "run/final/model.safetensors").exists())

    def test_a_command_that_only_prints_ends_quietly(self):
        for command in (["--help"], ["train", "--help"], ["version"],
                        ["data", "check", self.folder / "data/train.jsonl"], list(self.evaluate()[1:])):
            read, write = os.pipe()
            os.close(read)
            result = subprocess.run([str(programs.BIN / "equipoise"), *map(str, command)], stdout=write, text=True,
                                    stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=programs.ENVIRONMENT)
            os.close(write)
            self.assertEqual((result.returncode, result.stderr), (0, ""), command)
        with open("/dev/full", "w") as full:
            result = subprocess.run([str(programs.BIN / "equipoise"), "version"], stdout=full, stderr=subprocess.PIPE,
                                    text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("the output cannot be written", result.stderr)


if __name__ == "__main__":
    unittest.main()

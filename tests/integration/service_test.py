"""A coordinator as a service: jobs over the network, workers started by it or by hand, health, reflection, metrics."""

import contextlib
import json
import pathlib
import re
import shutil
import sqlite3
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
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc  # noqa: E402


class Service(programs.ServiceTest):

    def setUp(self):
        super().setUp()
        self.small_model()
        self.coordinator = programs.Coordinator(self.folder / "state")
        self.addCleanup(self.coordinator.stop)

    def submit(self, job, *arguments):
        return self.succeed("equipoise", "submit", job, "--coordinator", self.coordinator.address,
                            *arguments).strip().splitlines()[-1].split()[-1]

    def wait_until_it_trains(self, watch):
        for line in watch.stdout:
            if re.search(r" [1-9][0-9]*/1000000 ", line):
                return
        self.fail("the job ended before its first step")

    def metrics(self):
        with urllib.request.urlopen(f"http://{self.coordinator.metrics}/metrics", timeout=30) as answer:
            return answer.read().decode()

    def test_submit_watch_get_list(self):
        job_id = self.submit(self.write_job("served"), "--np", "2")
        self.jobs("watch", job_id)
        job = self.job(job_id)
        self.assertEqual(job["state"], "JOB_STATE_SUCCEEDED")
        self.assertEqual((int(job["step"]), job["world_size"]), (8, 2))
        self.assertAlmostEqual(sum(group["weight"] for group in job["groups"]), 1, places=12)
        self.assertIn(job_id, self.jobs("list"))
        self.assertTrue((self.folder / "served/final/model.safetensors").exists())

        # The weights the coordinator kept are those the run wrote down.
        lines = [line for line in programs.read_lines(self.folder / "served/metrics.jsonl") if "split" not in line]
        kept = json.loads(self.jobs("weights", job_id, "--json"))
        self.assertEqual([record["alpha"] for record in kept["records"]],
                         [[line["group_weight"][name] for name in kept["group_names"]] for line in lines])

    def test_metrics_are_what_prometheus_reads(self):
        job_id = self.submit(self.write_job("measured"), "--np", "2")
        self.jobs("watch", job_id)
        text = self.metrics()
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        for group in self.job(job_id)["groups"]:
            self.assertIn(f'equipoise_group_weight{{group="{group["name"]}",training_job="{job_id}"}}', text)
        self.assertIn(f'equipoise_worst_group_loss{{split="validation",training_job="{job_id}"}}', text)
        self.assertIn("equipoise_weight_update_seconds_count", text)

    def calls(self):
        """Calls that were answered with OK so far, by method."""
        found = re.findall(r'^equipoise_rpc_requests_total\{(.*)\} (\S+)$', self.metrics(), re.MULTILINE)
        labels = [(dict(re.findall(r'(\w+)="([^"]*)"', text)), float(count)) for text, count in found]
        return {label["method"].split("/")[-1]: count for label, count in labels if label["code"] == "OK"}

    def test_a_logged_step_makes_one_call(self):
        # It made two: alpha came with GetGroupWeights, 10 times in these 8 steps and 2 evaluations.
        before = self.calls()
        job_id = self.submit(self.write_job("counted", logging={"every_steps": 1}), "--np", "2")
        self.jobs("watch", job_id)
        lines = programs.read_lines(self.folder / "counted/metrics.jsonl")
        self.assertEqual(len([line for line in lines if "group_weight" in line]), 10)
        calls = self.calls()
        self.assertEqual(calls["ReportStep"] - before.get("ReportStep", 0), 8)
        self.assertNotIn("GetGroupWeights", calls)

    def test_workers_started_by_hand(self):
        job_id = self.submit(self.write_job("by-hand"), "--external")
        result = programs.run("mpirun", "-np", "2", "--oversubscribe", programs.BIN / "equipoise-worker",
                              "--coordinator", self.coordinator.address, "--job", job_id)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        job = self.job(job_id)
        self.assertEqual((job["state"], job["world_size"]), ("JOB_STATE_SUCCEEDED", 2))

    def test_watch_outlives_a_coordinator_that_is_killed(self):
        job_id = self.submit(self.write_job("outlived"), "--external")
        with subprocess.Popen([str(programs.BIN / "equipoise"), "jobs", "watch", job_id, "--coordinator",
                               self.coordinator.address], stdout=subprocess.PIPE, text=True,
                              env=programs.ENVIRONMENT) as watch:
            watch.stdout.readline()
            self.coordinator.process.kill()
            self.coordinator.stop()
            self.coordinator = programs.Coordinator(self.folder / "state", listen=self.coordinator.address)
            self.addCleanup(self.coordinator.stop)
            result = programs.run("mpirun", "-np", "2", "--oversubscribe", programs.BIN / "equipoise-worker",
                                  "--coordinator", self.coordinator.address, "--job", job_id)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            said = watch.stdout.read()
            self.assertEqual(watch.wait(timeout=60), 0, said)
        self.assertIn("8/8", said)

    def rows_of(self, job_id):
        """How many rows of a job each table has that has some, but for the row that keeps its id from others."""
        with contextlib.closing(sqlite3.connect(self.coordinator.state / "coordinator.sqlite3")) as database:
            names = [name for name, in database.execute(
                "SELECT DISTINCT t.name FROM sqlite_master t, pragma_table_info(t.name) c "
                "WHERE t.type = 'table' AND c.name = 'job_id'")]
            rows = {name: database.execute(f"SELECT count(*) FROM {name} WHERE job_id = ?", (job_id,)).fetchone()[0]
                    for name in names}
        return {name: count for name, count in rows.items() if count}

    def test_deleted_job_leaves_nothing_even_where_the_coordinator_is_killed(self):
        job_id = self.submit(self.write_job("gone"), "--np", "2")
        self.jobs("watch", job_id)
        self.assertEqual(self.job(job_id)["state"], "JOB_STATE_SUCCEEDED")
        logs = self.coordinator.state / "logs" / job_id
        self.assertTrue(logs.exists())
        self.assertIn("steps", self.rows_of(job_id))
        self.jobs("delete", job_id)
        self.coordinator.process.kill()
        self.coordinator.stop()
        self.coordinator = programs.Coordinator(self.folder / "state")
        self.addCleanup(self.coordinator.stop)
        self.assertNotIn(job_id, self.jobs("list"))
        self.assertNotIn(job_id, self.metrics())
        deadline = time.monotonic() + 60
        while logs.exists() or self.rows_of(job_id):
            self.assertLess(time.monotonic(), deadline, f"{self.rows_of(job_id)} are left, logs: {logs.exists()}")
            time.sleep(0.05)
        self.assertTrue((self.folder / "gone/final").exists())  # what the job has made

    def test_cancel_stops_the_workers(self):
        job_id = self.submit(self.write_job("long", training={"max_steps": 1000000, "global_batch_size": 16}), "--np", "2")
        with subprocess.Popen([str(programs.BIN / "equipoise"), "jobs", "watch", job_id, "--coordinator",
                               self.coordinator.address], stdout=subprocess.PIPE, text=True,
                              env=programs.ENVIRONMENT) as watch:
            self.wait_until_it_trains(watch)
            self.jobs("cancel", job_id)
            self.assertNotEqual(watch.wait(timeout=60), 0)
        self.assertEqual(self.job(job_id)["state"], "JOB_STATE_CANCELLED")
        left = subprocess.run(["pgrep", "-f", f"equipoise-worker.*{job_id}"], capture_output=True, text=True)
        self.assertEqual(left.stdout, "")
        self.assertFalse((self.folder / "long/final").exists())

    def test_failure_of_a_rank_is_the_jobs_reason(self):
        (self.folder / "model/config.json").write_text('{"model_type": "mamba"}')
        job_id = self.submit(self.write_job("unsupported"), "--np", "2")
        programs.run("equipoise", "jobs", "watch", job_id, "--coordinator", self.coordinator.address)
        job = self.job(job_id)
        self.assertEqual((job["state"], job["failure_kind"]), ("JOB_STATE_FAILED", "FAILURE_KIND_INVALID_INPUT"))
        self.assertIn("mamba", job["state_reason"])

    def test_killed_rank_fails_the_job(self):
        job_id = self.submit(self.write_job("killed", training={"max_steps": 1000000, "global_batch_size": 16}),
                             "--external")
        with subprocess.Popen(["mpirun", "-np", "2", "--oversubscribe", str(programs.BIN / "equipoise-worker"),
                               "--coordinator", self.coordinator.address, "--job", job_id],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=programs.ENVIRONMENT) as mpirun:
            with subprocess.Popen([str(programs.BIN / "equipoise"), "jobs", "watch", job_id, "--coordinator",
                                   self.coordinator.address], stdout=subprocess.PIPE, text=True,
                                  env=programs.ENVIRONMENT) as watch:
                self.wait_until_it_trains(watch)
                rank = subprocess.run(["pgrep", "-P", str(mpirun.pid), "-f", "equipoise-worker"], capture_output=True,
                                      text=True).stdout.split()[-1]
                subprocess.run(["kill", "-9", rank], check=True)
                self.assertNotEqual(watch.wait(timeout=120), 0)
            self.assertNotEqual(mpirun.wait(timeout=60), 0)
        self.assertEqual(self.job(job_id)["state"], "JOB_STATE_FAILED")

    def test_health_and_reflection(self):
        with grpc.insecure_channel(self.coordinator.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            services = ["equipoise.v1.HostService", "equipoise.v1.TrainingJobService", "equipoise.v1.WorkerService"]
            for service in ["", *services]:
                answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
                self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING, service)
            reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            answer = next(iter(reflection.ServerReflectionInfo(iter([request]), timeout=30)))
            names = [service.name for service in answer.list_services_response.service]
            self.assertLessEqual({*services, "grpc.health.v1.Health"}, set(names))

    def health(self, address):
        with grpc.insecure_channel(address) as channel:
            return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30).status

    def test_state_folder_deleted_while_a_job_trains(self):
        # It went on acknowledging steps and jobs into files without a name, and called itself SERVING.
        long = self.write_job("long", training={"max_steps": 1000000, "global_batch_size": 16})
        job_id = self.submit(long, "--np", "2")
        with subprocess.Popen([str(programs.BIN / "equipoise"), "jobs", "watch", job_id, "--coordinator",
                               self.coordinator.address], stdout=subprocess.PIPE, text=True,
                              env=programs.ENVIRONMENT) as watch:
            self.wait_until_it_trains(watch)
            watch.terminate()
        shutil.rmtree(self.coordinator.state)
        deadline = time.monotonic() + 30
        while self.health(self.coordinator.address) == health_pb2.HealthCheckResponse.SERVING:
            self.assertLess(time.monotonic(), deadline, "health says SERVING")
            time.sleep(0.02)
        before = self.calls().get("ReportStep", 0)
        result = programs.run("equipoise", "submit", self.write_job("refused"), "--coordinator",
                              self.coordinator.address)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("was deleted while this coordinator had it open", result.stderr)
        self.assertEqual(self.calls().get("ReportStep", 0), before, "a step is acknowledged")

        with programs.Coordinator(self.coordinator.state) as second:
            self.assertEqual(self.health(second.address), health_pb2.HealthCheckResponse.SERVING)
            self.assertEqual(self.coordinator.stop(), 0)  # and ends its ranks
            left = subprocess.run(["pgrep", "-f", f"equipoise-worker.*{job_id}"], capture_output=True, text=True)
            self.assertEqual(left.stdout, "")
            kept = self.succeed("equipoise", "submit", self.write_job("kept"), "--external", "--coordinator",
                                second.address)
        self.assertTrue(kept)
        said = (self.folder / "state.log").read_text().count("no call that changes anything is taken any more")
        self.assertEqual(said, 1)

    def test_ends_cleanly_when_asked(self):
        self.assertEqual(self.coordinator.stop(), 0)


if __name__ == "__main__":
    unittest.main()

"""What Kubeflow Trainer is told of a job: a real HTTPS server in the place of Trainer's, which refuses what Trainer
refuses (its statusserver of releases 2.2 and 2.3): another certificate authority's connection, another path or token,
another body than the TrainJob's status has. The job's ranks are started as in the launcher's container."""

import datetime
import http.server
import json
import pathlib
import signal
import ssl
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

sys.path[:0] = [str(programs.DEPS / "python-schemas"), str(programs.DEPS / "python-tests")]
import jsonschema  # noqa: E402

LAUNCH = programs.ROOT / "deploy/kubernetes/launch-ranks"
PATH = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/equipoise/trainjobs/small/status"
# UpdateTrainJobStatusRequest, as the CRD of trainer.kubeflow.org/v1alpha1 has status.trainerStatus.
SHORT = {"type": "string", "minLength": 1, "maxLength": 64}
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["trainerStatus"], "properties": {
        "trainerStatus": {
            "type": "object", "additionalProperties": False, "required": ["lastUpdatedTime"], "properties": {
                "progressPercentage": {"type": "integer", "minimum": 0, "maximum": 100},
                "estimatedRemainingSeconds": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
                "lastUpdatedTime": {"type": "string"},
                "metrics": {"type": "array", "maxItems": 256, "items": {
                    "type": "object", "additionalProperties": False, "required": ["name", "value"],
                    "properties": {"name": SHORT, "value": SHORT}}}}}}}


class Trainer:
    """Answers as Trainer does, and keeps what it has taken. `answers`: statuses that come before."""

    def __init__(self, folder, token):
        self.token, self.answers, self.taken, self.refused = token, [], [], []
        trainer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = trainer.answers.pop(0) if trainer.answers else trainer.status(self.path, self.headers, body)
                trainer.taken.append(json.loads(body)["trainerStatus"]) if status == 200 else \
                    trainer.refused.append(status)
                answer = body if status == 200 else b'{"status": "Failure"}'
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "server.pem", folder / "server.key")
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}{PATH}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def status(self, path, headers, body):
        if path != PATH:
            return 404
        if headers["Authorization"] != f"Bearer {self.token}":
            return 403
        try:
            jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(body))
        except (ValueError, jsonschema.ValidationError):
            return 422
        return 200

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class TrainJobs(programs.ProgramTest):
    """A coordinator, and a Trainer that wants to know how far its jobs are."""

    TRAINER = Trainer

    def setUp(self):
        super().setUp()
        self.make_certificate("server", "-addext", "subjectAltName=IP:127.0.0.1")
        self.token = self.folder / "token"
        self.token.write_text("of-the-pod\n")
        self.trainer = self.TRAINER(self.folder, "of-the-pod")
        self.addCleanup(self.trainer.close)
        self.variables = {"KUBEFLOW_TRAINER_SERVER_URL": self.trainer.url,
                          "KUBEFLOW_TRAINER_SERVER_CA_CERT": str(self.folder / "server.pem"),
                          "KUBEFLOW_TRAINER_SERVER_TOKEN": str(self.token)}
        self.coordinator = programs.Coordinator(self.folder / "state")
        self.addCleanup(self.coordinator.stop)
        self.variables["EQUIPOISE_COORDINATOR"] = self.coordinator.address

    def make_certificate(self, name, *options):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", f"/CN={name}", *options, "-keyout",
                        self.folder / f"{name}.key", "-out", self.folder / f"{name}.pem"], check=True,
                       capture_output=True)

    def submit(self, steps=5, **sections):
        rows = [{"state": [1.0, 0.5], "group": i % 2, "chosen": i % 3, "rejected": 3} for i in range(24)]
        (self.folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        job = {
            "name": "small",
            "policy": {"log_linear": {"features": "swapped", "actions": 8, "reward": [[1, 3, 1, 3], [3, 1, 3, 1]],
                                      "initial_theta": [1, 2, 3, 4]}},
            "data": {"train": "train.jsonl", "shuffle": False}, "loss": {"type": "dpo", "beta": 1},
            "robust": {"mode": "group_robust", "step_size": 0.1}, "optimizer": {"type": "sgd", "learning_rate": 0.1},
            "training": {"max_steps": steps, "global_batch_size": 12}, "output": "run", **sections}
        (self.folder / "job.yaml").write_text(json.dumps(job))
        return self.succeed("equipoise", "submit", self.folder / "job.yaml", "--external", "--coordinator",
                            self.coordinator.address).splitlines()[-1].split()[-1]

    def launch(self, job, **variables):
        home = self.folder / "home"
        (home / "build/release").mkdir(parents=True)
        (home / "build/release/bin").symlink_to(programs.BIN)
        (home / "deploy").symlink_to(programs.ROOT / "deploy")
        (self.folder / "hostfile").write_text("localhost slots=2\n")
        return programs.run(LAUNCH, timeout=900, **{
            **self.variables, "JOB": job, "REPORT_SECONDS": "1", "EQUIPOISE_HOME": str(home),
            "OMPI_MCA_orte_default_hostfile": str(self.folder / "hostfile"), **variables})

    def report(self, job, *options, **variables):
        return programs.run("equipoise", "jobs", "report", job, "--every", "1", *options,
                            **{**self.variables, **variables})

    def cancelled(self):
        job = self.submit()
        self.succeed("equipoise", "jobs", "cancel", job, "--coordinator", self.coordinator.address)
        return job

    def metrics(self):
        return {metric["name"]: metric["value"] for metric in self.trainer.taken[-1]["metrics"]}


class Kubeflow(TrainJobs):
    def test_a_launcher_tells_how_far_its_job_is_until_the_end(self):
        result = self.launch(self.submit())
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(self.trainer.refused, [])
        last = self.trainer.taken[-1]
        self.assertEqual((last["progressPercentage"], last["estimatedRemainingSeconds"]), (100, 0))
        told = datetime.datetime.strptime(last["lastUpdatedTime"], "%Y-%m-%dT%H:%M:%SZ")
        self.assertLess(abs(told.replace(tzinfo=datetime.timezone.utc).timestamp() - time.time()), 300)
        metrics = self.metrics()
        self.assertEqual((metrics["step"], metrics["total_steps"], metrics["restarts"]), ("5", "5", "0"))
        self.assertIn(metrics["worst_group"], ("0", "1"))
        for name in ("loss", "worst_group_loss", "worst_group_weight"):
            self.assertGreater(float(metrics[name]), 0, name)
        # The first one is of a job that waits for its ranks.
        self.assertEqual({metric["name"]: metric["value"] for metric in self.trainer.taken[0]["metrics"]}["step"], "0")

    def test_a_job_that_fails_is_told_and_fails_the_container(self):
        job = self.submit()
        (self.folder / "train.jsonl").write_text("{}\n")
        result = self.launch(job)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertTrue(self.trainer.taken)
        self.assertNotEqual(self.trainer.taken[-1].get("progressPercentage"), 100)

    def test_a_trainer_that_is_away_or_refuses_does_not_end_the_job(self):
        self.token.write_text("of-another-pod\n")
        result = self.launch(self.submit())
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual((self.trainer.taken, set(self.trainer.refused)), ([], {403}))
        self.assertIn("does not take the status: HTTP status 403", result.stderr)

    def test_what_was_not_taken_is_posted_anew_with_the_token_of_then(self):
        self.trainer.answers = [503, 500]
        result = self.report(self.cancelled())
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual((self.trainer.refused, len(self.trainer.taken)), ([503, 500], 1))

    def test_another_authority_is_not_trusted_with_the_token(self):
        self.make_certificate("other")
        result = self.report(self.cancelled(), KUBEFLOW_TRAINER_SERVER_CA_CERT=str(self.folder / "other.pem"))
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual((self.trainer.taken, self.trainer.refused), ([], []))

    def test_a_url_in_the_clear_and_a_missing_token_are_refused(self):
        job = self.cancelled()
        line = self.refused("equipoise", "jobs", "report", job, "--status-url", "http://127.0.0.1/x", **{
            name: value for name, value in self.variables.items() if not name.endswith("URL")})
        self.assertIn("--status-url is not https://", line)
        self.token.write_text("a\r\nHost: other")
        self.assertEqual(self.refused("equipoise", "jobs", "report", job, **self.variables),
                         f"equipoise jobs report: {self.token}: holds no token, expected one word")
        self.token.unlink()
        self.assertIn(str(self.token), self.refused("equipoise", "jobs", "report", job, **self.variables))

    def test_a_signal_ends_it_and_the_job_goes_on(self):
        job = self.submit()
        process = subprocess.Popen([programs.BIN / "equipoise", "jobs", "report", job, "--every", "3600"],
                                   env={**programs.ENVIRONMENT, **self.variables}, stderr=subprocess.PIPE)
        while not self.trainer.taken:
            self.assertIsNone(process.poll())
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 130, said)
        state = json.loads(self.succeed("equipoise", "jobs", "get", job, "--json", "--coordinator",
                                        self.coordinator.address))["state"]
        self.assertEqual(state, "JOB_STATE_QUEUED")


if __name__ == "__main__":
    unittest.main()

"""docs/grpcurl.md: an example of every call, and each works."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import grpc  # noqa: E402
from google.protobuf import descriptor_pool, field_mask_pb2, json_format, message_factory  # noqa: E402
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # noqa: E402
    ProtoReflectionDescriptorDatabase)

SERVICES = ("equipoise.v1.TrainingJobService", "equipoise.v1.HostService", "equipoise.v1.WorkerService")
ADDRESS = "127.0.0.1:7443"
# The program; empty: calls are made as it makes them. `make test-grpcurl` demands it.
GRPCURL = os.environ.get("EQUIPOISE_GRPCURL", shutil.which("grpcurl") or "")


def examples():
    """The words of each command of the page, which ends where no backslash and no quote leaves it open."""
    commands, command = [], ""
    for line in (programs.ROOT / "docs/grpcurl.md").read_text().splitlines():
        if not command and not line.startswith("grpcurl "):
            continue
        command += line.strip().removesuffix("\\") + " "
        if line.endswith("\\") or command.count("'") % 2:
            continue
        commands.append(shlex.split(command))
        command = ""
    return commands


class Grpcurl(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        self.small_model()
        (self.folder / "hosts").write_text("localhost slots=4\n")
        self.coordinator = programs.Coordinator(self.folder / "state", "--hostfile", str(self.folder / "hosts"))
        self.addCleanup(self.coordinator.stop)
        self.channel = grpc.insecure_channel(self.coordinator.address)
        self.addCleanup(self.channel.close)
        self.pool = pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))
        self.methods = {f"{name}/{method.name}": method for name in SERVICES
                        for method in pool.FindServiceByName(name).methods}

    def submit(self, job, *options):
        said = self.succeed("equipoise", "submit", job, *(options or ["--np", "1"]), "--coordinator",
                            self.coordinator.address)
        return said.split()[-1]

    def external_job(self, name):
        """A job of the page's own: of one rank that nobody launches, and of three steps."""
        return self.submit(self.write_job(name, training={"max_steps": 3, "global_batch_size": 16, "seed": 1}),
                           "--external")

    def wait_for_state(self, job_id, wanted):
        self.wait_for(job_id, lambda job: job["state"] == wanted)

    def wait_for(self, job_id, is_reached):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            job = json.loads(self.succeed("equipoise", "jobs", "get", job_id, "--json", "--coordinator",
                                          self.coordinator.address))
            if is_reached(job):
                return
            time.sleep(0.2)
        self.fail(f"still {job['state']}: {job['state_reason']}")

    def call(self, words):
        """The code and the answer, or what was said. `words` are those of a grpcurl command."""
        if GRPCURL:
            done = subprocess.run([GRPCURL, *words[1:]], capture_output=True, text=True, timeout=60)
            code = re.search(r"Code: (\w+)", done.stderr)
            if done.returncode != 0 and not code:
                self.fail(f"{words}: {done.stderr}")
            return "OK" if done.returncode == 0 else code.group(1), done.stdout + done.stderr
        method = self.methods[words[-1]]
        fields = json.loads(words[words.index("-d") + 1] if "-d" in words else "{}")
        for name, value in fields.items():
            if name.endswith("_mask"):  # a message as any other to grpcurl, a text to json_format
                fields[name] = field_mask_pb2.FieldMask(paths=value["paths"]).ToJsonString()
        request = json_format.ParseDict(fields, message_factory.GetMessageClass(method.input_type)())
        answer = message_factory.GetMessageClass(method.output_type)
        make = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        invoke = make(f"/{words[-1]}", request_serializer=type(request).SerializeToString,
                      response_deserializer=answer.FromString)
        try:
            said = invoke(request, timeout=60)
            return "OK", "".join(json_format.MessageToJson(one) for one in
                                 (said if method.server_streaming else [said]))
        except grpc.RpcError as error:
            return error.code().name, error.details()

    def assert_lists(self, words):
        """What a service is said to have, and that both kinds of tools learn it in the same way."""
        if not GRPCURL:
            return
        real = [word.replace(ADDRESS, self.coordinator.address) for word in words]
        done = subprocess.run([GRPCURL, *real[1:]], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({line.replace(f"{words[-1]}.", f"{words[-1]}/") for line in done.stdout.split()},
                         {name for name in self.methods if name.startswith(f"{words[-1]}/")})

    def test_a_refusal_has_the_code_and_the_reason_that_the_page_shows(self):
        job = self.submit(self.write_job("refused"))
        words = ["grpcurl", "-plaintext", "-d", json.dumps({"id": job, "etag": "none"}), self.coordinator.address,
                 f"{SERVICES[0]}/CancelTrainingJob"]
        code, said = self.call(words)
        self.assertEqual(code.upper(), "ABORTED")
        self.assertIn('not "none": its state or settings have changed since it was read; read it again', said)
        if GRPCURL:
            self.assertIn('"reason": "ETAG_MISMATCH"', said.replace('":"', '": "'))
            self.assertNotIn("not recognized", said)
        for name in ("ErrorInfo", "BadRequest", "RetryInfo"):  # what a tool needs to show it
            self.assertTrue(self.pool.FindMessageTypeByName(f"google.rpc.{name}").fields)

    def test_every_call_has_an_example_that_works(self):
        ended = self.submit(self.write_job("survey"))
        self.wait_for_state(ended, "JOB_STATE_SUCCEEDED")
        running = self.submit(self.write_job("survey-long", name="survey", training={
            "max_steps": 1000000, "global_batch_size": 16, "seed": 1}))
        self.wait_for_state(running, "JOB_STATE_RUNNING")
        by_hand, leaving = self.external_job("by-hand"), self.external_job("leaving")
        (self.folder / "runs").mkdir()
        shown = set()
        for words in examples():
            if words[-2] == "list":
                self.assert_lists(words)
                continue
            self.assertEqual(words[-2], ADDRESS)
            name = words[-1].split("/")[-1]
            real = [word.replace("survey-1a2b3c4d", running).replace("survey-5e6f7a8b", ended)
                    .replace("survey-9c0d1e2f", by_hand).replace("survey-3a4b5c6d", leaving)
                    .replace("node2", "localhost").replace("/srv/", f"{self.folder}/")
                    .replace(ADDRESS, self.coordinator.address) for word in words]
            code, said = self.call(real)
            self.assertEqual(code, "OK", f"{real}\n{said}")
            shown.add(words[-1])
            if name in ("ListEvents", "ListAttempts", "ListGroupWeights", "GetTrainingJob", "ListTrainingJobs",
                        "ListHosts"):
                self.assertGreater(len(said), 2, f"{real}: nothing was answered")
            if name == "CheckpointTrainingJob":  # which a fork begins with
                self.wait_for(running, lambda job: int(job.get("checkpoint_step", 0)) > 0)
            if name in ("RegisterWorker", "StartTraining", "ReportStep"):  # also of the job whose rank leaves
                code, said = self.call([word.replace(by_hand, leaving) for word in real])
                self.assertEqual(code, "OK", f"{real}\n{said}")
            if name == "PauseTrainingJob":
                self.wait_for_state(running, "JOB_STATE_PAUSED")
        self.assertEqual(shown, set(self.methods))
        self.wait_for_state(by_hand, "JOB_STATE_SUCCEEDED")
        self.wait_for(leaving, lambda job: job["state"] == "JOB_STATE_QUEUED" and job["checkpoint_step"] == "1")


if __name__ == "__main__":
    unittest.main()

"""The API under load and over crashes: a thousand watchers, lists by the hundred, request ids after kill -9."""

import json
import pathlib
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import grpc  # noqa: E402
from google.protobuf import descriptor_pool, json_format, message_factory  # noqa: E402
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # noqa: E402
    ProtoReflectionDescriptorDatabase)

SERVICE = "equipoise.v1.TrainingJobService"


class Api(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        self.coordinator = None
        self.start()
        self.addCleanup(lambda: self.coordinator.stop())

    def start(self, *arguments):
        self.coordinator = programs.Coordinator(self.folder / "state", *arguments)
        self.channel = grpc.insecure_channel(self.coordinator.address)
        self.addCleanup(self.channel.close)
        pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))
        self.service = pool.FindServiceByName(SERVICE)

    def method(self, name):
        """The call as a function of the channel, and the class of its request."""
        method = self.service.FindMethodByName(name)
        request = message_factory.GetMessageClass(method.input_type)
        answer = message_factory.GetMessageClass(method.output_type)
        make = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        return make(f"/{SERVICE}/{name}", request_serializer=request.SerializeToString,
                    response_deserializer=answer.FromString), request

    def call(self, name, **fields):
        invoke, request = self.method(name)
        return invoke(request(**fields), timeout=60)

    def submit(self, name):
        """A job whose workers somebody would start by hand: it stays in the queue."""
        spec = {"name": name, "model": {"path": "/srv/model"}, "data": {"train": "/srv/train.jsonl"},
                "output": str(self.folder / name), "launch": {"mode": "LAUNCH_MODE_EXTERNAL"}}
        invoke, request = self.method("CreateTrainingJob")
        return invoke(json_format.ParseDict({"spec": spec}, request()), timeout=60).id

    def threads(self):
        status = pathlib.Path(f"/proc/{self.coordinator.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("Threads:")))

    def test_a_thousand_watchers_take_no_threads(self):
        job_id = self.submit("watched")
        before = self.threads()
        watch, request = self.method("WatchTrainingJob")
        streams = [watch(request(id=job_id), timeout=300) for _ in range(1000)]
        for stream in streams:
            self.assertEqual(next(stream).id, job_id)
        self.assertLess(self.threads(), before + 32)
        self.call("CancelTrainingJob", id=job_id)
        for stream in streams:
            last = None
            for last in stream:
                pass
            self.assertGreater(last.end_time.seconds, 0)
            self.assertEqual(stream.code(), grpc.StatusCode.OK)

    def test_many_lists_at_once_take_few_threads(self):
        for i in range(20):
            self.submit(f"listed-{i}")
        before = self.threads()
        most = [before]
        done = threading.Event()

        def look():
            while not done.is_set():
                most.append(self.threads())

        looking = threading.Thread(target=look)
        looking.start()
        try:
            invoke, request = self.method("ListTrainingJobs")
            lists = [invoke.future(request(), timeout=300) for _ in range(1600)]
            for one in lists:
                self.assertEqual(len(one.result().jobs), 20)
        finally:
            done.set()
            looking.join()
        self.assertLess(max(most), before + 64)

    def test_a_request_is_answered_as_before_after_kill_9(self):
        job_id = self.submit("repeated")
        cancelled = self.call("CancelTrainingJob", id=job_id, request_id="r1")
        self.coordinator.process.kill()
        self.coordinator.process.wait()
        self.start()
        again = self.call("CancelTrainingJob", id=job_id, request_id="r1")
        self.assertEqual(again.SerializeToString(deterministic=True), cancelled.SerializeToString(deterministic=True))
        with self.assertRaises(grpc.RpcError) as refused:
            self.call("DeleteTrainingJob", id=job_id, request_id="r1")
        self.assertEqual(refused.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        details = dict(refused.exception.trailing_metadata())["grpc-status-details-bin"]
        self.assertIn(b"REQUEST_ID_REUSED", details)
        self.call("DeleteTrainingJob", id=job_id, request_id="r2")
        self.call("DeleteTrainingJob", id=job_id, request_id="r2")

    def test_a_cordoned_host_gets_no_attempt_also_after_kill_9(self):
        self.small_model()
        self.coordinator.stop()
        (self.folder / "hosts").write_text("localhost slots=2\n")
        self.start("--hostfile", str(self.folder / "hosts"))
        at = ["--coordinator", self.coordinator.address]
        said = self.succeed("equipoise", "hosts", "cordon", "localhost", "--reason", "a new disk", *at)
        self.assertEqual(said, "localhost is CORDONED: a new disk\n")
        job_id = self.succeed("equipoise", "submit", self.write_job("waits"), "--np", "1", *at).split()[-1]
        self.coordinator.process.kill()
        self.coordinator.process.wait()
        self.start("--hostfile", str(self.folder / "hosts"))
        at = ["--coordinator", self.coordinator.address]
        [host] = json.loads(self.succeed("equipoise", "hosts", "list", "--json", *at))["hosts"]
        self.assertEqual((host["name"], host["slots"], host["used_slots"], host["state"], host["cordon"]["reason"],
                          host["cordon"]["cause"]),
                         ("localhost", 2, 0, "HOST_STATE_CORDONED", "a new disk", "CORDON_CAUSE_OPERATOR"))
        self.assertIn("a new disk", self.succeed("equipoise", "hosts", "list", *at))
        job = json.loads(self.succeed("equipoise", "jobs", "get", job_id, "--json", *at))
        self.assertEqual(job["state"], "JOB_STATE_QUEUED")
        self.assertEqual(self.succeed("equipoise", "hosts", "uncordon", "localhost", *at), "localhost is READY\n")
        self.succeed("equipoise", "jobs", "watch", job_id, *at)
        log = (self.folder / "state.log").read_text()
        self.assertIn("host localhost is cordoned: a new disk; no attempt is placed there", log)
        self.assertIn("host localhost is not cordoned any more", log)


if __name__ == "__main__":
    unittest.main()

"""Connections that ask for too much: floods, pings, messages without an end, more than there are files for. The coordinator
lives, and others are answered; HTTP/2 is written out by hand."""

import os
import pathlib
import socket
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import grpc  # noqa: E402

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 4, 6, 7
MAX_CONCURRENT_STREAMS = 3  # of the settings
LIST = "/equipoise.v1.TrainingJobService/ListTrainingJobs"


def frame(kind, payload=b"", flags=0, stream=0):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def frames(received):
    """Kind, flags and content of each whole frame."""
    while len(received) >= 9:
        length = int.from_bytes(received[:3], "big")
        yield received[3], received[4], received[9:9 + length]
        received = received[9 + length:]


class Connections(programs.ProgramTest):

    def start(self, *prefix):
        coordinator = programs.Coordinator(self.folder / "state", prefix=prefix)
        self.addCleanup(coordinator.stop)
        return coordinator

    def connect(self, coordinator):
        """A connection that has said hello."""
        host, port = coordinator.address.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)), timeout=60)
        self.addCleanup(connection.close)
        connection.sendall(PREFACE + frame(SETTINGS))
        return connection

    def receive(self, connection, is_enough=lambda received: False):
        """What comes until the other end closes, or it is enough."""
        received = b""
        while not is_enough(received):
            try:
                part = connection.recv(65536)
            except ConnectionError:
                break
            if not part:
                break
            received += part
        return received

    def channel(self, coordinator):
        channel = grpc.insecure_channel(coordinator.address, options=[("grpc.use_local_subchannel_pool", 1)])
        self.addCleanup(channel.close)
        return channel

    def list_over(self, channel):
        return channel.unary_unary(LIST)(b"", timeout=60)

    def assert_answers(self, coordinator):
        self.succeed("equipoise", "jobs", "list", "--coordinator", coordinator.address, "--timeout", "30")
        self.assertIsNone(coordinator.process.poll())

    def test_a_flood_of_pings_ends_its_connection_alone(self):
        coordinator = self.start()
        other = self.channel(coordinator)
        self.list_over(other)
        flood = self.connect(coordinator)
        try:
            for _ in range(100_000):
                flood.sendall(frame(PING, b"12345678"))
        except ConnectionError:
            pass
        else:
            self.fail("100,000 pings were taken")
        self.list_over(other)
        self.assert_answers(coordinator)
        # A few are no flood: their end says why it was closed.
        few = self.connect(coordinator)
        for _ in range(4):
            few.sendall(frame(PING, b"12345678"))
        farewell = [content for kind, _, content in frames(self.receive(few)) if kind == GOAWAY]
        self.assertIn(b"too_many_pings", farewell[-1])

    def test_a_connection_has_so_many_streams(self):
        coordinator = self.start()
        received = self.receive(self.connect(coordinator), lambda got: any(True for _ in frames(got)))
        kind, _, content = next(frames(received))
        self.assertEqual(kind, SETTINGS)
        settings = dict(struct.iter_unpack("!HI", content))
        self.assertEqual(settings[MAX_CONCURRENT_STREAMS], 2048)

    def test_a_message_nested_without_an_end_is_refused(self):
        coordinator = self.start()
        channel = self.channel(coordinator)
        group, end, deep = b"\x9b\x06", b"\x9c\x06", 10**6  # field 99 of a group that nobody knows

        def nested(field, depth):
            """Messages of one field in each other."""
            message = b""
            for _ in range(depth):
                length, size = len(message), b""
                while length >= 0x80:
                    size += bytes([length & 0x7f | 0x80])
                    length >>= 7
                message = field + size + bytes([length]) + message
            return message

        unknown = nested(b"\x9a\x06", 1000)
        for method in (LIST, "/equipoise.v1.TrainingJobService/CreateTrainingJob", "/equipoise.v1.HostService/ListHosts",
                       "/equipoise.v1.WorkerService/ReportSteps", "/grpc.health.v1.Health/Check"):
            for message in (group * deep, group * (deep // 2) + end * (deep // 2)):
                with self.assertRaises(grpc.RpcError) as refused:
                    channel.unary_unary(method)(message, timeout=60)
                self.assertNotIn(refused.exception.code(),
                                 (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), method)
            # Bytes of a field that nobody knows are not looked into.
            try:
                channel.unary_unary(method)(unknown, timeout=60)
            except grpc.RpcError as refused:
                self.assertNotEqual(refused.code(), grpc.StatusCode.UNAVAILABLE, method)
        call = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        self.assertEqual(list(call(iter([group * deep]), timeout=60)), [])
        self.assert_answers(coordinator)

    def test_more_connections_than_files_end_nobody_and_nothing_for_good(self):
        """gRPC's own listener took none any more, for ever, once the process had no file left for one."""
        coordinator = self.start("prlimit", "--nofile=200:200")
        before = self.channel(coordinator)
        self.list_over(before)
        host, port = coordinator.address.rsplit(":", 1)
        flood = []
        for _ in range(300):
            connection = socket.create_connection((host, int(port)), timeout=60)
            self.addCleanup(connection.close)
            flood.append(connection)
        for connection in flood:
            try:
                connection.sendall(PREFACE + frame(SETTINGS))
            except ConnectionError:
                pass  # closed already
        taken = [connection for connection in flood if self.receive(connection, len)]
        self.assertGreater(len(taken), 50)
        self.assertLess(len(taken), 150)
        files = len(os.listdir(f"/proc/{coordinator.process.pid}/fd"))
        self.assertLess(files, 150, "files are left for jobs, logs and the database")
        self.list_over(before)
        for connection in flood:
            connection.close()
        self.assert_answers(coordinator)
        self.assertIn("connections, the newest of 127.0.0.1", (self.folder / "state.log").read_text())


if __name__ == "__main__":
    unittest.main()

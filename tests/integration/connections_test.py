"""Connections that ask for too much: floods, pings, messages without an end, more than there are files for. The coordinator
lives, and others are answered; HTTP/2 is written out by hand."""

import hashlib
import itertools
import os
import pathlib
import re
import select
import socket
import struct
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import grpc  # noqa: E402

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
UNKNOWN = 0x55
END_STREAM, END_HEADERS = 1, 4
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


def field(name, value):
    """Of headers, as it is."""
    return bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def headers(method=LIST):
    return b"\x83\x86" + field(":path", method) + field(":authority", "x") + field(
        "content-type", "application/grpc") + field("te", "trailers")


EMPTY_MESSAGE = bytes(5)


def call_frames(stream, method=LIST):
    """A whole call."""
    return (frame(HEADERS, headers(method), END_HEADERS, stream) + frame(DATA, EMPTY_MESSAGE, END_STREAM, stream))


def of_streams(make):
    """make(stream) for streams without an end, a thousand at a time."""
    streams = itertools.count(1, 2)
    while True:
        yield b"".join(make(stream) for stream in itertools.islice(streams, 1000))


def same(what, first=b""):
    yield first
    while True:
        yield what * 1000


OPEN_CALL = frame(HEADERS, headers(), END_HEADERS, 1)
ONE = struct.pack("!I", 1)


def reset(stream):
    return frame(RESET, struct.pack("!I", 8), 0, stream)  # CANCEL


# Each endless.
FLOODS = {
    "streams that are reset":
        lambda: of_streams(lambda stream: frame(HEADERS, headers(), END_HEADERS, stream) + reset(stream)),
    "calls that are reset":
        lambda: of_streams(lambda stream: call_frames(stream) + reset(stream)),
    "calls that there are not":
        lambda: of_streams(lambda stream: call_frames(stream, "/no.such/Call")),
    "watches that are reset":
        lambda: of_streams(lambda stream: call_frames(stream, "/grpc.health.v1.Health/Watch") + reset(stream)),
    "headers without an end":
        lambda: same(frame(CONTINUATION, field("x", "y" * 100), 0, 1), frame(HEADERS, headers(), 0, 1)),
    "empty headers without an end":
        lambda: same(frame(CONTINUATION, b"", 0, 1), frame(HEADERS, headers(), 0, 1)),
    "settings":
        lambda: same(frame(SETTINGS)),
    "acknowledged settings":
        lambda: same(frame(SETTINGS, b"", 1)),
    "data of nothing":
        lambda: same(frame(DATA, b"", 0, 1), OPEN_CALL),
    "windows":
        lambda: same(frame(WINDOW_UPDATE, ONE)),
    "windows of a call":
        lambda: same(frame(WINDOW_UPDATE, ONE, 0, 1), OPEN_CALL),
    "priorities":
        lambda: same(frame(PRIORITY, bytes(5), 0, 1)),
    "frames that nobody knows":
        lambda: same(frame(UNKNOWN, b"12345678")),
}


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

    def flood(self, coordinator, kind, most=8 * 1024 ** 3):
        """Sends as much as is taken, and takes what comes; how many bytes were sent until the other end closed."""
        connection = self.connect(coordinator)
        connection.setblocking(False)
        sent, waiting, parts = 0, memoryview(b""), FLOODS[kind]()
        while sent < most:
            if not waiting:
                waiting = memoryview(next(parts))
            readable, writable, _ = select.select([connection], [connection] if waiting else [], [], 120)
            self.assertTrue(readable or writable, f"{kind}: it is neither taken nor closed, after {sent} bytes")
            try:
                if readable and not connection.recv(1 << 20):
                    return sent
                if writable:
                    count = connection.send(waiting)
                    sent, waiting = sent + count, waiting[count:]
            except ConnectionError:
                return sent
        self.fail(f"{kind}: {sent} bytes were taken")

    def answered_beside(self, coordinator, work):
        """How often another caller was answered while work() went on, over one connection that lives."""
        channel = self.channel(coordinator)
        self.list_over(channel)
        is_over, failures, answers = threading.Event(), [], 0

        def run():
            try:
                work()
            except BaseException as failure:  # of the test's thread
                failures.append(failure)
            is_over.set()

        thread = threading.Thread(target=run)
        thread.start()
        while not is_over.is_set():
            try:
                self.list_over(channel)
            except grpc.RpcError as error:  # UNAVAILABLE where its connection was closed
                self.fail(f"{error.code()}, {error.details()}: {(self.folder / 'state.log').read_text()}")
            answers += 1
        thread.join()
        if failures:
            raise failures[0]
        return answers

    def peak_mib(self, coordinator):
        status = pathlib.Path(f"/proc/{coordinator.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024

    def assert_survives_floods(self, connections):
        coordinator = self.start()
        channel = self.channel(coordinator)
        self.list_over(channel)
        before = self.peak_mib(coordinator)

        def flood_all(kind):
            threads = [threading.Thread(target=lambda: sent.append(self.flood(coordinator, kind)))
                       for _ in range(connections)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        for kind in FLOODS:
            with self.subTest(kind):
                sent = []
                answers = self.answered_beside(coordinator, lambda: flood_all(kind))
                self.assertEqual(len(sent), connections, "each was closed")
                self.assertGreater(answers, 0)
        self.list_over(channel)
        self.assertLess(self.peak_mib(coordinator) - before, 1024)
        self.assert_answers(coordinator)
        self.assertRegex((self.folder / "state.log").read_text(), "closed [0-9]+ connections, the newest of 127.0.0.1")

    def test_a_flood_ends_its_connection_alone(self):
        self.assert_survives_floods(1)

    def test_floods_over_several_connections_end_these_alone(self):
        self.assert_survives_floods(6)

    def test_many_calls_are_no_flood(self):
        """Nor are as many as a connection may have under way, all cancelled at once."""
        coordinator = self.start()
        channel = self.channel(coordinator)
        for _ in range(3000):
            self.list_over(channel)
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
        watches = [watch(b"", timeout=60) for _ in range(1000)]
        for one in watches:
            next(one)
        for one in watches:
            one.cancel()
        for _ in range(100):
            self.list_over(channel)
        self.assertNotIn("closed", (self.folder / "state.log").read_text())

    def test_a_call_without_a_token_is_refused_before_its_message(self):
        digest = hashlib.sha256(b"a token").hexdigest()
        tokens = self.folder / "tokens"
        tokens.write_text(f"viewer alice {digest}\n")
        tokens.chmod(0o600)
        coordinator = programs.Coordinator(self.folder / "state", "--tokens", str(tokens))
        self.addCleanup(coordinator.stop)
        connection = self.connect(coordinator)
        connection.sendall(frame(HEADERS, headers(), END_HEADERS, 1))
        self.assertIn(b"grpc-message", self.receive(connection, lambda received: b"grpc-message" in received))

    def test_a_connection_has_so_many_streams(self):
        coordinator = self.start()
        received = self.receive(self.connect(coordinator), lambda got: any(True for _ in frames(got)))
        kind, _, content = next(frames(received))
        self.assertEqual(kind, SETTINGS)
        settings = dict(struct.iter_unpack("!HI", content))
        self.assertEqual(settings[MAX_CONCURRENT_STREAMS], 1024)

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
        with self.assertRaises(grpc.RpcError) as refused:
            list(call(iter([group * deep]), timeout=60))
        self.assertEqual(refused.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
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

"""Events of jobs that a coordinator sends to a URL: to a real HTTP server that takes them, is away, refuses, is slow or
redirects, and over a coordinator that is killed."""

import hashlib
import hmac
import http.server
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

SECRET = "correct-horse-battery-staple"


class Receiver:
    """Keeps what it is sent. `answers`: the statuses of the next answers, 200 after them; None: hangs until close()."""

    def __init__(self, port=0, tls=None):
        self.received, self.answers, self.changed, self.is_closed = [], [], threading.Condition(), False
        self.connections, self.times, self.retry_after = [], [], None
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                receiver.connections.append(self.connection)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.changed:
                    status = receiver.answers.pop(0) if receiver.answers else 200
                    receiver.received.append((self.path, dict(self.headers), body, status))
                    receiver.times.append(time.monotonic())
                    receiver.changed.notify_all()
                    if status is None:
                        receiver.changed.wait_for(lambda: receiver.is_closed)
                        return
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                if status == 429:
                    self.send_header("Retry-After", receiver.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, count, seconds=120):
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.received) >= count, seconds):
                raise AssertionError(f"{len(self.received)} of {count} events have come")
            return list(self.received)

    def events(self):
        """The ids of events that were taken, in the order in which they came."""
        with self.changed:
            return [headers["Equipoise-Event"] for _, headers, _, status in self.received if status == 200]

    def close(self):
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:  # of clients that would go on with them
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is closed
                pass


class Webhook(programs.ProgramTest):
    def setUp(self):
        super().setUp()
        self.secret = self.folder / "secret"
        self.secret.write_text(SECRET + "\n")
        self.secret.chmod(0o600)
        self.receiver = Receiver()
        self.addCleanup(lambda: self.receiver.close())
        self.number = 0

    def start(self, *arguments, url=None):
        self.coordinator = programs.Coordinator(
            self.folder / "state", "--webhook", url or f"http://127.0.0.1:{self.receiver.port}/hook?to=me",
            "--webhook-secret-file", str(self.secret), *arguments)
        self.addCleanup(self.coordinator.stop)

    def run_job(self):
        """A job whose ranks nobody starts, which is cancelled: three events and no processes."""
        self.number += 1
        job_id = self.succeed("equipoise", "submit", self.write_job(f"job{self.number}"), "--external", "--coordinator",
                              self.coordinator.address).strip().splitlines()[-1].split()[-1]
        self.succeed("equipoise", "jobs", "cancel", job_id, "--coordinator", self.coordinator.address)
        return job_id

    def stored(self, job_id):
        text = self.succeed("equipoise", "jobs", "events", job_id, "--json", "--coordinator", self.coordinator.address)
        return json.loads(text)["events"]

    def ids(self, *jobs):
        return [f"{job}/{event['revision']}" for job in jobs for event in self.stored(job)]

    def log(self):
        return (self.folder / "state.log").read_text()

    def wait_for_metric(self, name, value):
        deadline = time.monotonic() + 60
        while (found := self.metric(name)) != value:
            self.assertLess(time.monotonic(), deadline, f"{name} is {found}, not {value}")
            time.sleep(0.05)

    def metric(self, name):
        with urllib.request.urlopen(f"http://{self.coordinator.metrics}/metrics", timeout=30) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[-1])
        return None

    def test_every_event_comes_once_signed_and_as_the_api_has_it(self):
        self.start()
        job_id = self.run_job()
        events = self.stored(job_id)
        received = self.receiver.wait_for(len(events))
        self.assertGreaterEqual(len(events), 2)
        for event, (path, headers, body, _) in zip(events, received, strict=True):
            self.assertEqual(path, "/hook?to=me")
            self.assertEqual(json.loads(body), {"job_id": job_id, "name": "job1", "event": event})
            self.assertEqual(headers["Content-Type"], "application/json")
            self.assertEqual(headers["Equipoise-Event"], f"{job_id}/{event['revision']}")
            self.assertLess(abs(time.time() - int(headers["Equipoise-Timestamp"])), 60)
            signed = headers["Equipoise-Timestamp"].encode() + b"." + body
            self.assertEqual(headers["Equipoise-Signature"],
                             "v1=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest())
        self.wait_for_metric('equipoise_webhook_tries_total{outcome="delivered"}', len(events))
        self.wait_for_metric("equipoise_webhook_age_seconds", 0)

    def test_a_real_job_is_told_from_its_beginning_to_its_end(self):
        self.small_model()
        self.start()
        job_id = self.succeed("equipoise", "submit", self.write_job("real"), "--np", "1", "--coordinator",
                              self.coordinator.address).strip().splitlines()[-1].split()[-1]
        self.succeed("equipoise", "jobs", "watch", job_id, "--coordinator", self.coordinator.address)
        events = self.stored(job_id)
        received = self.receiver.wait_for(len(events))
        states = [json.loads(body)["event"]["state"] for _, _, body, _ in received]
        self.assertEqual((states[0], states[-1]), ("JOB_STATE_QUEUED", "JOB_STATE_SUCCEEDED"))
        self.assertIn("JOB_STATE_RUNNING", states)

    def test_a_receiver_that_fails_or_redirects_gets_the_event_again_until_it_takes_it(self):
        self.receiver.answers = [503, 302]
        self.start()
        job_id = self.run_job()
        wanted = self.ids(job_id)
        received = self.receiver.wait_for(len(wanted) + 2)
        self.assertEqual([headers["Equipoise-Event"] for _, headers, _, _ in received], [wanted[0]] * 2 + wanted)
        self.assertEqual({path for path, *_ in received}, {"/hook?to=me"}, "a redirection is not followed")
        self.assertEqual(self.metric('equipoise_webhook_tries_total{outcome="failed"}'), 2)
        self.assertIn("HTTP status 503", self.log())
        self.assertNotIn("to=me", self.log(), "what follows the host may be a secret")

    def test_a_receiver_that_is_busy_is_left_alone_for_as_long_as_it_asks(self):
        for asked, least in (("4", 4), ("Wed, 21 Oct 2015 07:28:00 GMT", 1), ("-5", 1), ("99999999999999", 1)):
            self.receiver.answers, self.receiver.retry_after = [429], asked
            self.receiver.received, self.receiver.times = [], []
            self.start()
            self.run_job()
            self.receiver.wait_for(2)
            with self.subTest(asked):
                self.assertGreaterEqual(self.receiver.times[1] - self.receiver.times[0], least)
                self.assertIn("HTTP status 429", self.log())
            self.coordinator.stop()

    def test_an_event_that_the_receiver_wants_no_more_is_not_sent_again(self):
        self.receiver.answers = [400]
        self.start()
        job_id = self.run_job()
        wanted = self.ids(job_id)
        received = self.receiver.wait_for(len(wanted))
        self.assertEqual([headers["Equipoise-Event"] for _, headers, _, _ in received], wanted)
        self.assertIn(f"has refused event {wanted[0]} (HTTP status 400)", self.log())

    def test_no_event_is_lost_over_a_receiver_that_is_away_and_a_coordinator_that_is_killed(self):
        self.start()
        first = self.run_job()
        self.receiver.wait_for(len(self.stored(first)))
        before = self.ids(first)
        port = self.receiver.port
        self.receiver.close()
        second = self.run_job()
        wanted = self.ids(second)
        while not (self.metric('equipoise_webhook_tries_total{outcome="failed"}') or 0) > 0:
            time.sleep(0.05)
        self.coordinator.process.kill()
        self.coordinator.process.wait()
        delivered = self.receiver.events()
        self.assertEqual(delivered, before)
        self.receiver = Receiver(port)
        self.start()
        third = self.run_job()
        self.receiver.wait_for(len(wanted) + len(self.stored(third)))
        events = self.receiver.events()
        self.assertEqual(sorted(events), sorted(wanted + self.ids(third)), "and nothing of the first job again")
        self.assertEqual([event for event in events if event.startswith(second)], wanted, "in their order")

    def test_a_coordinator_that_is_killed_again_and_again_leaves_nothing_out(self):
        jobs = []
        for _ in range(4):
            self.start()
            jobs += [self.run_job(), self.run_job()]
            with self.receiver.changed:  # in the middle of an event, most often
                self.receiver.answers = [200, None]
            self.coordinator.process.kill()
            self.coordinator.process.wait()
            with self.receiver.changed:
                self.receiver.answers = []
        self.start()
        wanted = set(self.ids(*jobs))
        deadline = time.monotonic() + 120
        while not wanted <= set(self.receiver.events()) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(wanted - set(self.receiver.events()), set())

    def test_a_receiver_that_hangs_keeps_nobody_waiting(self):
        self.small_model()
        self.receiver.answers = [None]
        self.start()
        job_id = self.run_job()
        self.receiver.wait_for(1)
        # The job runs to its end while the first event waits for its answer.
        real = self.succeed("equipoise", "submit", self.write_job("meanwhile"), "--np", "1", "--coordinator",
                            self.coordinator.address).strip().splitlines()[-1].split()[-1]
        self.succeed("equipoise", "jobs", "watch", real, "--coordinator", self.coordinator.address)
        # It is given up after 15 s, and sent again.
        received = self.receiver.wait_for(2)
        self.assertEqual(received[0][1]["Equipoise-Event"], received[1][1]["Equipoise-Event"])
        self.receiver.wait_for(1 + len(self.ids(job_id, real)))

    def test_a_coordinator_that_is_asked_to_end_does_not_wait_for_a_receiver_that_hangs(self):
        self.receiver.answers = [None]
        self.start()
        self.run_job()
        self.receiver.wait_for(1)
        self.assertEqual(self.coordinator.stop(), 0)

    def test_what_was_there_before_the_webhook_is_not_sent(self):
        self.coordinator = programs.Coordinator(self.folder / "state")
        self.run_job()
        self.coordinator.stop()
        self.start()
        job_id = self.run_job()
        wanted = self.ids(job_id)
        self.receiver.wait_for(len(wanted))
        self.assertEqual(self.receiver.events(), wanted)

    def test_a_secret_that_is_changed_signs_from_then_on(self):
        self.start()
        self.receiver.wait_for(len(self.stored(self.run_job())))
        count = len(self.receiver.received)
        self.secret.write_text("another-secret-of-16-characters")
        self.run_job()
        _, headers, body, _ = self.receiver.wait_for(count + 1)[-1]
        signed = headers["Equipoise-Timestamp"].encode() + b"." + body
        self.assertEqual(headers["Equipoise-Signature"],
                         "v1=" + hmac.new(b"another-secret-of-16-characters", signed, hashlib.sha256).hexdigest())

    def certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", self.folder / "key.pem",
             "-out", self.folder / "cert.pem"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        return context

    def test_https_is_spoken_to_a_server_whose_certificate_is_known_and_to_no_other(self):
        context = self.certificate()
        self.receiver.close()
        self.receiver = Receiver(tls=context)
        self.start(url=f"https://localhost:{self.receiver.port}/")
        job_id = self.run_job()
        while not (self.metric('equipoise_webhook_tries_total{outcome="failed"}') or 0) > 0:
            time.sleep(0.05)
        self.assertEqual(self.receiver.received, [])
        self.coordinator.stop()
        self.start("--webhook-ca", str(self.folder / "cert.pem"), url=f"https://localhost:{self.receiver.port}/")
        self.receiver.wait_for(len(self.ids(job_id)))
        self.assertEqual(self.receiver.events(), self.ids(job_id))

    def test_a_server_that_speaks_no_http_or_never_ends_is_given_up(self):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.start(url=f"http://127.0.0.1:{listening.getsockname()[1]}/")
            listening.settimeout(60)
            self.run_job()
            for answer in (b"220 smtp ready\r\n",
                           b"HTTP/1.1 500 x\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 10 ** 6,
                           b"HTTP/1.1 200" + b"x" * 100000 + b"\r\n"):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65536)
                    try:
                        connection.sendall(answer)
                    except OSError:  # it has read enough
                        pass
            connection, _ = listening.accept()
            connection.close()
        self.assertEqual(self.coordinator.process.poll(), None)

    def refusal(self, *arguments):
        return self.refused("equipoise-coordinator", "--state", self.folder / "refused", "--listen", "127.0.0.1:0",
                            "--metrics-listen", "", *arguments)

    def test_what_cannot_work_is_refused_at_the_start(self):
        url = ("--webhook", "http://host/")
        self.assertIn("begins with https:// or http://", self.refusal("--webhook", "ftp://host/"))
        self.assertIn("need --webhook", self.refusal("--webhook-secret-file", self.secret))
        self.assertIn("needs a --webhook of https://", self.refusal(*url, "--webhook-ca", self.secret))
        self.assertIn("a file that is there", self.refusal(*url, "--webhook-secret-file", "nowhere"))
        self.secret.write_text("short")
        self.assertIn("expected 16 to 4096", self.refusal(*url, "--webhook-secret-file", self.secret))
        self.secret.write_text(SECRET)
        self.secret.chmod(0o644)
        refusal = self.refusal(*url, "--webhook-secret-file", self.secret)
        self.assertIn("0600", refusal)
        self.assertNotIn(SECRET, refusal)


if __name__ == "__main__":
    unittest.main()

"""The HTTP port of a real coordinator: the API says what gRPC says and refuses whom gRPC refuses, other sites' pages get
nothing, and whatever is sent to it, it goes on answering."""

import http.client
import json
import os
import pathlib
import socket
import ssl
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import programs  # noqa: E402
import security_test  # noqa: E402

JSON = {"Content-Type": "application/json", "X-Equipoise": "1"}


def ask(address, method, path, body=None, context=None, **headers):
    """Status, headers and body of one answer."""
    host, port = address.rsplit(":", 1)
    connection = (http.client.HTTPSConnection(host, int(port), context=context, timeout=60) if context else
                  http.client.HTTPConnection(host, int(port), timeout=60))
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def exchange(address, *parts, pause=0, half_closed=False):
    """What the port answers to raw bytes until it closes the connection."""
    host, port = address.rsplit(":", 1)
    answer = b""
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                if pause:
                    time.sleep(pause)
            if half_closed:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        except ConnectionError:
            pass
    return answer


def wait_until_given_up(connection):
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        pass
    connection.close()


class Port(programs.ServiceTest):

    def setUp(self):
        super().setUp()
        self.coordinator = programs.Coordinator(self.folder / "state")
        self.addCleanup(self.coordinator.stop)
        self.address = self.coordinator.http

    def get(self, path, expected=200, **headers):
        status, _, body = ask(self.address, "GET", path, **headers)
        self.assertEqual(status, expected, body)
        return json.loads(body)

    def post(self, path, body="{}", expected=200, **headers):
        status, _, answer = ask(self.address, "POST", path, body, **{**JSON, **headers})
        self.assertEqual(status, expected, answer)
        return json.loads(answer) if answer.startswith(b"{") else answer

    def submitted(self):
        """The id of a job that waits for ranks that nobody starts."""
        self.small_model()
        said = self.succeed("equipoise", "submit", self.write_job("shown"), "--external", "--coordinator",
                            self.coordinator.address)
        return said.strip().splitlines()[-1].split()[-1]

    def test_the_api_says_what_grpc_says(self):
        job_id = self.submitted()
        self.assertEqual([job["id"] for job in self.get("/v1/jobs")["jobs"]], [job_id])
        job = self.get(f"/v1/jobs/{job_id}")
        said = json.loads(self.jobs("get", job_id, "--json"))
        for field in ("id", "state", "etag", "revision"):
            self.assertEqual(job[field], said[field], field)
        for part in ("events", "attempts", "checkpoints", "ranks", "weights"):
            self.get(f"/v1/jobs/{job_id}/{part}?pageSize=10")
        self.assertEqual(self.get(f"/v1/jobs/{job_id}/curves?points=5")["train"]["step"], [])
        self.assertIsNone(self.get(f"/v1/jobs/{job_id}/moves?group=a&to=7")["step"])
        self.assertEqual(self.get(f"/v1/jobs/{job_id}/log")["text"], "")
        changed = self.post(f"/v1/jobs/{job_id}:update", json.dumps({"settings": {"priority": 3}, "requestId": "a"}))
        self.assertEqual(changed["priority"], 3)
        self.assertEqual(self.post(f"/v1/jobs/{job_id}:pause", '{"requestId": "b"}')["state"], "JOB_STATE_PAUSED")
        self.assertEqual(self.post(f"/v1/jobs/{job_id}:cancel")["state"], "JOB_STATE_CANCELLED")
        error = self.post(f"/v1/jobs/{job_id}:evaluate", expected=400)["error"]
        self.assertEqual((error["status"], error["details"][0]["reason"]), ("FAILED_PRECONDITION", "WRONG_STATE"))
        error = self.get("/v1/jobs/nothing-00000000", expected=404)["error"]
        self.assertEqual((error["status"], error["details"][0]["reason"]), ("NOT_FOUND", "JOB_NOT_FOUND"))
        for bad in ("?pageSize=x", "?pageSize=99999", "?nothing=1", "?filter=%3D", "?pageSize=1&pageSize=2"):
            self.assertEqual(self.get("/v1/jobs" + bad, expected=400)["error"]["status"], "INVALID_ARGUMENT", bad)
        for bad in ("?points=0", "?points=1001", "?worst=33", "?group=a" + "&group=a" * 32, "?x=1"):
            self.get(f"/v1/jobs/{job_id}/curves{bad}", expected=400)
        for bad in ("", "?group=a&to=0", "?group=a&from=3&to=3", "?group=a&to=99999999999999999999", "?group=a&x=1"):
            self.get(f"/v1/jobs/{job_id}/moves{bad}", expected=400)
        for bad in ("?generation=9", "?stream=../../x", "?bytes=999999999"):
            self.get(f"/v1/jobs/{job_id}/log{bad}", expected=400)
        for bad in ("{", "[]", '{"id": "another-00000000"}', '{"nothing": 1}', "[" * 60000, "\xff"):
            self.post(f"/v1/jobs/{job_id}:pause", bad, expected=400)

    def test_a_stream_has_the_job_as_it_is_and_every_change(self):
        job_id = self.submitted()
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        connection.request("GET", f"/v1/jobs/{job_id}:watch")
        answer = connection.getresponse()
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream")

        def next_job():
            lines = iter(answer.readline, b"\n")
            data = [line[6:] for line in lines if line.startswith(b"data: ")]
            return json.loads(data[0]) if data else next_job()

        first = next_job()
        self.post(f"/v1/jobs/{job_id}:cancel")
        states = [first["state"]]
        while states[-1] != "JOB_STATE_CANCELLED":
            states.append(next_job()["state"])
        self.assertEqual(answer.read(), b"", "the stream ends with the job")
        connection.close()
        # Of a job that is over: its state, and the end; of HEAD no event at all.
        for _ in range(3):
            body = ask(self.address, "GET", f"/v1/jobs/{job_id}:watch")[2]
            self.assertIn(b"JOB_STATE_CANCELLED", body)
        self.assertEqual(ask(self.address, "HEAD", f"/v1/jobs/{job_id}:watch")[2], b"")
        self.assertEqual(self.get("/v1/jobs/nothing-00000000:watch", expected=404)["error"]["code"], 404)

    def test_pages_of_others_get_nothing(self):
        job_id = self.submitted()
        own = self.address
        for headers in ({"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example"}, {"Host": ""}):
            for path in ("/", "/v1/jobs", "/metrics", f"/v1/jobs/{job_id}"):
                self.assertEqual(ask(own, "GET", path, **headers)[0], 421, (headers, path))
        for host in ("localhost", "127.0.0.1:1", "[::1]:80", socket.gethostname()):
            self.assertEqual(ask(own, "GET", "/v1/jobs", Host=host)[0], 200, host)
        self.assertEqual(ask(own, "GET", "/v1/jobs", Origin="http://evil.example")[0], 403)
        self.assertEqual(ask(own, "GET", "/v1/jobs", Origin="null")[0], 403)
        self.assertEqual(ask(own, "GET", "/v1/jobs", Origin=f"https://{own}")[0], 403)
        self.assertEqual(ask(own, "GET", "/v1/jobs", Origin=f"http://{own}")[0], 200)
        self.assertEqual(ask(own, "GET", "/v1/jobs", Sec_Fetch_Site="cross-site")[0], 403)
        pause = f"/v1/jobs/{job_id}:pause"
        self.assertEqual(ask(own, "POST", pause, "{}", Content_Type="text/plain", X_Equipoise="1")[0], 415)
        self.assertEqual(ask(own, "POST", pause, "{}", Content_Type="application/json")[0], 403)
        self.assertEqual(ask(own, "GET", pause)[0], 405)
        status, headers, _ = ask(own, "OPTIONS", pause, Origin="http://evil.example")
        self.assertEqual((status, headers["Allow"]), (204, "POST, OPTIONS"))
        self.assertIsNone(headers["Access-Control-Allow-Origin"])
        self.assertEqual(self.get(f"/v1/jobs/{job_id}")["state"], "JOB_STATE_QUEUED")

    def test_every_answer_has_the_headers_that_keep_it_to_itself(self):
        for path in ("/", "/page.js", "/page.css", "/favicon.svg", "/healthz", "/metrics", "/v1/jobs", "/none",
                     "/v1/jobs/none-00000000"):
            _, headers, body = ask(self.address, "GET", path)
            self.assertIn("default-src 'none'; script-src 'self'", headers["Content-Security-Policy"], path)
            self.assertNotIn("unsafe", headers["Content-Security-Policy"])
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff", path)
            self.assertEqual(headers["Cache-Control"], "no-store", path)
            self.assertEqual(len(body), int(headers["Content-Length"]), path)
        page = ask(self.address, "GET", "/")[2].decode()
        self.assertNotRegex(page, r"https?://|<script>|style=|onclick")

    def test_hostile_requests_are_refused_and_change_nothing(self):
        mark = b"Connection: close\r\n\r\n"
        start = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
        post = b"POST /v1/jobs/a-00000000:pause HTTP/1.1\r\nHost: localhost\r\n"
        for request, status in (
                (start + mark, 200),
                (b"\r\n" + start + mark, 200),
                (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
                (b"GET /healthz HTTP/1.1\r\n" + mark, 400),
                (start + b"Host: localhost\r\n" + mark, 400),
                (b"GET /healthz HTTP/9.9\r\nHost: a\r\n" + mark, 505),
                (b"GET http://localhost/healthz HTTP/1.1\r\nHost: a\r\n" + mark, 400),
                (b"CONNECT localhost:1 HTTP/1.1\r\nHost: a\r\n" + mark, 400),
                (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
                (b"GET /%zz?a=%zz HTTP/1.1\r\nHost: a\r\n" + mark, 400),
                (b"GET /?a=%00 HTTP/1.1\r\nHost: a\r\n" + mark, 400),
                (b"GET /?a=%ff HTTP/1.1\r\nHost: a\r\n" + mark, 400),
                (b"GET /\xff HTTP/1.1\r\nHost: a\r\n" + mark, 400),
                (start + b"A : b\r\n" + mark, 400),
                (start + b"A: b\r\n c\r\n" + mark, 400),
                (start + b"A: \x00\r\n" + mark, 400),
                (start + b"A: b\nC: d\r\n" + mark, 400),
                (start + b"A: " + b"b" * 20000 + b"\r\n" + mark, 431),
                (start + b"A: b\r\n" * 100 + mark, 431),
                (b"GET /" + b"a" * 100_000, 414),
                (post + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
                (post + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
                (post + b"Content-Length: -1\r\n\r\n", 400),
                (post + b"Content-Length: +1\r\n\r\n", 400),
                (post + b"Content-Length: 99999999999999999999999\r\n\r\n", 413),
                (post + b"Content-Length: 70000\r\n\r\n" + b"x" * 70000, 413),
                (bytes(range(256)) * 8 + b"\r\n\r\n", 400),
        ):
            answer = exchange(self.address, request)
            self.assertRegex(answer[:40], b"HTTP/1.1 %d " % status, request[:80])
            self.assertNotIn(b"zz", answer, "an answer repeats nothing of the request")
        for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/page.html", "/page.js/..", "//page.js", "/v1/jobs/../x",
                     "/v1/jobs/..%2f..", "/v1/jobs/a/../../log", "/page.js%00", "/PAGE.JS", "/v1/jobs/%2e%2e/log"):
            answer = exchange(self.address, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + mark)
            self.assertRegex(answer[:40], b"HTTP/1.1 404 ", path)
            self.assertNotIn(b"root:", answer)
        self.assertEqual(self.get("/v1/jobs"), {})

    def test_no_answer_repeats_a_request_as_anything_but_json(self):
        mark = "repeated-7f3a"
        start, end = f" HTTP/1.1\r\nHost: localhost\r\nX-A: {mark}\r\n", "Connection: close\r\n\r\n"
        for request in (
                f"GET /{mark}{start}", f"GET /{mark}?{mark}={mark}{start}", f"TRACE /healthz{start}",
                f"{mark.split('-')[0]} /healthz{start}", f"OPTIONS /v1/jobs/{mark}{start}", f"OPTIONS *{start}",
                f"HEAD /{mark}{start}", f"GET /v1/jobs/{mark}/nothing{start}", f"GET /metrics?{mark}{start}",
                f"PUT /v1/jobs/{mark}{start}", f"GET /healthz HTTP/1.1\r\nHost: {mark}\r\n",
                f"GET /v1/jobs HTTP/1.1\r\nHost: {mark}\r\n", f"GET /v1/jobs{start}Origin: {mark}\r\n",
                f"POST /v1/jobs/a-00000000:pause{start}Content-Type: {mark}\r\n",
                f"GET /healthz HTTP/{mark}\r\n", f"GET /%zz{mark}{start}{mark}\r\n", f"{mark}\r\n"):
            answer = exchange(self.address, (request + end).encode())
            self.assertRegex(answer[:12], b"^HTTP/1.1 [2-5]", request)
            self.assertNotIn(mark.encode(), answer, request)
        # What the API has understood it names, in JSON that no browser takes for anything else.
        answer = exchange(self.address, f"GET /v1/jobs?pageSize={mark}%3Cscript%3E{start}{end}".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertRegex(head, b"^HTTP/1.1 400 ")
        self.assertIn(b"Content-Type: application/json", head)
        self.assertIn(b"X-Content-Type-Options: nosniff", head)
        json.loads(body)

    def test_a_client_that_has_said_all_gets_its_answers(self):
        request = b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.assertEqual(exchange(self.address, request * 3, half_closed=True).count(b"HTTP/1.1 200 "), 3)
        self.assertEqual(exchange(self.address, request[:-2], half_closed=True), b"")

    def test_an_address_that_floods_the_port_keeps_no_other_out(self):
        job_id = self.submitted()
        host, port = self.address.rsplit(":", 1)
        flood = (f"GET /v1/jobs/{job_id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 50 +
                 b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
        # More connections than there may be, each with more requests than are answered while this test runs.
        flooding = []
        for _ in range(700):
            try:
                connection = socket.create_connection((host, int(port)), timeout=60, source_address=("127.0.0.2", 0))
                flooding.append(connection)
                connection.setblocking(False)
                connection.send(flood)
            except OSError:
                pass
        for path in ("/healthz", "/metrics", "/v1/jobs", "/"):
            connection = http.client.HTTPConnection(host, int(port), timeout=60, source_address=("127.0.0.3", 0))
            connection.request("GET", path)
            self.assertEqual(connection.getresponse().status, 200, path)
            connection.close()
        for connection in flooding:
            connection.close()

    def test_requests_come_in_any_pieces_and_one_behind_the_other(self):
        one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        last = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        self.assertEqual(exchange(self.address, one * 20 + last).count(b"HTTP/1.1 200 "), 21)
        pieces = [bytes([byte]) for byte in one + last]
        self.assertEqual(exchange(self.address, *pieces).count(b"HTTP/1.1 200 "), 2)

    def test_slow_clients_are_given_up_and_keep_nobody_out(self):
        host, port = self.address.rsplit(":", 1)
        slow = [socket.create_connection((host, int(port)), timeout=60) for _ in range(300)]
        for at, connection in enumerate(slow):
            connection.sendall((b"", b"G", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01")[at % 4])
        self.get("/v1/jobs")
        for connection in slow:
            wait_until_given_up(connection)
        # A byte every 0.2 s is no reason to wait for ever.
        request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 10 + b"\r\n"
        self.assertNotIn(b"200 OK", exchange(self.address, *[bytes([byte]) for byte in request], pause=0.2))

    def test_more_connections_than_may_be_leave_room_for_new_ones(self):
        host, port = self.address.rsplit(":", 1)
        idle = []
        try:
            for _ in range(900):
                idle.append(socket.create_connection((host, int(port)), timeout=60))
        except OSError:
            pass
        self.get("/v1/jobs")
        for connection in idle:
            connection.close()


class SecuredPort(security_test.Security):
    """The port of a service with TLS and tokens."""

    def setUp(self):
        super().setUp()
        self.small_model()

    def ask(self, coordinator, method, path, role=None, body=None, token=None, **headers):
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        if role:
            token = self.tokens[role].read_text().strip()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers.update(JSON)
        address = coordinator.http.replace("0.0.0.0", "127.0.0.1")  # a name of the certificate
        status, _, answer = ask(address, method, path, body, context=context, **headers)
        return status, answer

    def test_the_api_asks_for_the_tokens_and_roles_of_grpc(self):
        coordinator = self.start()
        job_id = self.submit(coordinator, self.write_job("secured"), "--external")
        for path in ("/v1/jobs", f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}/log", f"/v1/jobs/{job_id}/curves",
                     f"/v1/jobs/{job_id}/moves?group=a", f"/v1/jobs/{job_id}:watch", "/v1/jobs:watch"):
            self.assertEqual(self.ask(coordinator, "GET", path)[0], 401, path)
            self.assertEqual(self.ask(coordinator, "GET", path, token="wrong")[0], 401, path)
        self.assertEqual(self.ask(coordinator, "GET", "/v1/jobs?token=" + self.tokens["admin"].read_text().strip())[0], 401)
        self.assertEqual(self.ask(coordinator, "GET", f"/v1/jobs/{job_id}", role="viewer")[0], 200)
        cancel = f"/v1/jobs/{job_id}:cancel"
        status, answer = self.ask(coordinator, "POST", cancel, role="viewer", body="{}")
        self.assertEqual((status, json.loads(answer)["error"]["details"][0]["reason"]), (403, "ROLE_TOO_LOW"))
        self.assertEqual(self.job(coordinator, job_id)["state"], "JOB_STATE_QUEUED")
        self.assertEqual(self.ask(coordinator, "POST", cancel, role="operator", body="{}")[0], 200)
        self.assertEqual(self.ask(coordinator, "GET", "/")[0], 200, "the page itself has no secrets")

    def test_plain_text_gets_metrics_alone_and_only_on_this_machine(self):
        coordinator = self.start()
        self.assertEqual(ask(coordinator.http, "GET", "/metrics")[0], 200)
        for path in ("/", "/v1/jobs"):
            self.assertEqual(ask(coordinator.http, "GET", path)[0], 403, path)
        coordinator.stop()
        coordinator = self.start(http="0.0.0.0:0")
        self.assertEqual(ask(coordinator.http, "GET", "/metrics")[0], 403)
        self.assertEqual(self.ask(coordinator, "GET", "/metrics", role=None)[0], 401)
        self.assertEqual(self.ask(coordinator, "GET", "/metrics", role="viewer")[0], 200)
        coordinator.stop()
        coordinator = self.start("--insecure-metrics", http="0.0.0.0:0")
        self.assertEqual(ask(coordinator.http, "GET", "/metrics")[0], 200)
        self.assertEqual(ask(coordinator.http, "GET", "/v1/jobs")[0], 403)

    def test_a_renewed_certificate_is_served_without_a_restart(self):
        coordinator = self.start()
        self.assertEqual(self.ask(coordinator, "GET", "/healthz")[0], 200)
        other = security_test.Authority(self.folder, "renewed")
        certificate, key = other.issue("service")
        os.replace(key, self.key)
        os.replace(certificate, self.certificate)
        self.authority = other
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.assertEqual(self.ask(coordinator, "GET", "/healthz")[0], 200)
                return
            except ssl.SSLError:
                time.sleep(0.2)
        self.fail("the old certificate is served still")

    def test_handshakes_that_stall_keep_nobody_out_and_are_given_up(self):
        coordinator = self.start()
        host, port = coordinator.http.rsplit(":", 1)
        hello = ssl.MemoryBIO()
        client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            client.do_handshake()
        whole = hello.read()
        stalled = [socket.create_connection((host, int(port)), timeout=60) for _ in range(200)]
        for at, connection in enumerate(stalled):
            connection.sendall(whole[:(1, 5, len(whole) // 2, len(whole))[at % 4]])
        self.assertEqual(self.ask(coordinator, "GET", "/v1/jobs", role="viewer")[0], 200)
        for connection in stalled:
            wait_until_given_up(connection)
        # What is no TLS is no reason for an answer in plain text.
        for garbage in (whole[:5] + b"\0" * 300, b"\x16\x03\x01\xff\xff" + b"a" * 300, b"\x16" * 300):
            self.assertNotIn(b"HTTP/", exchange(coordinator.http, garbage))

    # Those of the base class run in their own file.
    locals().update({name: None for name in dir(security_test.Security) if name.startswith("test_")})



if __name__ == "__main__":
    unittest.main()

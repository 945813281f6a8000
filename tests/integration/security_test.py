"""Who may do what, over TLS, with real programs: certificates by the openssl command, tokens, roots, and no secret where
others can read it."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

# gRPC's client speaks to the service by the environment, as users do.
ACCESS = ("EQUIPOISE_TLS_CA", "EQUIPOISE_TLS_CERT", "EQUIPOISE_TLS_KEY", "EQUIPOISE_TOKEN_FILE")


class Authority:
    """A certificate authority in a folder, and certificates of it for this machine."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.folder.mkdir()
        self.certificate = self.folder / "ca.pem"
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-keyout", self.folder / "ca.key", "-out", self.certificate)

    @staticmethod
    def run(*arguments):
        subprocess.run(["openssl", *[str(argument) for argument in arguments]], check=True, capture_output=True)

    def issue(self, name, valid="-days 1"):
        """A certificate and its key."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self.run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                 f"/CN={name}", "-keyout", key, "-out", request)
        self.run("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.folder / "ca.key",
                 "-CAcreateserial", "-extfile", extensions, *valid.split(), "-out", certificate)
        key.chmod(0o600)
        return certificate, key


class Security(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder, "ours")
        self.certificate, self.key = self.authority.issue("service")
        self.lines = []
        self.tokens = {role: self.new_token(role) for role in ("viewer", "operator", "admin")}
        self.write_tokens()

    def new_token(self, role, name=None):
        """A file with a new token of a role; its line is among those of write_tokens()."""
        name = name or f"a-{role}"
        file = self.folder / f"{name}.token"
        line = self.succeed("equipoise", "token", "create", "--role", role, "--name", name, "--output", file)
        self.lines.append(line.strip())
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        return file

    def write_tokens(self):
        file, aside = self.folder / "tokens", self.folder / "tokens.new"
        aside.write_text("\n".join(self.lines) + "\n")
        aside.chmod(0o600)
        aside.rename(file)
        return file

    def start(self, *arguments, **addresses):
        coordinator = programs.Coordinator(
            self.folder / "state", "--tls-cert", str(self.certificate), "--tls-key", str(self.key), "--tls-ca",
            str(self.authority.certificate), "--tokens", str(self.folder / "tokens"), *arguments, **addresses)
        self.addCleanup(coordinator.stop)
        return coordinator

    def call(self, coordinator, *arguments, role=None, ca=True, **environment):
        """The finished process of `equipoise ARGUMENTS` with the token of a role."""
        if ca:
            environment["EQUIPOISE_TLS_CA"] = str(self.authority.certificate if ca is True else ca)
        if role:
            environment["EQUIPOISE_TOKEN_FILE"] = str(self.tokens[role])
        return programs.run("equipoise", *arguments, "--coordinator", coordinator.address, "--timeout", "2",
                            **environment)

    def check(self, expected, result):
        self.assertEqual(result.returncode, expected, result.stdout + result.stderr)
        for file in self.tokens.values():
            self.assertNotIn(file.read_text().strip(), result.stdout + result.stderr)
        return result.stdout

    def submit(self, coordinator, job, *arguments, role="operator"):
        said = self.check(0, self.call(coordinator, "submit", job, *arguments, role=role))
        return said.strip().splitlines()[-1].split()[-1]

    def job(self, coordinator, job_id):
        return json.loads(self.check(0, self.call(coordinator, "jobs", "get", job_id, "--json", role="viewer")))

    def reporter(self, job_id):
        """`jobs report` of a job, to somebody who is not there."""
        token = self.folder / "trainer-token"
        token.write_text("of-the-pod")
        return ["jobs", "report", job_id, "--every", "1", "--status-url", "https://127.0.0.1:1/status",
                "--status-token-file", str(token)]

    def commands(self, job_id):
        """A command line of each verb that calls a coordinator, by the least role that may."""
        def jobs(*names):
            return [["jobs", name, job_id] for name in names]
        return {
            "viewer": [["hosts", "list"], ["jobs", "list"], ["jobs", "watch", job_id], self.reporter(job_id),
                       *jobs("get", "ranks", "weights", "attempts", "checkpoints", "events", "tree")],
            "operator": [["submit", self.write_job("another"), "--external"],
                         ["hosts", "cordon", "node1", "--reason", "why"], ["hosts", "uncordon", "node1"],
                         ["jobs", "set", job_id, "learning_rate=0.5"],
                         ["jobs", "fork", job_id, "--output", self.folder / "fork"],
                         *jobs("pause", "resume", "checkpoint", "evaluate", "cancel")],
            "admin": jobs("delete")}

    def test_every_command_in_every_role(self):
        self.small_model()
        coordinator = self.start()
        job_id = self.submit(coordinator, self.write_job("guarded"), "--external")
        commands = self.commands(job_id)
        every = [command for of_role in commands.values() for command in of_role]
        script = self.succeed("equipoise", "completion", "bash")
        calls = re.findall(r"^    \"([^\"]+)\"\) verbs='' options='[^']*--token-file[ ']", script, re.MULTILINE)
        # What `doctor` finds at a coordinator is a line of its table.
        self.assertEqual({command[0] if command[0] == "submit" else " ".join(command[:2]) for command in every},
                         set(calls) - {"doctor"})
        for command in every:
            result = self.call(coordinator, *command)
            self.check(2, result)
            self.assertIn("token", result.stderr, command)
        roles = list(commands)
        for least, of_role in commands.items():
            for role in roles[:roles.index(least)]:
                for command in of_role:
                    result = self.call(coordinator, *command, role=role)
                    self.check(2, result)
                    self.assertIn(f"a-{role} is {role}, expected {least}", result.stderr, command)
        # With the role nobody is refused for it, whatever else there is to say of this job and these hosts.
        self.check(0, self.call(coordinator, "jobs", "cancel", job_id, role="operator"))
        for least, of_role in commands.items():
            for role in roles[roles.index(least):]:
                for command in of_role:
                    if command[1] == "report" and role != least:
                        continue  # it tries for seconds
                    result = self.call(coordinator, *command, role=role)
                    self.assertNotRegex(result.stderr, "token|expected (viewer|operator|admin)", command)
        self.assertIn("there is no job", self.call(coordinator, "jobs", "get", job_id, role="viewer").stderr)

    def test_a_job_from_end_to_end_and_no_secret_for_others(self):
        self.small_model()
        coordinator = self.start()
        job_id = self.submit(coordinator, self.write_job("long", training={"max_steps": 1000000,
                                                                           "global_batch_size": 16}), "--np", "2")
        deadline = time.monotonic() + 120
        while int(self.job(coordinator, job_id).get("step", 0)) == 0:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        secrets = [file.read_bytes().strip() for file in self.tokens.values()]
        found = subprocess.run(["pgrep", "-f", job_id], capture_output=True, text=True).stdout.split()
        self.assertGreaterEqual(len(found), 3)  # mpirun and two ranks
        attempt_tokens = set()
        for pid in [*found, str(coordinator.process.pid)]:
            environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            self.assertNotIn(b"EQUIPOISE_TOKEN_FILE", environment)
            for variable in environment.split(b"\0"):
                if variable.startswith(b"EQUIPOISE_ATTEMPT_TOKEN="):
                    attempt_tokens.add(variable.split(b"=", 1)[1])
            for secret in secrets:
                self.assertNotIn(secret, environment + command)
        self.assertEqual(len(attempt_tokens), 1)
        self.check(0, self.call(coordinator, "jobs", "cancel", job_id, role="operator"))

        job_id = self.submit(coordinator, self.write_job("whole"), "--np", "2")
        self.check(0, self.call(coordinator, "jobs", "watch", job_id, role="viewer"))
        self.assertEqual(self.job(coordinator, job_id)["state"], "JOB_STATE_SUCCEEDED")
        self.assertEqual(coordinator.stop(), 0)
        written = [self.folder / "state.log", *(path for path in (self.folder / "state").rglob("*") if path.is_file())]
        for path in written:
            for secret in [*secrets, *attempt_tokens]:
                self.assertNotIn(secret, path.read_bytes(), path)

    def ranks(self, coordinator, job_id, **environment):
        return programs.run("mpirun", "-np", "1", "--oversubscribe", programs.BIN / "equipoise-worker",
                            "--coordinator", coordinator.address, "--job", job_id, "--wait", "2",
                            EQUIPOISE_TLS_CA=str(self.authority.certificate), **environment)

    def test_ranks_that_users_start_show_an_operators_token(self):
        self.small_model()
        coordinator = self.start()
        job_id = self.submit(coordinator, self.write_job("by-hand"), "--external")
        for environment in ({}, {"EQUIPOISE_TOKEN_FILE": str(self.tokens["viewer"])},
                            {"EQUIPOISE_ATTEMPT_TOKEN": "0" * 64}):
            result = self.ranks(coordinator, job_id, **environment)
            self.assertNotEqual(result.returncode, 0)
            self.assertRegex(result.stderr, "token|a-viewer is viewer")
            self.assertEqual(self.job(coordinator, job_id)["state"], "JOB_STATE_QUEUED")
        result = self.ranks(coordinator, job_id, EQUIPOISE_TOKEN_FILE=str(self.tokens["operator"]))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.job(coordinator, job_id)["state"], "JOB_STATE_SUCCEEDED")

    def test_tokens_change_without_a_restart(self):
        coordinator = self.start()
        self.check(0, self.call(coordinator, "jobs", "list", role="viewer"))
        self.lines = [line for line in self.lines if not line.startswith("viewer ")]
        self.tokens["late"] = self.new_token("viewer", "late")
        self.write_tokens()
        self.check(2, self.call(coordinator, "jobs", "list", role="viewer"))
        self.check(0, self.call(coordinator, "jobs", "list", role="late"))
        (self.folder / "tokens").chmod(0o644)
        refused = self.refused("equipoise-coordinator", "--state", self.folder / "other", "--listen", "127.0.0.1:0",
                               "--metrics-listen", "", "--tokens", self.folder / "tokens")
        self.assertIn("expected at most 0600", refused)

    def test_no_call_without_tls_or_to_somebody_else(self):
        coordinator = self.start()
        plain = self.call(coordinator, "jobs", "list", role="admin", ca=None)
        self.check(2, plain)
        self.assertIn("--tls-ca", plain.stderr)
        other = Authority(self.folder, "other")
        stranger = self.call(coordinator, "jobs", "list", role="admin", ca=other.certificate)
        self.check(2, stranger)
        self.assertIn("certificate", stranger.stderr)
        self.check(0, self.call(coordinator, "jobs", "list", role="admin"))

    def test_certificates_change_without_a_restart_and_expired_ones_are_refused(self):
        coordinator = self.start()
        self.check(0, self.call(coordinator, "jobs", "list", role="admin"))
        next_authority = Authority(self.folder, "next")

        def put(authority, *arguments):
            certificate, key = authority.issue("renewed", *arguments)
            os.replace(key, self.key)
            os.replace(certificate, self.certificate)

        def wait_for(code, ca):
            deadline = time.monotonic() + 60
            while (result := self.call(coordinator, "jobs", "list", role="admin", ca=ca)).returncode != code:
                self.assertLess(time.monotonic(), deadline, result.stderr)
                time.sleep(0.2)

        put(next_authority)
        wait_for(0, next_authority.certificate)
        self.check(2, self.call(coordinator, "jobs", "list", role="admin"))
        put(next_authority, "-days -1")
        wait_for(2, next_authority.certificate)
        self.assertEqual(coordinator.stop(), 0)
        refused = self.refused("equipoise-coordinator", "--state", self.folder / "other", "--listen", "127.0.0.1:0",
                               "--metrics-listen", "", "--tls-cert", self.certificate, "--tls-key", self.key, "--tls-ca",
                               next_authority.certificate)
        self.assertIn("expired", refused)

    def test_callers_show_certificates_where_the_service_wants_them(self):
        self.small_model()
        clients = Authority(self.folder, "clients")
        rank_certificate, rank_key = clients.issue("ranks")
        certificate, key = clients.issue("alice")
        coordinator = self.start("--tls-client-ca", str(clients.certificate), "--rank-cert", str(rank_certificate),
                                 "--rank-key", str(rank_key))
        self.check(2, self.call(coordinator, "jobs", "list", role="admin"))
        wrong_certificate, wrong_key = self.authority.issue("mallory")
        self.check(2, self.call(coordinator, "jobs", "list", role="admin", EQUIPOISE_TLS_CERT=str(wrong_certificate),
                                EQUIPOISE_TLS_KEY=str(wrong_key)))
        own = {"EQUIPOISE_TLS_CERT": str(certificate), "EQUIPOISE_TLS_KEY": str(key)}
        self.check(2, self.call(coordinator, "jobs", "list", **own))  # a certificate is no token
        said = self.check(0, self.call(coordinator, "submit", self.write_job("mutual"), "--np", "2", role="operator",
                                       **own))
        job_id = said.strip().splitlines()[-1].split()[-1]
        self.check(0, self.call(coordinator, "jobs", "watch", job_id, role="viewer", **own))

    def test_nothing_listens_beyond_this_machine_without_both(self):
        tls = ["--tls-cert", self.certificate, "--tls-key", self.key, "--tls-ca", self.authority.certificate]
        tokens = ["--tokens", self.folder / "tokens"]
        for flags in ([], tls, tokens, [*tokens, "--insecure"]):
            refused = self.refused("equipoise-coordinator", "--state", self.folder / "other", "--listen", "0.0.0.0:0",
                                   "--metrics-listen", "", *flags)
            self.assertRegex(refused, "--listen is 0.0.0.0:0|--tokens without --tls-cert")
        for flags in ([], tls, tokens):
            refused = self.refused("equipoise-coordinator", "--state", self.folder / "other", "--listen", "127.0.0.1:0",
                                   "--metrics-listen", "0.0.0.0:0", *flags)
            self.assertIn("--insecure-metrics", refused)
        self.assertFalse((self.folder / "other").exists())
        self.start(listen="0.0.0.0:0")

    def test_bad_files_are_one_line_at_the_start(self):
        bad = self.folder / "bad.pem"
        bad.write_text("nothing\n")
        bad.chmod(0o600)
        _, other_key = self.authority.issue("another")
        readable = self.folder / "readable.key"
        readable.write_bytes(self.key.read_bytes())
        readable.chmod(0o644)
        ca = self.authority.certificate
        for certificate, key, text in ((bad, self.key, "no certificate that can be read"),
                                       (self.certificate, bad, "no private key"),
                                       (self.certificate, other_key, "not the private key of the certificate"),
                                       (self.certificate, readable, "expected at most 0640"),
                                       (self.folder / "none", self.key, "expected a file that is there")):
            refused = self.refused("equipoise-coordinator", "--state", self.folder / "other", "--listen", "127.0.0.1:0",
                                   "--metrics-listen", "", "--tls-cert", certificate, "--tls-key", key, "--tls-ca", ca)
            self.assertIn(text, refused)

    def test_files_of_jobs_stay_below_the_roots(self):
        self.small_model()
        root = self.folder / "root"
        root.mkdir()
        for name in ("model", "data"):
            (self.folder / name).rename(root / name)
        secret = self.folder / "secret.jsonl"
        secret.write_text('{"prompt": "p", "chosen": "c", "rejected": "r", "group": "g"}\n')
        (root / "link.jsonl").symlink_to(secret)
        os.mkfifo(root / "pipe.jsonl")
        coordinator = self.start("--root", str(root))
        good = {"model": {"path": str(root / "model")}, "output": str(root / "out"),
                "data": {"train": str(root / "data/train.jsonl"), "validation": str(root / "data/validation.jsonl")}}
        for train in (secret, root / "link.jsonl", root / "../secret.jsonl", "/dev/zero", "/etc/passwd"):
            result = self.call(coordinator, "submit", self.write_job("out", **{**good, "data": {"train": str(train)}}),
                               role="operator")
            self.check(2, result)
            self.assertIn("outside of the folders", result.stderr)
        result = self.call(coordinator, "submit", self.write_job("out", **{**good, "output": str(self.folder / "out")}),
                           role="operator")
        self.check(2, result)
        self.assertIn("output is", result.stderr)
        # A pipe that nobody writes into keeps nobody waiting.
        job_id = self.submit(coordinator, self.write_job("pipe", **{
            **good, "data": {"train": str(root / "pipe.jsonl")}, "output": str(root / "pipe-out")}), "--np", "1")
        self.call(coordinator, "jobs", "watch", job_id, role="viewer")
        self.assertEqual(self.job(coordinator, job_id)["failure_kind"], "FAILURE_KIND_INVALID_INPUT")
        job_id = self.submit(coordinator, self.write_job("in", **good), "--np", "2")
        self.check(0, self.call(coordinator, "jobs", "watch", job_id, role="viewer"))

    def test_a_private_service_answers_its_owner_alone(self):
        self.small_model()
        job = self.write_job("own", training={"max_steps": 1000000, "global_batch_size": 16})
        temporary = self.folder / "tmp"
        temporary.mkdir()
        train = subprocess.Popen([str(programs.BIN / "equipoise"), "train", str(job), "--np", "1", "--quiet"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 env={**programs.ENVIRONMENT, "TMPDIR": str(temporary)})
        self.addCleanup(train.wait)
        self.addCleanup(train.kill)
        lines = self.folder / "own/metrics.jsonl"
        deadline = time.monotonic() + 120
        while not (lines.exists() and lines.stat().st_size):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        announced = json.loads(next(temporary.glob("equipoise-*/announcement.json")).read_text())
        for words in (["list"], ["cancel", "own-00000000"]):
            result = programs.run("equipoise", "jobs", *words, "--coordinator", announced["address"])
            self.assertEqual(result.returncode, 2)
            self.assertIn("wants a token", result.stderr)
        self.assertEqual(announced["metrics"], "")
        for path in next(temporary.glob("equipoise-*")).iterdir():
            if path.name == "tokens":
                self.assertEqual(path.stat().st_mode & 0o777, 0o600)


if __name__ == "__main__":
    for name in ACCESS:
        programs.ENVIRONMENT.pop(name, None)
    unittest.main()

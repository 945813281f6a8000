"""The files of deploy/kubernetes for Kubeflow in a real API server: that of custom resources, over a real etcd, with
the definitions of Kubeflow Trainer and of the MPI operator, whose rules it runs. A TrainJob's status is applied as
Trainer does. Needs programs of its own: `make test-kubernetes`."""

import copy
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import kubeflow_test  # noqa: E402
import programs  # noqa: E402
import yaml  # noqa: E402

# deploy/bootstrap --kubernetes fills it: the server's program, and definitions/*.yaml.
KUBERNETES = pathlib.Path(os.environ.get("EQUIPOISE_KUBERNETES", programs.DEPS / "kubernetes"))
MANIFESTS = programs.ROOT / "deploy/kubernetes"
CUSTOM = ("runtime.yaml", "trainjob.yaml", "mpijob.yaml")
# Plugins that ask for resources of the whole of Kubernetes.
DISABLED = ("NamespaceLifecycle", "MutatingAdmissionWebhook", "ValidatingAdmissionWebhook", "ValidatingAdmissionPolicy",
            "MutatingAdmissionPolicy")


def free_ports(count):
    """Not of the kernel's own choice later: the server has no port 0."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class ApiServer:
    """Ended by end(). Its requests come from an administrator with a certificate."""

    def __init__(self, folder):
        self.folder, self.programs = folder, []
        of_etcd, of_peers, self.port = free_ports(3)
        self.make_certificates()
        (folder / "kubeconfig").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": f"https://127.0.0.1:{self.port}",
                                                    "insecure-skip-tls-verify": True}}],
            "users": [{"name": "it", "user": {"client-certificate": str(folder / "client.pem"),
                                              "client-key": str(folder / "client.key")}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}]}))
        etcd = f"http://127.0.0.1:{of_etcd}"
        self.start("etcd", "--data-dir", folder / "etcd", "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
                   "--listen-peer-urls", f"http://127.0.0.1:{of_peers}", "--initial-advertise-peer-urls",
                   f"http://127.0.0.1:{of_peers}", "--initial-cluster", f"default=http://127.0.0.1:{of_peers}")
        kubeconfig = folder / "kubeconfig"
        self.start(KUBERNETES / "apiextensions-apiserver", "--etcd-servers", etcd, "--secure-port", self.port,
                   "--bind-address", "127.0.0.1", "--cert-dir", folder / "certificates", "--client-ca-file",
                   folder / "ca.pem", "--authentication-skip-lookup", "--authentication-kubeconfig", kubeconfig,
                   "--authorization-kubeconfig", kubeconfig, "--kubeconfig", kubeconfig,
                   "--disable-admission-plugins", ",".join(DISABLED))
        # Informers of what only the whole of Kubernetes has never end.
        self.wait_for(lambda: self.ask("GET", "/readyz?exclude=informer-sync")[0] == 200, "the API server")
        for definition in sorted((KUBERNETES / "definitions").glob("*.yaml")):
            self.define(yaml.safe_load(definition.read_text()))

    def make_certificates(self):
        def openssl(*words):
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=self.folder)

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
        openssl("req", "-new", *key, "-subj", "/O=system:masters/CN=admin", "-keyout", "client.key", "-out",
                "client.csr")
        openssl("x509", "-req", "-in", "client.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                "1", "-out", "client.pem")

    def start(self, program, *options):
        log = open(self.folder / f"{pathlib.Path(program).name}.log", "w")
        self.programs.append(subprocess.Popen([str(program), *map(str, options)], stdin=subprocess.DEVNULL, stdout=log,
                                              stderr=log))
        log.close()

    def end(self):
        for program in reversed(self.programs):
            program.kill()
            program.wait()

    def wait_for(self, is_there, what):
        deadline = time.monotonic() + 120
        while not is_there():
            for program in self.programs:
                if program.poll() is not None:
                    raise RuntimeError(f"{program.args[0]} ended: " + (
                        self.folder / f"{pathlib.Path(program.args[0]).name}.log").read_text()[-3000:])
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what} is not there")
            time.sleep(0.1)

    def ask(self, method, path, document=None, kind="application/json"):
        """The status and the answer; no status where nobody answers."""
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # its certificate is its own
        tls.load_cert_chain(self.folder / "client.pem", self.folder / "client.key")
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", method=method,
                                         data=None if document is None else json.dumps(document).encode(),
                                         headers={"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, context=tls, timeout=60) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            status, body = refusal.code, refusal.read()
        except OSError:
            return 0, None
        try:
            return status, json.loads(body)
        except ValueError:
            return status, body.decode()

    def define(self, definition):
        status, answer = self.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        assert status == 201, answer
        spec = definition["spec"]
        version = next(version["name"] for version in spec["versions"] if version["served"])
        path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
        self.wait_for(lambda: self.ask("GET", path)[0] == 200, path)

    @staticmethod
    def path_of(document, name=""):
        plural = document["kind"].lower() + "s"
        return f"/apis/{document['apiVersion']}/namespaces/{document['metadata']['namespace']}/{plural}" + (
            f"/{name}" if name else "")

    def create(self, document, dry_run=False):
        return self.ask("POST", self.path_of(document) + "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else ""),
                        document)


def manifests():
    return [(name, document) for name in CUSTOM for document in yaml.safe_load_all((MANIFESTS / name).read_text())]


def setUpModule():
    global server
    folder = pathlib.Path(tempfile.mkdtemp(prefix="equipoise-kubernetes-"))
    unittest.addModuleCleanup(shutil.rmtree, folder, ignore_errors=True)
    server = ApiServer.__new__(ApiServer)
    server.programs = []
    unittest.addModuleCleanup(server.end)
    server.__init__(folder)


class Manifests(unittest.TestCase):
    def test_are_taken_in_a_dry_run_and_for_good(self):
        for name, document in manifests():
            with self.subTest(name):
                there = server.path_of(document, document["metadata"]["name"])
                status, answer = server.create(document, dry_run=True)
                self.assertEqual(status, 201, answer)
                self.assertEqual(server.ask("GET", there)[0], 404)
                self.assertEqual(server.create(document)[0], 201)
                status, stored = server.ask("GET", there)
                self.assertEqual(status, 200)
                self.assertEqual(stored["metadata"]["labels"] if "labels" in document["metadata"] else None,
                                 document["metadata"].get("labels"))

    def test_a_key_or_a_value_that_is_not_right_is_refused(self):
        for name, document in manifests():
            with self.subTest(name):
                misspelt = copy.deepcopy(document)
                misspelt["spec"]["replica"] = 1
                status, answer = server.create(misspelt, dry_run=True)
                self.assertEqual(status, 400, answer)
                self.assertIn('unknown field "spec.replica"', answer["message"])
                wrong = copy.deepcopy(document)
                wrong["spec"] = {**wrong["spec"], next(iter(wrong["spec"])): 7.5}
                self.assertEqual(server.create(wrong, dry_run=True)[0] // 100, 4)

    def test_rules_of_the_definitions_run(self):
        train_job = dict(manifests())["trainjob.yaml"]
        named = copy.deepcopy(train_job)
        named["metadata"]["name"] = "1st"
        status, answer = server.create(named, dry_run=True)
        self.assertEqual(status, 422, answer)
        self.assertIn("RFC 1035", answer["message"])


class ApplyingTrainer(kubeflow_test.Trainer):
    """Applies what it takes to its TrainJob, as Trainer does."""

    def status(self, path, headers, body):
        status = super().status(path, headers, body)
        return self.apply(json.loads(body)) if status == 200 else status

    @staticmethod
    def apply(body):
        status, _ = server.ask(
            "PATCH", f"{kubeflow_test.PATH}?fieldManager=trainer-status&force=true",
            {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob",
             "metadata": {"name": "small", "namespace": "equipoise"}, "status": body},
            kind="application/apply-patch+yaml")
        return status


class Status(kubeflow_test.TrainJobs):
    TRAINER = ApplyingTrainer

    def setUp(self):
        super().setUp()
        train_job = dict(manifests())["trainjob.yaml"]
        train_job["metadata"]["name"] = "small"
        server.ask("DELETE", server.path_of(train_job, "small"))
        status, answer = server.create(train_job)
        self.assertEqual(status, 201, answer)
        self.there = server.path_of(train_job, "small")

    def test_a_train_job_has_the_status_that_its_launcher_told(self):
        result = self.launch(self.submit())
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(self.trainer.refused, [])
        stored = server.ask("GET", self.there)[1]["status"]["trainerStatus"]
        self.assertEqual(stored, self.trainer.taken[-1])
        self.assertEqual((stored["progressPercentage"], self.metrics()["step"]), (100, "5"))

    def test_a_status_that_the_definition_does_not_know_is_refused(self):
        now = "2026-12-01T00:00:00Z"
        for status in ({"progressPercentage": 101, "lastUpdatedTime": now}, {"progressPercentage": 5},
                       {"lastUpdatedTime": now, "metrics": [{"name": "loss", "value": "1" * 65}]}):
            self.assertEqual(ApplyingTrainer.apply({"trainerStatus": status}), 422, status)
        self.assertEqual(ApplyingTrainer.apply({"trainerStatus": {"lastUpdatedTime": now}}), 200)


if __name__ == "__main__":
    unittest.main()

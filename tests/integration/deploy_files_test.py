"""The files in deploy/ for Kubernetes, systemd and SkyPilot: against the schemas of those who read them, and the commands
in them for real."""

import json
import lzma
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

WANTED = [str(programs.DEPS / "python-schemas"), str(programs.DEPS / "python-tests")]
sys.path[:0] = WANTED
import jsonschema  # noqa: E402
import yaml  # noqa: E402

KUBERNETES = programs.ROOT / "deploy/kubernetes"
SYSTEMD = programs.ROOT / "deploy/systemd"
SKYPILOT = programs.ROOT / "deploy/skypilot"
HOME = "/opt/equipoise"  # where units and images have this repository


def schemas():
    packed = (programs.ROOT / "tests/golden/kubernetes/schemas.json.xz").read_bytes()
    return json.loads(lzma.decompress(packed))


def problems(schema, document):
    return [f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message[:300]}"
            for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]


def documents(folder):
    """Of each file, what kubectl would be given."""
    return [(file.name, document) for file in sorted(folder.rglob("*.yaml"))
            for document in yaml.safe_load_all(file.read_text())]


def found(part, key):
    """All values of `key`, at any depth."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == key:
                yield value
            yield from found(value, key)
    elif isinstance(part, list):
        for value in part:
            yield from found(value, key)


class Kubernetes(programs.ProgramTest):
    def test_every_object_is_as_its_kind_wants_it(self):
        known = schemas()
        seen = set()
        for name, document in documents(KUBERNETES):
            kind = f"{document['apiVersion']} {document['kind']}"
            if document["kind"] == "Kustomization":
                continue
            seen.add(kind)
            self.assertEqual(problems(known[kind], document), [], name)
        self.assertEqual(seen, set(known))

    def test_a_misspelt_key_is_found_in_every_kind(self):
        known = schemas()
        for name, document in documents(KUBERNETES):
            if document["kind"] == "Kustomization" or "spec" not in document:
                continue
            schema = known[f"{document['apiVersion']} {document['kind']}"]
            self.assertTrue(problems(schema, {**document, "spec": {**document["spec"], "replica": 1}}), name)
            for containers in found(document, "containers"):
                containers[0]["imagee"] = containers[0].pop("image")
                self.assertTrue(problems(schema, document), name)

    def test_the_base_has_all_of_its_files(self):
        base = KUBERNETES / "coordinator"
        kustomization = yaml.safe_load((base / "kustomization.yaml").read_text())
        self.assertEqual(sorted(kustomization["resources"]),
                         sorted(file.name for file in base.glob("*.yaml") if file.name != "kustomization.yaml"))
        images = {image["name"] for image in kustomization["images"]}
        self.assertEqual(images, set(found([document for _, document in documents(base) if document["kind"] ==
                                            "Deployment"], "image")))

    def test_what_is_mounted_is_there_or_in_the_page(self):
        every = [document for _, document in documents(KUBERNETES)]
        claims = {document["metadata"]["name"] for document in every if document["kind"] == "PersistentVolumeClaim"}
        self.assertEqual(set(found(every, "claimName")), claims)
        page = (programs.ROOT / "docs/clusters.md").read_text()
        for secret in set(found(every, "secretName")):
            self.assertIn(f"create secret generic {secret} ", page)
        for pod in found(every, "containers"):
            names = set()
            for document in every:
                names |= {volume["name"] for volumes in found(document, "volumes") for volume in volumes}
            self.assertLessEqual({mount["name"] for mount in pod[0]["volumeMounts"]}, names)

    def test_the_coordinator_takes_its_arguments(self):
        deployment = next(document for _, document in documents(KUBERNETES) if document["kind"] == "Deployment")
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container["command"], ["equipoise-coordinator"])
        tls, tokens = self.folder / "etc/equipoise/tls", self.folder / "etc/equipoise/tokens"
        for folder in (tls, tokens, self.folder / "data", self.folder / "var/lib/equipoise"):
            folder.mkdir(parents=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", "/CN=head", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                        tls / "tls.key", "-out", tls / "tls.crt"], check=True, capture_output=True)
        (tls / "ca.crt").write_bytes((tls / "tls.crt").read_bytes())
        token = self.folder / "token"
        (tokens / "tokens").write_text(self.succeed("equipoise", "token", "create", "--role", "operator", "--name", "me",
                                                    "--output", token))
        # As a secret is mounted, but that it is this user's.
        for file in (tls / "tls.key", tokens / "tokens"):
            file.chmod(0o400)
        arguments = [re.sub(r"=/(?=[a-z])", f"={self.folder}/", argument) for argument in container["args"]
                     if not re.match("--(metrics-)?listen=", argument)]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        self.assertIn(f"--listen=0.0.0.0:{ports['grpc']}", container["args"])
        self.assertIn(f"--metrics-listen=0.0.0.0:{ports['metrics']}", container["args"])
        arguments = [argument for argument in arguments if not argument.startswith("--state=")]
        with programs.Coordinator(self.folder / "var/lib/equipoise/state", *arguments) as coordinator:
            self.succeed("equipoise", "jobs", "list", "--coordinator", coordinator.address, "--tls-ca", tls / "ca.crt",
                         "--token-file", token)


class Scripts(programs.ProgramTest):
    """What containers and machines of a cloud run, on one machine."""

    def write_small_job(self):
        rows = [{"state": [1.0, 0.5], "group": i % 2, "chosen": i % 3, "rejected": 3} for i in range(24)]
        (self.folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        job = {
            "name": "small",
            "policy": {"log_linear": {"features": "swapped", "actions": 8, "reward": [[1, 3, 1, 3], [3, 1, 3, 1]],
                                      "initial_theta": [1, 2, 3, 4]}},
            "data": {"train": "train.jsonl", "shuffle": False}, "loss": {"type": "dpo", "beta": 1},
            "robust": {"mode": "group_robust", "step_size": 0.1}, "optimizer": {"type": "sgd", "learning_rate": 0.1},
            "training": {"max_steps": 5, "global_batch_size": 12}, "output": "run"}
        (self.folder / "job.yaml").write_text(json.dumps(job))
        return self.folder / "job.yaml"

    def home(self):
        home = self.folder / "home"
        (home / "build/release").mkdir(parents=True)
        (home / "build/release/bin").symlink_to(programs.BIN)
        (home / "deploy").symlink_to(programs.ROOT / "deploy")
        return home

    def test_a_launcher_in_kubernetes_starts_a_rank_for_each_slot(self):
        job = self.write_small_job()
        (self.folder / "hostfile").write_text("localhost slots=2\n")
        with programs.Coordinator(self.folder / "state") as coordinator:
            job_id = self.succeed("equipoise", "submit", job, "--external", "--coordinator",
                                  coordinator.address).splitlines()[-1].split()[-1]
            result = programs.run(
                KUBERNETES / "launch-ranks", JOB=job_id, EQUIPOISE_COORDINATOR=coordinator.address,
                EQUIPOISE_HOME=str(self.home()), OMPI_MCA_orte_default_hostfile=str(self.folder / "hostfile"))
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertNotIn("has no effect", result.stderr)
            said = json.loads(self.succeed("equipoise", "jobs", "get", job_id, "--json", "--coordinator",
                                           coordinator.address))
        self.assertEqual(said["state"], "JOB_STATE_SUCCEEDED")
        self.assertEqual(said["state_reason"], "trained on 2 ranks, which ended with equal parameters")

    def test_skypilot_runs_the_job_on_the_first_machine_alone(self):
        job = self.write_small_job()
        script = self.home() / "deploy/skypilot/run-job"
        # The folder is found by the script's own path.
        variables = {"SKYPILOT_NODE_IPS": "127.0.0.1\n", "SKYPILOT_NUM_GPUS_PER_NODE": "2"}
        self.assertEqual(programs.run(script, job, SKYPILOT_NODE_RANK="1", **variables).returncode, 0)
        self.assertFalse((self.folder / "run").exists())
        result = programs.run(script, job, SKYPILOT_NODE_RANK="0", **variables)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertTrue((self.folder / "run/final").is_dir())
        self.assertIn("2 ranks", result.stdout + result.stderr)

    def test_a_job_that_fails_fails_the_task(self):
        job = self.write_small_job()
        (self.folder / "train.jsonl").write_text("{}\n")
        result = programs.run(self.home() / "deploy/skypilot/run-job", job, SKYPILOT_NODE_RANK="0",
                              SKYPILOT_NODE_IPS="127.0.0.1", SKYPILOT_NUM_GPUS_PER_NODE="1")
        self.assertNotEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_skypilot_knows_every_key(self):
        schema = json.loads(lzma.decompress((programs.ROOT / "tests/golden/skypilot/task.json.xz").read_bytes()))
        task = yaml.safe_load((SKYPILOT / "train.yaml").read_text())
        self.assertEqual(problems(schema["task"], task) + problems(schema["resources"], task["resources"]), [])
        self.assertTrue(problems(schema["task"], {**task, "num_node": 2}))
        self.assertTrue(problems(schema["resources"], {**task["resources"], "use_spots": True}))


class Systemd(programs.ProgramTest):
    UNIT = SYSTEMD / "equipoise-coordinator.service"

    def analyze(self, *arguments):
        # The unit with the paths of this machine: it looks whether the program is there.
        unit = self.folder / self.UNIT.name
        unit.write_text(self.UNIT.read_text().replace(f"{HOME}/build/release/bin", str(programs.BIN)))
        return subprocess.run(["systemd-analyze", "--no-pager", *arguments, unit], capture_output=True, text=True,
                              timeout=60)

    def test_the_unit_is_understood(self):
        result = self.analyze("verify", "--man=no", "--recursive-errors=no")
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stderr)

    def test_the_unit_is_closed(self):
        """2.5 of 10: what is left open is the network, devices of GPUs, and memory that their libraries write code into."""
        result = self.analyze("security", "--offline=true", "--threshold=25")
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_the_coordinator_takes_its_arguments(self):
        command = shlex.split(re.search(r"^ExecStart=(.*)$", self.UNIT.read_text(), re.M)[1])
        self.assertEqual(command[0], f"{HOME}/build/release/bin/equipoise-coordinator")
        self.assertEqual(command[-1], "$OPTIONS")
        arguments = [argument.replace("/var/lib/equipoise", str(self.folder)) for argument in command[1:-1]]
        announce = self.folder / "announce"
        options = ["--listen", "127.0.0.1:0", "--metrics-listen", "", "--announce", str(announce)]
        with subprocess.Popen([programs.BIN / "equipoise-coordinator", *arguments, *options], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            end = time.monotonic() + 60
            while not announce.exists() and time.monotonic() < end and process.poll() is None:
                time.sleep(0.02)
            # What systemd sends with KillMode=process.
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 0, said)
        self.assertTrue((self.folder / "state/coordinator.sqlite3").exists())

    def test_the_user_can_be_made(self):
        (self.folder / "etc").mkdir()
        result = subprocess.run(["systemd-sysusers", f"--root={self.folder}", SYSTEMD / "equipoise.sysusers"],
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("equipoise:x:", (self.folder / "etc/passwd").read_text())
        self.assertIn(":/var/lib/equipoise:/bin/sh", (self.folder / "etc/passwd").read_text())


class Slurm(unittest.TestCase):
    def test_scripts_are_shell(self):
        for script in ("slurm/run-ranks", "slurm/train.sbatch", "kubernetes/launch-ranks", "skypilot/run-job",
                       "container/collect"):
            path = programs.ROOT / "deploy" / script
            subprocess.run(["bash", "-n", path], check=True)
            self.assertTrue(os.access(path, os.X_OK) or path.suffix == ".sbatch", path)


if __name__ == "__main__":
    unittest.main()

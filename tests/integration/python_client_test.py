"""The Python client (client/python, docs/python.md) against the real coordinator and real jobs."""

import dataclasses
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import python_client  # noqa: E402
import security_test  # noqa: E402

equipoise = python_client.load()
from equipoise import _proto, errors, job_file, jobs  # noqa: E402


class ClientTest(programs.ProgramTest):
    """With a coordinator, and a client of it."""

    COORDINATOR = ()

    def setUp(self):
        super().setUp()
        self.coordinator = self.start()
        self.addCleanup(lambda: self.coordinator.stop())
        self.client = self.connect()

    def start(self, **options):
        return programs.Coordinator(self.folder / "state", *self.COORDINATOR, **options)

    def connect(self, **options):
        client = equipoise.Client(self.coordinator.address, **options)
        self.addCleanup(client.close)
        return client

    def job(self, name, **sections):
        """A job whose ranks somebody would start by hand: it stays in the queue."""
        return {"name": name, "model": {"path": "/srv/model"}, "data": {"train": "/srv/train.jsonl"},
                "output": self.folder / name, "launch": {"mode": "external"}, **sections}


class RealJobs(ClientTest):
    def setUp(self):
        super().setUp()
        self.small_model()

    def long_job(self, name):
        """It is over before somebody asks something of it only where somebody forgets it."""
        training = {"max_steps": 100000, "global_batch_size": 16, "seed": 1}
        return self.write_job(name, training=training, checkpoint={"every_steps": 50})

    def reach(self, job_id, condition):
        return next(job for job in self.client.watch(job_id, timeout=200) if condition(job))

    def test_a_job_from_its_submission_to_its_curves(self):
        submitted = self.client.submit(self.write_job("seen"), workers=2)
        self.assertEqual((submitted.name, submitted.spec["launch"]), ("seen", {"workers": 2}))
        self.assertEqual(submitted.output, str(self.folder / "seen"))
        jobs = [*self.client.watch(submitted.id, timeout=200)]
        revisions = [job.revision for job in jobs]
        self.assertEqual(revisions, sorted(set(revisions)))
        job = jobs[-1]
        self.assertEqual((job.state, job.step, job.world_size), (equipoise.JobState.SUCCEEDED, 8, 2))
        self.assertEqual(self.client.wait(job.id), job)
        self.assertEqual(self.client.get(job.id), job)

        text = programs.run("equipoise", "jobs", "weights", job.id, "--json", "--coordinator",
                            self.coordinator.address).stdout
        history = json.loads(text)
        weights = self.client.weights(job.id)
        self.assertEqual([*weights.columns], history["group_names"])
        self.assertEqual([*weights.index], [*range(8)])
        self.assertEqual(weights.to_numpy().tolist(), [record["alpha"] for record in history["records"]])
        records = [*self.client.weight_records(job.id)]
        self.assertEqual([list(record.loss_sum) for record in records],
                         [record["loss_sum"] for record in history["records"]])

        curves = self.client.curves(job.id)
        lines = [line for line in programs.read_lines(self.folder / "seen/metrics.jsonl") if "split" not in line]
        self.assertEqual(curves["loss"].tolist(), [line["loss"] for line in lines])
        self.assertEqual([*curves.index], [*range(1, 9)])
        group = job.groups[0].name
        self.assertEqual(curves[f"group_weight/{group}"].tolist(), [line["group_weight"][group] for line in lines])
        self.assertEqual(curves[f"group_weight/{group}"].tolist(), weights[group].tolist())
        evaluations = equipoise.read_metrics(self.folder / "seen", "validation")
        self.assertEqual([*evaluations.index], [0, 8])
        self.assertEqual(evaluations["worst_group"].iloc[-1], job.worst_group.name)
        self.assertEqual(len(equipoise.read_metrics(self.folder / "seen", None)), 10)

        self.assertEqual([attempt.generation for attempt in self.client.attempts(job.id)], [1])
        events = self.client.events(job.id)
        self.assertEqual(events[-1].state, equipoise.JobState.SUCCEEDED)
        self.assertEqual(events[-1].time.tzinfo.utcoffset(None).total_seconds(), 0)
        self.assertEqual(self.client.ranks(job.id), [])
        self.client.delete(job.id)
        with self.assertRaises(equipoise.JobNotFound):
            self.client.get(job.id)

    def test_a_running_job_is_steered(self):
        job = self.client.submit(self.long_job("steered"), workers=2)
        self.reach(job.id, lambda job: job.step >= 5)
        self.assertEqual([rank.rank for rank in self.client.ranks(job.id)], [0, 1])
        self.client.set(job.id, trade_off=0.5, max_steps=90000)
        changed = self.reach(job.id, lambda job: job.settings_changes and
                             job.settings_changes[0].effective_step is not None)
        settings = changed.settings_changes[0].settings
        self.assertEqual((settings.trade_off, settings.max_steps, settings.step_size), (0.5, 90000, None))
        self.assertEqual(changed.total_steps, 90000)
        self.client.evaluate(job.id)
        self.reach(job.id, lambda job: (job.validation_step or 0) > 0)
        before = self.client.checkpoint(job.id).checkpoint_step
        self.reach(job.id, lambda job: job.checkpoint_step is not None and job.checkpoint_step != before)
        self.client.pause(job.id)
        paused = self.client.wait(job.id, until=["paused"], timeout=200)
        self.assertEqual(paused.state, equipoise.JobState.PAUSED)
        self.assertEqual(self.client.checkpoints(job.id)[-1].step, paused.checkpoint_step)
        fork = self.client.fork(job.id, name="forked", settings={"training.max_steps": paused.step + 3})
        self.assertEqual((fork.parent_id, fork.parent_step), (job.id, paused.checkpoint_step))
        self.assertEqual(fork.spec["robust"]["trade_off"], 0.5)
        self.assertEqual(self.client.wait(fork.id, timeout=200).step, paused.step + 3)
        self.client.resume(job.id)
        self.reach(job.id, lambda job: job.step > paused.step)
        with self.assertRaises(equipoise.EtagMismatch):
            self.client.cancel(job.id, etag=paused.etag)
        self.client.cancel(job.id)
        with self.assertRaises(equipoise.JobFailed) as ended:
            self.client.wait(job.id, timeout=200)
        self.assertEqual(ended.exception.job.state, equipoise.JobState.CANCELLED)
        with self.assertRaises(equipoise.WrongState):
            self.client.pause(job.id)

    def test_a_watcher_sees_the_job_go_on_under_the_next_coordinator(self):
        job = self.client.submit(self.long_job("watched"))
        listen = self.coordinator.address
        revisions, was_killed = [], False
        for now in self.client.watch(job.id, timeout=300):
            revisions.append(now.revision)
            if now.step >= 5 and not was_killed:
                was_killed, step = True, now.step
                self.coordinator.process.kill()
                self.coordinator.stop()
                starter = threading.Timer(1, lambda: setattr(self, "coordinator", self.start(listen=listen)))
                starter.start()
            elif was_killed and now.step > step:
                break
        starter.join()
        self.assertEqual(revisions, sorted(set(revisions)))
        self.client.cancel(job.id)
        self.client.wait(job.id, check=False, timeout=200)

    def test_a_wait_ends_in_time(self):
        job = self.client.submit(self.long_job("waited"))
        with self.assertRaises(TimeoutError):
            self.client.wait(job.id, timeout=0.5)
        self.client.cancel(job.id)


class Calls(ClientTest):
    def test_a_list_hides_its_pages(self):
        ids = [self.client.submit(self.job(f"listed-{i}")).id for i in range(60)]
        self.assertEqual([job.id for job in self.client.list()], ids[::-1])
        self.client.cancel(ids[3])
        self.assertEqual([job.id for job in self.client.list(states=["cancelled"])], [ids[3]])
        self.assertEqual([job.id for job in self.client.list('name : "listed-7"')], [ids[7]])
        with self.assertRaisesRegex(equipoise.InvalidArgument, "filter"):
            next(self.client.list("nonsense = 1"))

    def test_a_state_that_is_none_is_named_with_those_that_are(self):
        job = self.client.submit(self.job("stated"))
        self.assertEqual([one.id for one in self.client.list(states="queued")], [job.id])
        self.assertEqual([one.id for one in self.client.list(states=["QUEUED", equipoise.JobState.PAUSED])], [job.id])
        self.assertEqual(self.client.wait(job.id, until="queued").state, "queued")
        known = "expected one of queued, starting, running"
        for call in (lambda: list(self.client.list(states=["runing"])), lambda: list(self.client.list(states="runing")),
                     lambda: self.client.wait(job.id, until="runing"), lambda: equipoise.JobState("runing")):
            with self.assertRaisesRegex(ValueError, f"'runing' is no state of a job, {known}"):
                call()
        for value in (None, 3):
            with self.assertRaisesRegex(ValueError, f"{value} is no state of a job, {known}"):
                equipoise.JobState(value)

    def test_a_repeated_request_id_gives_the_same_job(self):
        first = self.client.submit(self.job("once"), request_id="r1")
        self.assertEqual(self.client.submit(self.job("once"), request_id="r1").id, first.id)
        with self.assertRaises(equipoise.RequestIdReused):
            self.client.submit(self.job("twice"), request_id="r1")
        self.assertEqual(len([*self.client.list()]), 1)

    def test_a_job_is_only_checked(self):
        checked = self.client.submit(self.job("checked"), validate_only=True)
        self.assertEqual(checked.name, "checked")
        with self.assertRaisesRegex(equipoise.InvalidArgument, "loss.beta is -1") as refused:
            self.client.submit(self.job("checked"), settings={"loss.beta": -1}, validate_only=True)
        self.assertEqual((refused.exception.reason, refused.exception.code), ("INVALID_ARGUMENT", "INVALID_ARGUMENT"))
        self.assertEqual((refused.exception.field, refused.exception.retry_after), ("spec.loss.beta", None))
        self.assertIsInstance(refused.exception, ValueError)
        self.assertEqual([*self.client.list()], [])

    def test_hosts_are_left_out_and_used_again(self):
        self.assertEqual(self.client.hosts(), [])
        (self.folder / "hosts").write_text("localhost slots=3\n")
        with programs.Coordinator(self.folder / "with-hosts", "--hostfile", str(self.folder / "hosts")) as coordinator, \
                equipoise.Client(coordinator.address) as client:
            [host] = client.hosts()
            self.assertEqual((host.name, host.slots, host.state, host.cordon), ("localhost", 3, "ready", None))
            cordoned = client.cordon("localhost", "a new disk")
            self.assertEqual((cordoned.state, cordoned.cordon.reason, cordoned.cordon.cause),
                             ("cordoned", "a new disk", "operator"))
            self.assertEqual(client.hosts(), [cordoned])
            self.assertEqual(client.uncordon("localhost"), host)
            with self.assertRaises(equipoise.HostNotFound):
                client.cordon("elsewhere", "it is not there")
            with self.assertRaises(equipoise.InvalidArgument):
                client.cordon("localhost", "")

    def test_a_fork_needs_a_checkpoint(self):
        job = self.client.submit(self.job("bare"))
        with self.assertRaises(equipoise.WrongState):
            self.client.fork(job.id)

    def test_nobody_at_the_address(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            client = equipoise.Client(f"127.0.0.1:{taken.getsockname()[1]}", timeout=0.2)
            self.addCleanup(client.close)
            # Less than an answer may take elsewhere.
            with unittest.mock.patch("equipoise.client._ANSWER_S", 0.3), \
                    self.assertRaises(equipoise.CoordinatorUnreachable) as refused:
                client.get("a")
        self.assertIsInstance(refused.exception, ConnectionError)


class Access(ClientTest):
    """A coordinator with TLS and tokens; the client takes what the command line takes, from the same variables."""

    def setUp(self):
        programs.ProgramTest.setUp(self)
        authority = security_test.Authority(self.folder, "ours")
        certificate, key = authority.issue("service")
        self.ca, self.caller = authority.certificate, authority.issue("caller")
        lines = ""
        for role in ("viewer", "operator"):
            result = programs.run("equipoise", "token", "create", "--role", role, "--name", f"a-{role}", "--output",
                                  self.folder / f"{role}.token")
            self.assertEqual(result.returncode, 0, result.stderr)
            lines += result.stdout
        (self.folder / "tokens").write_text(lines)
        (self.folder / "tokens").chmod(0o600)
        self.coordinator = programs.Coordinator(
            self.folder / "state", "--tokens", self.folder / "tokens", "--tls-cert", certificate, "--tls-key", key,
            "--tls-ca", self.ca, "--tls-client-ca", self.ca, "--rank-cert", certificate, "--rank-key", key)
        self.addCleanup(self.coordinator.stop)
        self.address = self.coordinator.address

    def connect(self, **options):
        client = equipoise.Client(self.address, **options)
        self.addCleanup(client.close)
        return client

    def tls(self):
        return {"tls_ca": self.ca, "tls_cert": self.caller[0], "tls_key": self.caller[1]}

    def test_who_may_do_what(self):
        viewer = self.connect(**self.tls(), token_file=self.folder / "viewer.token")
        self.assertEqual([*viewer.list()], [])
        with self.assertRaises(equipoise.RoleTooLow) as refused:
            viewer.submit(self.job("refused"))
        self.assertIsInstance(refused.exception, PermissionError)
        token = (self.folder / "operator.token").read_text().strip()
        operator = self.connect(**self.tls(), token=token)
        self.assertNotIn(token, repr(operator))
        job = operator.submit(self.job("taken"))
        self.assertEqual(next(viewer.watch(job.id)).id, job.id)
        with self.assertRaises(equipoise.NoValidToken):
            self.connect(**self.tls(), token="x" * 40).get(job.id)
        with self.assertRaises(equipoise.NoValidToken):
            next(self.connect(**self.tls()).watch(job.id))

    def test_the_environment_says_what_no_argument_does(self):
        variables = {"EQUIPOISE_COORDINATOR": self.address, "EQUIPOISE_TOKEN_FILE": self.folder / "viewer.token"}
        variables |= {f"EQUIPOISE_{name.upper()}": path for name, path in self.tls().items()}
        code = "import equipoise\nwith equipoise.Client() as client: print([*client.list()])"
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                                env={**python_client.environment(), **{k: str(v) for k, v in variables.items()}})
        self.assertEqual((result.stdout, result.returncode), ("[]\n", 0), result.stderr)

    def test_secrets_that_are_not_kept(self):
        (self.folder / "viewer.token").chmod(0o644)
        with self.assertRaisesRegex(equipoise.InvalidArgument, "has mode 0644.*at most 0600"):
            self.connect(**self.tls(), token_file=self.folder / "viewer.token")
        self.caller[1].chmod(0o644)
        with self.assertRaisesRegex(equipoise.InvalidArgument, "has mode 0644.*at most 0640"):
            self.connect(**self.tls())
        with self.assertRaisesRegex(equipoise.InvalidArgument, "plain text"):
            equipoise.Client("head.example:7443", token="x" * 40)
        with self.assertRaisesRegex(equipoise.InvalidArgument, "go together"):
            equipoise.Client("localhost:1", tls_cert=self.caller[0], tls_ca=self.ca)


class Documentation(ClientTest):
    """The blocks of docs/python.md, one after the other, in a folder with a model and pairs."""

    def test_every_block_runs(self):
        self.small_model()
        self.write_job("job", output="runs/job")
        blocks = re.findall(r"```python\n(.*?)```", (programs.ROOT / "docs/python.md").read_text(), re.DOTALL)
        self.assertGreater(len(blocks), 4)
        result = subprocess.run(
            [sys.executable, "-c", "\n".join(blocks)], cwd=self.folder, capture_output=True, text=True, timeout=300,
            env={**python_client.environment(), "EQUIPOISE_COORDINATOR": self.coordinator.address})
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("succeeded 8 ", result.stdout)
        self.assertIn("{'beta': 0.2}", result.stdout)
        self.assertIn("loss.beta is -1, expected a number > 0", result.stdout)

    def test_every_exception_and_call_is_there(self):
        text = (programs.ROOT / "docs/python.md").read_text()
        calls = [name for name in vars(equipoise.Client) if not name.startswith("_")]
        known = [name for name in equipoise.__all__ if isinstance(getattr(equipoise, name), type) and
                 issubclass(getattr(equipoise, name), equipoise.EquipoiseError)]
        self.assertEqual([name for name in calls + known if f"`{name}" not in text and f".{name}`" not in text],
                         ["address", "close"])


class JobFiles(programs.ProgramTest):
    def read(self, job, **settings):
        return job_file.spec_to_dict(job_file.read_job(job, settings))

    def refuses(self, job, text):
        with self.assertRaisesRegex(equipoise.InvalidArgument, text):
            job_file.read_job(job)

    def test_every_example_is_read_as_the_command_line_reads_it(self):
        """`validate_only` would need the files of the examples: what `submit` sends is compared instead."""
        examples = sorted((programs.ROOT / "deploy/examples").rglob("*.yaml"))
        self.assertGreater(len(examples), 2)
        with programs.Coordinator(self.folder / "state") as coordinator, \
                equipoise.Client(coordinator.address) as client:
            for i, example in enumerate(examples):
                with self.subTest(example=example.name):
                    output = self.folder / f"output-{i}"
                    submitted = programs.run("equipoise", "submit", example, "--external", "--output", output,
                                             "--coordinator", coordinator.address)
                    self.assertEqual(submitted.returncode, 0, submitted.stderr)
                    known = client.get(submitted.stdout.split()[0])
                    client.cancel(known.id)
                    client.wait(known.id, check=False)
                    ours = client.submit(example, external=True, settings={"output": str(output)})
                    self.assertEqual(ours.spec, known.spec)

    def test_paths_are_relative_to_the_file_and_else_to_the_current_folder(self):
        path = self.folder / "GR_DPO.yaml"
        path.write_text("model: {path: m, reference: ../r}\ndata: {train: t, train_files: [{path: f}]}\n"
                        "training: {resume_from_checkpoint: True}\noutput: /o\n")
        job = self.read(path)
        self.assertEqual(job["name"], "gr-dpo")
        self.assertEqual(job["model"], {"path": f"{self.folder}/m", "reference": f"{self.folder.parent}/r"})
        self.assertEqual(job["data"]["train_files"], [{"path": f"{self.folder}/f"}])
        self.assertEqual((job["output"], job["training"]), ("/o", {"resume_from_checkpoint": "True"}))
        self.assertEqual(self.read({"output": "o"})["output"], os.path.join(os.getcwd(), "o"))
        self.assertEqual(self.read("output: o\n")["output"], os.path.join(os.getcwd(), "o"))

    def test_values_of_every_kind(self):
        job = self.read({"loss": {"type": "ipo", "beta": "1e-1", "length_normalized": True, "label_noise": {"a": 0}},
                         "training": {"max_steps": 1e3, "seed": 2**64 - 1}, "optimizer": {"betas": [0.5, 1e-3]},
                         "data": {"groupColumns": ["a", "b"]},
                         "policy": {"log_linear": {"reward": [[1, 2], [3, 4]], "features": "FEATURE_MAP_SAME"}}},
                        **{"loss.beta": 0.2, "data.group_counts.In.dia": 4})
        self.assertEqual(job["loss"], {"type": "ipo", "beta": 0.2, "length_normalized": True, "label_noise": {"a": 0.0}})
        self.assertEqual(job["training"], {"max_steps": 1000, "seed": 2**64 - 1})
        self.assertEqual(job["data"], {"group_columns": ["a", "b"], "group_counts": {"In.dia": 4.0}})
        self.assertEqual(job["policy"]["log_linear"], {"features": "same", "reward": [[1.0, 2.0], [3.0, 4.0]]})

    def test_what_does_not_fit_is_named(self):
        self.refuses({"loss": {"betta": 1}}, 'unknown key "loss.betta", the nearest known one is "loss.beta"')
        self.refuses({"loss": {"type": "dpoo"}}, "loss.type is 'dpoo', expected one of dpo, ipo")
        self.refuses({"loss": {"beta": float("nan")}}, "loss.beta is nan, expected a number")
        self.refuses({"loss": {"beta": True}}, "loss.beta is True, expected a number")
        self.refuses({"training": {"max_steps": 1.5}}, "training.max_steps is 1.5, expected an integer")
        self.refuses({"training": {"seed": -1}}, "training.seed is -1, expected an integer from 0")
        self.refuses({"data": {"shuffle": 1}}, "data.shuffle is 1, expected true or false")
        self.refuses({"optimizer": {"betas": "0.9"}}, "optimizer.betas is '0.9', expected a list")
        self.refuses({"loss": 3}, "loss is 3, expected a mapping")
        self.refuses("name: a\nname: b\n", "the job:2: name is given twice")
        self.refuses("name: [a\n", "the job:2: ")
        self.refuses("- a\n- b\n", "the job is .*, expected a mapping")

    def test_a_line_that_is_still_written_is_left_out(self):
        path = self.folder / "metrics.jsonl"
        path.write_text('{"step": 1, "loss": 0.5, "group_loss": {"a": null}, "group/a/loss": null}\n{"step": 2, "lo')
        self.assertEqual([line["step"] for line in equipoise.read_lines(self.folder)], [1])
        self.assertEqual([*equipoise.read_metrics(path).columns], ["loss", "group_loss/a"])
        path.write_text("nonsense\n")
        with self.assertRaisesRegex(ValueError, "metrics.jsonl:1"):
            equipoise.read_metrics(path)
        path.write_text("")
        self.assertEqual(len(equipoise.read_metrics(path)), 0)


class Interface(unittest.TestCase):
    def test_every_reason_of_the_service_has_an_exception(self):
        """But those of ranks, which people's calls do not get."""
        source = (programs.ROOT / "common/protocol/error_reason.cc").read_text()
        reasons = set(re.findall(r'\{ErrorReason::k\w+, "(\w+)"\}', source))
        of_ranks = {"STALE_GENERATION", "WRONG_TOKEN", "OTHER_CONTENT", "STEP_OUT_OF_ORDER"}
        self.assertGreater(len(reasons), 15)
        self.assertEqual(set(errors.CLASS_OF_REASON), reasons - of_ranks)

    def test_every_field_of_the_protocol_is_there(self):
        of_ours = {"GroupWeightRecord": "WeightRecord", "GroupStatus": "Group", "AttemptFailure": "Failure",
                   "TrainingJob": "Job", "TrainingJobSettings": "Settings", "SettingsChange": "SettingsChange",
                   "Attempt": "Attempt", "Checkpoint": "Checkpoint", "JobEvent": "Event", "RankStatus": "Rank",
                   "OpenRequests": "OpenRequests", "Host": "Host", "Cordon": "Cordon"}
        for name, ours in of_ours.items():
            fields = {field.name for field in dataclasses.fields(getattr(jobs, ours))} - {"group_names"}
            self.assertEqual(fields, {field.name for field in _proto.message(name).DESCRIPTOR.fields}, ours)
        calls = {method.name for one in ("GetTrainingJob", "ListHosts")
                 for method in _proto.method(one).containing_service.methods}
        source = (programs.ROOT / "client/python/src/equipoise/client.py").read_text()
        self.assertEqual(calls - set(re.findall(r'"(\w+)"', source)), set())

    def test_everything_public_is_described(self):
        for name in equipoise.__all__:
            thing = getattr(equipoise, name)
            self.assertTrue(thing.__doc__, name)
            self.assertFalse("Proto" in thing.__doc__, name)
            for member, value in vars(thing).items() if isinstance(thing, type) else ():
                if not member.startswith("_") and callable(value):
                    self.assertTrue(value.__doc__, f"{name}.{member}")

    def test_its_types_hold(self):
        result = subprocess.run(
            [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--cache-dir", os.devnull, "src"],
            cwd=programs.ROOT / "client/python", capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(programs.DEPS / "python-style")})
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main()

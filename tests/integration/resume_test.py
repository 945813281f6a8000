"""Checkpoints: a run that goes on from one gives the metrics and the model of a run that was never interrupted."""

import atexit
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import safetensors.numpy  # noqa: E402
from programs import ROOT  # noqa: E402

SPEEDS = ("pairs_per_second", "tokens_per_second")
BANDIT = ROOT / "tests/golden/bandits"
UNDISTURBED = {}  # outputs of runs, by all that they follow from


def without_speeds(lines):
    return [{field: value for field, value in line.items() if field not in SPEEDS} for line in lines]


class ResumeTest(programs.ProgramTest):
    def lines(self, name):
        return without_speeds(programs.read_lines(self.folder / name / "metrics.jsonl"))

    def final(self, name):
        """The bytes of what was trained, by file."""
        files = (self.folder / name / "final").glob("*")
        return {file.name: file.read_bytes() for file in files if file.suffix in (".safetensors", ".json")
                and file.name not in ("tokenizer.json", "tokenizer_config.json")}

    def checkpoint(self, name, step):
        return self.folder / name / "checkpoints" / f"step-{step}"

    def steps_of_checkpoints(self, name):
        folder = self.folder / name / "checkpoints"
        return sorted(int(entry.name.removeprefix("step-")) for entry in folder.glob("step-*"))

    def train(self, name, ranks=1, **sections):
        job = self.write_job(name, **sections)
        self.succeed("equipoise", "train", job, "--np", ranks, "--quiet")
        return job

    def train_undisturbed(self, name, ranks, **sections):
        """What train() gives, with which others are compared. Tests of one program whose data, model and job are the
        same share one run: each gets a copy of its output."""
        inputs = [self.folder / folder for folder in ("data", "model")]
        files = sorted(file for folder in inputs for file in folder.rglob("*") if file.is_file())
        content = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()
        key = (name, ranks, json.dumps(sections, sort_keys=True), content)
        if key not in UNDISTURBED:
            self.train(name, ranks, **sections)
            kept = pathlib.Path(tempfile.mkdtemp(prefix="equipoise-test-"))
            atexit.register(shutil.rmtree, kept, ignore_errors=True)
            shutil.copytree(self.folder / name, kept / name)
            UNDISTURBED[key] = kept / name
        else:
            shutil.copytree(UNDISTURBED[key], self.folder / name)

    def same_run(self, name, other):
        self.assertEqual(self.lines(name), self.lines(other))
        self.assertEqual(self.final(name), self.final(other))

    def goes_on_alike(self, name, ranks=1, at=5, **sections):
        """A run with a checkpoint every five steps, and one that goes on from the checkpoint of step `at`."""
        sections["checkpoint"] = {"every_steps": 5, "keep": 10}
        self.train(name, ranks, **sections)
        other = f"{name}-on"
        training = {**sections["training"], "resume_from_checkpoint": str(self.checkpoint(name, at))}
        self.train(other, ranks, **{**sections, "training": training})
        self.same_run(name, other)
        self.assertGreater(self.lines(name)[-1]["step"], at)


TRAINING = {"max_steps": 12, "global_batch_size": 8, "seed": 3, "micro_batch_tokens": 600}
LORA = {"path": "model", "lora": {"r": 4, "dropout": 0.1}}


class LanguageModels(ResumeTest):
    """Bit by bit, on as many ranks as before."""

    def setUp(self):
        super().setUp()
        self.small_model()

    def test_every_optimizer(self):
        for optimizer in ({"type": "adamw", "weight_decay": 0.1}, {"type": "sgd"}, {"type": "rmsprop", "momentum": 0.9},
                          {"type": "muon"}):
            with self.subTest(optimizer=optimizer["type"]):
                self.goes_on_alike(optimizer["type"], training=TRAINING,
                                   optimizer={"learning_rate": 1e-3, "schedule": {"type": "cosine"}, **optimizer})

    def test_every_kind_of_parameters(self):
        models = {"bf16": {"path": "model", "dtype": "bfloat16"}, "f64": {"path": "model", "dtype": "float64"},
                  "lora": LORA, "dora": {"path": "model", "lora": {"r": 4, "use_dora": True, "dropout": 0.2}},
                  "nf4": {"path": "model", "lora": {"r": 4}, "quantization": "nf4"},
                  "bf16lora": {"path": "model", "dtype": "bfloat16", "lora": {"r": 4}}}
        for name, model in models.items():
            with self.subTest(model=name):
                self.goes_on_alike(name, training=TRAINING, model=model)

    def test_two_ranks_each_write_their_share(self):
        for name, model in {"full": {"path": "model"}, "adapter": LORA}.items():
            with self.subTest(model=name):
                self.goes_on_alike(name, ranks=2, training=TRAINING, model=model)
        files = {file.name for file in self.checkpoint("full", 5).iterdir()}
        self.assertLessEqual({"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                              "model.safetensors.index.json", "optimizer-00001-of-00002.safetensors", "config.json",
                              "tokenizer.json", "manifest.json"}, files)

    def test_every_kind_of_weights_and_batches(self):
        jobs = {
            "permutation": {"training": {**TRAINING, "sampling": "permutation"}},
            "speculative": {"robust": {"mode": "group_robust", "step_size": 0.5, "weight_sync": "speculative"}},
            "after": {"robust": {"mode": "group_robust", "step_size": 0.5, "update": "after_gradient"}},
            "shrinking": {"robust": {"mode": "group_robust", "step_size": 0.5, "step_factor": 0.5, "step_patience": 1,
                                     "estimator": "batch_mean", "weight_sync": "speculative"}},
            "shrinking-there": {"robust": {"mode": "group_robust", "step_size": 0.5, "step_factor": 0.5,
                                           "estimator": "batch_mean"}},
            "cvar": {"robust": {"mode": "group_robust", "ambiguity_set": "cvar", "kappa": 0.4}},
            "mean": {"robust": {"mode": "none"}},
            "ipo": {"loss": {"type": "ipo", "beta": 0.5, "sft_weight": 0.1}},
        }
        for name, sections in jobs.items():
            with self.subTest(job=name):
                self.goes_on_alike(name, ranks=2, **{"training": TRAINING, **sections})

    def test_a_mixture_of_files(self):
        whole = (self.folder / "data/train.jsonl").read_text().splitlines(keepends=True)
        (self.folder / "east.jsonl").write_text("".join(whole[::2]))
        (self.folder / "west.jsonl").write_text("".join(whole[1::2]))
        files = [{"path": "east.jsonl", "weight": 3}, {"path": "west.jsonl", "weight": 1}]
        self.goes_on_alike("mixed", training=TRAINING, data={"train_files": files})

    def test_evaluations_that_stop_training_and_keep_the_best(self):
        stopping = {"metric": "worst_group_loss", "mode": "min", "patience": 3, "keep_best": True}
        sections = {"training": {**TRAINING, "max_steps": 60, "early_stopping": stopping},
                    "evaluation": {"every_steps": 2}, "checkpoint": {"every_steps": 2, "keep": 100},
                    "optimizer": {"learning_rate": 0.01, "schedule": {"type": "plateau", "factor": 0.5, "patience": 1}}}
        self.train("whole", **sections)
        last = self.lines("whole")[-1]["step"]
        self.assertLess(last, 60)
        # Also from the last one, after which nothing is left but saving.
        self.assertEqual(self.steps_of_checkpoints("whole"), list(range(2, last + 1, 2)))
        for at in self.steps_of_checkpoints("whole"):
            with self.subTest(at=at):
                training = {**sections["training"], "resume_from_checkpoint": str(self.checkpoint("whole", at))}
                self.train(f"on-{at}", **{**sections, "training": training})
                self.same_run("whole", f"on-{at}")

    def test_another_number_of_ranks_has_the_same_pairs_in_the_same_order(self):
        """2 -> 1 -> 3 ranks: every step's batch is that of one run on two ranks, and the sums agree."""
        sections = {"training": {**TRAINING, "max_steps": 15}, "model": {"path": "model", "dtype": "float64"},
                    "checkpoint": {"every_steps": 5, "keep": 10}}
        self.train("two", 2, **sections)
        before = "two"
        for ranks, at in ((1, 5), (3, 10)):
            name = f"on-{ranks}"
            training = {**sections["training"], "resume_from_checkpoint": str(self.checkpoint(before, at))}
            self.train(name, ranks, **{**sections, "training": training})
            before = name
        for one, other in zip(self.lines("two"), self.lines("on-3"), strict=True):
            for field in ("step", "epoch", "group_count", "num_tokens"):
                self.assertEqual(one.get(field), other.get(field))
            for field in ("group_weight", "group_loss"):
                for group, value in one[field].items():
                    self.assertAlmostEqual(value, other[field][group], delta=1e-9)
        one, other = (safetensors.numpy.load_file(self.folder / name / "final/model.safetensors")
                      for name in ("two", "on-3"))
        for tensor in one:
            self.assertLess(abs(one[tensor] - other[tensor]).max(), 1e-8)

    def test_a_checkpoint_is_a_model_to_start_from(self):
        self.train("full", training=TRAINING, checkpoint={"every_steps": 5, "keep": 10})
        self.train("adapter", training=TRAINING, model=LORA, checkpoint={"every_steps": 5, "keep": 10})
        self.train("second", training=TRAINING, model={"path": str(self.checkpoint("full", 5))})
        self.train("third", training=TRAINING, model={"path": "model", "adapter": str(self.checkpoint("adapter", 5))})
        self.assertFalse((self.folder / "second/final/manifest.json").exists())
        self.assertFalse((self.folder / "third/final/manifest.json").exists())
        weights = self.checkpoint("full", 5) / "model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
        job = self.write_job("fourth", training=TRAINING, model={"path": str(self.checkpoint("full", 5))})
        result = programs.run("equipoise", "train", job, "--quiet")
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn(f"model.path: {weights}", result.stderr)


class LogLinear(ResumeTest):
    def write_bandit(self, name, case, method, **sections):
        golden = json.loads((BANDIT / case / f"{method}.json").read_text())
        problem = json.loads((BANDIT / case / "problem.json").read_text())
        settings = golden["settings"]
        job = {
            "name": name.replace("_", "-"),
            "policy": {"log_linear": {
                "features": problem["features"], "actions": problem["actions"], "reward": problem["reward"],
                "initial_theta": problem["initial_theta"], "closed_form": settings.get("closed", False),
                "ridge": settings["lam"]}},
            "data": {part: str(BANDIT / case / f"{part}.jsonl") for part in ("train", "validation", "test")},
            "loss": {"type": settings["loss"], "beta": settings["beta"]},
            "robust": {"mode": settings["method"], "step_size": settings["eta"], "trade_off": settings["chi"],
                       "paper_compat": settings.get("compat", False)},
            "optimizer": {"type": "sgd", "learning_rate": settings["step"]},
            "training": {"max_steps": 60, "full_batch": True},
            "checkpoint": {"every_steps": 20, "keep": 10},
            "output": name,
        }
        for section, values in sections.items():
            job[section] = {**job.get(section, {}), **values} if values is not None else None
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(job))
        return path

    def test_every_method_goes_on_bit_by_bit(self):
        case = sorted(folder.name for folder in BANDIT.iterdir() if folder.is_dir())[0]
        methods = sorted(path.stem for path in (BANDIT / case).glob("*.json") if path.stem != "problem")
        for i, method in enumerate(methods):
            ranks = 1 + i % 2
            robust = {"weight_sync": "speculative"} if i % 3 == 0 else {}
            with self.subTest(method=method, ranks=ranks):
                self.succeed("equipoise", "train", self.write_bandit(method, case, method, robust=robust), "--np", ranks,
                             "--quiet")
                other = f"{method}-on"
                training = {"resume_from_checkpoint": str(self.checkpoint(method, 40))}
                self.succeed("equipoise", "train", self.write_bandit(other, case, method, robust=robust,
                                                                     training=training), "--np", ranks, "--quiet")
                self.same_run(method, other)


class Interrupted(ResumeTest):
    """Real ends: processes are killed, files are damaged."""

    # Long enough that a test can act while it trains.
    LONG = {**TRAINING, "max_steps": 400}

    def setUp(self):
        super().setUp()
        self.small_model()

    def start(self, job, *options):
        return subprocess.Popen([str(programs.BIN / "equipoise"), "train", str(job), *options], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=programs.ENVIRONMENT,
                                start_new_session=True)

    def wait_for_checkpoint(self, name, step, process):
        while not any(found >= step for found in self.steps_of_checkpoints(name)):
            self.assertIsNone(process.poll(), process.stderr.read() if process.poll() is not None else "")
            time.sleep(0.02)

    def kill(self, process):
        """The whole of it, as a machine that loses its power."""
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()

    def test_a_killed_run_goes_on(self):
        sections = {"training": self.LONG, "checkpoint": {"every_steps": 10}, "evaluation": {"every_steps": 50}}
        self.train("whole", 2, **sections)
        job = self.write_job("killed", **sections)
        process = self.start(job, "--np", "2")
        self.wait_for_checkpoint("killed", 50, process)
        self.kill(process)
        self.assertFalse((self.folder / "killed/final").exists())
        self.wait_until_free("killed")
        self.succeed("equipoise", "train", job, "--np", "2", "--quiet", "--set",
                     "training.resume_from_checkpoint=latest")
        self.same_run("whole", "killed")
        self.assertEqual(self.steps_of_checkpoints("killed"), [390, 400])

    def wait_until_free(self, name):
        """Ranks end by themselves once their launcher is gone."""
        while True:
            result = programs.run("equipoise", "train", self.folder / f"{name}.yaml", "--quiet")
            self.assertIn(name, result.stderr)
            if "in use" not in result.stderr:
                return
            time.sleep(0.1)

    def damaged(self, name, damage):
        """A copy of the run `whole`, whose newest checkpoint is damaged, goes on from the one before."""
        shutil.copytree(self.folder / "whole", self.folder / name)
        shutil.rmtree(self.folder / name / "final")
        damage(self.checkpoint(name, 20))
        job = self.write_job(name, **self.short, output=name)
        self.succeed("equipoise", "train", job, "--quiet", "--set", "training.resume_from_checkpoint=latest")
        self.same_run("whole", name)

    def test_a_damaged_checkpoint_is_passed_over(self):
        self.short = {"training": {**TRAINING, "max_steps": 20}, "checkpoint": {"every_steps": 10}}
        self.train("whole", **self.short)

        def flip(file):
            def damage(folder):
                content = bytearray((folder / file).read_bytes())
                content[len(content) // 2] ^= 1
                (folder / file).write_bytes(content)
            return damage

        def cut(file):
            def damage(folder):
                with open(folder / file, "r+b") as opened:
                    opened.truncate((folder / file).stat().st_size // 2)
            return damage

        def swap(folder):
            shutil.copy(folder.parent / "step-10/model.safetensors", folder / "model.safetensors")

        damages = {"flipped": flip("model.safetensors"), "flipped-manifest": flip("manifest.json"),
                   "cut": cut("optimizer.safetensors"), "cut-manifest": cut("manifest.json"),
                   "empty": lambda folder: (folder / "manifest.json").write_text(""),
                   "missing": lambda folder: (folder / "optimizer.safetensors").unlink(), "swapped": swap}
        for name, damage in damages.items():
            with self.subTest(damage=name):
                self.damaged(name, damage)

    def test_checkpoints_on_another_disk(self):
        """Whoever ran out of room moved all of them, or one, and left a link."""
        short = {"training": {**TRAINING, "max_steps": 20}, "checkpoint": {"every_steps": 10}}
        self.train("whole", **short)
        for name, moved in (("all", "checkpoints"), ("one", "checkpoints/step-10")):
            with self.subTest(moved=moved):
                shutil.copytree(self.folder / "whole", self.folder / name)
                shutil.rmtree(self.folder / name / "final")
                shutil.rmtree(self.checkpoint(name, 20))
                elsewhere = self.folder / f"{name}-elsewhere"
                (self.folder / name / moved).rename(elsewhere)
                (self.folder / name / moved).symlink_to(elsewhere)
                job = self.write_job(name, **short)
                self.succeed("equipoise", "train", job, "--quiet", "--resume")
                self.same_run("whole", name)
                self.assertTrue((self.folder / name / moved).is_symlink())
                self.assertEqual(list((self.folder / name).glob("*.before-step-*")), [])
                self.succeed("equipoise", "verify", self.folder / name)

    def test_never_silently_from_the_start(self):
        short = {"training": {**TRAINING, "max_steps": 20}, "checkpoint": {"every_steps": 10}}
        job = self.train("ruined", **short)
        for folder in (self.folder / "ruined/checkpoints").iterdir():
            (folder / "manifest.json").write_text("{}")
        line = self.refused("equipoise", "train", job, "--quiet", "--set", "training.resume_from_checkpoint=latest")
        self.assertIn("is whole", line)

    def test_other_data_model_or_settings_are_refused(self):
        short = {"training": {**TRAINING, "max_steps": 20}, "checkpoint": {"every_steps": 10}}
        job = self.train("run", **short)
        resume = ("--quiet", "--set", "training.resume_from_checkpoint=latest")
        self.assertIn("loss.beta is 0.2", self.refused("equipoise", "train", job, *resume, "--set", "loss.beta=0.2"))
        lines = (self.folder / "data/train.jsonl").read_text().splitlines(keepends=True)
        (self.folder / "data/train.jsonl").write_text("".join(lines[1:] + lines[:1]))
        self.assertIn("training data", self.refused("equipoise", "train", job, *resume))
        (self.folder / "data/train.jsonl").write_text("".join(lines))
        held = (self.folder / "data/validation.jsonl").read_text().splitlines(keepends=True)
        (self.folder / "data/validation.jsonl").write_text("".join(held[1:]))
        self.assertIn("validation data", self.refused("equipoise", "train", job, *resume))
        (self.folder / "data/validation.jsonl").write_text("".join(held))
        self.assertIn("training.max_steps is 5", self.refused("equipoise", "train", job, *resume, "--set",
                                                              "training.max_steps=5"))
        model = self.folder / "model/model.safetensors"
        content = bytearray(model.read_bytes())
        content[-1] ^= 1
        model.write_bytes(content)
        self.assertIn("model.path", self.refused("equipoise", "train", job, *resume))

    def init_reference(self, seed):
        """Another model than the policy, of the same shapes."""
        shutil.rmtree(self.folder / "reference", ignore_errors=True)
        self.succeed("equipoise", "model", "init", self.folder / "reference", "--data",
                     self.folder / "data/train.jsonl", "--hidden-size", "32", "--layers", "2", "--heads", "2",
                     "--head-dim", "16", "--intermediate-size", "64", "--vocab-size", "600", "--seed", str(seed))

    def test_another_reference_than_before_is_refused(self):
        """Between two attempts, with log-probabilities of the one before in the cache or without any."""
        short = {"training": {**TRAINING, "max_steps": 20}, "checkpoint": {"every_steps": 10}}
        models = {"full": ({"path": "model"}, 1), "adapter": (LORA, 2),
                  "uncached": ({"path": "model", "reference_cache": False}, 1)}
        for name, (model, ranks) in models.items():
            with self.subTest(model=name):
                self.init_reference(7)
                job = self.train(name, ranks, model={**model, "reference": "reference"}, **short)
                lines, final = self.lines(name), self.final(name)
                shutil.rmtree(self.checkpoint(name, 20))
                resume = ("equipoise", "train", job, "--np", ranks, "--quiet", "--resume")
                self.init_reference(8)
                line = self.refused(*resume)
                self.assertIn(f"model.reference {self.folder / 'reference'} is not the model that the training of the "
                              "checkpoint had as its reference: put it back", line)
                self.init_reference(7)
                self.succeed(*resume)
                self.assertEqual((self.lines(name), self.final(name)), (lines, final))

    def test_more_steps_follow_those_of_before(self):
        constant = {"optimizer": {"learning_rate": 1e-3}, "checkpoint": {"every_steps": 10}}
        self.train("long", training={**TRAINING, "max_steps": 20}, **constant)
        job = self.train("short", training={**TRAINING, "max_steps": 10}, **constant)
        self.succeed("equipoise", "train", job, "--quiet", "--set", "training.resume_from_checkpoint=latest", "--set",
                     "training.max_steps=20")
        # The shorter run was evaluated at its end.
        def rest(name):
            return [line for line in self.lines(name) if (line.get("split"), line["step"]) != ("validation", 10)]
        self.assertEqual(rest("long"), rest("short"))
        self.assertEqual(self.final("long"), self.final("short"))


if __name__ == "__main__":
    unittest.main()

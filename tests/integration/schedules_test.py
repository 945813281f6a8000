"""Learning rates by schedule, training that ends early, and narrow parameters, through the whole service."""

import json
import math
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import safetensors.torch  # noqa: E402
import torch  # noqa: E402

RATE = 1e-3


class Schedules(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        self.small_model()

    def train(self, name, ranks=1, **sections):
        """What the program says, the lines of training and those of validation."""
        said = self.succeed("equipoise", "train", self.write_job(name, **sections), "--np", ranks)
        lines = programs.read_lines(self.folder / name / "metrics.jsonl")
        return said, [line for line in lines if "split" not in line], [line for line in lines if "split" in line]

    def rates(self, name, schedule, **sections):
        sections.setdefault("optimizer", {"learning_rate": RATE, "schedule": schedule})
        _, steps, _ = self.train(name, **sections)
        return [line["learning_rate"] for line in steps]

    def expect_rates(self, found, expected):
        self.assertEqual(len(found), len(expected))
        for one, other in zip(found, expected):
            self.assertAlmostEqual(one, other, delta=1e-15)

    def test_rates_are_those_of_hugging_face(self):
        total, warmup = 8, 3
        ramp = [RATE * t / warmup for t in range(warmup)]
        self.expect_rates(self.rates("linear", {"type": "linear", "warmup_steps": warmup}),
                          ramp + [RATE * (total - t) / (total - warmup) for t in range(warmup, total)])
        self.expect_rates(self.rates("cosine", {"type": "cosine", "warmup_steps": warmup}),
                          ramp + [RATE * 0.5 * (1 + math.cos(math.pi * (t - warmup) / (total - warmup)))
                                  for t in range(warmup, total)])

    def test_a_plateau_of_the_worst_group_shrinks_the_rate(self):
        # No loss is ever below a hundredth of the first: every evaluation but that one shrinks the rate.
        rates = self.rates("plateau", {"type": "plateau", "factor": 0.5, "patience": 0, "threshold": 0.99},
                           evaluation={"every_steps": 2})
        self.expect_rates(rates, [RATE, RATE, RATE / 2, RATE / 2, RATE / 4, RATE / 4, RATE / 8, RATE / 8])

    def test_training_ends_early_on_all_ranks_and_keeps_the_best(self):
        # DPO's loss falls from log 2 at the start: with mode max the evaluation before the first step stays the best.
        said, steps, evaluations = self.train(
            "early", ranks=2, evaluation={"every_steps": 2},
            training={"max_steps": 20, "global_batch_size": 16,
                      "early_stopping": {"metric": "eval_loss", "mode": "max", "patience": 2, "keep_best": True}})
        self.assertEqual([line["step"] for line in steps], [1, 2, 3, 4])
        self.assertEqual([line["step"] for line in evaluations], [0, 2, 4])
        self.assertLess(max(line["eval_loss"] for line in evaluations[1:]), evaluations[0]["eval_loss"])
        self.assertIn("stopped early at step 4 of 20", said)
        start = safetensors.torch.load_file(self.folder / "model/model.safetensors")
        final = safetensors.torch.load_file(self.folder / "early/final/model.safetensors")
        self.assertTrue(all(torch.equal(start[name], final[name]) for name in start))

    def test_training_that_goes_on_becoming_better_does_all_steps(self):
        said, steps, _ = self.train(
            "better", evaluation={"every_steps": 2},
            training={"max_steps": 6, "global_batch_size": 16,
                      "early_stopping": {"metric": "eval_loss", "mode": "min", "patience": 1}})
        self.assertEqual(len(steps), 6)
        self.assertNotIn("stopped early", said)

    def test_a_metric_that_is_not_there_ends_the_job_with_the_names(self):
        job = self.write_job("unknown", evaluation={"every_steps": 2},
                             training={"max_steps": 6, "early_stopping": {"metric": "lozz", "mode": "min"}})
        result = programs.run("equipoise", "train", job)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('training.early_stopping.metric is "lozz", expected one of: eval_', result.stdout + result.stderr)

    def test_bfloat16_trains_like_float32_and_is_saved_as_such(self):
        loss = {}
        for dtype in ("float32", "bfloat16"):
            _, steps, evaluations = self.train(
                dtype, ranks=2, model={"path": "model", "dtype": dtype}, optimizer={"type": "muon", "learning_rate": 1e-3},
                training={"max_steps": 40, "global_batch_size": 16, "gradient_checkpointing": dtype == "bfloat16"})
            loss[dtype] = [line["eval_loss"] for line in evaluations]
        self.assertGreater(abs(loss["float32"][-1] - loss["float32"][0]), 0.01)  # it has moved
        for one, other in zip(loss["float32"], loss["bfloat16"]):
            self.assertAlmostEqual(one, other, delta=0.01)
        final = safetensors.torch.load_file(self.folder / "bfloat16/final/model.safetensors")
        self.assertEqual({tensor.dtype for tensor in final.values()}, {torch.bfloat16})
        config = json.loads((self.folder / "bfloat16/final/config.json").read_text())
        self.assertEqual(config.get("torch_dtype", config.get("dtype")), "bfloat16")


class LogLinearSchedules(programs.ProgramTest):
    """The same schedules and the same end for a log-linear policy, whose reports run behind the steps."""

    def write_bandit(self, name, **sections):
        case = programs.ROOT / "tests/golden/bandits/even_imbalanced_2021_swapped"
        problem = json.loads((case / "problem.json").read_text())
        job = {
            "name": name,
            "policy": {"log_linear": {"features": problem["features"], "actions": problem["actions"],
                                      "reward": problem["reward"], "initial_theta": problem["initial_theta"]}},
            "data": {"train": str(case / "train.jsonl"), "validation": str(case / "validation.jsonl"),
                     "shuffle": False},
            "robust": {"mode": "group_robust", "step_size": 0.9, "weight_sync": "speculative"},
            "evaluation": {"every_steps": 5},
            "training": {"max_steps": 40, "full_batch": True},
            "output": name,
            **sections,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(job))
        return path

    def train(self, name, **sections):
        said = self.succeed("equipoise", "train", self.write_bandit(name, **sections), "--np", 2)
        lines = programs.read_lines(self.folder / name / "metrics.jsonl")
        return said, [line for line in lines if "split" not in line]

    def test_the_rate_follows_its_schedule(self):
        _, steps = self.train("linear", optimizer={"learning_rate": 0.5, "schedule": {"type": "linear", "warmup_steps": 4}})
        for t, line in enumerate(steps):
            self.assertAlmostEqual(line["learning_rate"], 0.5 * (t / 4 if t < 4 else (40 - t) / 36), delta=1e-15)

    def test_training_ends_early(self):
        said, steps = self.train("early", training={
            "max_steps": 40, "full_batch": True,
            "early_stopping": {"metric": "eval_worst_group_loss", "mode": "min", "patience": 2, "min_delta": 10}})
        self.assertEqual(steps[-1]["step"], 10)
        self.assertIn("stopped early at step 10 of 40", said)
        theta = json.loads((self.folder / "early/final/theta.json").read_text())["theta"]
        self.assertEqual(theta, steps[-1]["theta"])

    def test_an_unknown_metric_is_refused_before_anything_is_written(self):
        result = programs.run("equipoise", "train", self.write_bandit("unknown", training={
            "max_steps": 40, "full_batch": True, "early_stopping": {"metric": "eval_lozz", "mode": "min"}}), "--quiet")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('training.early_stopping.metric is "eval_lozz", expected one of: eval_group/0/loss, '
                      "eval_group/1/loss, eval_loss, eval_pairs, robust_gap, worst_group_loss", result.stderr)
        self.assertFalse((self.folder / "unknown").exists())


if __name__ == "__main__":
    unittest.main()

"""Group weights follow losses, not how often a batch has a group: robust.estimator unbiased, stratified batches."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

STILL = 1e-12  # a learning rate at which every loss stays what it is
BIG, SMALL = 380, 20


class EstimatorTest(programs.ProgramTest):
    def last_weights(self, job):
        self.succeed("equipoise", "train", job, "--quiet", "--overwrite")
        lines = programs.read_lines(self.folder / "out/metrics.jsonl")
        return [line for line in lines if "split" not in line][-1]["group_weight"]

    def resolved(self):
        return (self.folder / "out/job.yaml").read_text()


class EqualLosses(EstimatorTest):
    """One and the same pair in 380 rows of a group and 20 of another: both losses are log 2 throughout."""

    def setUp(self):
        super().setUp()
        rows = [{"state": [0.25], "group": int(row >= BIG), "chosen": 1, "rejected": 0} for row in range(BIG + SMALL)]
        (self.folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def job(self, seed, robust={}, training={}):
        path = self.folder / "job.yaml"
        path.write_text(json.dumps({
            "name": "twins",
            "policy": {"log_linear": {"features": "same", "actions": 2, "reward": [[1, 3], [3, 1]]}},
            "data": {"train": "train.jsonl"},
            "robust": {"mode": "group_robust", "step_size": 0.1, "weight_sync": "speculative", **robust},
            "optimizer": {"learning_rate": STILL},
            "training": {"global_batch_size": 8, "max_steps": 200, "seed": seed, **training},
            "output": "out"}))
        return path

    def test_weights_stay_equal_for_twenty_seeds(self):
        for seed in range(20):
            with self.subTest(seed=seed):
                weights = self.last_weights(self.job(seed, training={"sampling": "permutation"}))
                self.assertAlmostEqual(weights["0"], 0.5, delta=0.02)

    def test_batches_are_stratified_by_default_and_weights_stay_equal(self):
        self.assertAlmostEqual(self.last_weights(self.job(1))["0"], 0.5, delta=0.02)
        self.assertIn("sampling: stratified", self.resolved())
        self.assertIn("estimator: unbiased", self.resolved())

    def test_batch_mean_takes_the_weight_of_the_rare_group_and_says_so_at_the_start(self):
        job = self.job(1, {"estimator": "batch_mean"}, {"sampling": "permutation"})
        with programs.Coordinator(self.folder / "state") as coordinator:
            self.succeed("equipoise", "submit", job, "--coordinator", coordinator.address, "--watch", "--overwrite")
            logs = [path.read_text() for path in (self.folder / "state/logs").rglob("*") if path.is_file()]
        lines = [line for line in programs.read_lines(self.folder / "out/metrics.jsonl") if "split" not in line]
        self.assertLess(lines[-1]["group_weight"]["1"], 0.01)
        said = [line for line in "\n".join(logs).splitlines() if "batches will lack" in line]
        self.assertEqual(len(said), 1, logs)
        # 8 of 400 places, 20 members: C(380, 8) / C(400, 8).
        self.assertIn('"1" (66', said[0])
        self.assertIn("robust.estimator unbiased", said[0])


class LanguageModels(EstimatorTest):
    def setUp(self):
        super().setUp()
        self.small_model()

    def twins(self, **training):
        pair = {"prompt": "Is tea good?", "chosen": " yes", "rejected": " no"}
        rows = [{**pair, "group": "big" if row < BIG else "small"} for row in range(BIG + SMALL)]
        (self.folder / "twins.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return self.write_job("out", data={"train": "twins.jsonl"}, robust={"mode": "group_robust", "step_size": 0.1},
                              optimizer={"learning_rate": STILL},
                              training={"global_batch_size": 8, "max_steps": 200, "seed": 3, **training})

    def test_equal_losses_leave_equal_weights_however_rare_a_group_is(self):
        for sampling in ({}, {"sampling": "permutation"}):
            with self.subTest(sampling=sampling):
                self.assertAlmostEqual(self.last_weights(self.twins(**sampling))["big"], 0.5, delta=0.02)

    def test_a_single_group_is_refused_where_groups_are_weighed(self):
        pairs = programs.read_lines(self.folder / "data/train.jsonl")
        for pair in pairs:
            pair["country"] = pair.pop("group")
        (self.folder / "one.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
        for mode in ("group_robust", "importance"):
            job = self.write_job("out", data={"train": "one.jsonl"}, robust={"mode": mode})
            refusal = self.refused("equipoise", "train", job, "--quiet")
            self.assertIn(f"robust.mode is {mode}", refusal)
            self.assertIn("country", refusal)
        job = self.write_job("out", data={"train": "one.jsonl"}, robust={"mode": "none"},
                             training={"max_steps": 1, "global_batch_size": 8})
        self.succeed("equipoise", "train", job, "--quiet")

    def test_groups_of_the_same_pairs_are_refused_where_groups_are_weighed(self):
        pairs = programs.read_lines(self.folder / "data/train.jsonl")
        for group, data in ((["A", "B"], {}), ("Asia/India", {"group_separator": "/"})):
            (self.folder / "same.jsonl").write_text(
                "".join(json.dumps({**pair, "group": group}) + "\n" for pair in pairs))
            job = self.write_job("out", data={"train": "same.jsonl", **data}, robust={"mode": "group_robust"})
            self.assertIn("is in all 2 groups alike", self.refused("equipoise", "train", job, "--quiet"))


if __name__ == "__main__":
    unittest.main()

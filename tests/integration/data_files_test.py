"""Several data files: shares of batches, groups from columns and constants, metrics of each file, standard errors."""

import json
import math
import pathlib
import sys
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

STILL = 1e-30  # a learning rate at which nothing moves: every batch is an estimate at one and the same policy


class DataFiles(programs.ProgramTest):
    """A small survey in two files, `east` of 90 pairs and `west` of 30, with a country and an age on every line."""

    def setUp(self):
        super().setUp()
        self.small_model()
        pairs = programs.read_lines(self.folder / "data/train.jsonl")[:120]
        for i, pair in enumerate(pairs):
            del pair["group"]
            pair["country"], pair["age"] = ("India", "Kenya")[i % 2], (20, 50)[i // 2 % 2]
        self.write_lines("east.jsonl", pairs[:90])
        self.write_lines("west.jsonl", pairs[90:])
        self.write_lines("both.jsonl", pairs)

    def write_lines(self, name, pairs):
        (self.folder / name).write_text("".join(json.dumps(pair) + "\n" for pair in pairs))

    def job(self, name, data, learning_rate=STILL, **sections):
        sections = {"optimizer": {"learning_rate": learning_rate, "max_grad_norm": 0}, "model": {"path": "model",
                    "dtype": "float64"}, **sections}
        return self.write_job(name, data=data, **sections)

    def train(self, job, ranks=1, *options):
        self.succeed("equipoise", "train", job, "--np", ranks, "--quiet", "--overwrite", *options)
        lines = programs.read_lines(self.folder / job.stem / "metrics.jsonl")
        return [line for line in lines if "split" not in line], [line for line in lines if "split" in line]

    def mixture(self, **more):
        return {"train_files": [{"path": "east.jsonl", "weight": 1, "group": "east"},
                                {"path": "west.jsonl", "weight": 3, "group": "west"}], **more}

    def test_files_with_weights_have_their_shares_of_every_batch(self):
        """With 4 and 12 places of 16, L_g of a step is the group's mean in the batch: N/N_g is 1/q_g, and not the 120/90
        and 120/30 of the files."""
        job = self.job("shares", self.mixture(), training={"global_batch_size": 16, "max_steps": 10, "seed": 3},
                       robust={"mode": "group_robust", "step_size": 0.5, "estimator": "dataset_scaled"})
        lines, _ = self.train(job, 2)
        rise = 0
        for line in lines:
            self.assertEqual(line["group_count"], {"east": 4, "west": 12})
            rise += 0.5 * (line["group_loss"]["east"] - line["group_loss"]["west"])
            weight = line["group_weight"]
            self.assertAlmostEqual(math.log(weight["east"] / weight["west"]), rise, delta=1e-12)
        self.assertEqual(lines[-1]["epoch"], 10 / math.ceil(120 / 16))

    def test_files_without_weights_are_one_data_set(self):
        training = {"global_batch_size": 16, "max_steps": 6, "seed": 3}
        columns = {"group_columns": ["country"]}
        together, _ = self.train(self.job("together", {"train": "both.jsonl", **columns}, 1e-3, training=training))
        apart, _ = self.train(self.job("apart", {"train_files": [{"path": "east.jsonl"}, {"path": "west.jsonl"}],
                                                 **columns}, 1e-3, training=training))
        for one, other in zip(together, apart):
            self.assertEqual({**one, "pairs_per_second": 0, "tokens_per_second": 0},
                             {**other, "pairs_per_second": 0, "tokens_per_second": 0})
        report = json.loads((self.folder / "apart/data.json").read_text())
        self.assertEqual([file["pairs"] for file in report["train"]], [90, 30])

    def test_groups_come_from_crossed_columns(self):
        crossed = {"country & age": ["India & 20", "India & 50", "Kenya & 20", "Kenya & 50"]}
        lines, _ = self.train(self.job("crossed", {"train": "east.jsonl", "group_columns": ["country", "age"]}))
        self.assertEqual(sorted(lines[-1]["group_weight"]), crossed["country & age"])
        lines, _ = self.train(self.job("levels", {"train": "east.jsonl", "group_columns": ["country", "age"],
                                                  "group_separator": "/"}))
        self.assertEqual(sorted(lines[-1]["group_weight"]),
                         ["India", "India/20", "India/50", "Kenya", "Kenya/20", "Kenya/50"])

    def test_each_validation_file_has_the_metrics_of_its_own_evaluation(self):
        columns = {"group_columns": ["country"]}
        data = {"train": "both.jsonl", **columns}
        files = [{"path": "east.jsonl"}, {"path": "west.jsonl", "name": "far west", "group": "Kenya"}]
        _, lines = self.train(self.job("several", {**data, "validation_files": files}, 1e-3), 2)
        whole = [line for line in lines if line["split"] == "validation"]
        self.assertEqual([line["split"] for line in lines[:3]],
                         ["validation", "validation/east", "validation/far west"])
        self.assertEqual(whole[0]["eval_pairs"], 120)
        for file, name in ((files[0], "east"), (files[1], "far west")):
            of_file = [line for line in lines if line["split"] == f"validation/{name}"]
            only = {**data, "validation_files": [file]}
            _, alone = self.train(self.job("alone", only, 1e-3))
            self.compare(of_file, [line for line in alone if line["split"] == f"validation/{name}"])
            renamed = [{key.replace(f"eval_{name}_", "eval_"): value for key, value in line.items()} for line in of_file]
            if "group" not in file:  # the same as the only file of data.validation
                _, single = self.train(self.job("single", {**data, "validation": file["path"]}, 1e-3))
                self.compare(renamed, single, {"split", "group_weight", "robust_gap"})

    def compare(self, some, others, unless=()):
        self.assertEqual(len(some), len(others))
        for one, other in zip(some, others):
            for key in (one.keys() | other.keys()) - set(unless):
                self.assert_close(one[key], other[key], key)

    def assert_close(self, one, other, message):
        if isinstance(one, dict):
            self.assertEqual(one.keys(), other.keys(), message)
            for key in one:
                self.assert_close(one[key], other[key], f"{message}[{key}]")
        elif isinstance(one, float):
            self.assertAlmostEqual(one, other, delta=1e-9 * max(1, abs(other)), msg=message)
        else:
            self.assertEqual(one, other, message)

    def test_standard_errors_are_those_of_evaluate_on_any_number_of_ranks(self):
        """The evaluation before the first step, of the policy that is the reference, against every pair's own numbers."""
        data = {"train": "both.jsonl", "validation": "both.jsonl", "group_columns": ["country"]}
        runs = [self.train(self.job("errors", data, 1e-3), ranks) for ranks in (1, 3)]
        for key in ("eval_loss_error", "eval_logps/chosen_error", "eval_rewards/margins_error", "eval_entropy_error",
                    "group_loss_error", "group_logps/rejected_error"):
            for one, other in zip(runs[0][1], runs[1][1]):
                self.assertEqual(key in one, key in other)
                if key in one:
                    self.assert_close(one[key], other[key], key)
        for one, other in zip(runs[0][0], runs[1][0]):
            self.assert_close(one["loss_error"], other["loss_error"], "loss_error")
        self.assertGreater(runs[0][0][-1]["loss_error"], 0)
        self.succeed("equipoise", "evaluate", "--model", self.folder / "model", "--data", self.folder / "both.jsonl",
                     "--output", self.folder / "pairs.jsonl", "--dtype", "float64", "--set",
                     "data.group_columns=[country]")
        line = runs[0][1][0]
        for trained, evaluated in runs:  # the policy is the reference still, on any number of ranks
            self.assertEqual(trained[0]["rewards/accuracies"], 0)
            self.assertEqual(evaluated[0]["eval_rewards/accuracies"], 0)
            self.assertEqual(evaluated[0]["eval_rewards/margins"], 0)
        pairs = programs.read_lines(self.folder / "pairs.jsonl")
        for answer in ("chosen", "rejected"):
            values = [pair[f"policy_{answer}_logp"] for pair in pairs]
            self.assertAlmostEqual(line[f"eval_logps/{answer}_error"], self.error(values), delta=1e-9)
            for country in ("India", "Kenya"):
                of_group = [pair[f"policy_{answer}_logp"] for pair in pairs if pair["group"] == country]
                self.assertAlmostEqual(line[f"group_logps/{answer}_error"][country], self.error(of_group), delta=1e-9)

    @staticmethod
    def error(values):
        mean = sum(values) / len(values)
        return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))

    def test_early_stopping_watches_a_file_and_refuses_what_no_evaluation_has(self):
        data = {"train": "both.jsonl", "group_columns": ["country"],
                "validation_files": [{"path": "east.jsonl"}, {"path": "west.jsonl"}]}
        stop = {"mode": "min", "patience": 1, "min_delta": 1e6}  # nothing is so much better
        sections = {"evaluation": {"every_steps": 2}}
        training = {"global_batch_size": 16, "max_steps": 8}
        for metric in ("eval_west_loss", "eval_west_worst_group_loss", "eval_west_group/India/loss"):
            lines, _ = self.train(self.job("stops", data, training={
                **training, "early_stopping": {**stop, "metric": metric}}, **sections))
            self.assertEqual(len(lines), 2)
        result = programs.run("equipoise", "train", self.job("stops", data, training={
            **training, "early_stopping": {**stop, "metric": "eval_north_loss"}}, **sections), "--quiet", "--overwrite")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('training.early_stopping.metric is "eval_north_loss", expected one of: ', result.stderr)
        self.assertIn("eval_west_loss", result.stderr)
        self.assertEqual(len((self.folder / "stops/metrics.jsonl").read_text().splitlines()), 2 + 2 * 3,
                         "the run before is left alone")

    def test_prometheus_has_a_split_for_each_file(self):
        data = {"train": "both.jsonl", "group_columns": ["country"],
                "validation_files": [{"path": "east.jsonl"}, {"path": "west.jsonl"}]}
        with programs.Coordinator(self.folder / "state") as coordinator:
            job_id = self.succeed("equipoise", "submit", self.job("served", data), "--coordinator",
                                  coordinator.address).strip().splitlines()[-1].split()[-1]
            self.succeed("equipoise", "jobs", "watch", job_id, "--coordinator", coordinator.address)
            page = urllib.request.urlopen(f"http://{coordinator.metrics}/metrics").read().decode()
        for split in ("validation", "validation/east", "validation/west"):
            self.assertIn(f'equipoise_worst_group_loss{{split="{split}",training_job="{job_id}"}}', page)

    def test_a_wrong_file_is_named_in_one_line(self):
        missing = self.refused("equipoise", "train", self.job("wrong", {
            "train_files": [{"path": "east.jsonl"}, {"path": "north.jsonl"}]}))
        self.assertIn("data.train_files[1].path: ", missing)
        self.assertIn("north.jsonl does not exist", missing)
        self.write_lines("broken.jsonl", [{"prompt": "a", "chosen": "b", "rejected": "c", "country": "India"}] * 2 +
                         [{"prompt": "a", "chosen": "b", "rejected": "c"}])
        result = programs.run("equipoise", "train", self.job("wrong", {
            "train_files": [{"path": "east.jsonl"}, {"path": "broken.jsonl"}], "group_columns": ["country"]}), "--quiet")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("broken.jsonl:3: ", result.stderr)
        self.assertIn("country", result.stderr)
        self.assertFalse((self.folder / "wrong").exists())


if __name__ == "__main__":
    unittest.main()

"""Whose pairs a batch holds, and for whom they count: stratified sampling, levels of groups, overlapping groups."""

import json
import math
import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import numpy  # noqa: E402
import safetensors.numpy  # noqa: E402

STILL = 1e-30  # a learning rate at which nothing moves: every batch is an estimate at one and the same policy


class SamplingTest(programs.ProgramTest):
    def train(self, job, ranks=1, *options):
        self.succeed("equipoise", "train", job, "--np", ranks, "--quiet", "--overwrite", *options)
        output = json.loads(job.read_text())["output"]
        lines = programs.read_lines(self.folder / output / "metrics.jsonl")
        return [line for line in lines if "split" not in line], [line for line in lines if "split" in line]

    def write_pairs(self, name, pairs):
        path = self.folder / name
        path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
        return str(path)


class LogLinearSampling(SamplingTest):
    """1600 pairs, of which group 1 has 16: one in a hundred."""

    ACTIONS, THETA, BATCH, STEP_SIZE = 4, (1.0, -0.5), 16, 1e-3
    SIZES = (1584, 16)

    def setUp(self):
        super().setUp()
        rng = random.Random(5)
        self.pairs = []
        for group, size in enumerate(self.SIZES):
            for _ in range(size):
                chosen, rejected = rng.sample(range(self.ACTIONS), 2)
                self.pairs.append({"state": [rng.random()], "group": group, "chosen": chosen, "rejected": rejected})
        rng.shuffle(self.pairs)
        self.data = self.write_pairs("train.jsonl", self.pairs)

    def features(self, state, action, group):
        c = action / self.ACTIONS + 1
        features = (c * math.cos(math.pi * state), math.sin(math.pi * state) / c)
        return features[::-1] if group % 2 else features

    def loss(self, pair):
        """-log sigmoid <phi(chosen) - phi(rejected), theta>, with beta 1."""
        chosen, rejected = (self.features(pair["state"][0], pair[key], pair["group"]) for key in ("chosen", "rejected"))
        h = sum((a - b) * theta for a, b, theta in zip(chosen, rejected, self.THETA))
        return math.log1p(math.exp(-h))

    def job(self, robust, training, learning_rate=STILL, data=None):
        path = self.folder / "job.yaml"
        path.write_text(json.dumps({
            "name": "rare",
            "policy": {"log_linear": {"features": "swapped", "actions": self.ACTIONS, "reward": [[1, 3], [3, 1]],
                                      "initial_theta": self.THETA}},
            "data": {"train": data or self.data},
            "loss": {"type": "dpo", "beta": 1},
            "robust": robust,
            "optimizer": {"learning_rate": learning_rate},
            "training": {**({} if "full_batch" in training else {"global_batch_size": self.BATCH}), "seed": 8, **training},
            "output": "out"}))
        return path

    def test_group_counts_are_sizes_in_a_population(self):
        """dataset_scaled divides by a group's share of the population, on the ranks and in the coordinator alike."""
        path = self.job({"mode": "group_robust", "step_size": self.STEP_SIZE, "estimator": "dataset_scaled",
                         "weight_sync": "speculative"}, {"max_steps": 40, "sampling": "permutation"})
        job = json.loads(path.read_text())
        job["data"]["group_counts"] = {"0": 3000, "1": 1000}
        path.write_text(json.dumps(job))
        lines, _ = self.train(path, 2)
        rise = 0
        for line in lines:
            sums = {group: loss * line["group_count"][group] for group, loss in line["group_loss"].items()}
            rise += self.STEP_SIZE * (4000 / 1000 * sums.get("1", 0) - 4000 / 3000 * sums["0"]) / self.BATCH
            weight = line["group_weight"]
            self.assertAlmostEqual(math.log(weight["1"] / weight["0"]), rise, delta=1e-12)

    def presence(self, lines):
        return sum("1" in line["group_count"] for line in lines) / len(lines)

    def estimates(self, sampling, steps):
        """L_1 - L_0 as every step estimated it: what the log of the ratio of the two weights has risen by."""
        lines, _ = self.train(self.job(
            {"mode": "group_robust", "estimator": "dataset_scaled", "step_size": self.STEP_SIZE,
             "weight_sync": "speculative"},
            {"sampling": sampling, "max_steps": steps}))
        log_ratio = [0.0] + [math.log(line["group_weight"]["1"] / line["group_weight"]["0"]) for line in lines]
        return lines, numpy.diff(log_ratio) / self.STEP_SIZE

    def test_a_rare_group_is_in_every_batch_and_its_estimate_varies_as_little_as_the_formula_says(self):
        steps = 2000
        losses = [numpy.array([self.loss(pair) for pair in self.pairs if pair["group"] == group]) for group in (0, 1)]
        pairs = len(self.pairs)
        truth = losses[1].mean() - losses[0].mean()

        permuted, permuted_estimates = self.estimates("permutation", steps)
        absent = math.comb(self.SIZES[0], self.BATCH) / math.comb(pairs, self.BATCH)
        self.assertAlmostEqual(self.presence(permuted), 1 - absent, delta=0.03)
        # A batch without replacement of z_i = -+ (N / N_g) l_i.
        z = numpy.concatenate([-pairs / self.SIZES[0] * losses[0], pairs / self.SIZES[1] * losses[1]])
        permuted_variance = (1 - self.BATCH / pairs) * z.var(ddof=1) / self.BATCH

        stratified, stratified_estimates = self.estimates("stratified", steps)
        self.assertEqual(self.presence(stratified), 1)
        self.assertEqual(stratified[0]["group_count"], {"0": 8, "1": 8})
        stratified_variance = sum((1 - 8 / size) * of_group.var(ddof=1) / 8 for size, of_group in zip(self.SIZES, losses))

        print(f"variance of L_1 - L_0: permutation {permuted_estimates.var():.4f} (predicted {permuted_variance:.4f}), "
              f"stratified {stratified_estimates.var():.5f} (predicted {stratified_variance:.5f}); rare group in "
              f"{self.presence(permuted):.0%} and {self.presence(stratified):.0%} of the batches")
        self.assertAlmostEqual(permuted_estimates.var() / permuted_variance, 1, delta=0.2)
        self.assertAlmostEqual(stratified_estimates.var() / stratified_variance, 1, delta=0.2)
        self.assertGreater(permuted_variance / stratified_variance, 50)
        # Both are unbiased: over whole epochs, and over whole passes of both groups.
        self.assertAlmostEqual(permuted_estimates.mean(), truth, delta=1e-6)
        passes = self.SIZES[0] // 8
        self.assertAlmostEqual(stratified_estimates[:10 * passes].mean(), truth, delta=1e-6)

    def test_the_loss_is_that_of_the_data_whatever_the_shares(self):
        mean = numpy.mean([self.loss(pair) for pair in self.pairs])
        # 12 and 4 pairs a batch; and 15.75 and 0.25, where the rare group is absent from most batches.
        for shares, steps in (({"0": 3, "1": 1}, 132), ({"0": 63, "1": 1}, 2112)):
            with self.subTest(shares=shares):
                lines, _ = self.train(self.job({"mode": "none", "weight_sync": "speculative"},
                                               {"sampling": "stratified", "group_shares": shares, "max_steps": steps}))
                share = shares["1"] / sum(shares.values())
                drawn = sum(line["group_count"].get("1", 0) for line in lines)
                self.assertAlmostEqual(drawn, steps * self.BATCH * share, delta=1)
                self.assertEqual({sum(line["group_count"].values()) for line in lines}, {self.BATCH})
                self.assertAlmostEqual(lines[-1]["epoch"], steps / 100, delta=1e-12)
                losses = [line["loss"] for line in lines]
                standard_error = 0 if steps == 132 else numpy.std(losses) / math.sqrt(steps)
                self.assertAlmostEqual(numpy.mean(losses), mean, delta=1e-9 + 2 * standard_error)

    def test_batches_of_whole_passes_do_as_all_pairs(self):
        # Of 64 and 16 pairs, one half of a batch each: every pair of the second group four times.
        data = self.write_pairs("few.jsonl", [pair for pair in self.pairs if pair["group"] == 0][:64] +
                                [pair for pair in self.pairs if pair["group"] == 1])
        for robust in ({"mode": "none"}, {"mode": "importance"}, {"mode": "group_robust", "step_size": 0.5},
                       {"mode": "group_robust", "step_size": 0.5, "estimator": "dataset_scaled"}):
            with self.subTest(robust=robust):
                runs = [self.train(self.job(robust, {"max_steps": 30, **training}, learning_rate=0.5, data=data))[0]
                        for training in ({"full_batch": True}, {"sampling": "stratified", "global_batch_size": 128})]
                self.assertEqual([runs[0][0]["group_count"], runs[1][0]["group_count"]],
                                 [{"0": 64, "1": 16}, {"0": 64, "1": 64}])
                for whole, stratified in zip(*runs, strict=True):
                    numpy.testing.assert_allclose(stratified["theta"], whole["theta"], atol=1e-12)
                    self.assertAlmostEqual(stratified["loss"], whole["loss"], delta=1e-12)
                self.assertGreater(abs(runs[0][-1]["theta"][0] - self.THETA[0]), 1e-2)

    def test_three_ranks_do_as_one(self):
        for robust in ({"mode": "group_robust", "step_size": 0.1},
                       {"mode": "group_robust", "step_size": 0.1, "estimator": "dataset_scaled"},
                       {"mode": "importance"}):
            with self.subTest(robust=robust):
                training = {"sampling": "stratified", "group_shares": {"0": 0.9, "1": 0.1}, "max_steps": 60}
                job = self.job(robust, training, learning_rate=0.1)
                alone, together = self.train(job)[0], self.train(job, 3)[0]
                for one, three in zip(alone, together, strict=True):
                    self.assertEqual(one["group_count"], three["group_count"])
                    numpy.testing.assert_allclose(one["theta"], three["theta"], atol=1e-12)
                    numpy.testing.assert_allclose(*[list(line["group_weight"].values()) for line in (one, three)],
                                                  atol=1e-12)
                self.assertGreater(abs(alone[-1]["theta"][0] - self.THETA[0]), 1e-3)

    def test_what_does_not_fit_is_said_in_one_line(self):
        def refusal(**training):
            return self.refused("equipoise", "train", self.job({}, {"max_steps": 1, **training}), "--quiet")

        self.assertIn("training.group_shares needs training.sampling stratified", refusal(group_shares={"0": 1}))
        self.assertIn("training.group_shares has no share for group \"1\"",
                      refusal(sampling="stratified", group_shares={"0": 1}))
        self.assertIn("training.group_shares names group \"2\"",
                      refusal(sampling="stratified", group_shares={"0": 1, "1": 1, "2": 1}))
        job = self.job({}, {"max_steps": 1})
        self.assertIn("data.group_separator has no use", self.refused("equipoise", "train", job, "--quiet", "--set",
                                                                      "data.group_separator=/"))
        self.assertFalse((self.folder / "out").exists())


class LanguageModelSampling(SamplingTest):
    def setUp(self):
        super().setUp()
        self.small_model()
        self.survey = programs.read_lines(self.folder / "data/train.jsonl")[:128]

    def test_a_rare_group_is_in_every_batch_and_the_loss_is_that_of_the_data(self):
        # 4 of 128; half a batch is theirs: a pass a step, 31 steps a pass of the others.
        data = self.write_pairs("rare.jsonl", [{**pair, "group": "rare" if i % 32 == 5 else "common"}
                                               for i, pair in enumerate(self.survey)])
        runs = {}
        for sampling in ("permutation", "stratified"):
            job = self.write_job(
                sampling, data={"train": data, "validation": data},
                # Without a reference losses differ before anything is learned.
                loss={"type": "dpo", "beta": 0.1, "reference_free": True}, robust={"mode": "none"},
                optimizer={"learning_rate": STILL},
                training={"max_steps": 31, "global_batch_size": 8, "seed": 2, "sampling": sampling})
            runs[sampling] = self.train(job)
        permuted, (start, _) = runs["permutation"]
        self.assertLess(sum("rare" in line["group_count"] for line in permuted), 31 / 2)
        stratified, _ = runs["stratified"]
        for line in stratified:
            self.assertEqual(line["group_count"], {"common": 4, "rare": 4})
            self.assertAlmostEqual(line["group_loss"]["rare"], start["group_loss"]["rare"], delta=1e-5)
        self.assertGreater(numpy.std([line["loss"] for line in stratified]), 1e-4)
        for name, of_data in (("loss", "eval_loss"), ("logps/chosen", "eval_logps/chosen"),
                              ("rewards/accuracies", "eval_rewards/accuracies")):
            mean = numpy.mean([line[name] for line in stratified])
            self.assertAlmostEqual(mean, start[of_data], delta=1e-5 * max(1, abs(start[of_data])), msg=name)

    def test_three_ranks_do_as_one(self):
        job = self.write_job(
            "ranks", model={"path": "model", "dtype": "float64"},
            robust={"mode": "group_robust", "step_size": 5, "estimator": "dataset_scaled"},
            optimizer={"learning_rate": 1e-4},
            training={"max_steps": 12, "global_batch_size": 10, "seed": 2, "sampling": "stratified",
                      "micro_batch_tokens": 600})
        runs = []
        for ranks in (1, 3):
            lines, _ = self.train(job, ranks)
            runs.append((numpy.array([list(line["group_weight"].values()) for line in lines]),
                         safetensors.numpy.load_file(self.folder / "ranks/final/model.safetensors")))
        (weights, tensors), (other_weights, other_tensors) = runs
        self.assertGreater(numpy.ptp(weights[-1]), 1e-3)
        self.assertLess(numpy.abs(weights - other_weights).max(), 1e-9)
        self.assertLess(max(numpy.abs(tensors[name] - other_tensors[name]).max() for name in tensors), 1e-8)

    def question(self, number, chosen, group):
        return {"prompt": f"Question {number}: A or B?", "chosen": chosen, "rejected": "B" if chosen == "A" else "A",
                "group": group}

    def test_a_group_and_the_one_that_holds_it_both_have_a_weight(self):
        # Asia contradicts itself in both of its countries; Europe is of one opinion.
        pairs = []
        for number in range(4):
            pairs += [self.question(number, "A", f"Europe/{country}") for country in ("France", "Spain")]
            pairs += [self.question(number + 4, chosen, f"Asia/{country}")
                      for country in ("India", "Japan") for chosen in "AB"]
        train = self.write_pairs("levels.jsonl", pairs)
        validation = self.write_pairs("unseen.jsonl", pairs + [self.question(5, "A", "Asia/Nepal")])
        job = self.write_job(
            "levels", data={"train": train, "validation": validation, "group_separator": "/"},
            robust={"mode": "group_robust", "step_size": 0.2},
            training={"max_steps": 25, "global_batch_size": 24, "seed": 1})
        lines, evaluations = self.train(job)
        last = lines[-1]
        self.assertEqual(list(last["group_weight"]),
                         ["Europe", "Europe/France", "Europe/Spain", "Asia", "Asia/India", "Asia/Japan"])
        weight = last["group_weight"]
        self.assertAlmostEqual(sum(weight.values()), 1, delta=1e-12)
        for bad in ("Asia", "Asia/India", "Asia/Japan"):
            self.assertGreater(weight[bad], 1.2 / 6)
        for good in ("Europe", "Europe/France", "Europe/Spain"):
            self.assertLess(weight[good], 0.8 / 6)
        # A level is the mixture of those below it, in training and in validation.
        count, loss = last["group_count"], last["group_loss"]
        self.assertEqual(count["Asia"], count["Asia/India"] + count["Asia/Japan"])
        self.assertAlmostEqual(loss["Asia"], (loss["Asia/India"] + loss["Asia/Japan"]) / 2, delta=1e-6)
        count, loss = evaluations[-1]["group_count"], evaluations[-1]["group_loss"]
        below = ("Asia/India", "Asia/Japan", "Asia/Nepal")
        self.assertEqual(count["Asia"], sum(count[group] for group in below))
        self.assertAlmostEqual(loss["Asia"], sum(count[group] * loss[group] for group in below) / count["Asia"], delta=1e-6)

        self.write_pairs("levels.jsonl", pairs + [self.question(5, "A", "Asia//Nepal")])
        self.assertIn("levels.jsonl:25: field \"group\" is \"Asia//Nepal\"",
                      self.refused("equipoise", "train", job, "--quiet", "--overwrite"))

    def test_stratified_batches_of_levels_are_of_the_lowest_ones(self):
        pairs = [self.question(number, "A", "Europe/France") for number in range(20)]
        pairs += [self.question(number, "B", "Asia/India") for number in range(8)]
        pairs += [self.question(number, "B", "Asia/Japan") for number in range(4)]
        job = self.write_job(
            "lowest", data={"train": self.write_pairs("levels.jsonl", pairs), "group_separator": "/"},
            training={"max_steps": 6, "global_batch_size": 8, "seed": 1, "sampling": "stratified",
                      "group_shares": {"Europe/France": 2, "Asia/India": 1, "Asia/Japan": 1}})
        for line in self.train(job)[0]:
            self.assertEqual(line["group_count"], {"Europe": 4, "Europe/France": 4, "Asia": 4, "Asia/India": 2,
                                                   "Asia/Japan": 2})

    def test_a_pair_in_two_groups_counts_for_both(self):
        # Those in both groups want B where everybody else wants A. Named in one group only they are half of that one;
        # named in both they are half of both.
        def pairs(of_both):
            questions = []
            for number in range(6):
                questions += [self.question(number, "A", "women"), self.question(number, "A", "old"),
                              self.question(number, "B", of_both)]
            return questions

        validation = self.write_pairs("both.jsonl", [self.question(number, "B", "old women") for number in range(6)])
        loss = {}
        for name, of_both in (("one", "women"), ("two", ["women", "old"])):
            job = self.write_job(
                name, data={"train": self.write_pairs(f"{name}.jsonl", pairs(of_both)), "validation": validation},
                robust={"mode": "group_robust", "step_size": 0.1}, optimizer={"learning_rate": 1e-3},
                training={"max_steps": 30, "global_batch_size": 18, "seed": 1})
            lines, evaluations = self.train(job)
            self.assertEqual(lines[-1]["group_count"], {"women": 12, "old": 6 if name == "one" else 12})
            loss[name] = evaluations[-1]["group_loss"]["old women"]
        print(f"loss of those in both groups: {loss['one']:.4f} counted in one, {loss['two']:.4f} in both")
        self.assertLess(loss["two"], loss["one"] - 0.01)


if __name__ == "__main__":
    unittest.main()

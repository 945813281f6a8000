"""The ambiguity sets with real programs: what each does to data made to need it, and the weights of metrics.jsonl against
their formulas."""

import json
import math
import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

ACTIONS = 8
REWARD = [1.0, 3.0, 1.0, 3.0]
STEPS = 400

# Three groups that want the same, with some of their labels turned round. All of the tiny one's are: it is 1 % of the
# population, and pleasing it costs everybody else.
PAIRS = {"0": 600, "1": 390, "2": 10}
TURNED = {"0": 0.1, "1": 0.2, "2": 1.0}
SHARE = {group: pairs / sum(PAIRS.values()) for group, pairs in PAIRS.items()}


def features(state, action):
    c = action / ACTIONS + 1
    return [value for s in state for value in (c * math.cos(math.pi * s), math.sin(math.pi * s) / c)]


def reward(state, action):
    return sum(a * b for a, b in zip(features(state, action), REWARD))


def outlier_data(path):
    draw = random.Random(1)
    lines = []
    for group, pairs in PAIRS.items():
        for _ in range(pairs):
            state = [draw.random(), draw.random()]
            chosen, rejected = draw.sample(range(ACTIONS), 2)
            if (reward(state, chosen) < reward(state, rejected)) != (draw.random() < TURNED[group]):
                chosen, rejected = rejected, chosen
            lines.append({"state": state, "group": int(group), "chosen": chosen, "rejected": rejected})
    draw.shuffle(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


# The formulas once more, each by another way than the program's where there is one.


def cvar(loss, share, kappa):
    """Takes kappa of the population from the worst down; of groups of equal loss, the same part of each."""
    weight, left = {}, kappa
    for level in sorted(set(loss.values()), reverse=True):
        groups = [group for group in loss if loss[group] == level]
        part = min(1, left / sum(share[group] for group in groups))
        weight.update({group: part * share[group] / kappa for group in groups})
        left -= part * sum(share[group] for group in groups)
    return weight


def chi_square(loss, share, rho):
    """Bisects the threshold t of the weights p * max(loss - t, 0) until they are as far from p as they may."""
    if len(set(loss.values())) == 1:
        return dict(share)

    def weights(threshold):
        raw = {group: share[group] * max(loss[group] - threshold, 0) for group in loss}
        return {group: value / sum(raw.values()) for group, value in raw.items()}

    def distance(weight):
        return sum(share[group] * (weight[group] / share[group] - 1) ** 2 for group in loss) / 2

    low, high = min(loss.values()) - 1e6, max(loss.values())
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if distance(weights(middle)) < rho else (low, middle)
    return weights(low)


def kl(loss, share, tau):
    raw = {group: share[group] * math.exp((loss[group] - max(loss.values())) / tau) for group in loss}
    return {group: value / sum(raw.values()) for group, value in raw.items()}


SETS = {
    "cvar": ({"ambiguity_set": "cvar", "kappa": 0.3}, lambda loss, share: cvar(loss, share, 0.3)),
    "chi_square": ({"ambiguity_set": "chi_square", "rho": 0.5}, lambda loss, share: chi_square(loss, share, 0.5)),
    "kl": ({"ambiguity_set": "kl", "tau": 0.2}, lambda loss, share: kl(loss, share, 0.2)),
}


def mean_loss(line, groups=PAIRS):
    return sum(PAIRS[group] * line["group_loss"][group] for group in groups) / sum(PAIRS[group] for group in groups)


def leveled(loss):
    """Losses that differ by rounding alone, as one: docs/algorithm.md."""
    rounding = 1e-12 * max(map(abs, loss.values()))
    levels = {}
    level = math.inf
    for group in sorted(loss, key=loss.get, reverse=True):
        level = loss[group] if level - loss[group] > rounding else level
        levels[group] = level
    return levels


class WeightsByFormula:
    """Follows the group losses of metrics.jsonl with one of the formulas."""

    def __init__(self, formula, share):
        self.formula, self.share, self.newest = formula, share, {}

    def step(self, batch_loss):
        self.newest.update(batch_loss)
        known = sum(self.share[group] for group in self.newest)
        some = next(iter(self.newest.values()))  # about which equal losses have their own value for a mean, to the bit
        mean = some + sum(self.share[group] * (loss - some) for group, loss in self.newest.items()) / known
        return self.formula(leveled({group: self.newest.get(group, mean) for group in self.share}), self.share)


class AmbiguitySets(programs.ProgramTest):
    def setUp(self):
        super().setUp()
        outlier_data(self.folder / "train.jsonl")

    def write_outlier_job(self, robust, **sections):
        job = {
            "name": "outliers",
            "policy": {"log_linear": {"features": "same", "actions": ACTIONS, "reward": [REWARD] * len(PAIRS)}},
            # What is learned of the data is the question here, not what it says of other data.
            "data": {"train": "train.jsonl", "validation": "train.jsonl"},
            "loss": {"type": "dpo", "beta": 1},
            "robust": {"mode": "group_robust", "weight_sync": "speculative", **robust},
            "optimizer": {"learning_rate": 0.5},
            "training": {"max_steps": STEPS, "full_batch": True},
            "output": "out",
            "overwrite": True,
        }
        job.update(sections)
        path = self.folder / "job.yaml"
        path.write_text(json.dumps(job))
        return path

    def train(self, robust, ranks=1, **sections):
        """The lines of the steps, and the last evaluation."""
        self.succeed("equipoise", "train", self.write_outlier_job(robust, **sections), "--np", ranks, "--quiet")
        lines = programs.read_lines(self.folder / "out/metrics.jsonl")
        steps = [{**line, "pairs_per_second": 0} for line in lines if "split" not in line]
        return steps, [line for line in lines if line.get("split") == "validation"][-1]

    def expect_weights(self, found, expected, what):
        self.assertEqual(found.keys(), expected.keys(), what)
        for group, weight in expected.items():
            self.assertAlmostEqual(found[group], weight, delta=1e-9, msg=f"{what}, group {group}")

    def test_under_cvar_a_tiny_group_of_outliers_cannot_take_all_weight_and_the_rest_is_better_off(self):
        _, average = self.train({"mode": "none"})
        simplex_steps, simplex = self.train({"step_size": 0.5})
        cvar_steps, bounded = self.train({"ambiguity_set": "cvar", "kappa": 0.3})
        self.assertGreater(simplex_steps[-1]["group_weight"]["2"], 30 * SHARE["2"])
        for line in cvar_steps:
            for group, weight in line["group_weight"].items():
                self.assertLessEqual(weight, SHARE[group] / 0.3 + 1e-12)
        rest = ["0", "1"]
        cost_of_simplex = mean_loss(simplex, rest) - mean_loss(average, rest)
        cost_of_cvar = mean_loss(bounded, rest) - mean_loss(average, rest)
        self.assertLess(cost_of_cvar, cost_of_simplex / 3)
        # And still the worst 30 % are better off than with the mean loss.
        worst_part = [sum(weight * line["group_loss"][group] for group, weight in
                          cvar(line["group_loss"], SHARE, 0.3).items()) for line in (average, bounded)]
        self.assertLess(worst_part[1], worst_part[0])

    def test_each_set_goes_from_the_mean_loss_to_the_worst_group(self):
        _, average = self.train({"mode": "none"})
        _, worst = self.train({"step_size": 0.5})
        families = {
            "chi_square": [{"rho": rho} for rho in (0, 0.01, 0.1, 1, 10)],
            "kl": [{"tau": tau} for tau in (1e6, 1, 0.3, 0.1, 0.05)],
            "cvar": [{"kappa": kappa} for kappa in (1, 0.6, 0.3, 0.1)],
        }
        for ambiguity_set, family in families.items():
            runs = [self.train({"ambiguity_set": ambiguity_set, **parameter})[1] for parameter in family]
            with self.subTest(ambiguity_set=ambiguity_set):
                for one, other in zip(runs, runs[1:]):
                    self.assertLess(mean_loss(one), mean_loss(other))
                    self.assertGreater(one["worst_group_loss"], other["worst_group_loss"])
                # The first of each family is the mean loss, to the precision of tau = 1e6.
                for mine, plain in zip(runs[0]["theta"], average["theta"]):
                    self.assertAlmostEqual(mine, plain, delta=1e-5)
                self.assertGreater(runs[-1]["worst_group_loss"], worst["worst_group_loss"] - 1e-3)

    def test_logged_weights_are_those_of_the_formula(self):
        for name, (robust, formula) in SETS.items():
            with self.subTest(ambiguity_set=name):
                weights = WeightsByFormula(formula, SHARE)
                steps, _ = self.train(robust, training={"max_steps": 50, "full_batch": True})
                for line in steps:
                    self.expect_weights(line["group_weight"], weights.step(line["group_loss"]), f"step {line['step']}")

    def test_small_batches_leave_groups_out_and_population_counts_are_the_shares(self):
        population = {"0": 100, "1": 100, "2": 300}
        share = {group: count / sum(population.values()) for group, count in population.items()}
        for name, (robust, formula) in SETS.items():
            with self.subTest(ambiguity_set=name):
                weights = WeightsByFormula(formula, share)
                steps, _ = self.train(
                    robust,
                    data={"train": "train.jsonl", "validation": "train.jsonl", "group_counts": population},
                    training={"max_steps": 100, "global_batch_size": 5, "seed": 3, "sampling": "permutation"})
                self.assertGreater(sum("2" not in line["group_loss"] for line in steps), 50)
                self.assertTrue(any("2" in line["group_loss"] for line in steps))
                self.assertTrue(any("1" not in line["group_loss"] for line in steps))
                for line in steps:
                    self.expect_weights(line["group_weight"], weights.step(line["group_loss"]), f"step {line['step']}")

    def test_adjustment_floor_and_trade_off_apply_as_to_the_simplex(self):
        adjustment, floor = 0.5, 0.02
        for name, (robust, formula) in SETS.items():
            with self.subTest(ambiguity_set=name):
                steps, _ = self.train({**robust, "adjustment": adjustment, "min_weight": floor, "trade_off": 0.7},
                                      training={"max_steps": 20, "full_batch": True})
                for line in steps:
                    adjusted = {group: loss + adjustment / math.sqrt(PAIRS[group])
                                for group, loss in line["group_loss"].items()}
                    alpha = {group: floor + (1 - len(PAIRS) * floor) * weight
                             for group, weight in formula(adjusted, SHARE).items()}
                    self.expect_weights(line["group_weight"], alpha, f"step {line['step']}")
                    # loss = sum_g w_g L_g with the weights of the gradient
                    loss = sum((0.3 / len(PAIRS) + 0.7 * alpha[group]) * line["group_loss"][group] for group in alpha)
                    self.assertAlmostEqual(line["loss"], loss, delta=1e-9)

    def test_ranks_and_weight_sync_make_no_difference(self):
        updates = {"cvar": "before_gradient", "chi_square": "after_gradient", "kl": "before_gradient"}
        for name, (robust, _) in SETS.items():
            runs = {}
            for ranks in (1, 3):
                for weight_sync in ("coordinator", "speculative"):
                    with self.subTest(ambiguity_set=name, ranks=ranks, weight_sync=weight_sync):
                        runs[ranks, weight_sync], _ = self.train(
                            {**robust, "weight_sync": weight_sync, "update": updates[name]}, ranks,
                            training={"max_steps": 60, "global_batch_size": 7, "seed": 5})
            for ranks in (1, 3):
                self.assertEqual(runs[ranks, "coordinator"], runs[ranks, "speculative"])  # bit by bit
            for one, three in zip(runs[1, "coordinator"], runs[3, "coordinator"], strict=True):
                self.expect_weights(three["group_weight"], one["group_weight"], f"{name}, step {one['step']}")

    def test_a_step_that_is_not_finite_moves_neither_weights_nor_theta(self):
        for name, (robust, _) in SETS.items():
            runs = []
            for weight_sync in ("coordinator", "speculative"):
                with self.subTest(ambiguity_set=name, weight_sync=weight_sync):
                    steps, _ = self.train({**robust, "weight_sync": weight_sync}, loss={"type": "ipo", "beta": 1},
                                          optimizer={"learning_rate": 1e300}, training={"max_steps": 4, "full_batch": True})
                    first, *others = steps
                    self.assertNotIn("skipped", first)
                    for line in others:
                        self.assertTrue(line["skipped"])
                        self.assertEqual(line["group_weight"], first["group_weight"])
                        self.assertEqual(line["theta"], first["theta"])
                    runs.append(steps)
            self.assertEqual(runs[0][0], runs[1][0])

    def test_job_yaml_says_which_set_it_was_and_can_be_trained_as_it_is(self):
        robust, _ = SETS["cvar"]
        steps, _ = self.train(robust, training={"max_steps": 3, "full_batch": True})
        written = (self.folder / "out/job.yaml").read_text()
        self.assertIn("ambiguity_set: cvar", written)
        self.assertIn("kappa: 0.3", written)
        self.assertNotIn("step_size", written)
        self.succeed("equipoise", "train", self.folder / "out/job.yaml", "--output", self.folder / "again", "--quiet")
        again = [line for line in programs.read_lines(self.folder / "again/metrics.jsonl") if "split" not in line]
        self.assertEqual([{**line, "pairs_per_second": 0} for line in again], steps)
        self.train({"step_size": 0.5}, training={"max_steps": 1, "full_batch": True})
        self.assertIn("ambiguity_set: simplex", (self.folder / "out/job.yaml").read_text())
        self.assertIn("2 ", self.succeed("equipoise", "compare", self.folder / "again", self.folder / "out"))

    def test_what_does_not_go_together_is_refused_in_one_line(self):
        for robust, complaint in [
                ({"ambiguity_set": "cvar"}, "robust.kappa is missing"),
                ({"ambiguity_set": "cvar", "kappa": 1.5}, "robust.kappa is 1.5"),
                ({"ambiguity_set": "kl", "tau": 1, "rho": 1}, "robust.rho needs robust.ambiguity_set chi_square"),
                ({"ambiguity_set": "chi_square", "rho": 1, "step_size": 0.1}, "robust.step_size has no use"),
                ({"kappa": 0.3}, "robust.kappa needs robust.ambiguity_set cvar"),
                ({"ambiguity_set": "cvarr", "kappa": 0.3}, "robust.ambiguity_set")]:
            with self.subTest(robust=robust):
                self.assertIn(complaint, self.refused("equipoise", "train", self.write_outlier_job(robust), "--quiet"))
        self.assertFalse((self.folder / "out").exists())


class LanguageModel(programs.ProgramTest):
    def test_weights_of_a_language_model_are_those_of_the_formula(self):
        self.small_model()
        groups = {}
        for line in programs.read_lines(self.folder / "data/train.jsonl"):
            groups[line["group"]] = groups.get(line["group"], 0) + 1
        share = {group: pairs / sum(groups.values()) for group, pairs in groups.items()}
        for name, (robust, formula) in SETS.items():
            with self.subTest(ambiguity_set=name):
                job = self.write_job(name.replace("_", "-"), robust={"mode": "group_robust", **robust},
                                     training={"max_steps": 8, "global_batch_size": 6, "seed": 1})
                self.succeed("equipoise", "train", job, "--np", 2, "--quiet")
                lines = programs.read_lines(self.folder / name.replace("_", "-") / "metrics.jsonl")
                weights = WeightsByFormula(formula, share)
                for line in (line for line in lines if "split" not in line):
                    expected = weights.step(line["group_loss"])
                    for group, weight in expected.items():
                        self.assertAlmostEqual(line["group_weight"][group], weight, delta=1e-9, msg=line["step"])


if __name__ == "__main__":
    unittest.main()

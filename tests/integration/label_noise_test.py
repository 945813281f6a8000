"""Labels that are not the last word, with real programs: groups that contradict themselves, labels that were flipped, and
pairs that say how many people agree. The data is made to need it; each rule of a comparison stands in its test."""

import json
import math
import pathlib
import random
import statistics
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

ACTIONS = 8
REWARD = {0: [1.0, 3.0, 1.0, 3.0], 1: [3.0, 1.0, 3.0, 1.0]}
SEEDS = range(5)


def features(state, action):
    c = action / ACTIONS + 1
    return [value for s in state for value in (c * math.cos(math.pi * s), math.sin(math.pi * s) / c)]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def draw_pair(draw, group):
    """A pair in an order of the group's own, by Bradley and Terry, and how many of the group have that order."""
    state = [draw.random(), draw.random()]
    chosen, rejected = draw.sample(range(ACTIONS), 2)
    margin = dot(features(state, chosen), REWARD[group]) - dot(features(state, rejected), REWARD[group])
    share = 1 / (1 + math.exp(-margin))
    if draw.random() >= share:
        chosen, rejected, share = rejected, chosen, 1 - share
    return {"state": state, "group": group, "chosen": chosen, "rejected": rejected, "chosen_share": share}


def flipped(pair):
    return {**pair, "chosen": pair["rejected"], "rejected": pair["chosen"], "chosen_share": 1 - pair["chosen_share"]}


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def entropy(share):
    return sum(-p * math.log(p) for p in (share, 1 - share) if p > 0)


def mean_floor(path, group, floor=entropy):
    return statistics.fmean(floor(line.get("chosen_share", 1)) for line in programs.read_lines(path)
                            if line["group"] == group)


def clearly_above_zero(differences):
    """The rule of a comparison over seeds: the mean is more than two standard errors above 0."""
    return statistics.fmean(differences) > 2 * statistics.stdev(differences) / math.sqrt(len(differences))


class LogLinear(programs.ProgramTest):
    def write_bandit(self, **sections):
        job = {
            "name": "labels",
            "policy": {"log_linear": {"features": "same", "actions": ACTIONS, "reward": [REWARD[0], REWARD[1]]}},
            "data": {"train": "train.jsonl", "validation": "validation.jsonl", "test": "validation.jsonl"},
            "loss": {"type": "dpo", "beta": 1},
            "robust": {"mode": "none", "weight_sync": "speculative"},
            "optimizer": {"learning_rate": 0.5},
            "training": {"max_steps": 400, "full_batch": True},
            "logging": {"every_steps": 20},
            "output": "out",
            "overwrite": True,
        }
        for name, section in sections.items():
            job[name].update(section)
        path = self.folder / "job.yaml"
        path.write_text(json.dumps(job))
        return path

    def train(self, ranks=1, **sections):
        """The lines of the steps, the last evaluation and the test."""
        self.succeed("equipoise", "train", self.write_bandit(**sections), "--np", ranks, "--quiet")
        lines = programs.read_lines(self.folder / "out/metrics.jsonl")
        steps = [{**line, "pairs_per_second": 0} for line in lines if "split" not in line]
        return steps, [line for line in lines if line.get("split") == "validation"][-1], lines[-1]


class ContradictingLabels(LogLinear):
    """Group 0 has no opinion: half of it prefers either of two. Group 1 has one, and can be pleased."""

    ASCENT = {"mode": "group_robust", "step_size": 0.5}

    def setUp(self):
        super().setUp()
        draw = random.Random(1)
        for name in ("train", "validation"):
            lines = [draw_pair(draw, 1) for _ in range(200)]
            for _ in range(200):
                pair = {**draw_pair(draw, 0), "chosen_share": 0.5}
                lines.append(pair if draw.random() < 0.5 else flipped(pair))
            write_lines(self.folder / f"{name}.jsonl", lines)

    def test_take_all_weight_without_a_baseline_and_leave_it_with_one_to_those_who_can_improve(self):
        plain_steps, plain, plain_test = self.train(robust=self.ASCENT)
        steps, above, above_test = self.train(robust={**self.ASCENT, "baseline": "label_entropy"})
        self.assertGreater(plain_steps[-1]["group_weight"]["0"], 0.95)
        self.assertLess(steps[-1]["group_weight"]["0"], 0.7)
        self.assertGreater(steps[-1]["group_weight"]["1"], 6 * plain_steps[-1]["group_weight"]["1"])
        # What group 1 can win is the way from log 2 to its floor: at least a quarter of it more than without.
        can_win = math.log(2) - mean_floor(self.folder / "validation.jsonl", 1)
        self.assertGreater(plain["group_loss"]["1"] - above["group_loss"]["1"], can_win / 4)
        self.assertGreater(above_test["group_reward"]["1"], plain_test["group_reward"]["1"])
        # Both groups as far above what they can reach: the worst excess is smaller than without.
        worst_plain = max(plain["group_loss"][str(g)] - mean_floor(self.folder / "validation.jsonl", g) for g in (0, 1))
        self.assertLess(above["worst_group_excess_loss"], worst_plain)

    def test_weights_and_excess_losses_are_those_of_the_formula(self):
        floors = {str(g): mean_floor(self.folder / "train.jsonl", g) for g in (0, 1)}
        given = {"0": 0.69, "1": 0.4}
        for baseline, robust in [(floors, {"baseline": "label_entropy"}),
                                 (given, {"baseline": "given", "group_baselines": given})]:
            log_weight = {"0": 0.0, "1": 0.0}
            steps, last, _ = self.train(robust={**self.ASCENT, **robust}, training={"max_steps": 20},
                                        logging={"every_steps": 1})
            for line in steps:
                for group in log_weight:
                    excess = line["group_loss"][group] - baseline[group]
                    self.assertAlmostEqual(line["group_excess_loss"][group], excess, delta=1e-12)
                    self.assertAlmostEqual(line[f"group/{group}/excess_loss"], excess, delta=1e-12)
                    log_weight[group] += self.ASCENT["step_size"] * excess
                total = sum(math.exp(weight) for weight in log_weight.values())
                for group, weight in log_weight.items():
                    self.assertAlmostEqual(line["group_weight"][group], math.exp(weight) / total, delta=1e-12)
            here = given if "group_baselines" in robust else {
                str(g): mean_floor(self.folder / "validation.jsonl", g) for g in (0, 1)}
            for group in here:
                self.assertAlmostEqual(last["group_excess_loss"][group], last["group_loss"][group] - here[group],
                                       delta=1e-12)

    def test_baseline_is_the_same_for_every_loss_rank_and_owner_of_the_weights(self):
        for loss, floor in [({"type": "ipo", "beta": 0.5}, lambda share: share * (1 - share) / 0.25),
                            ({"label_smoothing": 0.1}, lambda share: entropy(0.9 * share + 0.1 * (1 - share)))]:
            runs = {}
            for ranks in (1, 3):
                for weight_sync in ("coordinator", "speculative"):
                    robust = {**self.ASCENT, "baseline": "label_entropy", "weight_sync": weight_sync}
                    runs[ranks, weight_sync], _, _ = self.train(
                        ranks, loss=loss, robust=robust, training={"max_steps": 20}, optimizer={"learning_rate": 0.1})
            for ranks in (1, 3):
                self.assertEqual(runs[ranks, "coordinator"], runs[ranks, "speculative"])  # bit by bit
            line = runs[1, "coordinator"][-1]
            for group in (0, 1):
                self.assertAlmostEqual(line["group_loss"][str(group)] - line["group_excess_loss"][str(group)],
                                       mean_floor(self.folder / "train.jsonl", group, floor), delta=1e-12)
                self.assertAlmostEqual(line["group_weight"][str(group)],
                                       runs[3, "coordinator"][-1]["group_weight"][str(group)], delta=1e-9)


class FlippedLabels(LogLinear):
    """Two groups that want different things of one policy. Of group 1, 30 % of the labels are flipped."""

    NOISE = 0.3

    def write_data(self, seed):
        draw = random.Random(seed)
        clean = [draw_pair(draw, group) for group in (0, 1) for _ in range(400)]
        noisy = [flipped(pair) if pair["group"] == 1 and draw.random() < self.NOISE else pair for pair in clean]
        write_lines(self.folder / "clean.jsonl", clean)
        write_lines(self.folder / "train.jsonl", noisy)
        write_lines(self.folder / "validation.jsonl", [draw_pair(draw, group) for group in (0, 1) for _ in range(400)])

    def evaluation(self, theta, path="validation.jsonl", group=1):
        """Mean loss of a group on clean labels, by hand: the program's own is corrected for noise too."""
        losses = []
        for pair in programs.read_lines(self.folder / path):
            if pair["group"] != group:
                continue
            margin = dot(features(pair["state"], pair["chosen"]), theta) - dot(
                features(pair["state"], pair["rejected"]), theta)
            losses.append(math.log1p(math.exp(-margin)))
        return statistics.fmean(losses)

    def test_corrected_the_noisy_group_ends_better_by_loss_reward_and_distance_to_clean_training(self):
        gains = {"loss": [], "reward": [], "distance": []}
        for seed in SEEDS:
            self.write_data(seed)
            _, _, without = self.train()
            _, _, corrected = self.train(loss={"label_noise": {"1": self.NOISE}})
            _, _, clean = self.train(data={"train": "clean.jsonl"})
            gains["loss"].append(self.evaluation(without["theta"]) - self.evaluation(corrected["theta"]))
            gains["reward"].append(corrected["group_reward"]["1"] - without["group_reward"]["1"])
            gains["distance"].append(math.dist(without["theta"], clean["theta"])
                                     - math.dist(corrected["theta"], clean["theta"]))
        for what, gain in gains.items():
            self.assertTrue(clearly_above_zero(gain), f"{what}: {gain}")

    def test_robust_loss_is_dpo_with_the_same_noise_in_every_group(self):
        self.write_data(0)
        robust, _, _ = self.train(loss={"type": "robust", "label_smoothing": 0.2}, training={"max_steps": 50})
        by_group, _, _ = self.train(loss={"label_noise": {"0": 0.2, "1": 0.2}}, training={"max_steps": 50})
        self.assertEqual(robust, by_group)

    def test_no_noise_is_plain_dpo_bit_by_bit(self):
        self.write_data(0)
        plain, _, _ = self.train(training={"max_steps": 50})
        zero, _, _ = self.train(loss={"label_noise": {"1": 0}}, training={"max_steps": 50})
        self.assertEqual(plain, zero)

    def test_closed_form_is_where_gradient_steps_end(self):
        self.write_data(0)
        loss = {"type": "ipo", "beta": 0.5, "label_noise": {"1": self.NOISE}}
        steps, _, _ = self.train(loss=loss, training={"max_steps": 8000}, optimizer={"learning_rate": 0.3})
        closed, _, _ = self.train(2, loss=loss, training={"max_steps": 1}, logging={"every_steps": 1},
                                  policy={"log_linear": {"features": "same", "actions": ACTIONS, "closed_form": True,
                                                         "reward": [REWARD[0], REWARD[1]]}})
        for one, other in zip(steps[-1]["theta"], closed[-1]["theta"]):
            self.assertAlmostEqual(one, other, delta=1e-6)

    def test_hinge_learns_too(self):
        self.write_data(0)
        steps, _, _ = self.train(loss={"type": "hinge"}, data={"train": "clean.jsonl"}, logging={"every_steps": 1})
        self.assertEqual(steps[0]["loss"], 1)  # h = 0
        self.assertLess(steps[-1]["loss"], 0.9)

    def test_what_does_not_go_together_is_refused_in_one_line(self):
        self.write_data(0)
        for sections, complaint in [
                ({"loss": {"label_noise": {"7": 0.1}}}, 'loss.label_noise names group "7"'),
                ({"loss": {"label_noise": {"1": 0.5}}}, "loss.label_noise.1 is 0.5"),
                ({"loss": {"type": "hinge", "label_noise": {"1": 0.1}}}, "loss.label_noise needs loss.type dpo or ipo"),
                ({"loss": {"type": "hinge"}, "robust": {"baseline": "label_entropy"}}, "loss.type is hinge"),
                ({"robust": {"baseline": "given", "group_baselines": {"1": 0.1}}},
                 'robust.group_baselines has none for group "0"'),
                ({"robust": {"group_baselines": {"1": 0.1}}}, "robust.group_baselines needs robust.baseline given"),
                ({"loss": {"sft_weight": 0.1}}, "loss.sft_weight has no use with policy.log_linear")]:
            with self.subTest(complaint=complaint):
                self.assertIn(complaint, self.refused("equipoise", "train", self.write_bandit(**sections), "--quiet"))
        write_lines(self.folder / "train.jsonl", [{**draw_pair(random.Random(0), 0), "chosen_share": 1.5}])
        self.assertIn('train.jsonl:1: field "chosen_share" is 1.5',
                      self.refused("equipoise", "train", self.write_bandit(), "--quiet"))


class LanguageModel(programs.ProgramTest):
    """Pairs that are drawn by the votes of a survey."""

    def setUp(self):
        super().setUp()
        self.small_model()
        self.succeed("equipoise", "data", "import", "opinionqa", self.folder / "survey.jsonl", "--output",
                     self.folder / "data", "--labels", "sampled", "--draws", 2)

    def train(self, name, **sections):
        self.succeed("equipoise", "train", self.write_job(name, **sections), "--np", 2, "--quiet")
        lines = programs.read_lines(self.folder / name / "metrics.jsonl")
        return [line for line in lines if "split" not in line], [line for line in lines if "split" in line]

    def test_excess_losses_and_weights_come_from_the_shares_of_the_votes(self):
        groups = sorted({line["group"] for line in programs.read_lines(self.folder / "data/train.jsonl")})
        floors = {group: mean_floor(self.folder / "data/train.jsonl", group) for group in groups}
        self.assertGreater(min(floors.values()), 0.1)
        steps, evaluations = self.train("entropy", robust={"mode": "group_robust", "step_size": 0.5,
                                                           "baseline": "label_entropy"})
        log_weight = dict.fromkeys(groups, 0.0)
        for line in steps:
            for group, loss in line["group_loss"].items():
                self.assertAlmostEqual(line["group_excess_loss"][group], loss - floors[group], delta=1e-12)
                log_weight[group] += 0.5 * (loss - floors[group])
            total = sum(math.exp(weight) for weight in log_weight.values())
            for group in groups:
                self.assertAlmostEqual(line["group_weight"][group], math.exp(log_weight[group]) / total, delta=1e-9)
        for line in evaluations:
            worst = max(line["group_excess_loss"].values())
            self.assertEqual(line["worst_group_excess_loss"], worst)
            weighted = sum(line["group_weight"][group] * line["group_excess_loss"][group] for group in groups)
            self.assertAlmostEqual(line["robust_gap"], worst - weighted, delta=1e-12)
            for group in groups:
                here = mean_floor(self.folder / "data/validation.jsonl", group)
                self.assertAlmostEqual(line["group_excess_loss"][group], line["group_loss"][group] - here, delta=1e-12)

    def test_label_noise_of_all_groups_is_the_robust_loss(self):
        groups = sorted({line["group"] for line in programs.read_lines(self.folder / "data/train.jsonl")})
        robust, _ = self.train("robust", loss={"type": "robust", "beta": 1, "label_smoothing": 0.2})
        by_group, _ = self.train("by-group", loss={"beta": 1, "label_noise": dict.fromkeys(groups, 0.2)})
        one, _ = self.train("one", loss={"beta": 1, "label_noise": {groups[0]: 0.2}})
        for mine, other in zip(robust, by_group, strict=True):
            self.assertAlmostEqual(mine["loss"], other["loss"], delta=1e-6)
        self.assertAlmostEqual(one[0]["group_loss"][groups[0]], robust[0]["group_loss"][groups[0]], delta=1e-6)

    def test_sft_term_is_reported_and_lowers_what_it_stands_for(self):
        _, plain = self.train("plain")
        steps, evaluations = self.train("with-sft", loss={"beta": 0.1, "sft_weight": 2})
        self.assertNotIn("eval_nll_loss", plain[-1])
        self.assertLess(evaluations[-1]["eval_nll_loss"], evaluations[0]["eval_nll_loss"])
        # Before the first step the policy is the reference: its loss is log 2 and the term.
        self.assertAlmostEqual(evaluations[0]["eval_loss"], math.log(2) + 2 * evaluations[0]["eval_nll_loss"], delta=1e-5)
        for group, loss in evaluations[0]["group_loss"].items():
            self.assertAlmostEqual(loss, math.log(2) + 2 * evaluations[0]["group_nll_loss"][group], delta=1e-5)
        self.assertIn("nll_loss", steps[0])


if __name__ == "__main__":
    unittest.main()

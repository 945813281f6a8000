"""Log-linear policies from the job file to the last line: the trajectories of the authors' program, whatever the number
of ranks."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from programs import ROOT, ProgramTest, read_lines, run  # noqa: E402

GOLDEN = ROOT / "tests/golden/bandits"
AGREEMENT = 1e-6  # what the project promises; float64 sums in another order leave 1e-12
# Where a step is a message and a commit.
MOST_STEPS = 1000

CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
METHODS = sorted(path.stem for path in (GOLDEN / CASES[0]).glob("*.json") if path.stem != "problem")


def read_case(case, method):
    return json.loads((GOLDEN / case / f"{method}.json").read_text())


class LogLinearTest(ProgramTest):
    def write_bandit(self, case, golden, steps, **sections):
        """The job file of a golden case; sections are merged into the ones given here."""
        problem = json.loads((GOLDEN / case / "problem.json").read_text())
        settings = golden["settings"]
        job = {
            "name": "bandit",
            "policy": {"log_linear": {
                "features": problem["features"], "actions": problem["actions"], "reward": problem["reward"],
                "initial_theta": problem["initial_theta"], "closed_form": settings.get("closed", False),
                "ridge": settings["lam"], "projection_radius": 0}},
            "data": {part: str(GOLDEN / case / f"{part}.jsonl") for part in ("train", "validation", "test")},
            "loss": {"type": settings["loss"], "beta": settings["beta"]},
            "robust": {"mode": settings["method"], "step_size": settings["eta"], "trade_off": settings["chi"],
                       "paper_compat": settings.get("compat", False)},
            "optimizer": {"type": "sgd", "learning_rate": settings["step"]},
            "training": {"max_steps": steps, "full_batch": True},
            "logging": {"at_steps": [int(step) for step in golden["trajectory"] if int(step) <= steps]},
            "output": "out",
            "overwrite": True,
        }
        job["data"]["shuffle"] = False
        for name, section in sections.items():
            job[name].update(section)
        path = self.folder / "bandit.yaml"
        path.write_text(json.dumps(job))
        return path

    def train(self, job, ranks=1):
        self.succeed("equipoise", "train", job, "--np", ranks, "--quiet")
        return read_lines(self.folder / "out/metrics.jsonl")

    def expect_near(self, found, expected, what):
        found = list(found.values()) if isinstance(found, dict) else found
        self.assertEqual(len(found), len(expected), what)
        for one, other in zip(found, expected):
            self.assertAlmostEqual(one, other, delta=AGREEMENT, msg=what)

    def follow(self, case, method, ranks, steps, **sections):
        golden = read_case(case, method)
        steps = min(steps, golden["iterations"])
        lines = self.train(self.write_bandit(case, golden, steps, **sections), ranks)
        recorded = {line["step"]: line for line in lines if "split" not in line}
        self.assertEqual(sorted(recorded), [int(step) for step in golden["trajectory"] if int(step) <= steps])
        for step, line in recorded.items():
            expected = golden["trajectory"][str(step)]
            what = f"{case}/{method} on {ranks} ranks after step {step}"
            self.expect_near(line["theta"], expected["theta"], what)
            self.expect_near(line["group_weight"], expected["alpha"], what)
            self.expect_near(line["group_loss"], expected["train_group_loss_before"], what)
        final = json.loads((self.folder / "out/final/theta.json").read_text())
        self.assertEqual(final["theta"], recorded[steps]["theta"])
        self.assertEqual(final["alpha"], list(recorded[steps]["group_weight"].values()))
        if steps == golden["iterations"]:
            self.check_evaluation(golden, lines, f"{case}/{method}")

    def check_evaluation(self, golden, lines, what):
        validation, test = lines[-2:]
        self.assertEqual((validation["split"], test["split"]), ("validation", "test"))
        self.expect_near(validation["group_loss"], golden["validation_group_loss"], what)
        self.expect_near([validation["worst_group_loss"]], [golden["max_validation_group_loss"]], what)
        self.expect_near(test["group_reward"], golden["group_reward"], what)
        self.expect_near(test["reward_error"], golden["reward_error"], what)
        self.expect_near([test["max_reward_error"]], [golden["max_reward_error"]], what)

    def test_every_case_follows_the_authors_program_to_the_last_iteration(self):
        self.assertEqual((len(CASES), len(METHODS)), (6, 10))
        for case in CASES:
            for method in METHODS:
                with self.subTest(case=case, method=method):
                    self.follow(case, method, ranks=1, steps=20000, robust={"weight_sync": "speculative"})

    def test_waiting_for_the_coordinator_gives_the_same(self):
        for method in METHODS:
            with self.subTest(method=method):
                self.follow(CASES[0], method, ranks=1, steps=MOST_STEPS)

    def test_three_ranks_follow_it_too(self):
        for case, method in zip([CASES[0], CASES[-1]] * len(METHODS), METHODS):
            with self.subTest(case=case, method=method):
                self.follow(case, method, ranks=3, steps=300)

    def test_one_sampled_group_per_step_is_the_same_on_every_number_of_ranks(self):
        case = "uneven_imbalanced_2021_swapped"
        golden = read_case(case, "gr_dpo")
        sections = {"training": {"full_batch": False, "sampling": "one_group", "global_batch_size": 4, "seed": 7},
                    "robust": {"estimator": "dataset_scaled", "step_size": 0.01},
                    "logging": {"at_steps": list(range(1, 101))}}
        runs = []
        for ranks in (1, 3):
            job = self.write_bandit(case, golden, 100, **sections)
            runs.append([line for line in self.train(job, ranks) if "split" not in line])
        for one, three in zip(*runs, strict=True):
            self.expect_near(one["theta"], three["theta"], f"step {one['step']}")
            self.assertEqual(one["group_count"], three["group_count"])
            self.assertEqual(list(one["group_count"].values()), [4.0])  # one group, all of the batch
        self.assertGreater(len({tuple(line["group_count"]) for line in runs[0]}), 1)

    def test_speculative_weights_are_the_coordinators_bit_by_bit(self):
        case = "uneven_imbalanced_2023_flipped"
        steps = 300
        for method in ("gr_dpo_chi05", "is_dpo", "ipo", "gr_ipo_closed_authors"):
            for ranks in (1, 3):
                runs = []
                for weight_sync in ("coordinator", "speculative"):
                    with self.subTest(method=method, ranks=ranks, weight_sync=weight_sync):
                        job = self.write_bandit(case, read_case(case, method), steps,
                                                robust={"weight_sync": weight_sync, "step_factor": 0.5})
                        runs.append([{**line, "pairs_per_second": 0} for line in self.train(job, ranks)])
                self.assertEqual(runs[0], runs[1])

    def test_a_step_that_is_not_finite_moves_neither_weights_nor_theta(self):
        case = "even_imbalanced_2021_swapped"
        golden = read_case(case, "gr_ipo")
        for weight_sync in ("coordinator", "speculative"):
            with self.subTest(weight_sync=weight_sync):
                job = self.write_bandit(case, golden, 10, robust={"weight_sync": weight_sync},
                                        optimizer={"learning_rate": 1e300}, logging={"at_steps": [1, 2, 10]})
                first, second, last = [line for line in self.train(job) if "split" not in line]
                self.assertNotIn("skipped", first)
                self.assertTrue(second["skipped"] and last["skipped"])
                self.assertEqual(first["group_weight"], last["group_weight"])
                self.assertEqual(first["theta"], last["theta"])

    def test_a_run_that_nothing_moves_any_more_ends(self):
        case = "even_imbalanced_2021_swapped"
        job = self.write_bandit(case, read_case(case, "gr_ipo"), 1000, optimizer={"learning_rate": 1e300})
        failed = run("equipoise", "train", job, "--quiet")
        self.assertEqual(failed.returncode, 1, failed.stderr)
        self.assertIn("none of the last 100 steps could be applied: a loss or the gradient was not finite in each of them; "
                      "the last one that could was step 1", failed.stderr)

    def test_a_run_most_of_whose_steps_changed_nothing_says_so(self):
        """--quiet too, and whoever takes its model."""
        case = "even_imbalanced_2021_swapped"
        job = self.write_bandit(case, read_case(case, "gr_ipo"), 60, optimizer={"learning_rate": 1e300})
        ended = run("equipoise", "train", job, "--quiet")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual(ended.stderr, "equipoise train: trained on 1 rank; 59 of 60 steps changed nothing, as a loss or "
                                       "the gradient was not finite\n")
        output = pathlib.Path(json.loads(job.read_text())["output"])
        card = (self.folder / output / "final/README.md").read_text()
        self.assertIn("**Most steps changed nothing: in 4 of 5 logged steps", card)  # of 1, 2, 3, 10, 30

    def test_projection_keeps_theta_in_the_ball(self):
        case = "even_imbalanced_2021_swapped"
        golden = read_case(case, "gr_dpo")
        job = self.write_bandit(case, golden, 10)
        settings = json.loads(job.read_text())
        settings["policy"]["log_linear"]["projection_radius"] = 2
        job.write_text(json.dumps(settings))
        theta = self.train(job)[-1]["theta"]
        self.assertAlmostEqual(sum(value * value for value in theta) ** 0.5, 2, delta=1e-12)

    def test_what_is_wrong_with_the_data_is_said_in_one_line(self):
        case = "even_imbalanced_2021_swapped"
        golden = read_case(case, "gr_dpo")
        train = self.folder / "train.jsonl"
        job = self.write_bandit(case, golden, 10, data={"train": str(train)})
        first = (GOLDEN / case / "train.jsonl").read_text().splitlines()[0]
        train.write_text(first + "\n" + first.replace('"group": 0', '"group": 2') + "\n")
        self.assertIn("train.jsonl:2: ", self.refused("equipoise", "train", job, "--quiet"))
        train.write_text(first + "\n")
        self.assertIn("has no pairs of group 1", self.refused("equipoise", "train", job, "--quiet"))
        self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    unittest.main()

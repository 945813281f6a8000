"""What a preference row may say beside its answers: weights, the reference's log-probs, and what must not be missing."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402


class PairFields(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        self.small_model()
        self.pairs = programs.read_lines(self.folder / "data/train.jsonl")[:48]
        self.validation = programs.read_lines(self.folder / "data/validation.jsonl")[:12]

    def write_lines(self, name, pairs):
        (self.folder / name).write_text("".join(json.dumps(pair) + "\n" for pair in pairs))

    def job(self, name, pairs, **sections):
        self.write_lines(f"{name}.jsonl", pairs)
        sections.setdefault("data", {"train": f"{name}.jsonl", "validation": "data/validation.jsonl"})
        return self.write_job(name, **{"model": {"path": "model", "dtype": "float64", "reference_cache": False},
                                       "optimizer": {"learning_rate": 1e-3}, **sections})

    def train(self, job, ranks=1):
        """The exit code and what rank 0 logged; `self.shown` is what the watching terminal showed."""
        state = programs.Coordinator(self.folder / f"{job.stem}-state")
        self.addCleanup(state.stop)
        result = programs.run("equipoise", "submit", job, "--np", ranks, "--watch", "--coordinator", state.address)
        self.shown = result.stdout
        log = (self.folder / f"{job.stem}-state/logs" / result.stdout.split()[0] / "1/stderr.log").read_text()
        return result.returncode, log

    def lines(self, name):
        return programs.read_lines(self.folder / name / "metrics.jsonl")

    def test_a_weight_of_two_is_a_pair_that_is_there_twice(self):
        training = {"full_batch": True, "max_steps": 3}
        for robust in ({"mode": "none"}, {"mode": "group_robust", "step_size": 0.5}):
            twice = self.job("twice", self.pairs + self.pairs[:10], robust=robust, training=training)
            weighed = self.job("weighed", [{**pair, "weight": 6 if i < 10 else 3} for i, pair in enumerate(self.pairs)],
                               robust=robust, training=training)
            for job in (twice, weighed):
                self.succeed("equipoise", "train", job, "--np", 2, "--quiet", "--overwrite")
            for one, other in zip(self.lines("twice"), self.lines("weighed"), strict=True):
                for key in ("loss", "eval_loss", "rewards/margins", "group_loss", "group_weight"):
                    self.assert_close(one.get(key), other.get(key), key)

    def assert_close(self, one, other, key):
        if isinstance(one, dict):
            self.assertEqual(one.keys(), other.keys())
            for name in one:
                self.assertAlmostEqual(one[name], other[name], delta=1e-10, msg=f"{key} of {name}")
        elif one is not None:
            self.assertAlmostEqual(one, other, delta=1e-10, msg=key)

    def test_own_log_probs_take_the_place_of_the_reference_pass(self):
        self.write_lines("plain.jsonl", self.pairs)
        self.succeed("equipoise", "evaluate", "--model", self.folder / "model", "--data", self.folder / "plain.jsonl",
                     "--output", self.folder / "scores.jsonl", "--dtype", "float64")
        scores = programs.read_lines(self.folder / "scores.jsonl")
        own = [{**pair, "ref_chosen_logps": score["policy_chosen_logp"],
                "ref_rejected_logps": score["policy_rejected_logp"]} for pair, score in zip(self.pairs, scores)]
        code, log = self.train(self.job("own", own))
        self.assertEqual(code, 0, log)
        self.assertIn("reference log-probs of the training data: all 48 pairs have their own", log)
        self.assertNotIn("reference log-probs of the training data: 48 pairs computed", log)
        code, log = self.train(self.job("computed", self.pairs))
        self.assertEqual(code, 0, log)
        for one, other in zip(self.lines("own"), self.lines("computed"), strict=True):
            for key in ("loss", "eval_loss", "group_loss"):
                self.assert_close(one.get(key), other.get(key), key)
        # What another program's arithmetic explains is used as it is, from the first evaluation on.
        near = [{**pair, "ref_chosen_logps": pair["ref_chosen_logps"] - 0.01} for pair in own]
        self.write_lines("near-validation.jsonl", near)
        data = {"train": "near.jsonl", "validation": "near-validation.jsonl"}
        code, log = self.train(self.job("near", near, data=data, loss={"type": "dpo", "beta": 0.5}))
        self.assertEqual(code, 0, log)
        self.assertAlmostEqual(self.lines("near")[0]["eval_rewards/margins"], 0.5 * 0.01, delta=1e-9)
        for pair in own:
            pair["ref_rejected_logps"] -= 1
        code, log = self.train(self.job("wrong", own))
        self.assertNotEqual(code, 0)
        self.assertIn("ref_chosen_logps and ref_rejected_logps of the training data are not of this reference", log)

    def test_files_of_a_job_all_have_groups_or_none(self):
        without = [{key: value for key, value in pair.items() if key != "group"} for pair in self.pairs]
        self.write_lines("without.jsonl", without)
        self.write_lines("with.jsonl", self.pairs)
        data = {"train_files": [{"path": "with.jsonl"}, {"path": "without.jsonl"}]}
        refusal = self.refused("equipoise", "train", self.job("mixed", [], data=data))
        self.assertIn('without.jsonl: field "group" is missing, but', refusal)
        data = {"train": "with.jsonl", "validation": "without.jsonl"}
        refusal = self.refused("equipoise", "train", self.job("split", [], data=data))
        self.assertIn('without.jsonl: field "group" is missing, but', refusal)
        data = {"train_files": [{"path": "with.jsonl"}, {"path": "without.jsonl", "group": "others"}]}
        self.succeed("equipoise", "train", self.job("named", [], data=data), "--quiet")

    def test_what_is_not_used_and_groups_that_differ_are_said_once(self):
        data = {"train": "odd.jsonl", "validation": "validation.jsonl"}
        self.write_lines("validation.jsonl", [{**pair, "group": pair["group"].upper(), "margin": 2, "id": 1}
                                              for pair in self.validation])
        code, log = self.train(self.job("odd", [{**pair, "margin": 1, "id": 7} for pair in self.pairs], data=data), 2)
        self.assertEqual(code, 0, log)
        self.assertEqual(log.count('odd.jsonl and 1 more file: fields that are not used: "margin"'), 1, log)
        self.assertEqual(log.count('"margin"'), 1, log)
        self.assertEqual(self.shown.count('1 more file: fields that are not used: "margin"'), 1, self.shown)
        self.assertIn("the validation has groups that training does not have", log)
        self.assertIn("the validation has no pairs of groups of training", log)
        self.assertIn("differ in spaces or capital letters alone", log)

    def test_what_is_said_of_several_files_names_how_many(self):
        for name in "abc":
            self.write_lines(f"{name}.jsonl", [{**pair, "weight": 2} for pair in self.pairs])
        data = {"train_files": [{"path": f"{name}.jsonl"} for name in "abc"]}
        code, log = self.train(self.job("three", [], data=data), 1)
        self.assertEqual(code, 0, log)
        self.assertIn('a.jsonl and 2 more files: pairs count by their field "weight", divided by its mean over all files',
                      log)


if __name__ == "__main__":
    unittest.main()

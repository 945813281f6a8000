"""Which pairs moved the group weights (pair_shares.bin): of real runs, against their metrics, their data and their
checkpoints, over crashes, and over HTTP."""

import json
import math
import os
import pathlib
import signal
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

FILES = ("pair_shares.bin", "pair_shares.index")


class PairShares(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        self.small_model()

    def explained(self, run, step, *arguments):
        said = self.succeed("equipoise", "explain", self.folder / run, "--step", step, "--json", *arguments)
        return json.loads(said)

    def metrics(self, run):
        """Lines of steps, by their number."""
        lines = programs.read_lines(self.folder / run / "metrics.jsonl")
        return {line["step"]: line for line in lines if "split" not in line}

    def check_sums(self, explained, line, weights_before=None):
        """S_g, n_g and alpha are those of metrics.jsonl, and the shares add up to S_g."""
        self.assertEqual({group["group"] for group in explained["groups"]}, set(line["group_loss"]))
        for group in explained["groups"]:
            name, total = group["group"], math.fsum([pair["share"] for pair in group["top"]] + [group["rest"]])
            self.assertLessEqual(abs(total - group["loss_sum"]), 1e-12 * group["loss_sum"], group)
            self.assertEqual(group["loss_sum"] / group["pair_count"], line["group_loss"][name])
            self.assertEqual(group["weight_after"], line["group_weight"][name])
            self.assertEqual(len(group["top"]), min(8, group["pairs"]))
            shares = [abs(pair["share"]) for pair in group["top"]]
            self.assertEqual(shares, sorted(shares, reverse=True))
            if weights_before:
                self.assertEqual(group["weight_before"], weights_before[name])

    def test_shares_are_the_losses_of_the_pairs_that_the_rows_name(self):
        # A pair that is too long is left out, so that rows and pairs are not counted alike.
        data = self.folder / "data/train.jsonl"
        rows = data.read_text().splitlines()
        rows.insert(3, json.dumps({**json.loads(rows[0]), "prompt": "word " * 400}))
        data.write_text("\n".join(rows) + "\n")
        job = self.write_job(
            "run", data={"train": "data/train.jsonl", "validation": "data/validation.jsonl", "max_length": 128},
            checkpoint={"every_steps": 5, "keep": 10},
            training={"max_steps": 12, "global_batch_size": 48, "seed": 1, "sampling": "permutation"})
        self.succeed("equipoise", "train", job, "--np", "2")
        lines = self.metrics("run")
        for step in range(1, 13):
            before = lines[step - 1]["group_weight"] if step > 1 else None
            self.check_sums(self.explained("run", step), lines[step], before)
        # Those of step 6 were computed with the parameters that are in the checkpoint of step 5.
        pairs = self.folder / "pairs.jsonl"
        self.succeed("equipoise", "evaluate", "--model", self.folder / "run/checkpoints/step-5", "--reference",
                     self.folder / "model", "--data", data, "--output", pairs, "--set", "data.max_length=128")
        losses = [json.loads(line) for line in pairs.read_text().splitlines()]
        self.assertIn("dropped", losses[3])
        named = set()
        for group in self.explained("run", 6)["groups"]:
            for pair in group["top"]:
                of_row = losses[pair["row"] - 1]
                self.assertEqual((pair["file"], of_row["group"]), (str(data), group["group"]))
                self.assertAlmostEqual(pair["share"], of_row["loss"], delta=1e-4)
                named.add(pair["row"])
        self.assertGreater(len(named), 8)
        self.assertTrue(any(row > 4 for row in named))

        # For people, and what is refused.
        group = self.explained("run", 6)["groups"][0]["group"]
        said = self.succeed("equipoise", "explain", self.folder / "run", "--step", 6)
        self.assertIn(f"{group} at step 6", said)
        self.assertIn("train.jsonl, row ", said)
        one = self.explained("run", 6, "--group", group)
        self.assertEqual([line["group"] for line in one["groups"]], [group])
        self.assertIn("--step 13 is none that the run has kept, its last one is 12",
                      self.refused("equipoise", "explain", self.folder / "run", "--step", 13))
        self.assertIn("no group of the run", self.refused("equipoise", "explain", self.folder / "run", "--step", 6,
                                                          "--group", "Nobody"))

    def test_what_is_trained_is_the_same_without_them(self):
        for update in ("before_gradient", "after_gradient"):
            for sync in ("coordinator", "speculative"):
                robust = {"mode": "group_robust", "step_size": 0.1, "update": update, "weight_sync": sync}
                kept, without = (f"{kind}-{update}-{sync}".replace("_", "-") for kind in ("kept", "without"))
                self.succeed("equipoise", "train", self.write_job(kept, robust=robust), "--np", "2")
                self.succeed("equipoise", "train", self.write_job(
                    without, robust=robust, logging={"pair_shares_mib": 0}), "--np", "2")
                numbers = [{step: {key: value for key, value in line.items() if "per_second" not in key}
                            for step, line in self.metrics(run).items()} for run in (kept, without)]
                self.assertEqual(numbers[0], numbers[1])
                final = "final/model.safetensors"
                self.assertEqual((self.folder / kept / final).read_bytes(),
                                 (self.folder / without / final).read_bytes())
                for name in FILES:
                    self.assertTrue((self.folder / kept / name).exists())
                    self.assertFalse((self.folder / without / name).exists())
                self.check_sums(self.explained(kept, 8), self.metrics(kept)[8], self.metrics(kept)[7]["group_weight"])
        self.assertIn("logging.pair_shares_mib is 0", self.refused(
            "equipoise", "explain", self.folder / without, "--step", 1))
        # Weights that do not move need no reasons.
        self.succeed("equipoise", "train", self.write_job("plain", robust={"mode": "none"}))
        self.assertFalse((self.folder / "plain" / FILES[0]).exists())

    def test_a_run_that_was_killed_has_the_file_of_one_that_was_not(self):
        training = {"max_steps": 150, "global_batch_size": 16, "seed": 1}
        sections = {"training": training, "checkpoint": {"every_steps": 40}}
        self.succeed("equipoise", "train", self.write_job("whole", **sections), "--np", "2")
        with programs.Coordinator(self.folder / "state") as coordinator:
            job_id = self.succeed("equipoise", "submit", self.write_job("killed", **sections), "--coordinator",
                                  coordinator.address, "--np", "2").strip().splitlines()[-1].split()[-1]
            job = self.watched(coordinator, job_id, lambda now: int(now.get("step", 0)) > 60)
            ranks = self.get(coordinator, f"/v1/jobs/{job_id}/ranks")["ranks"]
            os.kill(int(ranks[1]["pid"]), signal.SIGKILL)
            job = self.watched(coordinator, job_id, lambda now: now["state"] in (
                "JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED"))
            self.assertEqual((job["state"], job["generation"]), ("JOB_STATE_SUCCEEDED", "2"))
            for name in FILES:
                self.assertEqual((self.folder / "killed" / name).read_bytes(),
                                 (self.folder / "whole" / name).read_bytes(), name)
            self.check_moves(coordinator, job_id)

    def get(self, coordinator, path):
        with urllib.request.urlopen(f"http://{coordinator.http}{path}", timeout=60) as answer:
            return json.load(answer)

    def watched(self, coordinator, job_id, is_there):
        while True:
            job = self.get(coordinator, f"/v1/jobs/{job_id}")
            if is_there(job):
                return job
            time.sleep(0.05)

    def check_moves(self, coordinator, job_id):
        """The same over HTTP, with the step of the largest move of a range."""
        lines = self.metrics("killed")
        group = next(iter(lines[1]["group_weight"]))
        weight = {step: line["group_weight"][group] for step, line in lines.items()}
        largest = max(range(21, 61), key=lambda step: abs(weight[step] - weight[step - 1]))

        def moves(**query):
            return self.get(coordinator, f"/v1/jobs/{job_id}/moves?{urllib.parse.urlencode(query)}")
        answer = moves(group=group, **{"from": 20, "to": 60})
        self.assertEqual((answer["group"], answer["step"]), (group, largest))
        self.assertEqual([one["step"] for one in answer["steps"]], list(range(largest - 4, largest + 5)))
        for one in answer["steps"]:
            for name, move in one["groups"].items():
                line = lines[one["step"]]
                self.assertEqual(move["after"], line["group_weight"][name])
                self.assertEqual(move["before"], lines[one["step"] - 1]["group_weight"][name])
                if name in line["group_loss"]:
                    self.assertEqual(move["lossSum"] / move["pairCount"], line["group_loss"][name])
        self.assertEqual(answer["groups"][0], group)
        kept = {one["group"]: one for one in self.explained("killed", largest)["groups"]}
        for name, pairs in answer["pairs"]["groups"].items():
            self.assertEqual((pairs["top"], pairs["rest"], pairs["lossSum"]),
                             (kept[name]["top"], kept[name]["rest"], kept[name]["loss_sum"]))
        self.assertEqual(set(answer["pairs"]["groups"]), set(answer["groups"]) & set(kept))
        self.assertEqual(moves(group=group, to=3)["step"], 3)
        self.assertIsNone(moves(group=group, to=151)["step"])
        for query in ("", "group=Nobody&to=3", f"group={group}&to=0", f"group={group}&from=3&to=3", "group=a&x=1"):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                self.get(coordinator, f"/v1/jobs/{job_id}/moves?{query.replace(' ', '+')}")
            self.assertEqual(refused.exception.code, 400, query)
            refused.exception.close()


if __name__ == "__main__":
    unittest.main()

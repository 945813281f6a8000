"""robust.weight_sync: ranks that compute the group weights themselves train what the coordinator's weights train."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

SPEEDS = ("pairs_per_second", "tokens_per_second")


class WeightSync(programs.ProgramTest):
    STEPS = 12

    def train(self, name, ranks, robust, **sections):
        settings = {"training": {"max_steps": self.STEPS, "global_batch_size": 8, "seed": 3, "micro_batch_tokens": 600},
                    "optimizer": {"learning_rate": 1e-3}, "model": {"path": "model"}, **sections}
        job = self.write_job(name, robust={"mode": "group_robust", "step_size": 0.5, **robust}, **settings)
        self.succeed("equipoise", "train", job, "--np", ranks, "--quiet")
        lines = programs.read_lines(self.folder / name / "metrics.jsonl")
        model = (self.folder / name / "final/model.safetensors").read_bytes()
        return [{field: value for field, value in line.items() if field not in SPEEDS} for line in lines], model

    def compare(self, ranks, robust):
        found = {}
        for origin in ("coordinator", "speculative"):
            name = f"{origin}-{ranks}-{len(robust)}"
            found[origin] = self.train(name, ranks, {**robust, "weight_sync": origin})
        lines, model = found["coordinator"]
        self.assertEqual(found["speculative"][0], lines)  # bit by bit
        self.assertEqual(found["speculative"][1], model)
        weights = [line["group_weight"] for line in lines if "split" not in line]
        self.assertEqual(len(weights), self.STEPS)
        return weights

    def test_a_language_model_trains_the_same_either_way(self):
        self.small_model()
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                weights = self.compare(ranks, {})
                self.assertNotEqual(weights[0], weights[-1])

    def test_so_it_does_with_weights_of_the_step_before_and_a_step_size_that_shrinks(self):
        self.small_model()
        robust = {"update": "after_gradient", "step_factor": 0.5, "estimator": "batch_mean"}
        shrinking = self.compare(2, robust)
        constant, _ = self.train("constant", 2, {**robust, "step_factor": 1})
        self.assertNotEqual(shrinking[-1], [line["group_weight"] for line in constant if "split" not in line][-1])

    # Most steps are not logged: nobody asks for alpha but the next step.
    def test_so_it_does_where_only_some_steps_are_logged(self):
        self.small_model()
        robust = {"update": "after_gradient"}
        found = {origin: self.train(f"some-{origin}", 2, {**robust, "weight_sync": origin}, logging={"every_steps": 5})
                 for origin in ("coordinator", "speculative")}
        self.assertEqual(found["coordinator"], found["speculative"])
        every, model = self.train("every", 2, robust)
        self.assertEqual(found["coordinator"][1], model)
        lines = {line["step"]: line for line in every if "split" not in line}
        some = [line for line in found["coordinator"][0] if "split" not in line]
        self.assertEqual([line["step"] for line in some], [5, 10])
        for line in some:
            self.assertEqual(line["group_weight"], lines[line["step"]]["group_weight"])
            self.assertEqual(line["group_loss"], lines[line["step"]]["group_loss"])

    def test_the_coordinator_has_every_step_on_record(self):
        self.small_model()
        job = self.write_job("kept", robust={"mode": "group_robust", "step_size": 0.5, "weight_sync": "speculative"})
        with programs.Coordinator(self.folder / "state") as coordinator:
            at = ("--coordinator", coordinator.address)
            job_id = self.succeed("equipoise", "submit", job, "--np", 2, *at).split()[-1]
            self.succeed("equipoise", "jobs", "watch", job_id, *at)
            kept = json.loads(self.succeed("equipoise", "jobs", "weights", job_id, "--json", *at))
        lines = [line for line in programs.read_lines(self.folder / "kept/metrics.jsonl") if "split" not in line]
        self.assertEqual(len(lines), 8)
        self.assertEqual([record["alpha"] for record in kept["records"]],
                         [[line["group_weight"][name] for name in kept["group_names"]] for line in lines])


if __name__ == "__main__":
    unittest.main()

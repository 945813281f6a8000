"""The same job on 1, 2 and 4 ranks gives the same group weights and the same model."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import numpy  # noqa: E402
import safetensors.numpy  # noqa: E402


class WorldSize(programs.ProgramTest):
    STEPS = 50

    def train(self, dtype, ranks):
        name = f"{dtype}-{ranks}"
        # 18 pairs do not divide by 4, so that ranks have parts of different sizes.
        job = self.write_job(
            name, model={"path": "model", "dtype": dtype},
            training={"max_steps": self.STEPS, "global_batch_size": 18, "seed": 3, "micro_batch_tokens": 600},
            optimizer={"learning_rate": 1e-4, "schedule": {"warmup_steps": 5}})
        self.succeed("equipoise", "train", job, "--np", ranks, "--quiet")
        lines = [line for line in programs.read_lines(self.folder / name / "metrics.jsonl") if "split" not in line]
        self.assertEqual([line["step"] for line in lines], list(range(1, self.STEPS + 1)))
        weights = numpy.array([list(line["group_weight"].values()) for line in lines])
        tensors = safetensors.numpy.load_file(self.folder / name / "final/model.safetensors")
        return weights, tensors

    def agree(self, dtype, weight_tolerance, parameter_tolerance):
        self.small_model()
        start = safetensors.numpy.load_file(self.folder / "model/model.safetensors")
        weights, tensors = self.train(dtype, 1)
        # The runs must be about something: the weights leave uniform and the parameters move.
        self.assertGreater(numpy.ptp(weights[-1]), 1e-3)
        self.assertGreater(max(numpy.abs(tensors[name] - start[name]).max() for name in start), 1e-3)
        for ranks in (2, 4):
            other_weights, other_tensors = self.train(dtype, ranks)
            worst_weight = numpy.abs(other_weights - weights).max()
            worst_parameter = max(numpy.abs(other_tensors[name] - tensors[name]).max() for name in tensors)
            print(f"{dtype}, {ranks} ranks against 1: alpha {worst_weight:.2e}, parameters {worst_parameter:.2e}")
            self.assertLess(worst_weight, weight_tolerance)
            self.assertLess(worst_parameter, parameter_tolerance)

    def test_agrees_in_float64(self):
        self.agree("float64", 1e-9, 1e-8)

    def test_agrees_in_float32(self):
        self.agree("float32", 1e-5, 1e-4)


if __name__ == "__main__":
    unittest.main()

"""TensorBoard's event files of a run (logging.tensorboard), read with TensorBoard itself: the numbers of metrics.jsonl,
also after a run has gone back to a checkpoint."""

import math
import os
import pathlib
import signal
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import python_client  # noqa: E402

sys.path.append(str(programs.DEPS / "python-tensorboard"))
equipoise = python_client.load()
from equipoise.metrics import tagged_numbers  # noqa: E402
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402


def as_float32(number):
    return struct.unpack("f", struct.pack("f", number))[0]


class Tensorboard(programs.ProgramTest):
    SECTIONS = {"logging": {"tensorboard": True}, "checkpoint": {"every_steps": 5}, "evaluation": {"every_steps": 10}}

    def setUp(self):
        super().setUp()
        self.small_model()

    def check_same(self, output):
        """By tag and step: what TensorBoard reads, and metrics.jsonl."""
        expected = {}
        for line in equipoise.read_lines(output):
            for tag, number in tagged_numbers(line).items():
                expected.setdefault(tag, {})[line["step"]] = as_float32(number)
        events = EventAccumulator(str(output / "tensorboard"), size_guidance={"scalars": 0})
        events.Reload()
        found = {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in events.Tags()["scalars"]}
        self.assertIn("train/loss", found)
        self.assertIn("eval/worst_group_loss", found)
        self.assertEqual(set(found), set(expected))
        for tag, of_steps in expected.items():
            self.assertEqual([step for step in found[tag]], sorted(of_steps), tag)
            for step, number in of_steps.items():
                value = found[tag][step]
                self.assertTrue(value == number or (math.isnan(value) and math.isnan(number)), (tag, step))

    def test_a_run_is_what_metrics_jsonl_says(self):
        job = self.write_job("plain", **self.SECTIONS)
        self.succeed("equipoise", "train", job, "--np", "2")
        self.check_same(self.folder / "plain")
        self.refused("equipoise", "train", job)
        self.succeed("equipoise", "train", job, "--overwrite")
        self.assertEqual(len([*(self.folder / "plain/tensorboard").iterdir()]), 1)
        self.check_same(self.folder / "plain")

    def test_a_run_that_starts_again_takes_back_its_later_steps(self):
        with programs.Coordinator(self.folder / "state") as coordinator, \
                equipoise.Client(coordinator.address) as client:
            training = {"max_steps": 150, "global_batch_size": 16, "seed": 1}
            job = client.submit(self.write_job("killed", training=training, **{
                **self.SECTIONS, "checkpoint": {"every_steps": 40}}), workers=2)
            next(now for now in client.watch(job.id) if now.step > 60)
            os.kill(client.ranks(job.id)[1].pid, signal.SIGKILL)
            self.assertEqual(client.wait(job.id, timeout=200).generation, 2)
        self.assertEqual(len([*(self.folder / "killed/tensorboard").iterdir()]), 2)
        self.check_same(self.folder / "killed")

    def test_one_that_begins_with_a_checkpoint_has_the_lines_before(self):
        self.succeed("equipoise", "train", self.write_job("first", **{**self.SECTIONS, "logging": {}}), "--np", "2")
        self.assertFalse((self.folder / "first/tensorboard").exists())
        job = self.write_job("second", **self.SECTIONS)
        self.succeed("equipoise", "train", job, "--resume", self.folder / "first/checkpoints/step-5", "--np", "2")
        self.check_same(self.folder / "second")


if __name__ == "__main__":
    unittest.main()

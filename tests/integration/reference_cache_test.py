"""Reference log-probs: computed once, read afterwards, and never those of another reference."""

import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402


class ReferenceCache(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        self.small_model()
        self.succeed("equipoise", "model", "init", self.folder / "other", "--data", self.folder / "data/train.jsonl",
                     "--hidden-size", "32", "--layers", "2", "--heads", "2", "--head-dim", "16",
                     "--intermediate-size", "64", "--vocab-size", "600", "--seed", "7")
        self.cache = self.folder / "cache"
        before = programs.ENVIRONMENT.get("EQUIPOISE_CACHE")
        programs.ENVIRONMENT["EQUIPOISE_CACHE"] = str(self.cache)
        self.addCleanup(self.set_cache, before)
        self.coordinator = programs.Coordinator(self.folder / "state")
        self.addCleanup(self.coordinator.stop)

    @staticmethod
    def set_cache(value):
        programs.ENVIRONMENT.pop("EQUIPOISE_CACHE", None)
        if value is not None:
            programs.ENVIRONMENT["EQUIPOISE_CACHE"] = value

    def run_job(self, name, ranks=1, **sections):
        """Trains through the coordinator; returns the finished process and what the ranks logged."""
        job = self.write_job(name, **sections)
        result = programs.run("equipoise", "submit", job, "--np", ranks, "--watch", "--coordinator",
                              self.coordinator.address)
        job_id = result.stdout.split()[0]
        log = (self.folder / "state/logs" / job_id / "1/stderr.log").read_text()
        return result, log

    def train(self, name, ranks=1, **sections):
        result, log = self.run_job(name, ranks, **sections)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr + log)
        return log

    def entries(self):
        return sorted((self.cache / "reference").iterdir()) if (self.cache / "reference").exists() else []

    def trained(self, name):
        """What a run computed: its model and every logged number that is no speed."""
        lines = [{key: value for key, value in line.items() if not key.endswith("_per_second")}
                 for line in programs.read_lines(self.folder / name / "metrics.jsonl")]
        return (self.folder / name / "final/model.safetensors").read_bytes(), lines

    def test_training_is_the_same_to_the_bit_with_and_without_it(self):
        model = {"path": "model", "reference": "other"}
        for ranks in (1, 2):
            without = self.train(f"without-{ranks}", ranks, model={**model, "reference_cache": False})
            self.assertNotIn("taken from the cache", without)
            self.assertNotIn("kept in", without)
            for entry in self.entries():
                entry.unlink()
            cold = self.train(f"cold-{ranks}", ranks, model=model)
            self.assertEqual(cold.count("pairs computed in"), 2, cold)  # training and validation data
            self.assertEqual(len(self.entries()), 2)
            warm = self.train(f"warm-{ranks}", ranks, model=model)
            self.assertEqual(warm.count("taken from the cache"), 2, warm)
            self.assertNotIn("pairs computed in", warm)
            self.assertEqual(self.trained(f"cold-{ranks}"), self.trained(f"without-{ranks}"))
            self.assertEqual(self.trained(f"warm-{ranks}"), self.trained(f"without-{ranks}"))

    def test_losses_seeds_step_sizes_and_ranks_share_it(self):
        self.train("first")
        others = {
            "loss": {"loss": {"type": "ipo", "beta": 0.2}},
            "seed": {"training": {"max_steps": 8, "global_batch_size": 12, "seed": 2}},
            "step-size": {"robust": {"mode": "group_robust", "step_size": 0.3}},
            "rate": {"optimizer": {"learning_rate": 1e-4}},
        }
        for name, sections in others.items():
            log = self.train(name, ranks=2, **sections)
            self.assertEqual(log.count("taken from the cache"), 2, log)
        self.assertEqual(len(self.entries()), 2)

    def test_another_model_type_or_tokenisation_has_entries_of_its_own(self):
        self.train("first")
        data = {"train": "data/train.jsonl", "validation": "data/validation.jsonl"}
        others = {
            "reference": {"model": {"path": "model", "reference": "other"}},
            "dtype": {"model": {"path": "model", "dtype": "float64"}},
            "tokens": {"data": {**data, "tokenization": "authors"}},
        }
        known = set(self.entries())
        for name, sections in others.items():
            log = self.train(name, **sections)
            self.assertNotIn("taken from the cache", log, name)
            self.assertEqual(len(set(self.entries()) - known), 2, name)
            known = set(self.entries())

    def test_a_damaged_entry_is_computed_again(self):
        self.train("first")
        expected = {entry: entry.read_bytes() for entry in self.entries()}
        for entry, content in expected.items():
            entry.write_bytes(content[:60] + bytes([content[60] ^ 1]) + content[61:])
        log = self.train("second", ranks=2)
        self.assertEqual(log.count("its checksum does not match; computed again"), 2, log)
        self.assertEqual({entry: entry.read_bytes() for entry in self.entries()}, expected)
        self.assertEqual(self.trained("second")[1][0]["group_loss"], self.trained("first")[1][0]["group_loss"])

    def forge(self):
        """Entries with the log-probs of another model and checksums that match."""
        for entry in self.entries():
            body = bytearray(entry.read_bytes()[:-32])
            numbers = struct.unpack(f"<{(len(body) - 48) // 8}d", body[48:])
            body[48:] = struct.pack(f"<{len(numbers)}d", *(number - 0.5 for number in numbers))
            entry.write_bytes(bytes(body) + hashlib.sha256(body).digest())

    def test_a_reference_that_is_not_the_start_is_refused(self):
        self.train("first")
        self.forge()
        result, log = self.run_job("forged", ranks=2)
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        for part in ("model.reference is absent", "by the policy and", str(self.cache)):
            self.assertIn(part, result.stderr)
        # Nothing of a run: at most the logs of its failure, and the lock of a rank that mpirun ended.
        left = {path.name for path in (self.folder / "forged").glob("*")}
        self.assertLessEqual(left, {"failure", ".equipoise-lock"}, log)
        # As the message says: without the cache it runs.
        self.train("again", model={"path": "model", "reference_cache": False})

    def test_a_named_reference_may_differ_and_the_log_says_by_how_much(self):
        log = self.train("named", ranks=2, model={"path": "model", "reference": "other"})
        self.assertRegex(log, r"policy and reference differ on \d+ pairs of the training data: .* [0-9.e-]+ at most")
        same = self.train("same", model={"path": "model", "reference": "model"})
        self.assertRegex(same, r"the reference is the policy at the start on \d+ pairs of the training data")

    def test_a_cache_that_cannot_be_written_is_no_failure(self):
        self.cache.write_text("not a folder")
        log = self.train("run", ranks=2)
        self.assertEqual(log.count("cannot be kept for the next run"), 2, log)

    def test_jobs_that_start_together_leave_whole_entries(self):
        jobs = [self.write_job(f"together-{i}", training={"max_steps": 1, "global_batch_size": 16, "seed": i})
                for i in range(2)]
        processes = [subprocess.Popen([str(programs.BIN / "equipoise"), "train", str(job), "--quiet"],
                                      env=programs.ENVIRONMENT, stdin=subprocess.DEVNULL) for job in jobs]
        self.assertEqual([process.wait(timeout=240) for process in processes], [0, 0])
        self.assertEqual(len(self.entries()), 2)
        self.assertEqual([name for name in os.listdir(self.cache / "reference") if name.startswith(".")], [])
        log = self.train("after")
        self.assertEqual(log.count("taken from the cache"), 2, log)
        self.assertEqual(json.dumps(self.trained("together-0")[1][0]["group_loss"]),
                         json.dumps(self.trained("together-1")[1][0]["group_loss"]))


if __name__ == "__main__":
    unittest.main()

"""TRL itself and `equipoise train` of the converted configuration: the same losses for 20 steps."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()

LM = programs.ROOT / "tests/golden/lm"

CONFIGURATION = """\
model_name_or_path: FOLDER/model
datasets: [{path: json, data_files: FOLDER/train.jsonl}]
output_dir: FOLDER/OUTPUT
max_steps: 20
per_device_train_batch_size: 8
learning_rate: 1.0e-3
warmup_steps: 0.25
weight_decay: 0.01
bf16: false
use_cpu: true
gradient_checkpointing: false
logging_steps: 1
save_strategy: steps
save_steps: 20
report_to: none
train_sampling_strategy: sequential
attn_implementation: eager
"""


class Trl(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        shutil.copytree(LM / "models/gemma/policy", self.folder / "model")
        pairs = programs.read_lines(LM / "data/train.jsonl")
        with open(self.folder / "train.jsonl", "w") as file:
            for pair in pairs:
                file.write(json.dumps({key: pair[key] for key in ("prompt", "chosen", "rejected")}) + "\n")

    def configuration(self, output, more):
        path = self.folder / f"{output}.yaml"
        path.write_text((CONFIGURATION + more).replace("FOLDER", str(self.folder)).replace("OUTPUT", output))
        return path

    def losses_of_trl(self, more):
        result = subprocess.run(
            [sys.executable, "-m", "trl.scripts.dpo", "--config", str(self.configuration("trl", more))],
            capture_output=True, text=True, timeout=1200, cwd=self.folder,
            env={**os.environ, "HF_HOME": str(self.folder / "hf"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1",
                 "CUDA_VISIBLE_DEVICES": ""})
        self.assertEqual(result.returncode, 0, result.stderr[-4000:])
        state = json.loads((self.folder / "trl/checkpoint-20/trainer_state.json").read_text())
        return [entry for entry in state["log_history"] if "loss" in entry]

    def compare(self, more):
        theirs = self.losses_of_trl(more)
        self.succeed("equipoise", "convert", self.configuration("ours", more), "--output", self.folder / "job.yaml")
        self.succeed("equipoise", "train", self.folder / "job.yaml", "--quiet")
        ours = [line for line in programs.read_lines(self.folder / "ours/metrics.jsonl") if "loss" in line]
        self.assertEqual(len(theirs), 20)
        self.assertEqual([line["step"] for line in ours], [line["step"] for line in theirs])
        difference = max(abs(a["loss"] - b["loss"]) for a, b in zip(ours, theirs))
        print(f"{more.strip() or 'sigmoid'}: losses {theirs[0]['loss']:.4f} to {theirs[-1]['loss']:.4f}, "
              f"largest difference {difference:.1e}")
        self.assertLess(theirs[-1]["loss"], theirs[0]["loss"])
        self.assertLess(difference, 1e-4)

    def test_dpo_has_the_same_losses(self):
        self.compare("")

    def test_hinge_has_the_same_losses(self):
        self.compare("loss_type: hinge\nlr_scheduler_type: cosine\nadam_beta2: 0.95\n")


if __name__ == "__main__":
    unittest.main()

"""`equipoise convert`: configurations of TRL, axolotl and LLaMA-Factory train 20 steps."""

import json
import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

LM = programs.ROOT / "tests/golden/lm"

TRL = """\
model_name_or_path: FOLDER/model
datasets: [{path: json, data_files: FOLDER/train.jsonl}]
output_dir: FOLDER/run
max_steps: 20
per_device_train_batch_size: 4
gradient_accumulation_steps: 1
learning_rate: 1.0e-3
warmup_steps: 5
bf16: false
logging_steps: 1
save_strategy: 'no'
report_to: none
train_sampling_strategy: sequential
"""

AXOLOTL = """\
base_model: FOLDER/model
rl: dpo
datasets: [{path: FOLDER/train.jsonl, ds_type: json}]
output_dir: FOLDER/run
max_steps: 20
micro_batch_size: 4
learning_rate: 0.001
optimizer: adamw_torch
adapter: lora
lora_r: 4
lora_alpha: 8
lora_target_linear: true
sequence_len: 256
wandb_project: none
"""

LLAMA_FACTORY = """\
model_name_or_path: FOLDER/model
stage: dpo
do_train: true
finetuning_type: full
pref_loss: sigmoid
dataset: pairs
template: default
cutoff_len: 256
output_dir: FOLDER/run
max_steps: 20
per_device_train_batch_size: 4
learning_rate: 1.0e-3
logging_steps: 1
"""


class Convert(programs.ProgramTest):

    def converted(self, text, *options):
        shutil.copytree(LM / "models/gemma/policy", self.folder / "model")
        pairs = programs.read_lines(LM / "data/train.jsonl")
        with open(self.folder / "train.jsonl", "w") as file:
            for pair in pairs:
                file.write(json.dumps({key: pair[key] for key in ("prompt", "chosen", "rejected")}) + "\n")
        (self.folder / "given.yaml").write_text(text.replace("FOLDER", str(self.folder)))
        self.succeed("equipoise", "convert", self.folder / "given.yaml", "--output", self.folder / "job.yaml", *options)
        return self.folder / "job.yaml"

    def train(self, job):
        self.succeed("equipoise", "train", job, "--quiet")
        lines = programs.read_lines(self.folder / "run/metrics.jsonl")
        steps = [line for line in lines if "loss" in line]
        self.assertEqual(steps[-1]["step"], 20)
        self.assertLess(steps[-1]["loss"], 0.69)

    def test_trains_a_configuration_of_trl(self):
        self.train(self.converted(TRL))

    def test_trains_a_configuration_of_axolotl(self):
        self.train(self.converted(AXOLOTL))
        self.assertTrue((self.folder / "run/final/adapter_config.json").exists())

    def test_trains_a_configuration_of_llama_factory(self):
        self.train(self.converted(LLAMA_FACTORY, "--train", self.folder / "train.jsonl"))


if __name__ == "__main__":
    unittest.main()

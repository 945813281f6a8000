"""Every supported family: tiny random checkpoints made by transformers give the same logits here, in the key layouts
of transformers 4 and 5, and what is written here loads in transformers with the same logits."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import safetensors.torch  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from tiny_models import CASES, GOLDEN, make_model  # noqa: E402

TEXTS = ["Opinion of people in a town on: is 7 more than 3? Please select the best response.", "Ünïcode 🙂"]

def theirs(folder, ids):
    """Logits by transformers in float32, and whether each tensor of the files found its place."""
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    with torch.no_grad():
        logits = [model(one.unsqueeze(0)).logits[0] for one in ids]
    return logits, [key for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for key in info[kind]]


def as_transformers_4(config):
    """The same settings under the keys of transformers 4."""
    new = ("dtype", "rope_parameters", "layer_types", "_sliding_window_pattern")
    old = {key: value for key, value in config.items() if key not in new}
    old["torch_dtype"] = config["dtype"]
    rope = config["rope_parameters"]
    if config["model_type"] == "gemma3_text":
        old["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        old["sliding_window_pattern"] = 2
        rope = rope["full_attention"]
    scaling = {key: value for key, value in rope.items() if key not in ("rope_theta", "partial_rotary_factor")}
    old["rope_theta"] = rope["rope_theta"]
    old["rope_scaling"] = scaling if scaling["rope_type"] != "default" else None
    if "partial_rotary_factor" in rope:
        old["partial_rotary_factor"] = rope["partial_rotary_factor"]
    return old


class Families(programs.ProgramTest):

    def ours(self, model, *copy):
        (self.folder / "texts.json").write_text(json.dumps(TEXTS))
        self.succeed("equipoise_print_logits", model, self.folder / "texts.json", self.folder / "logits", *copy)
        tensors = safetensors.torch.load_file(self.folder / "logits")
        return [[tensors[f"{name}_{i}"] for i in range(len(TEXTS))] for name in ("ids", "logits")]

    def assert_close(self, ours, expected, what):
        difference = max((a - b).abs().max().item() for a, b in zip(ours, expected))
        print(f"{what}: largest logit {max(b.abs().max().item() for b in expected):.2f}, difference {difference:.1e}")
        self.assertLess(difference, 1e-4, what)

    def check(self, name):
        model = self.folder / name
        make_model(model, *CASES[name][:2], **CASES[name][2])
        ids, ours = self.ours(model, self.folder / "copy")
        expected, misplaced = theirs(model, ids)
        self.assertEqual(misplaced, [])
        self.assertGreater(ids[0].numel(), 8, "no longer than the windows")
        self.assert_close(ours, expected, name)

        again, misplaced = theirs(self.folder / "copy", ids)
        self.assertEqual(misplaced, [])
        self.assert_close(ours, again, f"{name}, written here")
        for file in ("tokenizer.json", "tokenizer_config.json"):
            self.assertEqual((model / file).read_bytes(), (self.folder / "copy" / file).read_bytes())

        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps(as_transformers_4(config)))
        _, from_old_keys = self.ours(model)
        for new, old in zip(ours, from_old_keys):
            self.assertTrue(torch.equal(new, old), f"{name}: the two key layouts mean different models")

    def job(self, model):
        return self.write_job("run", model={"path": str(model)}, training={"max_steps": 2, "global_batch_size": 8},
                              data={"train": str(GOLDEN / "data/train.jsonl")})

    def test_a_trained_model_of_another_family_loads_in_transformers(self):
        make_model(self.folder / "model", *CASES["phi3"][:2])
        self.succeed("equipoise", "train", self.job(self.folder / "model"), "--np", "2", "--quiet")
        final = self.folder / "run/final"
        ids, ours = self.ours(final)
        expected, misplaced = theirs(final, ids)
        self.assertEqual(misplaced, [])
        self.assert_close(ours, expected, "phi3, trained here")
        before = safetensors.torch.load_file(self.folder / "model/model.safetensors")
        after = safetensors.torch.load_file(final / "model.safetensors")
        self.assertEqual(before.keys(), after.keys())
        for name, tensor in before.items():
            self.assertFalse(torch.equal(tensor, after[name]), f"{name} has not been trained")

    def test_another_architecture_is_refused_with_the_supported_ones(self):
        make_model(self.folder / "model", "qwen3", {})
        self.change_config(model_type="mamba2")
        message = self.refused("equipoise", "train", self.job(self.folder / "model"))
        self.assertIn("model/config.json: field model_type is", message)
        self.assertIn("mamba2", message)
        self.assertIn("gemma, gemma2, gemma3_text, llama, mistral, phi3, qwen2, qwen3", message)
        self.assertFalse((self.folder / "run").exists())

    def test_a_field_that_may_change_the_mathematics_is_refused(self):
        make_model(self.folder / "model", "llama", {})
        self.change_config(attention_multiplier=0.01)
        message = self.refused("equipoise", "train", self.job(self.folder / "model"))
        self.assertIn("model/config.json: field attention_multiplier is", message)
        self.assertFalse((self.folder / "run").exists())

    def change_config(self, **changes):
        path = self.folder / "model/config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


for case in CASES:
    setattr(Families, f"test_{case}_has_the_logits_of_transformers", lambda self, case=case: self.check(case))

if __name__ == "__main__":
    unittest.main()

"""Every supported family: tiny random checkpoints made by transformers give the same logits here, in the key layouts
of transformers 4 and 5, and what is written here loads in transformers with the same logits."""

import json
import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import safetensors.torch  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

GOLDEN = programs.ROOT / "tests/golden/lm"
TOKENIZER = GOLDEN / "models/llama/policy"
TEXTS = ["Opinion of people in a town on: is 7 more than 3? Please select the best response.", "Ünïcode 🙂"]

COMMON = {
    "vocab_size": 776, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": 764, "eos_token_id": 765,
    "pad_token_id": 766,
}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 5000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
LONGROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0, 1.05, 1.2, 1.5],
            "long_factor": [2.0, 3.0, 4.0, 5.0]}

# Windows are shorter than the first text, heads need not add up to the hidden size of 48.
CASES = {
    "gemma": ("gemma", {"head_dim": 16, "num_key_value_heads": 1}, {}),
    "gemma2": ("gemma2", {"head_dim": 16, "sliding_window": 6, "query_pre_attn_scalar": 24,
                          "attn_logit_softcapping": 4.0, "final_logit_softcapping": 3.0}, {}),
    "gemma3_text": ("gemma3_text", {
        "head_dim": 16, "sliding_window": 5, "query_pre_attn_scalar": 24,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6},
                            "sliding_attention": {"rope_type": "default", "rope_theta": 500.0}}}, {}),
    "llama_llama3_sharded": ("llama", {"head_dim": 16, "attention_bias": True, "mlp_bias": True,
                                       "rope_parameters": LLAMA3}, {"max_shard_size": "40KB"}),
    "llama_linear_float16": ("llama", {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 3e3}},
                             {"dtype": torch.float16}),
    "llama_dynamic": ("llama", {"num_key_value_heads": 4, "hidden_act": "gelu",
                                "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}, {}),
    "mistral": ("mistral", {"head_dim": 16, "sliding_window": 7}, {}),
    "qwen2_bfloat16": ("qwen2", {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1,
                                 "tie_word_embeddings": True}, {"dtype": torch.bfloat16}),
    "qwen3": ("qwen3", {"head_dim": 16, "tie_word_embeddings": True}, {}),
    "phi3": ("phi3", {"sliding_window": 8}, {}),
    "phi3_longrope": ("phi3", {"hidden_size": 64, "original_max_position_embeddings": 100,
                               "rope_parameters": {**LONGROPE, "partial_rotary_factor": 0.5}}, {"max_shard_size": "90KB"}),
}


def make_model(folder, model_type, settings, dtype=torch.float32, **save):
    """A checkpoint whose every tensor matters: norms and biases are random too."""
    torch.manual_seed(3)
    config = transformers.AutoConfig.for_model(model_type, **{**COMMON, **settings})
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    model.to(dtype).save_pretrained(folder, **save)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(TOKENIZER / name, folder)


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

"""What a run leaves behind is a model that transformers loads, with the same logits and the same tokens."""

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


class Transformers(programs.ProgramTest):

    def test_loads_the_trained_model_with_the_same_logits(self):
        self.small_model()
        self.succeed("equipoise", "train", self.write_job("run"), "--np", "2", "--quiet")
        final = self.folder / "run/final"

        pairs = programs.read_lines(self.folder / "data/validation.jsonl")[:4]
        texts = [pair["prompt"] + pair["chosen"] for pair in pairs]
        (self.folder / "texts.json").write_text(json.dumps(texts))
        self.succeed("equipoise_print_logits", final, self.folder / "texts.json", self.folder / "logits.safetensors")
        ours = safetensors.torch.load_file(self.folder / "logits.safetensors")

        tokenizer = transformers.AutoTokenizer.from_pretrained(final)
        model, info = transformers.AutoModelForCausalLM.from_pretrained(
            final, dtype=torch.float32, output_loading_info=True)
        self.assertFalse(info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"], info)
        for i, text in enumerate(texts):
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            self.assertEqual(ids[0].tolist(), ours[f"ids_{i}"].tolist())
            with torch.no_grad():
                theirs = model(ids).logits[0]
            difference = (theirs - ours[f"logits_{i}"]).abs().max().item()
            print(f"text {i}: {ids.numel()} tokens, largest logit {theirs.abs().max():.3f}, difference {difference:.2e}")
            self.assertLess(difference, 1e-4)

    def test_loads_an_untrained_model(self):
        self.small_model()
        tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder / "model")
        text = "Opinion of people in a town on: is 7 more than 3? Ünïcode 🙂"
        self.assertEqual(tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True), text)
        model = transformers.AutoModelForCausalLM.from_pretrained(self.folder / "model")
        self.assertEqual(model.config.model_type, "gemma")


if __name__ == "__main__":
    unittest.main()

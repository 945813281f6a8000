"""LoRA adapters: what PEFT makes of ours and we of PEFT's, training on one, merging it, and what is refused."""

import json
import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import peft  # noqa: E402
import safetensors.torch  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
import tiny_models  # noqa: E402

GOLDEN = programs.ROOT / "tests/golden/lm/models"


class Adapter(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        self.small_model()

    def train(self, name, ranks=1, steps=8, **model):
        job = self.write_job(name, model={"path": "model", **model}, optimizer={"learning_rate": 1e-2},
                             training={"max_steps": steps, "global_batch_size": 18, "micro_batch_tokens": 600, "seed": 3})
        self.succeed("equipoise", "train", job, "--np", ranks, "--quiet")
        return self.folder / name / "final"

    def with_peft(self, adapter, model="model"):
        base = transformers.AutoModelForCausalLM.from_pretrained(self.folder / model, dtype=torch.float32)
        return peft.PeftModel.from_pretrained(base, adapter).eval()

    def peft_adapter(self, name, model="model", **settings):
        """An adapter that PEFT wrote, whose B is not 0 and whose magnitudes are not the norms."""
        base = transformers.AutoModelForCausalLM.from_pretrained(self.folder / model, dtype=torch.float32)
        torch.manual_seed(len(name))
        config = peft.LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **settings)
        adapted = peft.get_peft_model(base, config)
        with torch.no_grad():
            for parameter_name, parameter in adapted.named_parameters():
                if "lora_magnitude_vector" in parameter_name:
                    parameter.mul_(1 + 0.2 * torch.randn_like(parameter))
        adapted.save_pretrained(self.folder / name)
        return self.folder / name

    def texts(self):
        pairs = programs.read_lines(self.folder / "data/validation.jsonl")[:4]
        return [pair["prompt"] + pair["chosen"] for pair in pairs]

    def our_logits(self, model):
        (self.folder / "texts.json").write_text(json.dumps(self.texts()))
        self.succeed("equipoise_print_logits", model, self.folder / "texts.json", self.folder / "logits.safetensors")
        return safetensors.torch.load_file(self.folder / "logits.safetensors")

    def assert_same_logits(self, merged, adapter, model="model"):
        ours, theirs = self.our_logits(merged), self.with_peft(adapter, model)
        for i in range(len(self.texts())):
            with torch.no_grad():
                expected = theirs(ours[f"ids_{i}"][None]).logits[0]
            self.assertLess((expected - ours[f"logits_{i}"]).abs().max().item(), 1e-4)

    def merge(self, adapter, name, model="model"):
        printed = self.succeed("equipoise", "export", "--model", self.folder / model, "--adapter", adapter, "--merge",
                               "--output", self.folder / name)
        self.assertIn("random tokens the logits differ by", printed)
        return self.folder / name

    def log_probs(self, adapter, name):
        """Of the validation data's chosen answers, by equipoise evaluate."""
        self.succeed("equipoise", "evaluate", "--model", self.folder / "model", "--adapter", adapter, "--reference",
                     self.folder / "model", "--data", self.folder / "data/validation.jsonl", "--output",
                     self.folder / name, "--quiet")
        return [line["policy_chosen_logp"] for line in programs.read_lines(self.folder / name)]

    def evaluations(self, name):
        return [line for line in programs.read_lines(self.folder / name / "metrics.jsonl") if line.get("split")]

    def test_peft_loads_what_training_leaves_with_the_same_numbers(self):
        for i, lora in enumerate(({"r": 4, "alpha": 16},
                                  {"r": 3, "rank_stabilized": True, "target_modules": ["q_proj", "down_proj"]},
                                  {"target_pattern": ".*layers\\.1\\.mlp\\..*", "init": "gaussian"},
                                  {"r": 4, "alpha": 16, "use_dora": True, "dropout": 0.1})):
            final = self.train(f"run{i}", ranks=2, lora=lora)
            self.assertEqual(json.loads((final / "adapter_config.json").read_text())["base_model_name_or_path"],
                             str(self.folder / "model"))
            tensors = safetensors.torch.load_file(final / "adapter_model.safetensors")
            self.assertGreater(max(t.abs().max().item() for name, t in tensors.items() if "lora_B" in name), 1e-2)
            self.assert_same_logits(self.merge(final, f"merged{i}"), final)
            merged = self.succeed("equipoise", "evaluate", "--model", self.folder / f"merged{i}", "--data",
                                  self.folder / "data/validation.jsonl", "--output", self.folder / "m.jsonl")
            self.assertTrue(merged)
            of_merged = [line["policy_chosen_logp"] for line in programs.read_lines(self.folder / "m.jsonl")]
            for ours, theirs in zip(self.log_probs(final, "a.jsonl"), of_merged):
                self.assertAlmostEqual(ours, theirs, delta=1e-5 * max(1, abs(theirs)))

    def test_goes_on_with_an_adapter_of_peft_from_where_it_is(self):
        for name, settings in (("lora", {"use_rslora": True, "lora_dropout": 0.1}), ("dora", {"use_dora": True})):
            start = self.peft_adapter(name, r=4, lora_alpha=6, target_modules=["v_proj", "up_proj"], **settings)
            self.assert_same_logits(self.merge(start, f"{name}-merged"), start)
            final = self.train(f"{name}-run", adapter=name, lora={"dropout": 0.2})
            before, after = (safetensors.torch.load_file(folder / "adapter_model.safetensors")
                             for folder in (start, final))
            self.assertEqual(before.keys(), after.keys())
            for kind in ("lora_A", "lora_B", "lora_magnitude_vector"):
                changes = [(before[n] - after[n]).abs().max().item() for n in before if kind in n]
                self.assertEqual(len(changes), 0 if kind == "lora_magnitude_vector" and name == "lora" else 4)
                self.assertTrue(all(change > 1e-3 for change in changes), (name, kind, changes))
            self.assertEqual(json.loads((final / "adapter_config.json").read_text())["lora_dropout"], 0.2)
            self.assert_same_logits(self.merge(final, f"{name}-merged-after"), final)

    def test_look_around_and_saved_embeddings_of_peft(self):
        pattern = r"^(?!.*layers\.0).*\.(q|up)_proj$"
        start = self.peft_adapter("around", r=2, target_modules=pattern)
        final = self.train("around-run", adapter="around")
        names = safetensors.torch.load_file(start / "adapter_model.safetensors").keys()
        self.assertEqual(names, safetensors.torch.load_file(final / "adapter_model.safetensors").keys())
        self.assertFalse([name for name in names if "layers.0." in name])
        self.assert_same_logits(self.merge(final, "around-merged"), final)
        own = self.train("own", lora={"r": 2, "target_pattern": pattern})
        self.assertEqual(names, safetensors.torch.load_file(own / "adapter_model.safetensors").keys())
        self.assert_same_logits(self.merge(own, "own-merged"), own)
        # Copies of embedding and head beside the adapter.
        saved = self.peft_adapter("saved", r=2, target_modules=["q_proj"])
        weights = safetensors.torch.load_file(saved / "adapter_model.safetensors")
        embedding = safetensors.torch.load_file(self.folder / "model/model.safetensors")["model.embed_tokens.weight"]
        name = "base_model.model.model.embed_tokens.weight"
        safetensors.torch.save_file({**weights, name: embedding}, saved / "adapter_model.safetensors")
        self.assert_same_logits(self.merge(saved, "saved-merged"), saved)
        self.with_peft(self.train("saved-run", adapter="saved"))
        safetensors.torch.save_file({**weights, name: embedding + 1}, saved / "adapter_model.safetensors")
        refusal = self.refused("equipoise", "export", "--model", self.folder / "model", "--adapter", saved, "--merge",
                               "--output", self.folder / "changed")
        self.assertIn("has a model.embed_tokens.weight of its own that is not the model's", refusal)

    def test_files_of_the_model_travel(self):
        model = self.folder / "model"
        files = {"LICENSE": "terms", "NOTICE.txt": "names", "preprocessor_config.json": "{}", "generation_config.json": "{}",
                 "added_tokens.json": "{}", "chat_template.jinja": "{{ 1 }}", "other.jinja": "{{ 2 }}",
                 "additional_chat_templates/tool_use.jinja": "{{ 3 }}", "additional_chat_templates/rag.jinja": "{{ 4 }}",
                 "custom_generate/generate.py": "pass", "custom_generate/requirements.txt": "numpy", "AUTHORS": "names"}
        left = {"README.md": "card", "pytorch_model.bin": "x", "trainer_state.json": "{}", ".gitattributes": "x"}
        for name, text in {**files, **left}.items():
            (model / name).parent.mkdir(exist_ok=True)
            (model / name).write_text(text)
        adapter = self.train("lora-run", lora={"r": 2})
        for folder in (self.train("whole-run"), adapter, self.merge(adapter, "merged")):
            for name, text in files.items():
                self.assertEqual((folder / name).read_text(), text, (folder, name))
            # A run has a card of its own.
            same = [name for name, text in left.items() if (folder / name).exists() and (
                name != "README.md" or (folder / name).read_text() == text)]
            self.assertEqual(same, [], folder)
        (self.folder / "own.jinja").write_text("{{ 5 }}")
        own = self.train("own-run", lora={"r": 2}, chat_template="own.jinja")
        for folder in (own, self.merge(own, "own-merged")):
            self.assertEqual((folder / "chat_template.jinja").read_text(), "{{ 5 }}")
            self.assertFalse((folder / "additional_chat_templates").exists())
        # Training goes on with the template that the adapter has, not the model's.
        (own / "LICENSE-ADAPTER").write_text("more terms")
        for folder in (self.train("again-run", steps=1, adapter="own-run/final"), self.merge(own, "own-merged-again")):
            self.assertEqual((folder / "chat_template.jinja").read_text(), "{{ 5 }}")
            self.assertFalse((folder / "additional_chat_templates").exists())
            self.assertEqual((folder / "LICENSE-ADAPTER").read_text(), "more terms")

    def test_says_what_a_folder_is_in_place_of_a_model(self):
        adapter, model = self.peft_adapter("adapter", r=2, target_modules=["q_proj"]), self.folder / "model"

        def refused(model, adapter=adapter):
            return self.refused("equipoise", "export", "--model", model, "--adapter", adapter, "--merge", "--output",
                                self.folder / "none")

        def changed(name, change):
            shutil.copytree(model, self.folder / name)
            change(self.folder / name)
            return refused(self.folder / name)

        def replace(file, content):
            def change(folder):
                (folder / file).unlink()
                content(folder / file)
            return change

        def shorten(folder):
            whole = (folder / "model.safetensors").read_bytes()
            (folder / "model.safetensors").write_bytes(whole[:len(whole) // 2])

        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"
        self.assertIn("is a LoRA adapter, not a model: give it as --adapter", refused(adapter))
        self.assertIn("is a model, not an adapter: give it as --model", refused(model, model))
        self.assertIn("model.safetensors is a Git-LFS pointer",
                      changed("a", replace("model.safetensors", lambda file: file.write_text(pointer))))
        self.assertIn("tokenizer.json is a Git-LFS pointer",
                      changed("b", replace("tokenizer.json", lambda file: file.write_text(pointer))))
        self.assertIn("config.json is a link to ../blobs/1, which is not there",
                      changed("c", replace("config.json", lambda file: file.symlink_to("../blobs/1"))))
        self.assertIn("it was cut short, download it again", changed("d", shorten))
        self.assertIn("holds its weights as a pickle (pytorch_model.bin)", changed(
            "e", lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin")))
        self.assertIn("holds a GGUF file (m.gguf)", changed(
            "f", lambda folder: (folder / "model.safetensors").rename(folder / "m.gguf")))
        self.assertIn("but no model.safetensors.index.json", changed(
            "g", lambda folder: (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")))
        index = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})

        def shards(folder):
            (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
            (folder / "model.safetensors.index.json").write_text(index)
        self.assertIn("has no model-00002-of-00002.safetensors, which model.safetensors.index.json names", changed("h", shards))
        self.assertIn("name the folder that the file lies in", refused(model / "model.safetensors"))

    def test_dora_of_a_model_with_biases_is_pefts(self):
        tiny_models.make_model(self.folder / "qwen2", "qwen2", {"tie_word_embeddings": True})
        adapter = self.peft_adapter("adapter", model="qwen2", r=3, use_dora=True, target_modules="all-linear")
        self.assert_same_logits(self.merge(adapter, "merged", model="qwen2"), adapter, model="qwen2")

    def test_dropout_is_the_same_for_any_number_of_ranks_and_not_there_in_evaluation(self):
        runs = [self.train(f"drop{ranks}", ranks, steps=12, dtype="float64", lora={"r": 4, "dropout": 0.3})
                for ranks in (1, 2)]
        one, two = (safetensors.torch.load_file(run / "adapter_model.safetensors") for run in runs)
        self.assertLess(max((one[name] - two[name]).abs().max().item() for name in one), 1e-8)
        without = safetensors.torch.load_file(
            self.train("keep", 1, steps=12, dtype="float64", lora={"r": 4}) / "adapter_model.safetensors")
        self.assertGreater(max((one[name] - without[name]).abs().max().item() for name in one), 1e-3)
        last = self.evaluations("drop1")[-1]["eval_logps/chosen"]
        logps = self.log_probs(runs[0], "pairs.jsonl")
        self.assertAlmostEqual(sum(logps) / len(logps), last, delta=1e-4 * abs(last))

    def test_the_reference_is_the_adapter_at_the_start_unless_one_is_named(self):
        # Two adapters of one model: neither may get the other's log-probs from the cache.
        for name in ("one", "another"):
            self.peft_adapter(name, r=4, target_modules=["q_proj", "up_proj"])
            self.train(f"{name}-run", steps=1, adapter=name)
            self.assertAlmostEqual(self.evaluations(f"{name}-run")[0]["eval_rewards/margins"], 0, delta=1e-5)
        self.train("base-run", steps=1, adapter="one", reference="model")
        self.assertGreater(abs(self.evaluations("base-run")[0]["eval_rewards/margins"]), 1e-4)
        self.train("new-run", steps=1, lora={})
        self.assertAlmostEqual(self.evaluations("new-run")[0]["eval_rewards/margins"], 0, delta=1e-5)

    def test_any_number_of_ranks_trains_the_same_adapter(self):
        one, two = (safetensors.torch.load_file(
            self.train(f"ranks{ranks}", ranks, steps=20, dtype="float64", lora={"r": 4}) / "adapter_model.safetensors")
            for ranks in (1, 2))
        self.assertGreater(max(t.abs().max().item() for name, t in one.items() if "lora_B" in name), 1e-2)
        self.assertLess(max((one[name] - two[name]).abs().max().item() for name in one), 1e-8)

    def test_trains_on_weights_at_four_bits_against_the_same_as_reference(self):
        for name, model in (("plain", {"lora": {"r": 4, "alpha": 16}}),
                            ("dora", {"lora": {"r": 4, "use_dora": True, "dropout": 0.1}, "dtype": "bfloat16"}),
                            ("named", {"lora": {"r": 4}, "reference": "model"})):
            final = self.train(name, 2, steps=30, quantization="nf4", **model)
            first = self.evaluations(name)[0]
            # Policy and reference are one at the start. In bfloat16 sums of 16 bits differ.
            self.assertAlmostEqual(first["eval_rewards/margins"], 0, delta=1e-5 if name != "dora" else 1e-2)
            tensors = safetensors.torch.load_file(final / "adapter_model.safetensors")
            self.assertGreater(max(t.abs().max().item() for key, t in tensors.items() if "lora_B" in key), 1e-2)
            self.with_peft(final)
            self.merge(final, f"{name}-merged")
        # Four bits are not what the file has, but near enough that training goes the same way.
        self.train("whole", 2, steps=30, lora={"r": 4, "alpha": 16})
        logps = [self.evaluations(name)[0]["eval_logps/chosen"] for name in ("plain", "whole")]
        self.assertGreater(abs(logps[0] - logps[1]), 1e-4)
        losses = [[line["loss"] for line in programs.read_lines(self.folder / name / "metrics.jsonl")
                   if not line.get("split")] for name in ("plain", "whole")]
        for ours, whole in zip(*losses):
            self.assertAlmostEqual(ours, whole, delta=0.05)
        job = self.write_job("bad", model={"path": "model", "quantization": "nf4"})
        self.assertIn("model.quantization", self.refused("equipoise", "train", job, "--quiet"))

    def test_trains_in_bfloat16_and_with_recomputed_layers(self):
        job = self.write_job("narrow", model={"path": "model", "dtype": "bfloat16", "lora": {"r": 4}},
                             training={"max_steps": 8, "global_batch_size": 16, "gradient_checkpointing": True})
        self.succeed("equipoise", "train", job, "--np", 2, "--quiet")
        tensors = safetensors.torch.load_file(self.folder / "narrow/final/adapter_model.safetensors")
        self.assertEqual({t.dtype for t in tensors.values()}, {torch.bfloat16})
        self.assertGreater(max(t.abs().max().item() for name, t in tensors.items() if "lora_B" in name), 0)
        self.with_peft(self.folder / "narrow/final")

    def test_an_adapter_that_adds_nothing_merges_to_the_model_itself(self):
        adapter = self.peft_adapter("zero", r=2, target_modules=["q_proj"])
        tensors = safetensors.torch.load_file(adapter / "adapter_model.safetensors")
        safetensors.torch.save_file({name: t * ("lora_A" in name) for name, t in tensors.items()},
                                    adapter / "adapter_model.safetensors")
        merged = safetensors.torch.load_file(self.merge(adapter, "merged") / "model.safetensors")
        model = safetensors.torch.load_file(self.folder / "model/model.safetensors")
        self.assertEqual(merged.keys(), model.keys())
        for name, tensor in model.items():
            self.assertTrue(torch.equal(tensor, merged[name]), name)
        # What `export` shows on a terminal is what its worker says of itself.
        told = self.folder / "activity"
        self.succeed("equipoise-worker", "merge", "--model", self.folder / "model", "--adapter", adapter, "--output",
                     self.folder / "again", "--activity", told)
        self.assertRegex(told.read_text(), r"^\d+ comparing with model and adapter\n$")

    def test_says_in_one_line_what_is_wrong_and_leaves_nothing(self):
        adapter = self.peft_adapter("adapter", r=2, target_modules=["q_proj"])
        shutil.copytree(adapter, self.folder / "dora")
        config = json.loads((adapter / "adapter_config.json").read_text())
        (self.folder / "dora/adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
        shutil.copytree(GOLDEN / "gemma/lora_init", self.folder / "other")

        def train(**model):
            job = self.write_job("bad", model={"path": "model", **model})
            said = self.refused("equipoise", "train", job, "--np", 2, "--quiet")
            self.assertFalse((self.folder / "bad/final").exists())
            return said

        self.assertIn("q_proj.lora_magnitude_vector is missing", train(adapter="dora"))
        self.assertIn("tensor base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight has shape [4, 64], expected",
                      train(adapter="other"))
        self.assertIn("model.adapter", train(adapter="nowhere"))
        self.assertIn("model has both lora and adapter", train(adapter="adapter", lora={}))
        self.assertIn("model.lora.dropout is 1, expected", train(lora={"dropout": 1}))
        self.assertIn("model has both lora and adapter", train(adapter="adapter", lora={"dropout": 0.1, "r": 4}))
        self.assertIn('model.lora.target_modules has "attn"', train(lora={"target_modules": ["attn"]}))
        self.assertIn("model.lora.rank", train(lora={"rank": 4}))

        def export(adapter, output="merged"):
            return self.refused("equipoise", "export", "--model", self.folder / "model", "--adapter",
                                self.folder / adapter, "--merge", "--output", self.folder / output)

        self.assertIn("lora_magnitude_vector is missing", export("dora"))
        self.assertIn("--adapter", export("nowhere"))
        self.assertIn("exists", export("adapter", "model"))
        self.assertIn("--output", export("adapter", "no/folder"))
        self.assertEqual([path.name for path in self.folder.iterdir() if "merged" in path.name], [])
        self.assertIn("--adapter", self.refused(
            "equipoise", "evaluate", "--model", self.folder / "model", "--adapter", self.folder / "nowhere", "--data",
            self.folder / "data/validation.jsonl", "--output", self.folder / "pairs.jsonl"))


if __name__ == "__main__":
    unittest.main()

"""Tiny random checkpoints of every supported family, made by transformers. Import after programs.with_python_deps()."""

import shutil

import torch
import transformers

import programs

GOLDEN = programs.ROOT / "tests/golden/lm"
TOKENIZER = GOLDEN / "models/llama/policy"

COMMON = {
    "vocab_size": 776, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": 764, "eos_token_id": 765,
    "pad_token_id": 766,
}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 5000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
YARN = {"rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0}
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
    "qwen2_yarn": ("qwen2", {"rope_parameters": {**YARN, "original_max_position_embeddings": 32}}, {}),
    "qwen3_yarn": ("qwen3", {"head_dim": 16, "rope_parameters": {
        **YARN, "beta_fast": 8.0, "beta_slow": 0.5, "mscale": 0.7, "mscale_all_dim": 0.3, "truncate": False}}, {}),
    "llama_yarn": ("llama", {"rope_parameters": {**YARN, "attention_factor": 1.3}}, {}),
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


def make_reference(policy, folder, deviation=0.02):
    """A model a little beside `policy`."""
    model = transformers.AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32)
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(deviation * torch.randn_like(parameter))
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(TOKENIZER / name, folder)

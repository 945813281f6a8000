#!/usr/bin/env python3
"""Writes the seeds of the fuzzers' corpus: one small input for each form that a reader takes, and some it must refuse.

    tests/fuzz/make_corpus.py        # into tests/fuzz/corpus/TARGET/seed-NAME

Tables need pyarrow. Inputs that a fuzzer found (crash-…) lie beside them and stay.
"""
import io
import json
import pathlib
import struct

import pyarrow
import pyarrow.parquet

CORPUS = pathlib.Path(__file__).parent / "corpus"


def put(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(content if isinstance(content, bytes) else content.encode())


def safetensors(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def put_safetensors():
    sizes = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for dtype, size in sizes.items():
        header[f"of.{dtype}"] = tensor(dtype, [2, 3], end, end + 6 * size)
        end += 6 * size
    put("safetensors", "all-types", safetensors(header, bytes(range(end % 256)) + bytes(end - end % 256)))
    put("safetensors", "empty", safetensors({}, b""))
    put("safetensors", "scalar", safetensors({"x": tensor("F32", [], 0, 4)}, bytes(4)))
    put("safetensors", "no-elements", safetensors({"x": tensor("F32", [0, 7], 0, 0)}, b""))
    put("safetensors", "hole", safetensors({"x": tensor("F32", [1], 4, 8)}, bytes(8)))
    put("safetensors", "overlap", safetensors({"x": tensor("F32", [1], 0, 4), "y": tensor("F32", [1], 2, 6)}, bytes(6)))
    put("safetensors", "overflow", safetensors({"x": tensor("F32", [2**33, 2**33], 0, 4)}, bytes(4)))
    put("safetensors", "past-the-end", safetensors({"x": tensor("F32", [3], 0, 12)}, bytes(4)))
    put("safetensors", "long-header", struct.pack("<Q", 2**62) + b"{}")


def put_preferences():
    pair = {"prompt": "Which?\n", "chosen": " A", "rejected": " B"}
    lines = {
        "plain": [{**pair, "group": "India"}, pair | {"group": "Japan", "chosen_share": 0.75}],
        "memberships": [{**pair, "group": {"India": 1, "Asia": 0.5}}, {**pair, "group": ["a", "b"]}],
        "levels": [{**pair, "group": "Asia/India"}, {**pair, "group": "Asia/Japan"}],
        "implicit-prompt": [{"chosen": "One two", "rejected": "One three", "group": "é"}],
        "messages": [{
            "prompt": [{"role": "user", "content": "Hi"}],
            "chosen": [{"role": "assistant", "content": "Yes"}],
            "rejected": [{"role": "assistant", "content": "No"}],
            "tools": [{"name": "f", "parameters": {}}],
            "chat_template_kwargs": {"enable_thinking": False},
            "group": "g",
        }],
        "whole-conversations": [{
            "chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}],
            "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "No"}],
        }],
        "only-chosen": [{"prompt": "p", "chosen": "c"}],
        "wrong-share": [{**pair, "chosen_share": 0}],
        "wrong-group": [{**pair, "group": {"a": 2}}],
        "numbers": [{**pair, "group": 7}],
    }
    for name, objects in lines.items():
        put("preferences", name, "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects))
    put("preferences", "byte-order-mark", "\ufeff" + json.dumps(pair) + "\r\n\r\n" + json.dumps(pair))
    put("preferences", "surrogates", '{"prompt": "\\ud83d\\ude00 \\u0000", "chosen": "a", "rejected": "\\ud83d"}\n')
    put("preferences", "bad-utf8", b'{"prompt": "\xff\xfe", "chosen": "a", "rejected": "b"}\n')
    put("preferences", "deep", "[" * 2000 + "]" * 2000)
    put("preferences", "twice", '{"prompt": "a", "prompt": "b", "chosen": "c", "rejected": "d"}\n')


def put_model_configs():
    base = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 128,
            "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "torch_dtype": "float32"}
    gelu = {"hidden_activation": "gelu_pytorch_tanh"}
    families = {
        "gemma": {**gelu, "hidden_act": "gelu_pytorch_tanh"},
        "gemma2": {**gelu, "sliding_window": 16, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
                   "query_pre_attn_scalar": 8},
        "gemma3_text": {**gelu, "sliding_window": 16, "sliding_window_pattern": 2, "rope_local_base_freq": 10000.0,
                        "query_pre_attn_scalar": 8, "rope_scaling": {"rope_type": "linear", "factor": 8.0}},
        "llama": {"hidden_act": "silu", "rope_scaling": {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64}},
        "mistral": {"hidden_act": "silu", "sliding_window": 32},
        "phi3": {"hidden_act": "silu", "pad_token_id": 0, "original_max_position_embeddings": 64, "rope_scaling": {
            "type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}},
        "qwen2": {"hidden_act": "silu", "use_sliding_window": True, "sliding_window": 32, "max_window_layers": 1},
        "qwen3": {"hidden_act": "silu", "attention_bias": False, "rope_parameters": {
            "rope_type": "default", "rope_theta": 10000.0}, "layer_types": ["full_attention"] * 2},
    }
    for family, own in families.items():
        put("model_config", family, json.dumps({"model_type": family, **base, **own}))
    put("model_config", "unsupported", json.dumps({"model_type": "gpt2", **base}))
    put("model_config", "no-type", json.dumps(base))
    put("model_config", "huge", json.dumps({"model_type": "llama", **base, "hidden_size": 2**63, "head_dim": 1e400}))
    put("model_config", "deep", '{"a":' * 1000 + "1" + "}" * 1000)


def put_chat_templates():
    loop = "{% for m in messages %}<|{{ m.role }}|>{{ m['content'] | trim }}{{ eos_token }}{% endfor %}"
    seeds = {
        "loop": loop,
        "generation": loop + "{% if add_generation_prompt %}<|assistant|>{% endif %}",
        "raise": "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + loop,
        "namespace": "{%- set ns = namespace(n=0) -%}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{% endfor %}",
        "macro": "{% macro f(x, y=2) %}{{ x ~ y }}{% endmacro %}{{ f(messages|length) }}",
        "tools": "{% if tools %}{{ tools | tojson(indent=2) }}{% endif %}\0[{\"role\": \"user\", \"content\": \"x\"}]\0[{\"name\": \"f\"}]",
        "variables": "{{ enable_thinking }}\0[]\0[]\0{\"enable_thinking\": false}",
        "date": "{{ strftime_now('%d %b %Y') }}",
        "methods": "{{ 'a,b'.split(',')[-1].upper() }}{{ messages[0].content.startswith('S') }}{{ {'a': 1}.items() | list }}",
        "slices": "{{ messages[1:] | map(attribute='content') | join(',') }}{{ messages[::-1] | length }}",
        "tests": "{{ messages is iterable }}{{ 1.5e3 }}{{ [1, none, true] }}{{ x is defined }}",
        "controls": "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{% break %}{% endfor %}",
        "generation-tags": "{% generation %}a{% endgeneration %}",
        "long-text": "{{ 'a' * 1000000 }}",
        "long-loop": "{% for i in range(100000) %}{{ i }}{% endfor %}",
        "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "fault": "{% for m in messages %}{{ m. }}",
        "python-numbers": "{{ 1e-7|string }}{{ [1e16, -0.0] }}{{ 2 ** 100 }}{{ 7 // -2 }}{{ '%08.3f|%s' % (1.5, [1]) }}",
        "python-texts": "{{ 'a-b'.rpartition('-') }}{{ 'a b'.rsplit(none, 1) }}{{ '{:>{w}}'.format('a', w=4) }}{{ ['é', 'x'] }}",
        "macros": "{% macro f(a, b=a) %}{{ varargs }}{{ kwargs }}{{ caller(a) }}{% endmacro %}{% call(x) f(1, 2, 3, k=4) %}{{ x }}{% endcall %}",
        "filters": "{{ [3, 1]|sort|map('string')|join }}{{ 'a b'|wordwrap(1) }}{{ '<b>'|striptags|e }}{{ {'a': 1}|pprint }}",
        "objects": "{% set j = joiner() %}{% set c = cycler(1, 2) %}{{ j() }}{{ j() }}{{ c.next() }}{% for i in [[1]] recursive %}{{ loop(i) if i is iterable else i }}{% endfor %}",
        "wide": "{{ 'a'.center(999999999) }}",
        "calls": loop + "\0" + json.dumps([{"role": "assistant", "content": None, "tool_calls": [
            {"type": "function", "function": {"name": "f", "arguments": {"x": [1, 2.5, "é"]}}}]}]),
    }
    for name, text in seeds.items():
        put("chat_template", name, text)


def put_tables():
    texts = {"prompt": ["Which?", "Why?"], "chosen": ["A", "é"], "rejected": ["B", ""]}
    message = pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())]))
    says = [{"role": "assistant", "content": "Yes"}], [{"role": "assistant", "content": "No"}]
    tables = {
        "texts": pyarrow.table({**texts, "group": ["India", "Japan"]}),
        "lists": pyarrow.table({**texts, "group": [["a", "b"], ["b"]]}),
        "members": pyarrow.table({**texts, "group": [{"a": 1.0, "b": None}, {"a": None, "b": 0.5}]}),
        "map": pyarrow.table({**texts, "group": pyarrow.array(
            [[("a", 1.0)], [("b", 0.5)]], pyarrow.map_(pyarrow.string(), pyarrow.float64()))}),
        "messages": pyarrow.table({
            "prompt": pyarrow.array([[{"role": "user", "content": "Hi"}]], message),
            "chosen": pyarrow.array([says[0]], message), "rejected": pyarrow.array([says[1]], message)}),
        "dictionary": pyarrow.table({**texts, "group": pyarrow.array(["x", "x"]).dictionary_encode()}),
        "crossed": pyarrow.table({**texts, "a": [1, 2], "b": [True, None]}),
        "other-types": pyarrow.table({**texts, "chosen_share": pyarrow.array([0.5, 1], pyarrow.float32()),
                                      "when": pyarrow.array([1, 2], pyarrow.timestamp("us"))}),
        "no-rejected": pyarrow.table({"prompt": ["p"], "chosen": ["c"]}),
        "no-rows": pyarrow.table({"prompt": pyarrow.array([], pyarrow.string()),
                                  "chosen": pyarrow.array([], pyarrow.string()),
                                  "rejected": pyarrow.array([], pyarrow.string())}),
    }
    for name, table in tables.items():
        stream = io.BytesIO()
        with pyarrow.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
        put("tables", f"arrow-{name}", stream.getvalue())
    for name in ("texts", "messages", "members"):
        for compression in ("none", "snappy", "zstd", "gzip"):
            stream = io.BytesIO()
            pyarrow.parquet.write_table(tables[name], stream, compression=compression, store_schema=False)
            put("tables", f"parquet-{name}-{compression}", stream.getvalue())
    stream = io.BytesIO()
    pyarrow.parquet.write_table(tables["texts"], stream, data_page_version="2.0", use_dictionary=False, row_group_size=1)
    put("tables", "parquet-pages-2", stream.getvalue())


put_tables()
put_safetensors()
put_preferences()
put_model_configs()
put_chat_templates()

#!/usr/bin/env python3
"""Writes the seeds of the fuzzers' corpus: one small input for each form that a reader takes, and some it must refuse.

    tests/fuzz/make_corpus.py        # into tests/fuzz/corpus/TARGET/seed-NAME

Tables need pyarrow. Inputs that a fuzzer found (crash-…) lie beside them and stay.
"""
import gzip
import hashlib
import hmac
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


def put_http_requests():
    host = "Host: localhost\r\n"
    requests = {
        "get": f"GET /v1/jobs?pageSize=5&filter=state%20%3D%20RUNNING HTTP/1.1\r\n{host}\r\n",
        "old": "GET /metrics HTTP/1.0\r\n\r\n",
        "post": f"POST /v1/jobs/a-00000000:pause HTTP/1.1\r\n{host}Content-Type: application/json\r\nX-Equipoise: 1\r\n"
                "Content-Length: 2\r\n\r\n{}",
        "three": f"\r\nGET / HTTP/1.1\r\n{host}\r\n" * 3,
        "other-site": f"GET /v1/jobs HTTP/1.1\r\n{host}Origin: http://a\r\nSec-Fetch-Site: cross-site\r\n\r\n",
        "address": "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "two-lengths": f"POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "chunked": f"POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "folded": f"GET / HTTP/1.1\r\n{host}A: b\r\n c\r\n\r\n",
        "blank-name": f"GET / HTTP/1.1\r\n{host}A : b\r\n\r\n",
        "bad-escape": f"GET /?a=%f HTTP/1.1\r\n{host}\r\n",
        "no-host": "GET / HTTP/1.1\r\n\r\n",
        "tls": "\x16\x03\x01\x02\x00\x01",
        "many-fields": f"GET / HTTP/1.1\r\n{host}" + "A: b\r\n" * 70 + "\r\n",
    }
    for name, text in requests.items():
        put("http_request", name, text)


def put_preferences():
    pair = {"prompt": "Which?\n", "chosen": " A", "rejected": " B"}
    lines = {
        "plain": [{**pair, "group": "India"}, pair | {"group": "Japan"}],
        "numbers-of-pairs": [{**pair, "chosen_share": 0.75, "weight": 2, "ref_chosen_logps": -1.5, "ref_rejected_logps": -3,
                              "margin": 1}, {**pair, "chosen_share": 1, "weight": 1e-9, "ref_chosen_logps": 0,
                                             "ref_rejected_logps": -1e300}],
        "gap": [{**pair, "group": "India"}, pair],
        "misspelt": [{**pair, "Group": "India"}],
        "one-message": [{"prompt": "p", "chosen": {"role": "assistant", "content": "c"}, "rejected": "r"}],
        "half-of-the-numbers": [{**pair, "ref_chosen_logps": -1}],
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
        "numbers": [{**pair, "group": 7}, {**pair, "group": True}, {**pair, "group": [-1, "a"]}],
    }
    for name, objects in lines.items():
        put("preferences", name, "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects))
    text = "".join(json.dumps({**pair, "group": "é"}) + "\n" for _ in range(3)).encode()
    put("preferences", "gzip", gzip.compress(text, mtime=0))
    zstd = pyarrow.compress(text, codec="zstd", asbytes=True)
    put("preferences", "zstd", zstd)
    put("preferences", "zstd-bomb", b"\x28\xb5\x2f\xfd\x00\x58" + (128 << 13 | 2).to_bytes(3, "little") + b"\n")
    put("preferences", "utf-16", text.decode().encode("utf-16"))
    put("preferences", "nan", '{"prompt": "p", "chosen": "c", "rejected": "r", "weight": NaN}\n')
    put("preferences", "list", '[{"prompt": "p",\n"chosen": "c"}]')
    put("preferences", "csv", "prompt,chosen,rejected\np,c,r\n")
    put("preferences", "python", "{'prompt': None}\n")
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
        "labels": pyarrow.table({**texts, "group": [1, 0]}).replace_schema_metadata({"huggingface": json.dumps(
            {"info": {"features": {"group": {"names": ["x", "é"], "_type": "ClassLabel"}}}})}),
        "labels-too-few": pyarrow.table({**texts, "group": [1, 0]}).replace_schema_metadata({"huggingface": json.dumps(
            {"info": {"features": {"group": {"names": ["x"], "_type": "ClassLabel"}}}})}),
        "gap": pyarrow.table({**texts, "group": ["x", None]}),
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


# --- messages, by hand: https://protobuf.dev/programming-guides/encoding

def varint(number):
    number %= 1 << 64  # negative numbers have ten bytes
    text = b""
    while number >= 0x80:
        text += bytes([number & 0x7F | 0x80])
        number >>= 7
    return text + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    text = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(text)) + text


def message(*fields):
    """Of (number, value); a value is a number, a text, bytes or another message."""
    return b"".join(field(number, value) for number, value in fields)


def doubles(*numbers):
    return struct.pack(f"<{len(numbers)}d", *numbers)


def put_jobs():
    smallest = [(1, "a"), (2, message((1, "/m"))), (3, message((1, "/t.jsonl"))), (7, message((1, 1.0))), (11, "/o")]
    put("job_message", "smallest", message(*smallest))
    put("job_message", "no-output", message(*smallest[:-1]))
    put("job_message", "unknown-loss", message(*smallest, (4, message((1, 99)))))
    put("job_message", "negative-workers", message(*smallest, (10, message((2, -1)))))
    put("job_message", "not-finite", message(*smallest, (5, message((2, float("nan"))))))
    put("job_message", "not-utf-8", message((1, b"\xff")))
    put("job_message", "unknown-field", message(*smallest, (900, "x")))
    job = {"name": "a", "model": {"path": "/m"}, "data": {"train": "/t.jsonl"}, "training": {"epochs": 1}, "output": "/o"}
    log_linear = {"features": "same", "actions": 2, "reward": [[1, 2], [2, 1]]}
    put("job_text", "smallest", json.dumps(job))
    put("job_text", "blocks", "name: a\nmodel:\n  path: /m\ndata:\n  train: /t.jsonl\ntraining:\n  epochs: 1\noutput: /o\n")
    put("job_text", "log-linear", json.dumps({
        "name": "a", "policy": {"log_linear": log_linear}, "data": {"train": "/t.jsonl"},
        "loss": {"type": "dpo", "beta": 1}, "robust": {"mode": "group_robust", "step_size": 0.9},
        "optimizer": {"learning_rate": 0.5}, "training": {"max_steps": 3, "full_batch": True}, "output": "/o"}))
    put("job_text", "unknown-key", json.dumps({**job, "models": {}}))
    put("job_text", "twice", "name: a\nname: b\n")
    put("job_text", "another-type", json.dumps({**job, "training": {"max_steps": "many"}}))
    put("job_text", "aliases", "name: &a [x, x]\nmodel: [*a, *a]\n")
    put("job_text", "deep", "[" * 2000)
    put("job_text", "control", "name: \"\\u001b[2J\"\n")


def put_page_tokens():
    def token(listed, position):
        signature = hmac.new(b"k" * 32, listed + b"\0" + position, hashlib.sha256).hexdigest()[:32]
        return position + b"-" + signature.encode()

    put("page_token", "none", b"")
    put("page_token", "made", token(b"jobs", b"1f"))
    put("page_token", "of-another-list", token(b"weights a", b"1f"))
    put("page_token", "moved", b"2" + token(b"jobs", b"1f")[1:])
    put("page_token", "too-large", token(b"jobs", b"f" * 40))
    put("page_token", "no-signature", b"1f")


def put_manifests():
    manifest = {
        "format": 1, "program": "equipoise-worker 1", "job_id": "a-12345678", "generation": 1, "step": 3,
        "time": "2026-01-31T12:00:00Z", "job": "name: a\n",
        "plan": {"seed": 1, "shuffle": True, "num_pairs": 6, "global_batch_size": 4, "world_size": 1, "stratified": False,
                 "mixed": False, "end_step": 10},
        "dataset_sha256": "ab" * 32,
        "weights": {"log_alpha": [-0.5, -1], "group_loss": ["NaN", 0.25],
                    "step_size": {"step_size": 0.5, "best": "Infinity", "waited": 0}},
        "training": {}, "policy": {}, "metrics": {"bytes": 0, "sha256": "cd" * 32},
        "files": [{"name": "theta.json", "bytes": 7, "sha256": "ef" * 32}]}
    file = manifest["files"][0]
    put("manifest", "whole", json.dumps(manifest))
    put("manifest", "newer", json.dumps({**manifest, "format": 2}))
    put("manifest", "outside", json.dumps({**manifest, "files": [{**file, "name": "../theta.json"}]}))
    put("manifest", "too-large", json.dumps({**manifest, "files": [{**file, "bytes": 2**62}]}))
    put("manifest", "many-ranks", json.dumps({**manifest, "plan": {**manifest["plan"], "world_size": 2**32 + 1}}))
    put("manifest", "negative", json.dumps({**manifest, "step": -1}))
    put("manifest", "no-weights", json.dumps({**manifest, "weights": {}}))
    put("manifest", "deep", "[" * 4000)


def put_ledgers():
    magic = b"equipoise ledger, 1    \n"
    none = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    weights = {"log_alpha": [-0.6931471805599453] * 2, "group_loss": ["NaN", 0.25],
               "step_size": {"step_size": 0.5, "best": "Infinity", "waited": 0}}
    start = {"dataset_sha256": "ab" * 32, "groups": ["north", "south"], "counted": [4, 2], "counted_pairs": 6,
             "population": [4, 2], "population_pairs": 6, "label_floor": [], "first_step": 0, "weights": weights}
    attempt = {"program": "equipoise-worker 1", "job_id": "a-12345678", "generation": 1, "device": "cpu", "threads": 1,
               "ranks": 1, "seed": "1", "shuffle": True, "num_pairs": 6, "global_batch_size": 4, "stratified": False,
               "mixed": False, "first_step": 0, "end_step": 10,
               "job": "name: a\nmodel: {path: /m}\ndata: {train: /t.jsonl}\nrobust: {mode: group_robust}\noutput: /o\n",
               "job_file_sha256": "cd" * 32}

    def record(kind, content):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        return kind.encode() + varint(len(content)) + content

    def step(number, groups=(0, 1), skipped=b"\0"):
        sums, before = varint(len(groups)), -1
        for group in groups:
            sums += varint(group - before - 1) + varint(3) + doubles(0.5)
            before = group
        return record("s", varint(number) + sums + varint(5) + skipped)

    # Records and None for a seal of them.
    def ledger(*records):
        content, chain, since = magic, hashlib.sha256(magic).digest(), b""
        for part in records:
            if part is None:
                part = b"#" + varint(64) + bytes.fromhex(none)
                chain = hashlib.sha256(chain + since + part).digest()
                content, since = content + part + chain, b""
            else:
                content, since = content + part, since + part
        return content

    head = [record("d", start), record("a", attempt), None]
    settings = record("c", {"version": 1, "step": 2, "settings": {"step_size": 0.25, "trade_off": 0.5}})
    checkpoint = record("p", {"generation": 1, "step": 2, "manifest_sha256": "12" * 32, "parameters_sha256": "34" * 32})
    block = {"first_step": 2, "steps": 4094, "steps_sha256": "56" * 32, "answered_sha256": "78" * 32,
             "weights": weights}
    end = record("e", {"final_step": 2, "state_sha256": "9a" * 32, "alpha": [0.5, 0.5],
                       "final": [{"name": "theta.json", "bytes": 7, "sha256": "bc" * 32}],
                       "metrics": {"bytes": 0, "sha256": "de" * 32}})
    whole = ledger(*head, step(0), step(1, (1,)), settings, checkpoint, None, end, None)
    put("ledger", "whole", whole)
    put("ledger", "blocks", ledger(*head, step(0), step(1), record("b", block), None, step(4096)))
    put("ledger", "no-steps", ledger(*head))
    put("ledger", "skipped", ledger(*head, step(0, (0, 1), varint(1) + varint(1))))
    put("ledger", "wrong-chain", whole[:-1] + b"x")
    put("ledger", "empty", b"")
    put("ledger", "newer", magic.replace(b"1", b"2"))
    put("ledger", "unknown-kind", magic + record("x", b""))
    put("ledger", "long-record", magic + b"s" + varint(64 << 20) + b"0")
    put("ledger", "too-long", magic + b"s" + varint(2**63))
    put("ledger", "long-varint", magic + b"s" + b"\xff" * 12)
    put("ledger", "short-seal", magic + record("#", b"0" * 63))
    put("ledger", "step-first", ledger(step(0)))
    put("ledger", "gap", ledger(*head, step(1)))
    put("ledger", "far-step", ledger(*head, step(2**63)))
    put("ledger", "another-group", ledger(*head, step(0, (7,))))
    put("ledger", "many-groups", ledger(*head, record("s", varint(0) + varint(2**40) + b"0" * 40)))
    put("ledger", "block-of-none", ledger(*head, record("b", {**block, "first_step": 0, "steps": 0})))
    put("ledger", "block-too-far", ledger(*head, record("b", {**block, "first_step": 0, "steps": 2**63 - 1}), step(5)))
    put("ledger", "block-other-groups", ledger(*head, record("b", {**block, "first_step": 0,
                                                                    "weights": {**weights, "log_alpha": [0]}})))
    put("ledger", "other-groups", ledger(record("d", {**start, "counted": [1]}), record("a", attempt)))
    put("ledger", "no-groups", ledger(record("d", {**start, "groups": [], "counted": [], "population": []}),
                                      record("a", attempt)))
    put("ledger", "no-job", ledger(record("d", start), record("a", {**attempt, "job": "name: ["})))
    put("ledger", "deep", ledger(record("d", b"[" * 4000)))


def put_log_linear():
    pair = {"state": [0.1, -0.2], "group": 1, "chosen": 2, "rejected": 0}
    lines = {
        "plain": [pair, {**pair, "group": 0}],
        "shares": [{**pair, "chosen_share": 0.75}, {**pair, "chosen_share": 1}],
        "same-action": [{**pair, "rejected": 2}],
        "another-group": [{**pair, "group": 2}],
        "long-state": [{**pair, "state": [0.1, 0.2, 0.3]}],
        "some-shares": [{**pair, "chosen_share": 0.5}, pair],
        "fraction": [{**pair, "chosen": 1.5}],
        "large": [{**pair, "group": 2**40}],
    }
    for name, pairs in lines.items():
        put("log_linear", name, "".join(json.dumps(line) + "\n" for line in pairs))
    put("log_linear", "not-finite", '{"state": [1e999, 0], "group": 0, "chosen": 1, "rejected": 0}\n')
    put("log_linear", "empty", b"")


def put_worker_messages():
    def sent(kind, *fields):
        text = message(*fields)
        return bytes([kind]) + struct.pack("<H", len(text)) + text

    def step(number, *further):
        groups = [(4, varint(0) + varint(1)), (5, doubles(0.25, 1.5)), (6, doubles(1, 1)), (7, 2.0)]
        return [(3, number), *groups, *further]

    register = sent(0, (4, 1), (5, "host"), (6, 7), (7, "cpu"))
    start = sent(1, (3, "north"), (3, "south"), (4, doubles(4, 2)), (5, 6), (6, b"d" * 32))
    steps = b"".join(sent(2, *step(number)) for number in range(10))
    weights, commit = sent(4), sent(5, (3, 10), (4, b"m" * 32), (5, 100))
    metrics = sent(6, (3, 10), (4, 1), (5, 0.5))
    beat = sent(7, (4, "training"))
    finish = sent(8, (4, 10), (5, b"x" * 32))
    fail = sent(10, (4, "its device is gone"), (5, 2))
    put("worker_messages", "whole-run", register + start + steps + weights + commit + metrics + beat + finish)
    put("worker_messages", "steps-at-once", register + start + sent(3, *[(3, message(*step(n))) for n in range(4)]))
    put("worker_messages", "failure", register + start + beat + fail)
    put("worker_messages", "twice", register + register + start + start + sent(2, *step(0)) * 2)
    put("worker_messages", "leaves", register + start + steps[: len(steps) // 10 * 3] + sent(5, (3, 3), (4, b"m" * 32), (5, 1)) +
        sent(9, (4, 3)))
    put("worker_messages", "early", start)
    put("worker_messages", "gap", register + start + sent(2, *step(5)))
    put("worker_messages", "extreme", register + start + sent(2, (3, 0), (4, varint(0)), (5, doubles(1.7e308)),
                                                              (6, doubles(5e-324)), (7, 1e-320)))
    put("worker_messages", "of-another-job", register + sent(0x82, (1, "b-00000000"), (2, 1), *step(0)))
    put("worker_messages", "stale", register + start + sent(0x87, (1, "b"), (2, 7)))
    put("worker_messages", "skipped", register + start + sent(2, *step(0, (8, varint(1)))))
    put("worker_messages", "ticks", register + sent(12) * 40)
    # Of people, from 32 on, as worker_messages_fuzz.cc has them.
    lists = b"".join(sent(kind) for kind in (32, 33, 41, 42, 43, 44, 45, 46))
    settings = message((3, 0.0005), (4, 20))
    put("worker_messages", "steered", register + start + sent(2, *step(0)) + sent(36) + sent(38, (2, settings)) +
        sent(34, (2, "r1")) + sent(34, (2, "r1")) + sent(35) + lists + sent(39) + lists)
    put("worker_messages", "hosts", sent(47, (2, "a new disk"), (3, "r1")) + sent(99) + sent(46) + sent(48, (2, "r2")) +
        sent(47, (2, "a new disk"), (3, "r1")))
    put("worker_messages", "deleted", register + sent(39) + sent(12) * 30 + sent(40) + lists + sent(99))
    put("worker_messages", "no-reason", sent(47, (2, " ")) + sent(0xaf, (1, "node3"), (2, "why")))
    put("worker_messages", "other-etag", register + start + sent(39, (3, "none")))


put_tables()
put_jobs()
put_page_tokens()
put_http_requests()
put_manifests()
put_ledgers()
put_log_linear()
put_worker_messages()
put_safetensors()
put_preferences()
put_model_configs()
put_chat_templates()

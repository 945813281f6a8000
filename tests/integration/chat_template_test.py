"""Conversations become the texts and the token ids that transformers and TRL make of them, and can be trained on."""

import importlib.util
import json
import pathlib
import shutil
import sys
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import transformers  # noqa: E402

GOLDEN = TESTS / "golden/chat"
FAMILIES = TESTS / "golden/lm/models"
USER, ANSWER = {"role": "user", "content": "Is tea good, é 🙂?"}, {"role": "assistant", "content": "Yes, <b>1234</b>."}


def pairs_of_golden_chats():
    """Every golden chat as a prompt, with two answers of its own to it."""
    pairs = []
    for chat in json.loads((GOLDEN / "chats.json").read_text()):
        messages = [message for message in chat["messages"] if isinstance(message["content"], str)
                    or message.get("tool_calls")]
        while messages and messages[-1]["role"] != "user":
            messages.pop()
        if not messages or chat["name"] in ("parts", "not alternating"):
            continue
        pair = {"prompt": messages, "chosen": [ANSWER], "rejected": [{**ANSWER, "content": "  No.\n"}]}
        if "tools" in chat:
            pair["tools"] = chat["tools"]
        pair["chat_template_kwargs"] = {"date_string": "26 Nov 2026", **chat.get("variables", {})}
        pairs.append(pair)
    return pairs


def common_prefix(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def ids_as_trl(tokenizer, pair):
    """As TRL's DPOTrainer: the prompt with the start of an answer, prompt and answer, and where they part."""
    def ids(messages, **arguments):
        return tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, tools=pair.get("tools"),
                                             **pair["chat_template_kwargs"], **arguments)["input_ids"]
    prompt = ids(pair["prompt"], add_generation_prompt=True)
    chosen, rejected = (ids(pair["prompt"] + pair[answer]) for answer in ("chosen", "rejected"))
    length = min(common_prefix(prompt, chosen), common_prefix(prompt, rejected))
    return {"prompt": prompt[:length], "chosen": chosen[length:], "rejected": rejected[length:]}


class ChatTemplate(programs.ProgramTest):

    def write_pairs(self, name, pairs):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs))
        return path

    def test_golden_texts_are_those_of_transformers(self):
        spec = importlib.util.spec_from_file_location("make_expected", GOLDEN / "make_expected.py")
        make_expected = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(make_expected)
        golden = json.loads((GOLDEN / "expected.json").read_text())
        self.assertEqual(make_expected.expected(), golden["texts"])
        cases = make_expected.cases()
        self.assertEqual(json.loads(json.dumps(cases)), json.loads((GOLDEN / "expressions.json").read_text()))

    def test_every_construct_prints_what_transformers_prints(self):
        cases = json.loads((GOLDEN / "expressions.json").read_text())
        self.assertGreater(len(cases), 800)
        (self.folder / "cases.json").write_text(json.dumps(cases))
        self.succeed("equipoise_print_chats", self.folder / "cases.json", self.folder / "texts.json")
        for case, ours in zip(cases, json.loads((self.folder / "texts.json").read_text()), strict=True):
            with self.subTest(template=case["template"], messages=case["messages"]):
                self.assertEqual(ours.get("text"), case["text"], ours.get("refused"))

    def test_token_ids_are_those_of_trl(self):
        pairs = pairs_of_golden_chats()
        self.assertGreater(len(pairs), 5)
        for family in ("gemma", "llama", "qwen3"):
            for template in ("chatml", "headers", "turns", "inst"):
                with self.subTest(family=family, template=template):
                    model = self.folder / f"{family}-{template}"
                    shutil.copytree(FAMILIES / family / "policy", model)
                    shutil.copy(GOLDEN / f"{template}.jinja", model / "chat_template.jinja")
                    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
                    possible, expected = [], []
                    for pair in pairs:
                        try:
                            expected.append(ids_as_trl(tokenizer, pair))
                            possible.append(pair)
                        except Exception as refusal:  # templates raise what they like
                            self.assertIn("alternate", str(refusal))
                    data = self.write_pairs("pairs.jsonl", possible)
                    self.succeed("equipoise_print_tokens", model, data, self.folder / "ids.json")
                    self.assertEqual(json.loads((self.folder / "ids.json").read_text()), expected)

    def conversations(self):
        """The small survey's pairs as conversations whose prompt is implicit."""
        self.small_model()
        for split in ("train", "validation"):
            self.write_pairs(f"data/{split}.jsonl", [
                {"chosen": [{"role": "user", "content": pair["prompt"]}, {"role": "assistant", "content": pair["chosen"]}],
                 "rejected": [{"role": "user", "content": pair["prompt"]},
                              {"role": "assistant", "content": pair["rejected"]}],
                 "group": pair["group"]}
                for pair in programs.read_lines(self.folder / f"data/{split}.jsonl")])

    def data_report(self, name):
        return json.loads((self.folder / name / "data.json").read_text())

    def test_conversations_are_trained_on_and_tokenised_once(self):
        self.conversations()
        template = self.folder / "own.jinja"
        template.write_text("{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}"
                            "{% if add_generation_prompt %}assistant:{% endif %}")
        model = {"path": "model", "chat_template": "own.jinja"}
        cache = {"EQUIPOISE_CACHE": str(self.folder / "cache")}
        self.succeed("equipoise", "train", self.write_job("first", model=model), "--np", "1", "--quiet", **cache)
        first = self.data_report("first")["train"]
        self.assertFalse(first["from_cache"])
        self.assertEqual((self.folder / "first/final/chat_template.jinja").read_text(), template.read_text())
        self.succeed("equipoise", "train", self.write_job("second", model=model), "--np", "2", "--quiet", **cache)
        second = self.data_report("second")["train"]
        self.assertTrue(second["from_cache"])
        self.assertEqual(second["groups"], first["groups"])
        losses = [[line["loss"] for line in programs.read_lines(self.folder / name / "metrics.jsonl") if "loss" in line]
                  for name in ("first", "second")]
        for one, other in zip(*losses, strict=True):
            self.assertAlmostEqual(one, other, places=5)
        # Another template makes other tokens.
        template.write_text("{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}")
        self.succeed("equipoise", "train", self.write_job("third", model=model), "--quiet", **cache)
        self.assertFalse(self.data_report("third")["train"]["from_cache"])

    def test_what_a_template_cannot_render_is_one_line(self):
        self.conversations()
        refusal = self.refused("equipoise", "train", self.write_job("none"), "--quiet")
        self.assertIn("train.jsonl:1: holds messages, but the model has no chat template; model.chat_template", refusal)
        for text, said in (
                ("{% if %}", "own.jinja: line 1: syntax error"),
                ("a\n{{ messages[0].nothing.more }}", "train.jsonl:1: the chat template refuses the messages: line 2: "),
                ("{{ raise_exception('only\nrobots') }}", "the chat template refuses the messages: line 1: only robots"),
                ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
                 "does more work than a chat template may")):
            (self.folder / "own.jinja").write_text(text)
            job = self.write_job("wrong", model={"path": "model", "chat_template": "own.jinja"})
            self.assertIn(said, self.refused("equipoise", "train", job, "--quiet"))

    def test_limits_are_counted_by_group(self):
        self.small_model()
        job = self.write_job("short", data={"train": "data/train.jsonl", "max_length": 60, "truncation": "keep_end",
                                            "max_prompt_length": 50})
        self.succeed("equipoise", "train", job, "--quiet")
        report = self.data_report("short")["train"]
        pairs = len(programs.read_lines(self.folder / "data/train.jsonl"))
        self.assertEqual((report["pairs"], report["dropped"]), (pairs, 0))
        self.assertGreater(sum(group["shortened"] for group in report["groups"].values()), 0)
        self.assertLessEqual(report["tokens"], pairs * 2 * 60)
        refusal = self.refused("equipoise", "train", self.write_job(
            "drop", data={"train": "data/train.jsonl", "max_length": 10, "truncation": "drop"}), "--quiet")
        self.assertRegex(refusal, r"none of the \d+ pairs is within max_length = 10 tokens")


if __name__ == "__main__":
    unittest.main()

"""Writes expected.json: every chat of chats.json by every template of this folder, as transformers renders it; and
expressions.json: what it prints for the small templates of tests/support/chat_expressions.py and, for the conversations
of chat_families.py, the templates there (null: refused).

Run with the Python environment of `deploy/bootstrap --tests`:
    PYTHONPATH=.deps/python-tests:.deps/python python3 tests/golden/chat/make_expected.py
"""

import json
import pathlib
import sys

from transformers.utils import chat_template_utils

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1] / "support"))
import chat_expressions  # noqa: E402
import chat_families  # noqa: E402

SPECIAL_TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
# A date that the templates do not take from the clock.
FIXED = {"date_string": "26 Nov 2026"}


def render(template, chat, add_generation_prompt):
    """The text, or None where the template refuses the chat."""
    messages = chat_template_utils._normalize_chat_messages(chat["messages"])
    variables = {**SPECIAL_TOKENS, **FIXED, **chat.get("variables", {})}
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            [messages], tools=chat.get("tools"), chat_template=template,
            add_generation_prompt=add_generation_prompt, **variables)
    except Exception as error:  # templates raise what they like
        print(f"{chat['name']}: {type(error).__name__} {error}")
        return None
    return texts[0]


def expected():
    chats = json.loads((FOLDER / "chats.json").read_text())
    return {
        path.stem: {chat["name"]: [render(path.read_text(), chat, prompt) for prompt in (False, True)]
                    for chat in chats}
        for path in sorted(FOLDER.glob("*.jinja"))}


def cases():
    """Templates and conversations, with what transformers makes of them."""
    hello = {"name": "hello", "messages": [{"role": "user", "content": "hi"}], "variables": chat_expressions.VARIABLES}
    pairs = [(text, hello, False) for text in chat_expressions.templates()]
    pairs += [(text, {"name": f"{family}, {name}", **chat}, chat.get("prompt", False))
              for family, text in chat_families.TEMPLATES.items() for name, chat in chat_families.CHATS.items()]
    return [{"template": text, "messages": chat["messages"], "tools": chat.get("tools"), "prompt": prompt,
             "variables": {**SPECIAL_TOKENS, **FIXED, **chat.get("variables", {})}, "text": render(text, chat, prompt)}
            for text, chat, prompt in pairs]


if __name__ == "__main__":
    text = json.dumps({"variables": {**SPECIAL_TOKENS, **FIXED}, "texts": expected()}, ensure_ascii=False, indent=1)
    (FOLDER / "expected.json").write_text(text + "\n")
    (FOLDER / "expressions.json").write_text(json.dumps(cases(), ensure_ascii=True, indent=0) + "\n")

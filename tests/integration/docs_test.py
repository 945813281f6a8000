"""The command blocks of README.md and docs/*.md, in order in a fresh folder for each page, with the real programs.

A block is a fence. Its marks stand in braces behind its language:

    ```bash                         runs; what it sets, later blocks of the page have
    ```bash {.background}           runs beside the later blocks, up to the next one of this kind; a coordinator
    ```bash {.slow}                 runs in `make test-docs` alone
    ```bash {.norun reason="why"}   does not run here. Its options, targets and files are looked up, as those of all
    ```console                      lines behind `$ ` run, the others show what they print
    ```yaml {file="job.yaml"}       is written to that file

`make test` runs the pages of QUICK. DOCS_PAGES=all, as `make test-docs` sets it, runs all; with names of pages, those.
"""

import functools
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

WANTED = os.environ.get("DOCS_PAGES", "")
QUICK = ["quick-start.md", "convert.md"]
FENCE = re.compile(r"^```(\w*)(?: \{([^}\n]*)\})?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# How a line begins that somebody would paste into a shell.
COMMAND = re.compile(
    r"(\$ )?(\w+=\S+ )*(equipoise(-\w+)? (?!\w+: )|build/release/bin|make \w|mpirun|cd |export |sudo|python3? |curl|"
    r"grpcurl|kubectl|deploy/\w|source |pip |ssh |hf |tests/\w|\.ci/|openssl|echo |chmod|sqlite3|sbatch|srun|systemctl|podman|sky |"
    r"prometheus |git |ctest|cmake|ninja|apt)")
PROGRAMS = ("equipoise", "equipoise-coordinator", "equipoise-worker")

# What a page takes for granted, and how names that stand for something of the reader's are filled in.
MODEL = 'cp -r "$GIVEN/model" my-sft-model; cp "$GIVEN"/data/{train,validation}.jsonl .\n'
JOB = """cat > job.yaml <<'END'
{name: first, model: {path: my-sft-model}, data: {train: train.jsonl, validation: validation.jsonl},
 robust: {mode: group_robust}, training: {max_steps: 4, global_batch_size: 16}, output: runs/first}
END
"""
# Jobs that last until they are asked to end.
LONG = """rm -rf runs/long*
sed 's/max_steps: 4/max_steps: 1000000/; s/name: first/name: long/; s#runs/first#runs/long#' job.yaml > long.yaml
ID=$(equipoise submit long.yaml | tail -1)
becomes RUNNING
"""
RUNS = """sed 's/max_steps: 4/max_steps: 120/; s#runs/first#runs/gr-dpo#' job.yaml > gr-dpo.yaml
equipoise train gr-dpo.yaml --quiet --set checkpoint.every_steps=60 --set checkpoint.keep=5
"""
OPEN = """[ -z "$beside" ] || { kill $beside; wait $beside || true; }
equipoise-coordinator --listen 127.0.0.1:$PORT --state open --hostfile hosts --max-running-jobs 9 & beside=$!; wait_for $PORT
"""
PRELUDES = {
    "README.md": MODEL + "printf 'localhost slots=4\\n' > hosts\n",
    "configuration.md": MODEL + JOB.replace(
        "validation.jsonl}", "validation.jsonl,\n  group_counts: {Riverside: 9, Old Harbor: 9, Northfield: 9, Hillcrest: 9}}"),
    "convert.md": MODEL + """mkdir pairs; cp train.jsonl pairs; cat > dpo.yaml <<'END'
{model_name_or_path: my-sft-model, dataset_name: pairs, output_dir: runs/trl, beta: 0.1, max_steps: 10}
END
cat > axolotl.yaml <<'END'
{base_model: my-sft-model, rl: dpo, output_dir: runs/axolotl, micro_batch_size: 2, gradient_accumulation_steps: 2,
 num_epochs: 1, learning_rate: 1.0e-5}
END
""",
    "receipts.md": MODEL + JOB + RUNS,
    "operations.md": MODEL + JOB + "printf 'localhost slots=4\\n' > hosts; mkdir runs\n"
                     "export EQUIPOISE_COORDINATOR=127.0.0.1:$PORT\n",
}
# Bash in front of the block whose first line begins so.
BEFORE = {
    # A run that a crash has ended after its second step.
    ("README.md", "equipoise train job.yaml --resume"):
        "rm -rf runs/my-gr-dpo; equipoise train job.yaml --quiet --set checkpoint.every_steps=1 --set training.max_steps=2",
    ("README.md", "equipoise-coordinator --listen"): "rm -rf runs/my-gr-dpo",
    # The job before has ended.
    ("README.md", "id=$(equipoise submit"):
        "export EQUIPOISE_COORDINATOR=127.0.0.1:$PORT; "
        "for one in $(equipoise jobs list | grep -o 'my-gr-dpo-[0-9a-f]*'); do equipoise jobs watch $one; done; "
        "rm -rf runs/my-gr-dpo",
    ("operations.md", "equipoise doctor"):
        "equipoise-coordinator --listen 127.0.0.1:$PORT --state asked & beside=$!; wait_for $PORT",
    # In place of that with TLS.
    ("operations.md", "id=$(equipoise submit"): OPEN,
    ("operations.md", "equipoise jobs list --coordinator head:7443 --state"): LONG,
    ("operations.md", "equipoise checkpoints list"): RUNS + "cp -r runs/gr-dpo runs/dpo",
    ("operations.md", "equipoise hosts list"): "printf 'node2 slots=1\\n' >> hosts\n" + OPEN,
    ("operations.md", "equipoise submit job.yaml"): "rm -rf runs/first",
    ("operations.md", "equipoise jobs pause ID"): LONG,
    ("operations.md", "equipoise jobs fork ID"):
        "equipoise jobs checkpoint $ID --wait; AT=$(ls runs/long/checkpoints | sed 's/.*-//' | sort -n | tail -1)",
}
# In this order, in every page.
FILLED_IN = [
    (r"\b(HOST|NODE|head|127\.0\.0\.1|0\.0\.0\.0):7443", "127.0.0.1:$PORT"), (r"0\.0\.0\.0:9464", "127.0.0.1:$HTTP"),
    (r"/var/lib/equipoise", "state"), (r"/srv/runs", "runs"), (r"(-np) 8", r"\1 2"), (r"\bID\b", "$ID"),
    (r"(.*jobs watch \$ID).*", r"timeout 3 \1 || [ $? = 124 ]"), ("max_steps=3000", "max_steps=3000000"),
    # Who reads takes his time.
    (r"(.*jobs resume \$ID.*)", "\\1\nbecomes RUNNING"), (r"(.*jobs cancel \$ID.*)", "\\1\nbecomes CANCELLED"),
    ("--at 2000", "--at $AT"),
]


class Block:
    def __init__(self, page, line, language, marks, text):
        self.where = f"{page}:{line}"
        self.language, self.text = language, text
        self.kinds = re.findall(r"\.(\w+)", re.sub(r'"[^"]*"', "", marks or ""))
        self.values = dict(re.findall(r'(\w+)="([^"]*)"', marks or ""))

    def commands(self):
        """The lines that are commands, as they stand."""
        if self.language == "bash":
            return self.text
        lines = [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]
        return "\n".join(lines) + "\n" if self.language == "console" else ""


@functools.lru_cache
def pages():
    found = [programs.ROOT / "README.md", *sorted((programs.ROOT / "docs").glob("*.md"))]
    return {path.name: path.read_text() for path in found}


@functools.lru_cache
def blocks(page):
    text = pages()[page]
    return [Block(page, text.count("\n", 0, match.start()) + 1, *match.groups()) for match in FENCE.finditer(text)]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def script_of(page, slow):
    """What bash runs for a page; each block says first where it stands."""
    lines = ["set -euo pipefail", "becomes() { until equipoise jobs list | grep -q \"^$ID .*$1\"; do sleep 0.2; done; }",
             "wait_for() { until (exec 3<>/dev/tcp/127.0.0.1/$1) 2>/dev/null; do sleep 0.1; done; }",
             "beside=", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", PRELUDES.get(page, "")]
    for block in blocks(page):
        if "norun" in block.kinds or ("slow" in block.kinds and not slow):
            continue
        if "file" in block.values:
            lines.append(f"mkdir -p \"$(dirname {block.values['file']})\"; cat > {block.values['file']} <<'END_OF_FILE'\n"
                         f"{block.text}END_OF_FILE")
        text = block.commands()
        if not text:
            continue
        if block.language == "console":
            # A file that is shown is there.
            for name, shown in re.findall(r"^\$ cat (\S+)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
                lines.append(f"cat > {name} <<'END_OF_FILE'\n{shown}END_OF_FILE")
        for pattern, value in FILLED_IN:
            text = re.sub(pattern, value, text)
        lines += [before for (where, start), before in BEFORE.items() if where == page and block.text.startswith(start)]
        lines.append(f"echo '@@ {block.where}' >&2")
        if "background" in block.kinds:
            lines += ["[ -z \"$beside\" ] || { kill $beside; wait $beside || true; }", f"{text.rstrip()} &",
                      "beside=$!; wait_for $PORT"]
        else:
            lines.append(text)
    return "\n".join(lines) + "\n"


class Commands(programs.ProgramTest):

    @classmethod
    def setUpClass(cls):
        """Pairs and an untrained model, which pages take for granted."""
        cls.given = pathlib.Path(programs.CACHE) / "docs"
        cls.given.mkdir(exist_ok=True)
        for command in (
                "data generate survey.jsonl --questions 80", "data import opinionqa survey.jsonl --output data",
                "model init model --data data/train.jsonl --hidden-size 32 --layers 2 --heads 2 --head-dim 16 "
                "--intermediate-size 64 --vocab-size 600"):
            subprocess.run([programs.BIN / "equipoise", *command.split()], cwd=cls.given, check=True, capture_output=True,
                           timeout=240)

    def prepare(self):
        """A folder with what a clone has, and programs in it and on the path."""
        (self.folder / "build/release").mkdir(parents=True)
        (self.folder / "build/release/bin").symlink_to(programs.BIN)
        for name in ("deploy", "tests"):
            (self.folder / name).symlink_to(programs.ROOT / name)
        wrapper = self.folder / ".bin/equipoise-coordinator"
        wrapper.parent.mkdir()
        # The port of the page is for one coordinator of a machine.
        wrapper.write_text('#!/bin/bash\ncase "$*" in *--http-listen*|*--check*|*--help*) ;; *) set -- "$@" --http-listen'
                           f' 127.0.0.1:0 ;; esac\nexec {programs.BIN}/equipoise-coordinator "$@"\n')
        wrapper.chmod(0o755)
        return {**programs.ENVIRONMENT, "PATH": f"{wrapper.parent}:{programs.BIN}:{os.environ['PATH']}", "PORT": free_port(),
                "HTTP": free_port(), "GIVEN": str(self.given), "HOME": str(self.folder)}

    def run_page(self, page, slow):
        environment = self.prepare()
        script = script_of(page, slow)
        output = self.folder / ".output"
        with open(output, "w") as log:
            process = subprocess.Popen(["bash", "-c", script], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, start_new_session=True)
            try:
                code = process.wait(timeout=900)
            except subprocess.TimeoutExpired:
                code = "no end within 15 minutes"
            finally:
                try:
                    os.killpg(process.pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass
        text = output.read_text(errors="replace")
        where = re.findall(r"^@@ (.*)$", text, re.MULTILINE)
        self.assertEqual(code, 0, f"{where[-1] if where else page}\n{text[-4000:]}")
        return where

    def test_blocks_run(self):
        names = list(pages()) if WANTED == "all" else WANTED.split() or [name for name in QUICK if name in pages()]
        for page in names:
            with self.subTest(page=page):
                wanted = [block for block in blocks(page) if block.commands() and "norun" not in block.kinds and
                          (WANTED or "slow" not in block.kinds)]
                if not wanted:
                    continue
                self.setUp()
                self.assertEqual(len(self.run_page(page, bool(WANTED))), len(wanted))
                self.doCleanups()


class Texts(unittest.TestCase):

    def every(self):
        return [block for page in pages() for block in blocks(page) if block.commands()]

    def test_every_command_stands_in_a_fence(self):
        self.assertGreater(len(self.every()), 60)
        for page, text in pages().items():
            for part in FENCE.sub("", text).split("\n\n"):
                # A tree of processes, and a table of folders, are no commands.
                for line in part.splitlines() if "└" not in part else []:
                    if re.match(r" {4}\S+/ {2}", line) is None and line.startswith("    "):
                        self.assertIsNone(COMMAND.match(line[4:]), f"{page}: a command outside of a fence: {line}")
            for match in FENCE.finditer(text):
                if match[1] in ("", "text"):
                    self.assertNotRegex(match[3], r"(?m)^equipoise [a-z]+ \S+\.(yaml|jsonl)$", page)

    def test_what_does_not_run_says_why(self):
        for block in self.every():
            if "norun" in block.kinds:
                self.assertIn("reason", block.values, block.where)
                print(f"does not run: {block.where}: {block.values['reason']}", file=sys.stderr)
            self.assertLessEqual(set(block.kinds), {"norun", "slow", "background"}, block.where)

    def test_most_commands_run(self):
        blocks_of_programs = [block for block in self.every() if "equipoise " in block.text]
        run = [block for block in blocks_of_programs if "norun" not in block.kinds]
        self.assertGreater(len(run), len(blocks_of_programs) / 2)

    @functools.lru_cache
    def help_of(self, *words):
        return programs.run(*words, "--help").stdout

    def options_of(self, words, where):
        """Looks up a program's options, and what comes behind `--wrap` or `exec` the same."""
        for i, word in enumerate(words):
            name = word.removeprefix("build/release/bin/")
            if name in PROGRAMS and i and re.match("-[a-z]", words[i - 1]):
                continue  # `kubectl -n equipoise`
            if name not in PROGRAMS:
                if re.search(r"(^|[ /])equipoise(-\w+)? ", word):
                    self.options_of(shlex.split(word), where)
                continue
            verb, rest = [name], words[i + 1:]
            while name == "equipoise" and rest and re.fullmatch(r"[a-z]+", rest[0]) and \
                    re.search(rf"^  {rest[0]}\b", self.help_of(*verb).split("Subcommands:")[-1], re.MULTILINE) and \
                    "Subcommands:" in self.help_of(*verb):
                verb, rest = [*verb, rest[0]], rest[1:]
            if name == "equipoise" and rest and re.fullmatch("[a-z]+", rest[0]):
                self.assertGreater(len(verb), 1, f"{where}: `equipoise` has no verb {rest[0]}")
            help_text = self.help_of(*verb)
            for option in rest:
                if option in ("--", "|", "&", "&&", ";", ">", ">>"):
                    break
                option = re.match(r"--[a-z][\w-]*", option)
                if option:
                    self.assertRegex(help_text, rf"{option[0]}(?![\w-])", f"{where}: {' '.join(verb)} {option[0]}")

    def test_messages_of_the_troubleshooting_page_are_those_of_the_programs(self):
        sources = []
        for folder in ("client", "common", "coordinator", "worker"):
            for path in sorted((programs.ROOT / folder).rglob("*")):
                if path.suffix in (".cc", ".h", ".py", ".ts") and "target" not in path.parts:
                    # Texts of several lines as one, without what the compiler takes away.
                    sources.append(re.sub(r'"\s*\n\s*"', "", path.read_text()).replace('\\"', '"'))
        sources = "\n".join(sources)
        messages = re.findall(r"^\| `(.+?)` \|", pages()["troubleshooting.md"], re.MULTILINE)
        self.assertGreater(len(messages), 30)
        for message in messages:
            parts = [part.strip() for part in message.replace("\\|", "|").split("…") if part.strip(" :,.")]
            self.assertGreater(max(len(part) for part in parts), 9, message)
            for part in parts:
                self.assertIn(part, sources, message)

    def test_options_targets_and_files_are_there(self):
        makefile = (programs.ROOT / "Makefile").read_text()
        for block in self.every():
            text = re.sub(r"\\\n", " ", block.commands())
            for line in re.split(r"\n(?=(?:[^']*'[^']*')*[^']*$)", text):
                try:
                    lexer = shlex.shlex(line, posix=True, punctuation_chars="()&|;<>")
                    lexer.whitespace_split = True
                    words = list(lexer)
                except ValueError as problem:
                    self.fail(f"{block.where}: {problem}: {line}")
                self.options_of(words, block.where)
                for i, word in enumerate(words):
                    if word == "make" and i + 1 < len(words):
                        self.assertRegex(makefile, rf"(?m)^{words[i + 1]}:", block.where)
                    if re.match(r"(deploy|tests|\.ci)/[\w.-]", word):
                        self.assertTrue((programs.ROOT / word).exists(), f"{block.where}: {word}")


if __name__ == "__main__":
    unittest.main()

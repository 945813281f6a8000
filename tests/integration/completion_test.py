"""`equipoise completion`: real shells run the scripts."""

import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import man_pages_test  # noqa: E402
import programs  # noqa: E402

# Instead of the completion system, which needs a terminal: what would be offered is printed.
ZSH = """
compdef() { }
compadd() { shift; print -l -- $@ }
_describe() { print -l -- ${(P)2%%:*} }
_files() { print FILES }
source $1; shift
words=(equipoise "$@"); CURRENT=$#words
_equipoise
"""

BASH = """
source "$1"; shift
COMP_WORDS=(equipoise "$@"); COMP_CWORD=$#
_equipoise
printf '%s\\n' "${COMPREPLY[@]}"
"""


class Completion(programs.ProgramTest):

    def offered(self, shell, *words):
        script = self.folder / f"completion.{shell}"
        script.write_text(self.succeed("equipoise", "completion", shell))
        program = [shell, *(["--norc"] if shell == "bash" else ["-f"]), "-c", BASH if shell == "bash" else ZSH]
        result = subprocess.run([*program, shell, str(script), *words], capture_output=True, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        return result.stdout.split()

    def test_offers_verbs_and_their_verbs(self):
        for shell in ("bash", "zsh"):
            self.assertIn("train", self.offered(shell, ""))
            self.assertIn("convert", self.offered(shell, ""))
            self.assertIn("cancel", self.offered(shell, "jobs", ""))
            self.assertIn("opinionqa", self.offered(shell, "data", "import", ""))
        self.assertEqual(self.offered("bash", "jobs", "ra"), ["ranks"])

    def test_offers_options_of_the_verb(self):
        for shell in ("bash", "zsh"):
            options = self.offered(shell, "jobs", "list", "--")
            self.assertIn("--filter", options)
            self.assertNotIn("--np", options)
            self.assertIn("--np", self.offered(shell, "train", "job.yaml", "--"))
        self.assertEqual(self.offered("bash", "train", "--over"), ["--overwrite"])

    def test_offers_formats_and_other_values(self):
        for shell in ("bash", "zsh"):
            self.assertIn("--json", self.offered(shell, "jobs", "list", "--"))
            self.assertIn("-o", self.offered(shell, "jobs", "list", "-"))
            for words in (("jobs", "list", "-o", ""), ("jobs", "get", "ID", "--format", "")):
                self.assertEqual(self.offered(shell, *words), ["text", "wide", "json", "yaml", "name"])
            self.assertIn("csv", self.offered(shell, "compare", "a", "-o", ""))
            self.assertIn("sft", self.offered(shell, "evaluate", "--loss", ""))
            self.assertEqual(self.offered(shell, "train", "job.yaml", "--log-level", "")[:2], ["debug", "info"])
        self.assertEqual(self.offered("bash", "jobs", "list", "--format", "=", "y"), ["yaml"])
        self.assertEqual(self.offered("bash", "jobs", "list", "-o", "j"), ["json"])

    def test_leaves_the_rest_to_file_names(self):
        self.assertEqual(self.offered("bash", "train", ""), [])
        self.assertEqual(self.offered("zsh", "train", ""), ["FILES"])

    def test_has_every_verb_of_the_help(self):
        helped = self.succeed("equipoise", "--help").split("Subcommands:")[1].split("Start here")[0]
        verbs = {line.split()[0] for line in helped.splitlines() if line.startswith("  ") and line[2:3].strip()}
        self.assertGreater(len(verbs), 10)
        self.assertEqual(set(self.offered("bash", "")), verbs)

    def test_has_every_option_of_every_verbs_help(self):
        count = 0
        for (_, *verbs), text in man_pages_test.help_texts("equipoise").items():
            helped = {name for names in re.findall(r"^  (-\S+)", text, re.M) for name in names.split(",")}
            offered = set(self.offered("bash", *verbs, "-"))
            self.assertEqual(helped - offered, set(), verbs)
            self.assertEqual(offered - helped, set(), verbs)
            count += len(helped)
        self.assertGreater(count, 400)

    def test_loads_into_the_completion_system_of_zsh(self):
        (self.folder / "_equipoise").write_text(self.succeed("equipoise", "completion", "zsh"))
        result = subprocess.run(
            ["zsh", "-f", "-c", "fpath=($1 $fpath); autoload -Uz compinit; compinit -u -D; print $_comps[equipoise]",
             "zsh", str(self.folder)], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.stdout.strip(), "_equipoise", result.stderr)


if __name__ == "__main__":
    unittest.main()

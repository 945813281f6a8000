"""The man pages that deploy/package/man_pages.py makes of the programs' own help, as `man` shows them."""

import functools
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

SECTIONS = {"equipoise": 1, "equipoise-coordinator": 8, "equipoise-worker": 1, "equipoise-shim": 1}


def help_texts(program, *verbs):
    """Of a program or verb, and of all verbs below it, by their words."""
    text = programs.run(program, *verbs, "--help").stdout
    texts = {(program, *verbs): text}
    listed = re.search(r"^Subcommands:\n((?:  .*\n)+)", text, re.M)
    for verb in re.findall(r"^  (\S+)", listed[1] if listed else "", re.M):
        texts |= help_texts(program, *verbs, verb)
    return texts


class ManPages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="equipoise-man-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        subprocess.run([programs.ROOT / "deploy/package/man_pages.py", programs.BIN, cls.folder, "--date",
                        "2026-11-30"], check=True)
        cls.files = {path.stem: path for path in cls.folder.glob("man[18]/*")}
        cls.texts = {}
        for program in SECTIONS:
            cls.texts |= help_texts(program)

    @functools.cache
    def shown(self, name):
        """As `man` shows it, on lines so long that nothing is broken."""
        result = subprocess.run(["man", "--warnings", "--local-file", str(self.files[name])], capture_output=True,
                                text=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "2000"})
        self.assertEqual((result.returncode, result.stderr), (0, ""), name)
        return re.sub(r" +", " ", result.stdout)

    def test_every_program_and_every_verb_has_a_page(self):
        wanted = {"-".join(words[:2]) for words in self.texts if words[0] == "equipoise"} | set(SECTIONS)
        self.assertGreater(len(wanted), 20)
        self.assertEqual(set(self.files), wanted)
        for name, path in self.files.items():
            self.assertEqual(path.parent.name, f"man{SECTIONS.get(name, 1)}", name)

    def test_every_line_of_the_help_stands_in_its_page(self):
        pages = {name: self.shown(name).replace("`", "") for name in self.files}
        count = 0
        for (program, *verbs), text in self.texts.items():
            page = pages["-".join([program, *verbs[:1]]) if program == "equipoise" else program]
            for line in text.splitlines():
                if line.startswith("Usage: ") or line.endswith(":") or not line.strip():
                    continue
                # An option and what it does are two lines of the page, its names have a blank between them.
                for part in re.split(r"(?<=\S) {2,}(?=\S)", line.strip()) if line.startswith("  ") else [line]:
                    part = re.sub(r" +", " ", part.removeprefix("Exit code: ").replace("`", "").rstrip("."))
                    part = re.sub(r",(?=-)", ", ", part) if part.startswith("-") else part
                    # What an option does may follow its name after one blank.
                    blanks = [at for at, letter in enumerate(part) if letter == " " and part.startswith("-")]
                    split = any(f"{part[:at]}\n" in page and part[at + 1:] in page for at in blanks)
                    self.assertTrue(part in page or split, f"{program} {verbs}: {part}")
                    count += 1
        self.assertGreater(count, 400)

    def test_every_option_has_a_row_of_its_own(self):
        count = 0
        for (program, *verbs), text in self.texts.items():
            page = self.shown("-".join([program, *verbs[:1]]) if program == "equipoise" else program)
            rows = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", "\n".join(re.findall(r"^ +(-.*)$", page, re.M))))
            for option in re.findall(r"^  (-\S+)", text, re.M):
                for name in option.split(","):
                    self.assertIn(name, rows, f"{program} {verbs}")
                    count += 1
        self.assertGreater(count, 250)

    def test_apropos_finds_each_by_what_it_is(self):
        for name, path in self.files.items():
            found = subprocess.run(["lexgrog", str(path)], capture_output=True, text=True, check=True).stdout
            self.assertRegex(found, rf': "{name} - [^"]+"', name)

    def test_an_option_longer_than_its_column_keeps_its_name(self):
        self.assertRegex(self.shown("equipoise-jobs"),
                         r"\n --timeout SECONDS:INT in \[1 - 86400\]=10\n +How long to wait for it\n")


if __name__ == "__main__":
    unittest.main()

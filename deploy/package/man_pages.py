#!/usr/bin/env python3
"""Man pages of the programs, made of what their --help says: one for each program and one for each verb of equipoise,
which has the verbs below it, too.

    deploy/package/man_pages.py PROGRAMS OUTPUT [--date 2026-11-30]

PROGRAMS is the folder of the programs, OUTPUT receives man1/*.1 and man8/*.8.
"""

import argparse
import datetime
import functools
import pathlib
import re
import subprocess

COLUMN = 30  # of the help, at which what an option does begins
SECTIONS = {"equipoise-coordinator": 8}
SUMMARIES = {
    "equipoise": "train language models on people's preferences so that no group is left behind",
    "equipoise-coordinator": "service that keeps training jobs of Equipoise",
    "equipoise-worker": "one rank of a training job of Equipoise",
    "equipoise-shim": "parent of the ranks of a training job of Equipoise",
}


class Help:
    """What --help of a program or verb says. `lists`: by title, rows of a name and what it is."""

    def __init__(self, text):
        self.about, self.usage, self.lists, self.notes = [], "", {}, []
        lines = text.rstrip("\n").split("\n")
        title = None
        for position, line in enumerate(lines):
            found = re.fullmatch(r"([A-Z][A-Za-z ]*):", line)
            if line.startswith("Usage: ") and not self.usage:
                self.usage = line.removeprefix("Usage: ")
            elif not self.usage:
                self.about.append(line)
            elif found and (found[1] in ("Positionals", "Subcommands") or lines[position + 1:][:1] and
                            lines[position + 1].startswith("  -")):
                title = found[1]
                self.lists[title] = []
            elif title and line.startswith("  "):
                is_followed = lines[position + 1:][:1] and lines[position + 1].startswith(" " * COLUMN)
                self.add(self.lists[title], line, is_followed)
            elif title and not line:
                title = None
            else:
                self.notes.append(line)

    @staticmethod
    def add(rows, line, is_followed):
        """A name that is longer than its column stands alone, and what it does in the line that follows."""
        if not line[:COLUMN].strip():
            name, what = rows[-1]
            rows[-1] = name, f"{what} {line.strip()}".strip()
        elif line[COLUMN - 2:COLUMN] == "  " or line[COLUMN - 1:COLUMN] == " " and not is_followed:
            rows.append((line[:COLUMN].strip(), line[COLUMN:].strip()))
        else:
            rows.append((line.strip(), ""))

    def verbs(self):
        return [name for name, _ in self.lists.get("Subcommands", [])]


@functools.cache
def help_of(program, *verbs):
    result = subprocess.run([program, *verbs, "--help"], capture_output=True, text=True, check=True, timeout=600,
                            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "COLUMNS": "120"})
    return Help(result.stdout)


def escaped(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return re.sub(r"^\.", r"\\&.", text)


def emphasized(text):
    """`code` in bold."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escaped(text)
    return "".join(f"\\fB{escaped(part)}\\fP" if number % 2 else escaped(part) for number, part in enumerate(parts))


def rows(entries):
    lines = []
    for name, what in entries:
        # The option in bold; what it takes, its default and its variable are not.
        flag, *rest = re.split(r"(?<=[^,])(?=[ =])", name, maxsplit=1)
        shown = escaped(flag.replace(",-", ", -"))
        lines += [".TP", f"\\fB{shown}\\fP{escaped(''.join(rest))}", emphasized(what) or "\\&"]
    return lines


def prose(lines):
    """Paragraphs; what is indented stays as it is."""
    made, is_example = [], False
    for line in lines:
        if line.startswith("  ") != is_example:
            is_example = not is_example
            made += [".PP", ".EX"] if is_example else [".EE", ".PP"]
        if line or is_example:
            made.append(escaped(line) if is_example else emphasized(line))
        elif made and made[-1] != ".PP":
            made.append(".PP")
    return made + ([".EE"] if is_example else [])


def body(program, words, page, level):
    """Of a program or verb, below .SH or .SS."""
    name = " ".join([program.name, *words])
    usage = page.usage.removeprefix(str(program)).removeprefix(name).strip()
    lines = []
    if level == ".SS":
        lines += [f".SS {escaped(name)} {escaped(usage)}", emphasized(". ".join(page.about).rstrip(".") + ".")]
    for title, entries in page.lists.items():
        if title == "Subcommands":
            continue
        shown = {"Positionals": "ARGUMENTS"}.get(title, title.upper())
        lines += [f".SH {escaped(shown)}"] if level == ".SH" else []
        lines += rows(entries)
    return lines, usage


def all_below(program, words, page):
    """The verbs below, each with its own help, depth first."""
    lines = []
    for verb in page.verbs():
        below = help_of(program, *words, verb)
        lines += body(program, [*words, verb], below, ".SS")[0]
        notes = prose(below.notes)
        lines += [".PP", *notes] if notes else []
        lines += all_below(program, [*words, verb], below)
    return lines


def variables(program, words, page):
    """Names of environment variables that stand for options, here and below."""
    names = " ".join(name for entries in page.lists.values() for name, _ in entries)
    found = set(re.findall(r"\(Env:(\w+)\)", names))
    for verb in page.verbs():
        found |= variables(program, [*words, verb], help_of(program, *words, verb))
    return found


def man_page(program, words, version, date):
    name = "-".join([program.name, *words])
    section = SECTIONS.get(name, 1)
    page = help_of(program, *words)
    own, usage = body(program, words, page, ".SH")
    about = [line for line in page.about if line]
    about[0] = about[0].rstrip(".") + "."
    summary = SUMMARIES.get(name) or about[0][0].lower() + about[0][1:-1]
    exit_codes = [line for line in page.notes if line.startswith("Exit code: ")]
    notes = [line for line in page.notes if line not in exit_codes]
    lines = [f'.TH {escaped(name.upper())} {section} {escaped(date)} "equipoise {escaped(version)}" Equipoise',
             ".SH NAME", f"{escaped(name)} \\- {escaped(summary)}",
             ".SH SYNOPSIS", f"\\fB{escaped(' '.join([program.name, *words]))}\\fP {escaped(usage)}",
             ".SH DESCRIPTION", *prose(about), ".PP", *prose(notes), *own]
    top = program.name == "equipoise" and not words
    if top:
        lines += [".SH VERBS"]
        for verb, what in page.lists["Subcommands"]:
            lines += [".TP", f"\\fBequipoise\\-{escaped(verb)}\\fP(1)", emphasized(what) + "."]
    elif page.verbs():
        lines += [".SH VERBS", *all_below(program, words, page)]
    if exit_codes:
        lines += [".SH EXIT STATUS", *prose([line.removeprefix("Exit code: ") for line in exit_codes])]
    named = set() if top else variables(program, words, page)
    if named:
        lines += [".SH ENVIRONMENT"]
        for variable in sorted(named):
            lines += [".TP", f"\\fB{escaped(variable)}\\fP", "In place of the option that names it."]
    others = [other for other in SUMMARIES if other != name]
    lines += [".SH SEE ALSO", ",\n".join(f"\\fB{escaped(other)}\\fP({SECTIONS.get(other, 1)})" for other in others)]
    # No paragraph that is empty, or that a heading ends: groff warns of it.
    text = "\n".join(lines) + "\n"
    while True:
        shorter = re.sub(r"^\.PP\n(?=\.(PP|SH|SS|TP|EX)\b)", "", text, flags=re.MULTILINE)
        shorter = re.sub(r"^(\.S[HS] .*\n)\.PP\n", r"\1", shorter, flags=re.MULTILINE)
        if shorter == text:
            return f"man{section}/{name}.{section}", text
        text = shorter


def pages(folder, date):
    """Names and texts of all pages."""
    equipoise = folder / "equipoise"
    version = subprocess.run([equipoise, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    made = [man_page(folder / name, [], version, date) for name in SUMMARIES]
    return dict(made + [man_page(equipoise, [verb], version, date) for verb in help_of(equipoise).verbs()])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    given = parser.parse_args()
    for name, text in pages(given.programs.resolve(), given.date).items():
        (given.output / name).parent.mkdir(parents=True, exist_ok=True)
        (given.output / name).write_text(text)


if __name__ == "__main__":
    main()

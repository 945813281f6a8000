#!/usr/bin/env python3
"""Makes the tables of docs/configuration.md of the comments in job.proto: every key of a job, with its type, default, range,
unit and meaning.

    .ci/job_keys.py            writes them
    .ci/job_keys.py --check    says whether they are what the .proto file says, and whether a key lacks anything

A table stands between `<!-- keys of MESSAGE -->`, or `<!-- keys of MESSAGE under PREFIX, ... -->`, and `<!-- end of keys -->`.
"""

import re
import sys

import api_reference as reference

PAGE = reference.ROOT / "docs/configuration.md"
TABLE = re.compile(r"<!-- keys of (.+?) -->\n.*?<!-- end of keys -->", re.DOTALL)
TAG = re.compile(r"^(Range|Unit|Absent): (.+)$")
Field = reference.Field
NUMBERS = {Field.TYPE_DOUBLE: "number", Field.TYPE_INT32: "integer", Field.TYPE_INT64: "integer", Field.TYPE_UINT64: "integer"}
PATHS = {"ModelSpec.path", "ModelSpec.reference", "ModelSpec.adapter", "ModelSpec.chat_template", "DataSpec.train",
         "DataSpec.validation", "DataSpec.test", "DataFileSpec.path", "JobSpec.output"}


def tags(comment):
    """What the comment says, by the first word of its lines; what stands before the first of them is the meaning."""
    found, at = {"Meaning": []}, "Meaning"
    for line in comment.strip().splitlines():
        line = line.strip()
        match = TAG.match(line)
        if match:
            at, line = match.groups()
        elif line.startswith("Required"):
            at = "Absent"
        found.setdefault(at, []).append(line)
    return {name: " ".join(lines).strip() for name, lines in found.items()}


class Keys:
    """The fields of job.proto; `missing` has what a comment lacks."""

    def __init__(self, proto):
        self.file = next(file for file in reference.descriptors(proto) if file.name.endswith("/job.proto"))
        self.messages = {message.name: (i, message) for i, message in enumerate(self.file.message_type)}
        self.enums = {enum.name: enum for enum in self.file.enum_type}
        places = {tuple(place.path): place.leading_comments for place in self.file.source_code_info.location}
        self.comments = {(message.name, field.name): places.get((reference.MESSAGE, i, reference.FIELD, f), "")
                         for i, message in self.messages.values() for f, field in enumerate(message.field)}
        self.missing = []

    def values(self, name):
        """As they are written in a job: D_TYPE_FLOAT32 is float32."""
        prefix = self.enums[name].value[0].name.removesuffix("UNSPECIFIED")
        return [value.name.removeprefix(prefix).lower() for value in self.enums[name].value[1:]]

    def row(self, message, prefix, field):
        name = f"{message.name}.{field.name}"
        said = tags(self.comments[message.name, field.name])
        maps = {nested.name: nested for nested in message.nested_type}
        short = field.type_name.split(".")[-1]
        numbers = field.type in NUMBERS or short == "ListValue"
        limits = said.get("Range", "").rstrip(".")
        if short in maps:
            value = maps[short].field[1]
            numbers = value.type in NUMBERS
            kind = "group → number" if numbers else "mapping"
        elif field.type == Field.TYPE_ENUM:
            kind = "enum"
            limits = "; ".join(filter(None, [", ".join(f"`{value}`" for value in self.values(short)), limits]))
        elif field.type == Field.TYPE_MESSAGE:
            kind = "numbers" if short == "ListValue" else "section"
        else:
            kind = NUMBERS.get(field.type) or ("bool" if field.type == Field.TYPE_BOOL else
                                               "path" if name in PATHS else "text")
        if field.label == Field.LABEL_REPEATED and short not in maps:
            kind = f"list of {kind}{'' if kind.endswith('s') or kind in ('text', 'enum') else 's'}"
        default = said.get("Absent", "").rstrip(".")
        default = default[:1].lower() + default[1:] if default.startswith("Required") else default
        unit = said.get("Unit", "").rstrip(".")
        lacks = [what for what, there in (("a meaning", said["Meaning"]), ("Absent or Required", default),
                                          ("a Range", limits or not numbers), ("a Unit", unit or not numbers)) if not there]
        if lacks:
            self.missing.append(f"{name} has no {', no '.join(lacks)}")
        cells = [f"`{prefix}{field.name}`", kind, default, limits, "" if unit == "none" else unit, said["Meaning"]]
        return "| " + " | ".join(reference.linked(reference.text(cell), "") for cell in cells) + " |"

    def rows(self, name, prefix, tables):
        """A section without a table of its own stands in that of the section it is in."""
        message = self.messages[name][1]
        found = []
        for field in message.field:
            short = field.type_name.split(".")[-1]
            is_part = field.type == Field.TYPE_MESSAGE and short in self.messages and short not in tables
            found += self.rows(short, f"{prefix}{field.name}.", tables) if is_part else [self.row(message, prefix, field)]
        return found


def configuration(page, proto=reference.ROOT / "proto"):
    """The page with its tables made anew, and what is missing."""
    keys = Keys(proto)
    parts = [re.fullmatch(r"(\w+)(?: under (\w+))?", part.strip()) for head in TABLE.findall(page) for part in head.split(",")]
    tables = [part[1] for part in parts]
    reached, waiting = set(), ["JobSpec"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += [short for field in keys.messages[name][1].field for short in [field.type_name.split(".")[-1]]
                    if short in keys.messages and short not in reached]

    def table(match):
        lines = ["| key | type | default | range | unit | meaning |", "| --- | --- | --- | --- | --- | --- |"]
        for part in match[1].split(","):
            name, under = re.fullmatch(r"(\w+)(?: under (\w+))?", part.strip()).groups()
            lines += keys.rows(name, f"{under}." if under else "", tables)
        return "\n".join([f"<!-- keys of {match[1]} -->", *lines, "<!-- end of keys -->"])

    made = TABLE.sub(table, page)
    for name in sorted(reached):
        if name not in tables and not any(f"`{field.name}." in made for _, message in keys.messages.values()
                                          for field in message.field if field.type_name.endswith(f".{name}")):
            keys.missing.append(f"{name} is in no table")
    return made, keys.missing


def main():
    page = PAGE.read_text()
    made, missing = configuration(page)
    if missing:
        sys.exit("protocol: job.proto: " + "; ".join(missing))
    if sys.argv[1:] == ["--check"]:
        if made != page:
            sys.exit(f"protocol: {PAGE.relative_to(reference.ROOT)} is not what job.proto says: .ci/protocol --write")
        return
    PAGE.write_text(made)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes docs/reference/api.md of the comments in proto/equipoise/v1: every call, message, field and value.

    .ci/api_reference.py            writes it
    .ci/api_reference.py --check    says whether it is what the .proto files say

Reads what `protoc --include_source_info` writes, with Protobuf's Python library of deploy/bootstrap --tests.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".deps/python-tests"))
from google.protobuf import descriptor_pb2  # noqa: E402

PAGE = ROOT / "docs/reference/api.md"
FILES = ["training", "host", "job", "worker", "error"]
Field = descriptor_pb2.FieldDescriptorProto

# Field numbers of FileDescriptorProto and what is in it: a path of them finds a comment.
MESSAGE, ENUM, SERVICE, SYNTAX, FIELD, NESTED, NESTED_ENUM, VALUE, METHOD = 4, 5, 6, 12, 2, 3, 4, 2, 2


def descriptors(proto):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "protocol.binpb"
        subprocess.run(["protoc", f"-I{proto}", f"--descriptor_set_out={out}", "--include_source_info",
                        *(f"equipoise/v1/{name}.proto" for name in FILES)], check=True, cwd=proto)
        found = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    files = {file.name: file for file in found.file}
    return [files[f"equipoise/v1/{name}.proto"] for name in FILES]


def text(comment):
    """In one line, safe in a table."""
    return " ".join(comment.split()).replace("|", "\\|").replace("<", "&lt;")


def linked(comment, up):
    """With links to what it names in docs/; `up`: the way there from the page."""
    return re.sub(r"\bdocs/([\w./-]+\.md)(#[\w-]+)?", lambda m: f"[{m[1]}]({up}{m[1]}{m[2] or ''})", comment)


class Page:
    def __init__(self):
        self.lines = [
            "# Reference of the protocol", "",
            "Made of the comments in `proto/equipoise/v1` by `.ci/protocol --write`; a change belongs there. How calls "
            "fit together: [protocol.md](../protocol.md). Examples: [grpcurl.md](../grpcurl.md).", ""]
        self.missing = []

    def add(self, file):
        self.package = f".{file.package}."
        self.comments = {tuple(place.path): place for place in file.source_code_info.location}
        self.lines += [f"## {file.name}", ""]
        self.paragraph((SYNTAX,), detached=True)
        for i, service in enumerate(file.service):
            self.service(service, (SERVICE, i))
        for i, message in enumerate(file.message_type):
            self.message(message, message.name, (MESSAGE, i))
        for i, enum in enumerate(file.enum_type):
            self.enum(enum, enum.name, (ENUM, i))

    def comment(self, path):
        place = self.comments.get(path)
        return linked(text(place.leading_comments or place.trailing_comments), "../") if place else ""

    def needed(self, path, name):
        comment = self.comment(path)
        if not comment:
            self.missing.append(name)
        return comment

    def paragraph(self, path, detached=False):
        comment = self.comment(path)
        if comment:
            self.lines += [comment, ""]

    def type_name(self, name):
        if not name.startswith(self.package):
            return f"`{name[1:]}`"
        short = name[len(self.package):]
        return f"[{short}](#{short.lower().replace('.', '')})"

    def field_type(self, field, maps):
        if field.type_name in maps:
            key, value = maps[field.type_name].field
            return f"map&lt;{self.field_type(key, {})}, {self.field_type(value, {})}>"
        is_named = field.type in (Field.TYPE_MESSAGE, Field.TYPE_ENUM)
        name = self.type_name(field.type_name) if is_named else Field.Type.Name(field.type)[len("TYPE_"):].lower()
        if field.label == Field.LABEL_REPEATED:
            return f"repeated {name}"
        return f"optional {name}" if field.proto3_optional else name

    def service(self, service, path):
        self.lines += [f"### {service.name}", ""]
        self.paragraph(path)
        for i, method in enumerate(service.method):
            stream = "stream of " if method.server_streaming else ""
            self.lines += [f"#### {service.name}.{method.name}", "",
                           f"{self.type_name(method.input_type)} → {stream}{self.type_name(method.output_type)}", "",
                           self.needed(path + (METHOD, i), f"{service.name}.{method.name}"), ""]

    def message(self, message, name, path):
        self.lines += [f"### {name}", ""]
        self.paragraph(path)
        maps = {f"{self.package}{name}.{nested.name}": nested for nested in message.nested_type
                if nested.options.map_entry}
        if message.field:
            self.lines += ["| number | field | type | meaning |", "| --- | --- | --- | --- |"]
        for i, field in enumerate(message.field):
            comment = self.needed(path + (FIELD, i), f"{name}.{field.name}")
            self.lines.append(f"| {field.number} | `{field.name}` | {self.field_type(field, maps)} | {comment} |")
        self.lines += [""] if message.field else ["No fields.", ""]
        for i, nested in enumerate(message.nested_type):
            if not nested.options.map_entry:
                self.message(nested, f"{name}.{nested.name}", path + (NESTED, i))
        for i, enum in enumerate(message.enum_type):
            self.enum(enum, f"{name}.{enum.name}", path + (NESTED_ENUM, i))

    def enum(self, enum, name, path):
        self.lines += [f"### {name}", ""]
        self.paragraph(path)
        self.lines += ["| number | value | meaning |", "| --- | --- | --- |"]
        for i, value in enumerate(enum.value):
            self.lines.append(f"| {value.number} | `{value.name}` | {self.comment(path + (VALUE, i))} |")
        self.lines.append("")


def reference(proto=ROOT / "proto"):
    """The page, and the names of calls and fields without a comment."""
    page = Page()
    for file in descriptors(proto):
        page.add(file)
    return "\n".join(page.lines).rstrip() + "\n", page.missing


def main():
    page, missing = reference()
    if missing:
        sys.exit(f"protocol: without a comment: {', '.join(missing)}")
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != page:
            sys.exit(f"protocol: {PAGE.relative_to(ROOT)} is not what the .proto files say: .ci/protocol --write")
        return
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()

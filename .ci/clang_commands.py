#!/usr/bin/env python3
"""Writes compile_commands.json as Clang's tools read it: clang_commands.py BUILD_FOLDER OUTPUT_FOLDER.

Each source of a unity unit has an entry of its own, and GCC's precompiled headers, which Clang cannot read, are left out.
"""
import json
import pathlib
import re
import sys


def main(build, output):
    entries = []
    for unit in json.loads((pathlib.Path(build) / "compile_commands.json").read_text()):
        file = pathlib.Path(unit["file"])
        sources = [str(file)]
        if file.name.startswith("unity_"):
            sources = re.findall(r'^#include "([^"]+)"', file.read_text(), re.MULTILINE)
        command = re.sub(r" -include \S*cmake_pch\.hxx| -Winvalid-pch| -fpch-preprocess| -Werror", "", unit["command"])
        for source in sources:
            entries.append({"directory": unit["directory"], "file": source, "command": command.replace(str(file), source)})
    pathlib.Path(output).mkdir(parents=True, exist_ok=True)
    (pathlib.Path(output) / "compile_commands.json").write_text(json.dumps(entries))


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/env python3
"""Makes task.json.xz, SkyPilot's own JSON schemas of a task file and of its resources. With the package skypilot==0.14.1."""

import json
import lzma
import pathlib

from sky.utils import schemas


def without_descriptions(part):
    if isinstance(part, dict):
        return {key: without_descriptions(value) for key, value in part.items()
                if not (key == "description" and isinstance(value, str))}
    return [without_descriptions(value) for value in part] if isinstance(part, list) else part


made = without_descriptions({"task": schemas.get_task_schema(), "resources": schemas.get_resources_schema()})
text = json.dumps(made, sort_keys=True, separators=(",", ":"))
pathlib.Path(__file__).with_name("task.json.xz").write_bytes(lzma.compress(text.encode(), preset=9))

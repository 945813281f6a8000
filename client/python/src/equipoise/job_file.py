"""Jobs as files and dictionaries have them: the message JobSpec with the names of docs/configuration.md."""

from __future__ import annotations

import difflib
import math
import os
import pathlib
import re
from typing import Any, Iterator, Mapping, Union

from equipoise import _proto
from equipoise.errors import InvalidArgument

JobSource = Union[Mapping[str, Any], str, "os.PathLike[str]"]
"""A job: a dictionary, the path of a YAML file, or the text of one."""

_LONGEST_NAME = 63
# As is_checkpoint_folder() of common/config/training_config.cc.
_NO_FOLDERS = ("latest", "true", "True", "TRUE", "false", "False", "FALSE")
_LIST_VALUE = "google.protobuf.ListValue"


def read_job(job: JobSource, settings: Mapping[str, Any] | None = None) -> _proto.Message:
    """The JobSpec of a job. Relative paths in a file are relative to its folder, others to the current one.

    Args:
        job: The job.
        settings: Single settings in place of the job's: {"loss.beta": 0.2}.

    Raises:
        InvalidArgument: A key that is not known or given twice, a value of the wrong type, bad YAML.
        OSError: The file cannot be read.
    """
    folder, name = pathlib.Path.cwd(), ""
    if isinstance(job, Mapping):
        content: Any = job
    elif isinstance(job, str) and "\n" in job:
        content = _parse(job, "the job")
    else:
        path = pathlib.Path(job).absolute()
        content, folder, name = _parse(path.read_text("utf-8"), str(job)), path.parent, _name_from(path)
    spec = _proto.message("JobSpec")
    _set_fields(spec, content, "")
    for key, value in (settings or {}).items():
        set_path(spec, key, value)
    if not spec.name:
        spec.name = name
    _make_paths_absolute(spec, folder)
    return spec


def spec_to_dict(spec: _proto.Message) -> dict[str, Any]:
    """The job as a dictionary: what is set, in the words of a job file."""
    return {field.name: _to_python(field, value) for field, value in spec.ListFields()}


def _name_from(path: pathlib.Path) -> str:
    """"GR_DPO.yaml" is gr-dpo; empty where nothing of it can be a name."""
    name = re.sub(r"[^a-z0-9]", "-", re.sub(r"^[^a-z]*", "", path.stem.lower()))
    return name[:_LONGEST_NAME].rstrip("-")


# YAML


def _parse(text: str, source: str) -> Any:
    """Mappings, lists and texts: each scalar is the text that stands there, as the command line reads it, or None."""
    import yaml

    try:
        return _plain(yaml.compose(text, Loader=yaml.SafeLoader), source)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = source if mark is None else f"{source}:{mark.line + 1}"
        raise InvalidArgument(f"{where}: {getattr(problem, 'problem', None) or problem}") from None


def _plain(node: Any, source: str) -> Any:
    import yaml

    if node is None or node.tag == "tag:yaml.org,2002:null":
        return None
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, source) for item in node.value]
    result: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise InvalidArgument(f"{source}:{key.start_mark.line + 1}: a key is a list or mapping, expected a name")
        if key.value in result:
            raise InvalidArgument(f"{source}:{key.start_mark.line + 1}: {key.value} is given twice")
        result[key.value] = _plain(value, source)
    return result


# Messages


def _fields(descriptor: Any) -> dict[str, Any]:
    return {name: field for field in descriptor.fields for name in (field.name, field.json_name)}


def _find(descriptor: Any, key: Any, prefix: str) -> Any:
    fields = _fields(descriptor)
    if key in fields:
        return fields[key]
    names = [field.name for field in descriptor.fields]
    near = difflib.get_close_matches(str(key), names, n=1)
    expected = f'the nearest known one is "{prefix}{near[0]}"' if near else f"expected one of {', '.join(names)}"
    raise InvalidArgument(f'unknown key "{prefix}{key}", {expected}')


def _set_fields(message: _proto.Message, content: Any, prefix: str) -> None:
    if not isinstance(content, Mapping):
        raise InvalidArgument(f"{prefix[:-1] or 'the job'} is {content!r}, expected a mapping")
    for key, value in content.items():
        _set(message, _find(message.DESCRIPTOR, key, prefix), value, prefix)


def set_path(message: _proto.Message, path: str, value: Any) -> None:
    """Sets the field at "loss.beta" in place of what it was; "data.group_counts.India" is an entry of a mapping."""
    prefix = ""
    while True:
        key, _, rest = path.partition(".")
        field = _find(message.DESCRIPTOR, key, prefix)
        if not rest:
            message.ClearField(field.name)
            return _set(message, field, value, prefix)
        prefix, path = f"{prefix}{field.name}.", rest
        if _is_map(field):
            of_entry = field.message_type.fields_by_name["value"]
            getattr(message, field.name)[rest] = _scalar(of_entry, value, prefix + rest)
            return None
        if field.message_type is None or is_repeated(field):
            raise InvalidArgument(f"{prefix}{rest} does not exist: {field.name} is no section")
        message = getattr(message, field.name)
        message.SetInParent()


def _is_map(field: Any) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def is_repeated(field: Any) -> bool:
    """Whether a field is a list, or a mapping."""
    # `label` and is_repeated are each only there in some versions of Protobuf.
    repeated = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if repeated is None else repeated)


def _set(message: _proto.Message, field: Any, value: Any, prefix: str) -> None:
    path = prefix + field.name
    if value is None:
        return
    if _is_map(field):
        if not isinstance(value, Mapping):
            raise InvalidArgument(f"{path} is {value!r}, expected a mapping from names to values")
        of_entry = field.message_type.fields_by_name["value"]
        for key, one in value.items():
            getattr(message, field.name)[str(key)] = _scalar(of_entry, one, f"{path}.{key}")
    elif is_repeated(field):
        if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__"):
            raise InvalidArgument(f"{path} is {value!r}, expected a list")
        for i, one in enumerate(value):
            _append(getattr(message, field.name), field, one, f"{path}[{i}]")
    elif field.message_type is not None:
        section = getattr(message, field.name)
        section.SetInParent()
        _set_fields(section, value, path + ".")
    else:
        setattr(message, field.name, _scalar(field, value, path))


def _append(items: Any, field: Any, value: Any, path: str) -> None:
    if field.message_type is None:
        items.append(_scalar(field, value, path))
    elif field.message_type.full_name == _LIST_VALUE:
        if isinstance(value, (str, Mapping)) or not hasattr(value, "__iter__"):
            raise InvalidArgument(f"{path} is {value!r}, expected a list of numbers")
        items.add().extend([_number(one, path) for one in value])
    else:
        _set_fields(items.add(), value, path + ".")


def _refuse(path: str, value: Any, wanted: str) -> InvalidArgument:
    return InvalidArgument(f"{path} is {value!r}, expected {wanted}")


def _number(value: Any, path: str) -> float:
    if not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise _refuse(path, value, "a number")


def _whole_number(value: Any, path: str) -> int:
    """64, "64", and what is one as a float: 1e3."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+", value):
        return int(value)
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        return int(value.__index__())
    try:
        number = _number(value, path)
    except InvalidArgument:
        number = 0.5
    if not number.is_integer():
        raise _refuse(path, value, "an integer")
    return int(number)


def _truth(value: Any, path: str) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "True", "TRUE"):
        return True
    if value in ("false", "False", "FALSE"):
        return False
    raise _refuse(path, value, "true or false")


def _short_names(enum: Any) -> dict[str, int]:
    """LOSS_TYPE_DPO is dpo."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {value.name.removeprefix(prefix).lower(): value.number for value in enum.values if value.number != 0}


def _scalar(field: Any, value: Any, path: str) -> Any:
    kind = field.cpp_type
    if kind == field.CPPTYPE_ENUM:
        names = _short_names(field.enum_type)
        full = {one.name: one.number for one in field.enum_type.values if one.number != 0}
        if isinstance(value, str) and value in names | full:
            return (names | full)[value]
        raise _refuse(path, value, f"one of {', '.join(names)}")
    if kind == field.CPPTYPE_BOOL:
        return _truth(value, path)
    if kind == field.CPPTYPE_DOUBLE:
        return _number(value, path)
    if kind == field.CPPTYPE_STRING:
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            if isinstance(value, bool):
                return str(value).lower()  # resume_from_checkpoint: true
            raise _refuse(path, value, "text")
        return str(value)
    number = _whole_number(value, path)
    bits = 32 if kind == field.CPPTYPE_INT32 else 64
    low, high = (0, 2**bits - 1) if kind == field.CPPTYPE_UINT64 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if not low <= number <= high:
        raise _refuse(path, value, f"an integer from {low} to {high}")
    return number


def _to_python(field: Any, value: Any) -> Any:
    if _is_map(field):
        return dict(value)
    if not is_repeated(field):
        return _one_to_python(field, value)
    return [_one_to_python(field, one) for one in value]


def _one_to_python(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        return next((name for name, number in _short_names(field.enum_type).items() if number == value), value)
    if field.message_type is None:
        return value
    if field.message_type.full_name == _LIST_VALUE:
        return list(value)
    return spec_to_dict(value)


# Paths


def _paths(spec: _proto.Message) -> Iterator[tuple[_proto.Message, str]]:
    """Every field that names a file or a folder: its message and name."""
    yield spec, "output"
    for name in ("path", "reference", "adapter", "chat_template"):
        yield spec.model, name
    for name in ("train", "validation", "test"):
        yield spec.data, name
    for file in (*spec.data.train_files, *spec.data.validation_files):
        yield file, "path"
    if spec.training.resume_from_checkpoint not in _NO_FOLDERS:
        yield spec.training, "resume_from_checkpoint"


def _make_paths_absolute(spec: _proto.Message, folder: pathlib.Path) -> None:
    for message, name in list(_paths(spec)):
        if path := getattr(message, name):
            setattr(message, name, os.path.normpath(folder / path))

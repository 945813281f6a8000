"""The service's messages, made of the descriptors of proto/ (client/python/generate.py). Not part of the package's
interface."""

import pathlib
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, empty_pb2  # noqa: F401
from google.protobuf import field_mask_pb2, message_factory, struct_pb2, timestamp_pb2  # noqa: F401

PACKAGE = "equipoise.v1"
SERVICES = (f"{PACKAGE}.TrainingJobService", f"{PACKAGE}.HostService")

# Protobuf has no types to check with.
Message = Any


def _load() -> Any:
    """The pool of descriptors, with ours in it."""
    pool = descriptor_pool.Default()
    files = descriptor_pb2.FileDescriptorSet()
    files.ParseFromString((pathlib.Path(__file__).parent / "messages.binpb").read_bytes())
    waiting = list(files.file)
    known: set[str] = set()
    names = {file.name for file in waiting}
    while waiting:  # imports first
        file = next(file for file in waiting if all(name in known or name not in names for name in file.dependency))
        pool.AddSerializedFile(file.SerializeToString())
        known.add(file.name)
        waiting.remove(file)
    return pool


_POOL = _load()


def message(name: str, /, **fields: Any) -> Message:
    """A message of the service: message("GetTrainingJobRequest", id="a")."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))(**fields)


def method(name: str) -> Any:
    """The descriptor of one of the services' calls. Raises KeyError."""
    for service in SERVICES:
        methods = _POOL.FindServiceByName(service).methods_by_name
        if name in methods:
            return methods[name]
    raise KeyError(name)


def message_class(descriptor: Any) -> Any:
    return message_factory.GetMessageClass(descriptor)

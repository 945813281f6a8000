"""Writes src/equipoise/_proto/messages.binpb, the messages of proto/ as the client reads them: their descriptors.

Descriptors, and no generated modules: these would work with one version of Protobuf only, of which a training
environment has one already. setup.py calls it with protoc of grpcio-tools; tests call it with whichever protoc is there."""

import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PROTO = HERE.parents[1] / "proto"
OUTPUT = HERE / "src/equipoise/_proto/messages.binpb"


def protoc() -> list[str]:
    """A command: protoc of grpcio-tools, else that of the system."""
    try:
        import grpc_tools  # noqa: F401
    except ImportError:
        return ["protoc"]
    return [sys.executable, "-m", "grpc_tools.protoc"]


def generate() -> pathlib.Path:
    """Makes the file and returns it. An sdist has it already, and no proto/."""
    if not PROTO.exists():
        return OUTPUT
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("equipoise/v1/*.proto"))
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    # Aside, then renamed: another test may be reading it.
    descriptor, aside = tempfile.mkstemp(dir=OUTPUT.parent, suffix=".new")
    os.close(descriptor)
    try:
        subprocess.run([*protoc(), f"-I{PROTO}", f"--descriptor_set_out={aside}", *files], check=True)
        os.replace(aside, OUTPUT)
    finally:
        pathlib.Path(aside).unlink(missing_ok=True)
    return OUTPUT


if __name__ == "__main__":
    print(generate())

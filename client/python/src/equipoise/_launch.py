"""Starts a program of the wheel in place of this process, under the name that this one was called by."""

import os
import pathlib
import sys

PROGRAMS = pathlib.Path(__file__).resolve().parent / "_programs/bin"


def main() -> None:
    """What the console scripts run."""
    program = PROGRAMS / pathlib.Path(sys.argv[0]).name
    os.execv(program, [str(program), *sys.argv[1:]])

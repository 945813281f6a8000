"""The Python package of client/python for the tests, from its sources."""

import importlib
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "client/python"


def load():
    """The package `equipoise`, its messages made of proto/ as they are now."""
    sys.path[:0] = [str(PACKAGE / "src"), str(PACKAGE)]
    importlib.import_module("generate").generate()
    return importlib.import_module("equipoise")


def environment():
    """Of a Python program that imports the package."""
    return dict(os.environ, PYTHONPATH=f"{PACKAGE / 'src'}:{os.environ.get('PYTHONPATH', '')}")

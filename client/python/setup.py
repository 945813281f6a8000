"""Makes the messages, and puts the programs beside the client where deploy/wheel has built them: EQUIPOISE_PROGRAMS is
a folder with them, EQUIPOISE_TORCH the release of torch whose LibTorch they were linked with."""

import os
import pathlib
import shutil
import sys

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import generate  # noqa: E402

PROGRAMS = os.environ.get("EQUIPOISE_PROGRAMS")
DEPENDENCIES = ["grpcio>=1.60", "protobuf>=4.25", "PyYAML>=6"]
SCRIPTS = []
if PROGRAMS:
    DEPENDENCIES.append(f"torch=={os.environ['EQUIPOISE_TORCH']}")
    NAMES = ("equipoise", "equipoise-coordinator", "equipoise-worker")
    SCRIPTS = [f"{name} = equipoise._launch:main" for name in NAMES]


class BuildWithMessages(build_py):
    def run(self):
        generate.generate()
        super().run()
        if PROGRAMS:
            target = pathlib.Path(self.build_lib) / "equipoise/_programs"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(PROGRAMS, target)


class WheelOfPrograms(bdist_wheel):
    """For every Python, and for one kind of machine."""

    def get_tag(self):
        python, abi, platform = super().get_tag()
        return ("py3", "none", platform) if PROGRAMS else (python, abi, platform)


class MaybeWithPrograms(Distribution):
    def has_ext_modules(self):
        return bool(PROGRAMS)


setup(cmdclass={"build_py": BuildWithMessages, "bdist_wheel": WheelOfPrograms}, distclass=MaybeWithPrograms,
      install_requires=DEPENDENCIES, entry_points={"console_scripts": SCRIPTS})

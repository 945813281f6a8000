"""The wheel of deploy/wheel on a machine that has only Python and Open MPI: a fresh Debian in a folder, which it is
installed and used in. Needs root, mmdebstrap and Debian's mirror: `make test-wheel`."""

import pathlib
import re
import shutil
import subprocess
import sys
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import fresh_debian  # noqa: E402
import programs  # noqa: E402

WHEELS = programs.ROOT / "build/wheel"
SITE_PACKAGES = "venv/lib/python3.11/site-packages"

PROGRAM = """
import equipoise
job = {"name": "from-wheel", "model": {"path": "model"}, "data": {"train": "data/train.jsonl"},
       "training": {"max_steps": 5}, "output": "o"}
with equipoise.Client() as client:
    job = client.wait(client.submit(job, workers=2).id, timeout=200)
    print(job.state, job.step)
"""


class Wheel(fresh_debian.FreshDebian):
    ARCHIVE = WHEELS / "debian.tar"
    INCLUDE = "python3-venv,openmpi-bin"
    VARIABLES = {"PATH": "/venv/bin:/usr/bin:/bin", "HOME": "/root", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                 "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1", "EQUIPOISE_DEVICE": "cpu",
                 "LC_ALL": "C.UTF-8"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.wheel, = WHEELS.glob("equipoise-*.whl")
        shutil.copy(cls.wheel, cls.root)
        cls.succeed("python3", "-m", "venv", "/venv")
        cls.install_dependencies()
        cls.succeed("pip", "install", "--quiet", "--no-index", "--no-deps", f"/{cls.wheel.name}")

    @classmethod
    def install_dependencies(cls):
        """What pip would fetch: the client's packages, and LibTorch's files as deploy/bootstrap has them, since torch
        with all that it has for GPUs is several gigabytes."""
        packages = [line.partition(";")[0] for line in cls.requirements() if not line.startswith("torch")]
        wheels = cls.root / "wheels"
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
                        "--only-binary", ":all:", "--python-version", "3.11", "--dest", str(wheels),
                        *[package for package in packages if "extra" not in package]], check=True)
        cls.succeed("pip", "install", "--quiet", "--no-index", "--find-links", "/wheels", *packages)
        for name in ("torch/lib", "nvidia/cu13/lib"):
            target = cls.root / SITE_PACKAGES / name
            target.mkdir(parents=True)
            cls.mount(target.relative_to(cls.root), "--bind", str((programs.DEPS / "python" / name).resolve()))

    @classmethod
    def requirements(cls):
        """Without extras."""
        with zipfile.ZipFile(cls.wheel) as wheel:
            metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("/METADATA"))).decode()
        return [line for line in re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE) if "extra ==" not in line]

    def test_it_wants_the_release_of_torch_that_the_programs_are_linked_with(self):
        release, = (programs.DEPS / "python").glob("torch-*.dist-info")
        version = re.match(r"torch-([0-9.]+[0-9])", release.name).group(1)
        self.assertEqual([line for line in self.requirements() if line.startswith("torch")], [f"torch=={version}"])

    def test_there_is_no_compiler_and_no_library_of_ours(self):
        for program in ("g++", "cmake", "equipoise", "protoc"):
            self.assertNotEqual(self.start("which", program, PATH="/usr/bin:/bin").returncode, 0, program)
        self.assertEqual([*self.root.glob("usr/lib/*/libgrpc*")], [])

    def test_train_evaluate_and_the_service(self):
        folder = "/root/work"
        (self.root / folder.strip("/")).mkdir()
        in_folder = ("env", "-C", folder)
        self.assertRegex(self.succeed("equipoise", "--version"), r"^equipoise 0\.")
        self.succeed(*in_folder, "equipoise", "data", "generate", "survey.jsonl", "--questions", "80")
        self.succeed(*in_folder, "equipoise", "data", "import", "opinionqa", "survey.jsonl", "--output", "data")
        self.succeed(*in_folder, "equipoise", "model", "init", "model", "--data", "data/train.jsonl", "--hidden-size",
                     "32", "--layers", "2", "--heads", "2", "--head-dim", "16", "--vocab-size", "600")
        (self.root / folder.strip("/") / "job.yaml").write_text(
            "{model: {path: model}, data: {train: data/train.jsonl, validation: data/validation.jsonl},\n"
            " robust: {mode: group_robust, step_size: 0.1}, training: {max_steps: 8, global_batch_size: 16},\n"
            " logging: {tensorboard: true}, output: run}\n")
        self.succeed(*in_folder, "equipoise", "train", "job.yaml", "--np", "2")
        self.assertTrue((self.root / folder.strip("/") / "run/final/model.safetensors").exists())
        self.succeed(*in_folder, "equipoise", "verify", "run")
        self.assertIn("worst", self.succeed(*in_folder, "equipoise", "evaluate", "--model", "run/final", "--reference",
                                            "model", "--data", "data/validation.jsonl", "--output", "pairs.jsonl"))
        coordinator = subprocess.Popen(
            self.command("equipoise-coordinator", "--listen", "127.0.0.1:0", "--metrics-listen", "", "--state",
                         "/root/state", "--announce", "/root/announce.json"), env=self.VARIABLES,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            announce = self.root / "root/announce.json"
            self.succeed("sh", "-c", "until [ -e /root/announce.json ]; do sleep 0.1; done")
            address = re.search(r'"address": *"([^"]+)"', announce.read_text()).group(1)
            printed = self.succeed(*in_folder, "python", "-c", PROGRAM, EQUIPOISE_COORDINATOR=address)
            self.assertEqual(printed, "succeeded 5\n")
        finally:
            coordinator.terminate()
            self.assertEqual(coordinator.wait(timeout=60), 0)


if __name__ == "__main__":
    unittest.main()

"""Checks of the machine: its C library, its torch, what the programs of the bundle need, its MPI and its driver."""

import importlib.util
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

from bundled_programs import BundledPrograms
from checklist import Failed, NotHere

BUNDLE = pathlib.Path(__file__).resolve().parent
PROGRAMS = ["equipoise", "equipoise-coordinator", "equipoise-shim", "equipoise-worker", "equipoise-gpu-check", "mpirun"]
FIRST_DRIVER = 580  # of CUDA 13


def version_numbers(text):
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


class MachineChecks(BundledPrograms):
    """`torch_folder` holds torch/; None: that of this Python. torch() sets the environment of the programs, driver() the
    GPUs."""

    def __init__(self, checklist, folder, torch_folder):
        super().__init__(checklist, folder)
        self.torch_folder = torch_folder
        self.gpus = []

    def glibc(self):
        wanted = json.loads((BUNDLE / "bundle.json").read_text())["glibc"]
        found = platform.libc_ver()[1]
        if version_numbers(found) < version_numbers(wanted):
            raise Failed(f"this machine has glibc {found}, the bundle needs {wanted}: take a newer system")
        return f"{found}, the bundle needs {wanted}"

    def site_packages(self):
        """Folders that hold torch/ and nvidia/, which need not be the same."""
        if self.torch_folder is not None:
            return [self.torch_folder]
        folders = []
        for name in ("torch", "nvidia"):
            found = importlib.util.find_spec(name)
            folders += [pathlib.Path(place).parent for place in (found.submodule_search_locations or [] if found else [])]
        return list(dict.fromkeys(folders))

    def torch(self):
        sites = self.site_packages()
        site = next((site for site in sites if (site / "torch/version.py").exists()), None)
        if site is None:
            raise Failed(f"{self.torch_folder or sys.executable} has no torch: pip install torch==2.11.0, start the script "
                         "with that Python, or name the folder that holds torch/ with --torch")
        text = (site / "torch/version.py").read_text()
        version = re.search(r"__version__ = '([^']+)'", text)[1]
        cuda = re.search(r"^cuda[^=]*= '([^']+)'", text, re.MULTILINE)
        if version_numbers(version) != (2, 11) or cuda is None or version_numbers(cuda[1])[0] != 13:
            raise Failed(f"torch is {version} for CUDA {cuda[1] if cuda else 'none'}, the bundle was made for 2.11 and CUDA 13")
        libraries = [BUNDLE / "lib", site / "torch/lib"]
        for folder in sites:
            libraries += sorted(folder.glob("nvidia/*/lib"))
        inherited = [os.environ["LD_LIBRARY_PATH"]] if os.environ.get("LD_LIBRARY_PATH") else []
        self.environment.update(
            LD_LIBRARY_PATH=":".join([*map(str, libraries), *inherited]), PATH=f"{BUNDLE / 'bin'}:{os.environ.get('PATH', '')}",
            OPAL_PREFIX=str(BUNDLE), PMIX_INSTALL_PREFIX=str(BUNDLE), OMPI_ALLOW_RUN_AS_ROOT="1",
            OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", EQUIPOISE_CACHE=str(self.folder / "cache"))
        return f"{version}, CUDA {cuda[1]}, in {site}"

    def libraries(self):
        # With what these need, and that needs, and so on. Open MPI loads its plugins itself.
        files = [*(BUNDLE / "bin").iterdir(), BUNDLE / "lib/libequipoise_gpu.so", *(BUNDLE / "lib").glob("*/**/*.so")]
        absent = set()
        for file in files:
            for line in self.succeed("ldd", file).splitlines():
                # The driver's own library comes with the driver.
                if "not found" in line and not line.strip().startswith("libcuda.so"):
                    absent.add(f"{file.name}: {line.strip()}")
        if absent:
            raise Failed("; ".join(sorted(absent)))
        return f"all that {len(files)} programs and plugins need"

    def programs(self):
        for program in PROGRAMS:
            self.succeed(program, "--help")
        return self.succeed("equipoise", "--version").split("\n")[0]

    def mpirun(self):
        # As for one machine, also inside of a batch system's job.
        one_machine = ("--mca", "plm", "isolated", "--mca", "ras", "^slurm,tm,lsf,gridengine", "--oversubscribe")
        answers = self.succeed("mpirun", *one_machine, "--bind-to", "none", "-np", 2, "equipoise-coordinator",
                               "--version").splitlines()
        if len(answers) != 2:
            raise Failed(f"{len(answers)} of 2 processes answered: {answers}")
        return "two processes answered"

    def driver(self):
        if not pathlib.Path("/dev/nvidiactl").exists():
            raise NotHere("this machine has no NVIDIA driver: there is no /dev/nvidiactl")
        try:
            listed = subprocess.run(
                ["nvidia-smi", "--query-gpu=uuid,name,memory.total,driver_version", "--format=csv,noheader"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        except OSError:
            return "/dev/nvidiactl is there; no nvidia-smi, which would name the GPUs"
        said = (listed.stdout + listed.stderr).strip().splitlines() or ["nothing"]
        self.gpus = [[field.strip() for field in line.split(",")] for line in listed.stdout.splitlines() if line.count(",") == 3]
        if listed.returncode != 0 or not self.gpus:
            raise NotHere(f"the NVIDIA driver offers no GPU: nvidia-smi says {said[0]}")
        series = version_numbers(self.gpus[0][3])[0]
        if series < FIRST_DRIVER:
            raise NotHere(f"the NVIDIA driver is {self.gpus[0][3]}, CUDA 13 needs {FIRST_DRIVER} or newer: update it")
        self.checklist.facts["gpus"] = "; ".join(", ".join(gpu) for gpu in self.gpus)
        return self.checklist.facts["gpus"]

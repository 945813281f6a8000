"""The bundle of `make check-gpu`: it runs with nothing but a torch beside it, and stops where the driver is missing."""

import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "gpu"))
import check_gpu  # noqa: E402
from checklist import Check, Checklist, Failed, Measured, NotHere  # noqa: E402
from programs import BIN, DEPS, ROOT, ProgramTest, run  # noqa: E402

DRIVER = pathlib.Path("/dev/nvidiactl")


class Bundle(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.place = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="equipoise-test-")))
        cls.bundle = cls.place / "equipoise-check-gpu"
        subprocess.run([sys.executable, ROOT / "tests/gpu/make_bundle.py", cls.bundle], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "EQUIPOISE_BUILD": str(BIN.parent)})

    def check_gpu(self, *arguments):
        """The finished script, without a variable of this machine's MPI, loader or devices."""
        return subprocess.run(
            [sys.executable, self.bundle / "check-gpu", "--torch", DEPS / "python", "--output", self.folder / "found", *arguments],
            capture_output=True, text=True, timeout=300, cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", "TMPDIR": str(self.folder),
                 "OMP_NUM_THREADS": "1"})

    def rows(self):
        return {row["name"]: row for row in json.loads((self.folder / "found/results.json").read_text())["rows"]}

    @unittest.skipIf(DRIVER.exists(), "this machine has a driver")
    def test_a_missing_driver_is_one_line_after_all_that_needs_none(self):
        done = self.check_gpu("--only", "training gr-dpo", "--only", "gemma-full")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        line = "this machine has no NVIDIA driver: there is no /dev/nvidiactl"
        self.assertEqual(done.stdout.splitlines()[-1], f"check-gpu: {line}")
        status = {name: row["status"] for name, row in self.rows().items()}
        self.assertEqual(status, {
            **dict.fromkeys(("glibc", "torch", "libraries", "programs", "mpirun"), "passed"),
            **dict.fromkeys(("driver", "small model", "gemma-full", "training gr-dpo"), "not run")})
        self.assertRegex((self.folder / "found/results.md").read_text(),
                         rf"\| driver \| not run \| series 580 or newer, with a GPU \| {re.escape(line)} \| [0-9.]+ \|")

    def test_trains_on_the_cpu_with_the_mpirun_of_the_bundle(self):
        done = self.check_gpu("--device", "cpu", "--only", "1 and 2 ranks", "--only", "collective")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rows = self.rows()
        self.assertEqual({row["status"] for row in rows.values()}, {"passed"})
        self.assertLess(rows["1 and 2 ranks"]["numbers"]["difference"], 1e-3)
        self.assertEqual(rows["collective"]["numbers"]["buckets"], 200)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["found"])

    def test_another_torch_is_one_line_and_what_needs_it_is_not_run(self):
        other = self.folder / "other/torch"
        other.mkdir(parents=True)
        (other / "version.py").write_text("__version__ = '2.8.0+cu128'\ncuda: Optional[str] = '12.8'\n")
        done = self.check_gpu("--torch", str(other.parent), "--device", "cpu", "--only", "mpirun")
        self.assertEqual(done.returncode, 1)
        rows = self.rows()
        self.assertEqual(rows["torch"]["measured"],
                         "torch is 2.8.0+cu128 for CUDA 12.8, the bundle was made for 2.11 and CUDA 13")
        self.assertEqual((rows["mpirun"]["status"], rows["mpirun"]["measured"]), ("not run", "needs what torch checks"))

    def test_holds_no_folder_of_the_machine_that_made_it(self):
        for file in [*(self.bundle / "bin").iterdir(), self.bundle / "lib/libequipoise_gpu.so"]:
            dynamic = subprocess.run(["readelf", "-d", file], capture_output=True, text=True, check=True).stdout
            self.assertNotIn(".deps", dynamic, file)

    def test_runs_every_check_of_the_program(self):
        names = re.search(r"--only \S+:\{([^}]*)\}", run("equipoise-gpu-check", "--help").stdout)
        self.assertEqual(sorted(names[1].split(",")), sorted(check_gpu.COMPUTING))


class ChecklistRules(ProgramTest):
    def setUp(self):
        super().setUp()
        self.list = Checklist(self.folder / "found", 60)

    def run_checks(self, *checks):
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            self.list.run(checks)
        return [(row["name"], row["status"]) for row in json.loads((self.folder / "found/results.json").read_text())["rows"]]

    def test_goes_on_after_a_check_that_failed_or_broke(self):
        def fails():
            raise Failed("no | is 1", "one\ntwo\n", {"x": 0})
        found = self.run_checks(Check("a", "1", 9, fails), Check("b", "2", 9, lambda: 1 // 0),
                                Check("c", "3", 9, lambda: Measured("fine", {"x": 3})), Check("d", "4", 9, lambda: "", ("b",)))
        self.assertEqual(found, [("a", "FAILED"), ("b", "FAILED"), ("c", "passed"), ("d", "not run")])
        self.assertEqual((self.list.rows[0]["output"], self.list.rows[0]["numbers"]), (["one", "two"], {"x": 0}))
        self.assertEqual(self.list.rows[1]["measured"], "ZeroDivisionError: integer division or modulo by zero")
        self.assertRegex((self.folder / "found/results.md").read_text(),
                         r"\| a \| FAILED \| 1 \| no \\\| is 1 \| [0-9.]+ \|")

    def test_what_a_machine_cannot_show_is_not_run(self):
        def absent():
            raise NotHere("one GPU")
        self.assertEqual(self.run_checks(Check("a", "2 GPUs", 9, absent)), [("a", "not run")])
        self.assertEqual(self.list.failed(), [])

    def test_a_check_that_hangs_is_ended_with_what_it_started(self):
        checks = check_gpu.GpuChecks(argparse.Namespace(device="cpu", torch=None), self.list, self.folder)
        # Long enough for a shell to start on a busy machine.
        found = self.run_checks(
            Check("hangs", "an end", 5, lambda: checks.succeed("sh", "-c", "sleep 600 & echo $! >child; wait")),
            Check("next", "1", 9, lambda: "1"))
        self.assertEqual(found, [("hangs", "FAILED"), ("next", "passed")])
        child = int((self.folder / "child").read_text())
        state = pathlib.Path(f"/proc/{child}/stat")
        self.assertTrue(not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z")

    def test_when_the_time_of_all_is_over_the_rest_has_failed(self):
        self.list.limit_s = 0
        self.assertEqual(self.run_checks(Check("a", "1", 9, lambda: "1")), [("a", "FAILED")])

    def test_a_number_that_is_not_finite_is_no_agreement(self):
        self.assertEqual(check_gpu.largest_difference([1.0, 2.0], [float("nan"), 2.0]), float("inf"))
        self.assertEqual(check_gpu.largest_difference([-100.0, 0.5], [-101.0, 0.5]), 0.01)
        with self.assertRaises(Failed):
            check_gpu.largest_difference([1.0], [])


class SearchPath(ProgramTest):
    def test_the_libraries_of_the_build_come_before_those_of_ld_library_path(self):
        for name in ("libnccl.so.2", "libcudart.so.13", "libc10.so"):
            (self.folder / name).write_bytes((DEPS / "python/torch/lib/libc10.so").read_bytes())
        for file in (BIN.parent / "lib/libequipoise_gpu.so", BIN / "equipoise-worker"):
            found = subprocess.run(["ldd", file], capture_output=True, text=True,
                                   env={**os.environ, "LD_LIBRARY_PATH": str(self.folder)}).stdout
            self.assertIn(".deps", found)
            self.assertNotIn(str(self.folder), found)


if __name__ == "__main__":
    unittest.main()

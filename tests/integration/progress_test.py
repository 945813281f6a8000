"""deploy/progress: what it reads from the output of apt, pip, cargo and Ninja, and what people see of it."""
import argparse
import importlib.machinery
import importlib.util
import os
import pathlib
import pty
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "deploy"))
import progress_kinds  # noqa: E402


def load_program():
    loader = importlib.machinery.SourceFileLoader("progress_program", str(ROOT / "deploy/progress"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


program = load_program()


def kind(name, **options):
    return progress_kinds.KINDS[name](argparse.Namespace(**{"size": 0, "lines": 0, **options}))


def run(*arguments):
    return subprocess.run([str(ROOT / "deploy/progress"), *arguments], capture_output=True, text=True, timeout=60)


class Reading(unittest.TestCase):
    def test_apt_downloads_then_installs(self):
        apt = kind("apt")
        apt.feed("Need to get 83.9 kB of archives.")
        apt.status("dlstatus:2:15.7161:Retrieving file 2 of 3")
        self.assertEqual((apt.progress.phase, apt.progress.count, apt.progress.done), ("downloading", "of 83.9 kB", 15.7161))
        self.assertEqual(apt.must_not_stop(), "")
        apt.status("pmstatus:cowsay:23.0769:Unpacking cowsay (amd64)")
        self.assertEqual((apt.progress.phase, apt.progress.activity), ("installing", "unpacking cowsay (amd64)"))
        self.assertNotEqual(apt.must_not_stop(), "")

    def test_cargo_counts_crates(self):
        cargo = kind("cargo")
        self.assertFalse(cargo.feed(" Downloading 10 crates, remaining bytes: 4.1MiB"))
        self.assertFalse(cargo.feed(" Downloading 4 crates"))
        self.assertEqual(cargo.progress.count, "6/10 crates")
        self.assertFalse(cargo.feed("    Building [========>                    ] 34/120: parquet, tokenizers"))
        self.assertEqual((cargo.progress.count, cargo.progress.activity), ("34/120", "parquet, tokenizers"))
        self.assertTrue(cargo.feed("error[E0425]: cannot find value `x` in this scope"))

    def test_ninja_counts_steps_and_names_the_source(self):
        ninja = kind("ninja")
        self.assertFalse(ninja.feed("[112/333] Building CXX object worker/train/CMakeFiles/equipoise_training.dir/step.cc.o"))
        self.assertEqual((ninja.progress.count, ninja.progress.activity), ("[112/333]", "worker/train/step.cc"))
        self.assertTrue(ninja.feed("step.cc:3:1: error: expected ';'"))

    def test_pip_measures_the_files_it_writes(self):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TMPDIR"] = folder
            self.addCleanup(os.environ.pop, "TMPDIR")
            pip = kind("pip", size=4)
            pip.feed("  Downloading torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl (530.6 MB)")
            (pathlib.Path(folder) / "torch.whl").write_bytes(bytes(1_000_000))
            pip.measure()
            self.assertEqual(pip.progress.count, "1 of 4 MB")

    def test_the_time_left_follows_the_pace(self):
        ninja = kind("ninja")
        ninja.feed("[100/300] x")
        ninja.progress.started = 0
        self.assertEqual(program.line_text("C++ build", ninja.progress, 50, 50), "C++ build  [100/300]  33 %  0:50 so far, 1:40 left  x")


class Showing(unittest.TestCase):
    def test_elsewhere_a_line_is_due_every_ten_seconds(self):
        with tempfile.TemporaryFile("w") as out:
            display = program.Display(out, 10)
            display.show("x", 100)
            self.assertFalse(display.due(109.9))
            self.assertTrue(display.due(110))

    def test_a_terminal_line_is_rewritten(self):
        mine, theirs = pty.openpty()
        with os.fdopen(theirs, "w") as out:
            display = program.Display(out, 10)
            display.show("first", 0)
            display.show("second", 1)
            display.lasting("end")
            shown = b""
            while not shown.endswith(b"\n"):  # a read gives what has arrived, not all that was written
                shown += os.read(mine, 4096)
        os.close(mine)
        self.assertEqual(shown.decode(), "\r\033[Kfirst\r\033[Ksecond\r\033[Kend\r\n")


class Ending(unittest.TestCase):
    def test_a_failure_shows_the_last_lines_and_keeps_the_status(self):
        done = run("lines", "Configuring", "--", "sh", "-c", "echo no such package; exit 3")
        self.assertEqual(done.returncode, 3)
        self.assertIn("no such package\nConfiguring: failed (exit code 3)", done.stdout)

    def test_a_short_wait_leaves_no_line(self):
        # On a busy machine even this may take over two seconds, and then says so.
        self.assertRegex(run("ninja", "C++ build", "--", "true").stdout, r"^(C\+\+ build: done in (?!0:0[01])[0-9:]+\n)?$")

    def test_a_missing_command_is_named(self):
        done = run("ninja", "C++ build", "--", "/nonexistent/tool")
        self.assertEqual(done.returncode, 127)
        self.assertIn("/nonexistent/tool", done.stderr)

    def test_an_interrupt_reaches_the_command(self):
        with tempfile.TemporaryDirectory() as folder:
            ready = pathlib.Path(folder) / "ready"
            process = subprocess.Popen([str(ROOT / "deploy/progress"), "ninja", "C++ build", "--", "sh", "-c",
                                        f"echo $$ > {ready}.new; mv {ready}.new {ready}; exec sleep 600"], stdout=subprocess.PIPE, text=True)
            while not ready.exists():
                self.assertIsNone(process.poll())
                time.sleep(0.01)
            process.terminate()
            self.assertIn("C++ build: stopped", process.communicate(timeout=60)[0])
            self.assertEqual(process.returncode, 128 + 15)
            with self.assertRaises(ProcessLookupError):
                os.kill(int(ready.read_text()), 0)

    def test_an_interrupt_while_the_command_starts_reaches_it(self):
        class Interrupted(subprocess.Popen):
            def __init__(self, *arguments, **options):
                super().__init__(*arguments, **options)
                os.kill(os.getpid(), signal.SIGTERM)

        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        for number, handler in before.items():
            self.addCleanup(signal.signal, number, handler)
        options = program.read_options(["lines", "A wait", "--", "sleep", "600"])
        with open(os.devnull, "w") as out, unittest.mock.patch.object(subprocess, "Popen", Interrupted):
            started = program.Run(options, kind("lines"), program.Display(out, 10))
            started.start()
            with started.process.stdout:
                self.assertEqual(started.process.wait(timeout=60), -signal.SIGTERM)
            self.assertEqual(started.finish(-15), 128 + 15)


if __name__ == "__main__":
    unittest.main()

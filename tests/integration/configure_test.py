"""What CMake says where a library is not installed: which Debian package to install, and nothing is left out in silence."""
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

MODULE = (programs.ROOT / "deploy/cmake/EquipoiseDependencies.cmake").read_text()


class Configure(programs.ProgramTest):
    def configure(self, *settings):
        return subprocess.run(["cmake", "-S", str(programs.ROOT), "-B", str(self.folder / "build"), "-G", "Ninja", *settings],
                              capture_output=True, text=True, timeout=240)

    def test_a_library_that_is_missing_is_an_error_that_names_its_package(self):
        required = re.findall(r'^ *equipoise_require\((\S+) "[^"]+" (\S+?)[ )]', MODULE, re.MULTILINE)
        self.assertGreater(len(required), 10)
        for package, name in required:
            with self.subTest(name=name):
                done = self.configure(*(f"-DCMAKE_DISABLE_FIND_PACKAGE_{other}={'ON' if other == name else 'OFF'}"
                                        for _, other in required))
                self.assertNotEqual(done.returncode, 0)
                said = " ".join(done.stderr.split())
                self.assertIn(f"{name} is not there (Debian package {package}): run deploy/bootstrap", said)

    def test_bootstrap_installs_every_package_that_is_named(self):
        bootstrap = (programs.ROOT / "deploy/bootstrap").read_text()
        for package in re.findall(r'equipoise_require\((\S+) "', MODULE):
            self.assertRegex(bootstrap, rf"(?m)[ (]{re.escape(package)}[ )\n]")

    def test_no_program_or_test_depends_on_what_happens_to_be_there(self):
        files = subprocess.run(["git", "ls-files", "*CMakeLists.txt", "*.cmake"], cwd=programs.ROOT, capture_output=True,
                               text=True, check=True).stdout.split()
        for file in files:
            text = (programs.ROOT / file).read_text()
            self.assertNotRegex(text, r"if\(\s*(NOT\s+)?TARGET\b", file)
            for condition in re.findall(r"if\([^)]*(?:\bEXISTS\b|_FOUND\b)[^)]*\)\s*(\w+)", text):
                self.assertEqual(condition, "message", f"{file}: only an error may hang on what is there")


if __name__ == "__main__":
    unittest.main()

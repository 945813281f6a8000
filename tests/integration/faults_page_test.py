"""docs/faults.md: the tests that it names are there, and `make test-faults` runs them."""

import fnmatch
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

FOLDER = programs.ROOT / "tests/integration"


class FaultsPage(unittest.TestCase):

    def setUp(self):
        text = (programs.ROOT / "docs/faults.md").read_text()
        self.named = re.findall(r"`(\w+_test): ([\w*.]+)`", text.split("| --- |", 1)[1])
        self.programs = "".join(path.read_text() for path in (programs.ROOT / "tests").rglob("CMakeLists.txt"))
        self.labelled = (FOLDER / "CMakeLists.txt").read_text().rpartition("PROPERTIES LABELS faults")[0]

    def test_every_test_it_names_is_there(self):
        self.assertGreater(len(self.named), 50)
        for program, case in self.named:
            with self.subTest(program=program, case=case):
                script = FOLDER / f"{program}.py"
                if script.exists():
                    self.assertIn(f"    def {case}(", script.read_text())
                    self.assertIn(f"integration.{program}", self.labelled)
                else:
                    self.assertIn(f"set_tests_properties({program} PROPERTIES LABELS faults)", self.programs)
                    self.assertTrue(fnmatch.filter(self.cases(program), case), f"{program} has no {case}")

    @staticmethod
    def cases(program):
        listed = subprocess.run([programs.BIN / program, "--gtest_list_tests"], cwd=programs.ROOT / "tests",
                                capture_output=True, text=True, check=True).stdout
        suite, found = "", []
        for line in listed.splitlines():
            if line.startswith("  "):
                found.append(suite + line.split()[0])
            else:
                suite = line.split()[0]
        # Parameters of a suite stand before its name.
        return found + [name.partition("/")[2] for name in found if "/" in name]


if __name__ == "__main__":
    unittest.main()

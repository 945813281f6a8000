"""--version of every program, and what `equipoise doctor` makes of it."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

PROGRAMS = ("equipoise", "equipoise-coordinator", "equipoise-worker", "equipoise-shim")


class Version(unittest.TestCase):
    def test_every_program_says_its_release_and_commit(self):
        said = {}
        for program in PROGRAMS:
            result = programs.run(program, "--version")
            self.assertEqual((result.returncode, result.stderr), (0, ""), program)
            found = re.match(rf"{program} (\d+\.\d+\.\d+ \(revision (?:[0-9a-f]{{12}}|unknown)\))", result.stdout)
            self.assertTrue(found, result.stdout)
            said[program] = found[1]
        lists = (programs.ROOT / "CMakeLists.txt").read_text()
        release = re.search(r"^project\(equipoise VERSION (\S+)", lists, re.M)[1]
        self.assertTrue(said["equipoise"].startswith(release + " "))
        # `equipoise doctor` tells programs of different builds apart by it.
        doctor = programs.run("equipoise", "doctor").stdout
        for program in ("equipoise-coordinator", "equipoise-worker"):
            self.assertEqual(f"equipoise is {said['equipoise']}" in doctor, said[program] != said["equipoise"], doctor)


if __name__ == "__main__":
    unittest.main()

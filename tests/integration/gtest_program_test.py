"""What tests/run counts and names: cases of a C++ test that pass, fail, end their program, hang or do not run."""
import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

SUPPORT = programs.ROOT / "tests/support"
FAULTY = programs.BIN / "equipoise_faulty_cases"


class Cases(programs.ProgramTest):
    def run_cases(self, program=FAULTY, **environment):
        self.report = self.folder / "cases/faulty.json"
        return subprocess.run([str(SUPPORT / "gtest_program.py"), str(self.report), str(program)], text=True, timeout=240,
                              capture_output=True, env={**programs.ENVIRONMENT, "EQUIPOISE_CASE_LIMIT_S": "5", **environment})

    def count(self, *tests):
        """What count_results.py says of ctest tests, each (name, status, output)."""
        (self.folder / "junit.xml").write_text("<testsuite>" + "".join(
            f'<testcase name="{name}" status="{status}"><system-out>{output}</system-out></testcase>'
            for name, status, output in tests) + "</testsuite>")
        return subprocess.run([str(SUPPORT / "count_results.py"), str(self.folder / "junit.xml"), str(self.folder / "cases")],
                              text=True, timeout=60, capture_output=True)

    def test_every_case_is_counted_once_and_what_failed_is_named_with_its_output(self):
        result = self.run_cases()
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(json.loads(self.report.read_text()), {"passed": 3, "failed": [
            "Faulty.Fails", "Faulty.IsSkipped", "Faulty.EndsTheProgram", "Faulty.LeavesWithSuccess", "Faulty.Hangs",
            "Faulty/OfNumbers.AreSmall/1", "Faulty.DISABLED_NeverRuns"]})
        for text in ("one is not two", "no such device", "before the end", "Faulty.EndsTheProgram ended with SIGABRT",
                     "Faulty.LeavesWithSuccess ended the program with exit code 0", "Faulty.Hangs took longer than 5 s",
                     "Faulty.DISABLED_NeverRuns did not run", "failed: Faulty/OfNumbers.AreSmall/1\n"):
            self.assertIn(text, result.stdout)
        self.assertNotIn("of a case that passes", result.stdout)
        self.assertTrue(result.stdout.endswith("3 passed, 7 failed\n"), result.stdout)
        counted = self.count(("faulty", "fail", ""), ("integration.x", "run", ""))
        self.assertIn("failed: faulty Faulty.Hangs\n", counted.stdout)
        self.assertTrue(counted.stdout.endswith("4 passed, 7 failed\n"), counted.stdout)

    def test_a_filter_chooses_cases(self):
        result = self.run_cases(GTEST_FILTER="Faulty.Passes*")
        self.assertEqual((result.returncode, result.stdout), (0, "2 passed, 0 failed\n"))
        self.assertEqual(self.count(("faulty", "run", "")).returncode, 0)

    def test_nothing_that_ran_is_no_success(self):
        self.run_cases(GTEST_FILTER="Other.*")
        result = self.count(("faulty", "run", ""))
        self.assertEqual((result.returncode, result.stdout), (1, "0 passed, 0 failed\n"))

    def test_a_program_that_is_not_there_has_failed(self):
        result = self.run_cases(self.folder / "faulty_test")
        self.assertEqual(result.returncode, 1)
        self.assertIn("faulty_test is not built", result.stdout)
        self.assertEqual(self.count(("faulty", "fail", "")).stdout, "failed: faulty (fail)\n0 passed, 1 failed\n")

    def test_methods_of_a_failed_file_are_named(self):
        counted = self.count(("integration.x", "fail", "FAIL: test_y (__main__.X)\nno\n"), ("z", "notrun", ""))
        self.assertEqual(counted.stdout, "failed: integration.x (fail)\n  test_y (__main__.X)\nfailed: z (notrun)\n"
                                         "0 passed, 2 failed\n")

    def test_a_program_that_fails_after_its_cases_has_failed(self):
        program = self.folder / "late"
        program.write_text(f'#!/bin/sh\n{FAULTY} "$@" || exit\ncase "$1" in --gtest_list_tests) ;; *) exit 66 ;; esac\n')
        program.chmod(0o755)
        result = self.run_cases(program, GTEST_FILTER="Faulty.Passes")
        self.assertIn("late ended with exit code 66 though each case that ran passed", result.stdout)
        self.assertTrue(result.stdout.endswith("1 passed, 1 failed\n"), result.stdout)


if __name__ == "__main__":
    unittest.main()

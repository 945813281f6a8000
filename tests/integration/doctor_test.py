"""`equipoise doctor` on this machine, with and without faults."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402


class Doctor(programs.ProgramTest):

    def doctor(self, *options, **environment):
        result = programs.run("equipoise", "doctor", "--json", *options, **environment)
        report = json.loads(result.stdout)
        checks = {check["check"]: check for check in report["checks"]}
        self.assertEqual(result.returncode, 1 if report["worst"] == "fail" else 0, result.stdout)
        return checks

    def test_finds_the_programs_and_lets_two_ranks_meet(self):
        checks = self.doctor("--output", self.folder)
        for check in ("equipoise-coordinator", "equipoise-worker", "mpirun", "ranks", "clock", "device"):
            self.assertEqual(checks[check]["health"], "ok", checks[check])
        self.assertIn("2 ranks on this machine reach each other", checks["ranks"]["found"])
        self.assertNotIn("coordinator", checks)

    def test_meets_over_a_hostfile(self):
        (self.folder / "hosts").write_text("# one host\nlocalhost slots=2\n")
        self.assertEqual(self.doctor("--hostfile", self.folder / "hosts")["ranks"]["health"], "ok")
        (self.folder / "hosts").write_text("host.invalid slots=2\n")
        ranks = self.doctor("--hostfile", self.folder / "hosts")["ranks"]
        self.assertEqual(ranks["health"], "fail", ranks)

    def test_asks_the_coordinator(self):
        with programs.Coordinator(self.folder / "state") as coordinator:
            checks = self.doctor("--coordinator", coordinator.address, "--state", self.folder / "state")
            self.assertIn(f"{coordinator.address} answers in plain text", checks["coordinator"]["found"])
            self.assertIn(f"reach each other, and the coordinator at {coordinator.address}", checks["ranks"]["found"])
            self.assertIn("state", checks)
        gone = self.doctor("--coordinator", coordinator.address, "--timeout", "1")["coordinator"]
        self.assertEqual(gone["health"], "fail", gone)

    def test_ranks_say_from_which_host_the_coordinator_is_out_of_reach(self):
        result = programs.run("mpirun", "--oversubscribe", "-np", "2", programs.BIN / "equipoise-worker",
                              "--coordinator", "127.0.0.1:1", "meet")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertRegex(result.stderr, r"equipoise-worker: \S+ cannot reach the coordinator at 127.0.0.1:1: "
                                        "Connection refused")

    def test_says_for_people_what_to_do_and_no_secret(self):
        (self.folder / "token").write_text("not-for-anyone")
        (self.folder / "token").chmod(0o644)
        result = programs.run("equipoise", "doctor", "--coordinator", "127.0.0.1:1", "--timeout", "1", "--token-file",
                              self.folder / "token", EQUIPOISE_DEVISE="cpu")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stdout, r"(?m)^FAIL  coordinator +\S")
        self.assertRegex(result.stdout, r"(?m)^WARN  environment +the environment variable .EQUIPOISE_DEVISE")
        self.assertNotIn("not-for-anyone", result.stdout + result.stderr)
        self.assertNotIn("\x1b", result.stdout)


if __name__ == "__main__":
    unittest.main()

"""The protocol: its style, its comments, what was released of it, and its reference."""

import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
sys.path.insert(0, str(programs.ROOT / ".ci"))
import api_reference  # noqa: E402
import field_comments  # noqa: E402


class Protocol(programs.ProgramTest):

    def setUp(self):
        super().setUp()
        found = sorted((programs.DEPS / "npm/@bufbuild").glob("buf-linux-*/bin/buf"))
        self.assertTrue(found, "buf is not there: run deploy/bootstrap --tests")
        self.buf = found[0]
        # A copy that a test may change.
        shutil.copytree(programs.ROOT / "proto", self.folder / "proto")

    def run_buf(self, *arguments):
        return subprocess.run([self.buf, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=120)

    def change(self, before, after):
        path = self.folder / "proto/equipoise/v1/training.proto"
        text = path.read_text()
        self.assertIn(before, text)
        path.write_text(text.replace(before, after, 1))

    def breaking(self):
        return self.run_buf("breaking", "proto", "--against", "proto/released.binpb")

    def test_it_is_checked_as_a_whole(self):
        checked = subprocess.run([programs.ROOT / ".ci/protocol"], capture_output=True, text=True, timeout=240)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_a_field_of_another_number_or_type_breaks_it(self):
        self.assertEqual(self.breaking().returncode, 0, self.breaking().stdout)
        self.change("int64 after_revision = 2;", "int64 after_revision = 3;")
        self.assertIn("after_revision", self.breaking().stdout)
        self.change("int64 after_revision = 3;", "string after_revision = 2;")
        self.assertIn("after_revision", self.breaking().stdout)

    def test_a_new_field_breaks_nothing(self):
        self.change("int64 after_revision = 2;", "int64 after_revision = 2;\n  // New.\n  bool is_new = 3;")
        broken = self.breaking()
        self.assertEqual(broken.returncode, 0, broken.stdout)

    def test_a_field_without_a_comment_is_found(self):
        self.change("int64 after_revision = 2;", "int64 after_revision = 2;\n  bool bare = 3;")
        self.assertIn('Field "bare"', self.run_buf("lint", "proto").stdout)
        _, missing = api_reference.reference(self.folder / "proto")
        self.assertEqual(missing, ["WatchTrainingJobRequest.bare"])

    def test_a_comment_without_range_unit_absence_or_retry_is_found(self):
        self.assertEqual(field_comments.gaps(self.folder / "proto"), [])
        self.change("int64 after_revision = 2;", "int64 after_revision = 2;\n  // New.\n  double bare = 3;")
        self.change("  // NOT_FOUND. Safe to retry.\n  rpc GetTrainingJob(", "  // NOT_FOUND.\n  rpc GetTrainingJob(")
        self.assertEqual(field_comments.gaps(self.folder / "proto"), [
            "TrainingJobService.GetTrainingJob does not say whether it may be made again",
            "WatchTrainingJobRequest.bare has no range, no unit, no meaning of its absence"])

    def test_the_reference_has_every_call(self):
        page = (programs.ROOT / "docs/reference/api.md").read_text()
        for name in ("training", "worker"):
            text = (programs.ROOT / f"proto/equipoise/v1/{name}.proto").read_text()
            service = re.search(r"^service (\w+)", text, re.MULTILINE).group(1)
            for call in re.findall(r"^  rpc (\w+)\(", text, re.MULTILINE):
                self.assertIn(f"#### {service}.{call}\n", page)


if __name__ == "__main__":
    unittest.main()

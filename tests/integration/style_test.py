""".ci/style: which C++ files it looks at, and that it names what is wrong with them."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

GOOD = "namespace equipoise {\nint one() { return 1; }\n}  // namespace equipoise\n"
BADLY_FORMATTED = "int  one( ) { return 1; }\n"
USED_AFTER_MOVE = """#include <string>
#include <utility>

std::string twice(std::string text) {
  std::string first = std::move(text);
  return first + text;
}
"""


class Style(programs.ProgramTest):
    def setUp(self):
        super().setUp()
        for name in (".clang-format", ".clang-tidy", ".ci/style", ".ci/clang_commands.py"):
            (self.folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(programs.ROOT / name, self.folder / name)
        (self.folder / ".deps").symlink_to(programs.DEPS)
        self.write_unity_unit("moved.cc", "first.cc", "second.cc", "old.cc")
        (self.folder / ".gitignore").write_text("/.deps\n/build/\n")
        self.git("init", "--quiet", "--initial-branch", "main")
        self.commit("first")

    def write_unity_unit(self, *sources):
        """A build folder that compiles these as one, with GCC's precompiled header, as CMake writes it."""
        build = self.folder / "build/release"
        build.mkdir(parents=True)
        unit = build / "unity_0_cxx.cxx"
        unit.write_text("".join(f'#include "{self.folder / source}"\n' for source in sources))
        command = f"c++ -std=c++20 -Winvalid-pch -include {build}/cmake_pch.hxx -fpch-preprocess -o unit.o -c {unit}"
        (build / "compile_commands.json").write_text(
            json.dumps([{"directory": str(build), "command": command, "file": str(unit)}]))

    def git(self, *arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True,
                       env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"})

    def commit(self, name):
        self.git("add", ".")
        self.git("commit", "--quiet", "--allow-empty", "--message", name)

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def style(self, *arguments, folder=None):
        done = subprocess.run([".ci/style", *arguments], cwd=folder or self.folder, capture_output=True, text=True, timeout=240)
        return done.returncode, done.stdout + done.stderr

    def test_nothing_to_look_at_is_no_failure(self):
        self.assertEqual(self.style(), (0, "style: no C++ source has changed\n"))

    def test_names_what_is_wrong_in_the_last_commit_and_in_what_is_not_committed(self):
        self.write("old.cc", BADLY_FORMATTED)
        self.commit("an earlier one, which is not looked at")
        self.write("moved.cc", USED_AFTER_MOVE)
        self.commit("last")
        self.write("new.h", BADLY_FORMATTED)
        code, text = self.style()
        self.assertEqual(code, 1, text)
        self.assertIn("new.h:1:", text)
        self.assertIn("'text' used after it was moved [bugprone-use-after-move", text)
        self.assertNotIn("old.cc", text)
        self.assertEqual(self.style("old.cc")[0], 1)

    def test_a_branch_is_compared_with_where_it_left_main(self):
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")
        for name in ("first", "second"):
            self.write(f"{name}.cc", GOOD if name == "second" else BADLY_FORMATTED)
            self.commit(name)
        code, text = self.style()
        self.assertEqual(code, 1)
        self.assertIn("first.cc", text)
        self.write("first.cc", GOOD)
        code, text = self.style()
        self.assertEqual((code, text), (0, "style: 2 changed C++ files have nothing against them\n"))

    def test_a_short_history_is_no_failure(self):
        self.write("old.cc", BADLY_FORMATTED)
        self.commit("last")
        self.git("clone", "--quiet", "--depth", "1", f"file://{self.folder}", str(self.folder / "shallow"))
        self.assertEqual(self.style(folder=self.folder / "shallow"), (0, "style: no C++ source has changed\n"))


if __name__ == "__main__":
    unittest.main()

"""The Debian package of deploy/deb, installed by apt in a fresh Debian, used there as a user who is not root, and
removed again. Needs root, mmdebstrap and Debian's mirror: `make test-deb`."""

import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import fresh_debian  # noqa: E402
import programs  # noqa: E402

PACKAGES = programs.ROOT / "build/deb"
PROGRAMS = ("equipoise", "equipoise-coordinator", "equipoise-shim", "equipoise-worker")
USER = "1000:1000"


class Deb(fresh_debian.FreshDebian):
    ARCHIVE = PACKAGES / "debian.tar"
    INCLUDE = "systemd"  # makes the user of the service, and reads its unit; it does not run here
    VARIABLES = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/home/somebody", "LC_ALL": "C.UTF-8",
                 "OMP_NUM_THREADS": "1", "DEBIAN_FRONTEND": "noninteractive"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.package, = PACKAGES.glob("equipoise_*.deb")
        # How this machine reaches Debian's mirror.
        cls.mount("etc/apt", "--bind", "/etc/apt")
        for name in ("etc/resolv.conf", "etc/hosts"):
            if pathlib.Path("/", name).exists():
                shutil.copy(pathlib.Path("/", name), cls.root / name)
        cls.install()

    @classmethod
    def install(cls):
        """As the pages say."""
        shutil.copy(cls.package, cls.root / "tmp")
        cls.succeed("apt-get", "update", "--quiet")
        cls.succeed("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", f"/tmp/{cls.package.name}")
        cls.succeed("useradd", "--create-home", "--uid", "1000", "somebody")

    def files(self):
        """Of the package, without folders."""
        listed = self.succeed("dpkg", "-L", "equipoise").splitlines()
        return {path for path in listed if not (self.root / path.lstrip("/")).is_dir()}

    def test_1_depends_on_what_it_is_linked_with(self):
        depends = subprocess.run(["dpkg-deb", "--field", str(self.package), "Depends"], check=True, capture_output=True,
                                 text=True).stdout
        for package in ("openmpi-bin", "libopenmpi3", "libgrpc++1.51", "libprotobuf32", "libgomp1", "libc6", "libssl3"):
            self.assertRegex(depends, rf"(^|, ){re.escape(package)}( \(|,|$)")
        self.assertNotIn("torch", depends)
        self.assertNotIn("cuda", depends)
        for program in PROGRAMS:
            self.assertNotIn("not found", self.succeed("ldd", f"/usr/bin/{program}"))

    def test_1_has_its_pages_completions_and_copyright(self):
        files = self.files()
        for program in PROGRAMS:
            section = 8 if program == "equipoise-coordinator" else 1
            self.assertIn(f"/usr/share/man/man{section}/{program}.{section}.gz", files)
            self.assertRegex(self.succeed(program, "--version"), rf"^{program} 0\.\d+\.\d+")
        self.assertIn("/usr/share/man/man1/equipoise-train.1.gz", files)
        for name in ("copyright", "changelog.gz", "changelog.Debian.gz"):
            self.assertIn(f"/usr/share/doc/equipoise/{name}", files)
        self.assertIn("/usr/share/zsh/vendor-completions/_equipoise", files)
        bash = "source /usr/share/bash-completion/completions/equipoise; complete -p equipoise"
        self.assertIn("_equipoise", self.succeed("bash", "-c", bash))
        self.assertEqual({path for path in files if path.startswith("/etc/")}, set())

    def test_1_nothing_of_a_compiler_came_along(self):
        for program in ("g++", "cmake", "protoc", "python3", "pip"):
            self.assertNotEqual(self.start("which", program).returncode, 0, program)

    def test_2_somebody_trains_evaluates_and_verifies(self):
        def equipoise(*words):
            return self.succeed("env", "-C", "/home/somebody", "equipoise", *words, user=USER)

        equipoise("data", "generate", "survey.jsonl", "--questions", "80")
        equipoise("data", "import", "opinionqa", "survey.jsonl", "--output", "data")
        equipoise("model", "init", "model", "--data", "data/train.jsonl", "--hidden-size", "32", "--layers", "2",
                  "--heads", "2", "--head-dim", "16", "--vocab-size", "600")
        (self.root / "home/somebody/job.yaml").write_text(
            "{model: {path: model}, data: {train: data/train.jsonl, validation: data/validation.jsonl},\n"
            " robust: {mode: group_robust, step_size: 0.1}, training: {max_steps: 8, global_batch_size: 16},\n"
            " output: run}\n")
        equipoise("train", "job.yaml", "--np", "2")
        self.assertTrue((self.root / "home/somebody/run/final/model.safetensors").exists())
        equipoise("verify", "run")
        self.assertIn("worst", equipoise("evaluate", "--model", "run/final", "--reference", "model", "--data",
                                         "data/validation.jsonl", "--output", "pairs.jsonl"))
        self.assertNotIn("FAIL", equipoise("doctor"))

    def test_3_the_service_can_be_started(self):
        self.succeed("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "equipoise-coordinator.service")
        self.assertIn(":/var/lib/equipoise:", self.succeed("getent", "passwd", "equipoise"))
        unit = (self.root / "lib/systemd/system/equipoise-coordinator.service").read_text()
        program, *arguments = re.search(r"^ExecStart=(.*) \$OPTIONS$", unit, re.M)[1].split()
        # What systemd does before it.
        self.succeed("install", "-d", "-o", "equipoise", "-g", "equipoise", "-m", "700", "/var/lib/equipoise")
        options = ["--listen", "127.0.0.1:0", "--metrics-listen", "", "--announce", "/var/lib/equipoise/announce"]
        with subprocess.Popen(self.command(program, *arguments, *options, user="equipoise:equipoise"),
                              env={**self.VARIABLES, "HOME": "/var/lib/equipoise"}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as coordinator:
            try:
                self.succeed("sh", "-c", "for i in $(seq 600); do [ -e /var/lib/equipoise/announce ] && exit;"
                             " sleep 0.1; done; exit 1")
                address = re.search(r'"address": *"([^"]+)"', (self.root / "var/lib/equipoise/announce").read_text())[1]
                self.succeed("equipoise", "jobs", "list", "--coordinator", address, user=USER)
            finally:
                coordinator.terminate()
                said = coordinator.communicate(timeout=60)[1]
        self.assertEqual(coordinator.returncode, 0, said)

    def test_4_goes_and_leaves_what_is_of_people(self):
        files = self.files()
        self.succeed("apt-get", "purge", "--quiet", "--yes", "equipoise")
        self.assertEqual([path for path in files if (self.root / path.lstrip("/")).exists()], [])
        self.assertFalse((self.root / "usr/lib/equipoise").exists())
        self.assertTrue((self.root / "var/lib/equipoise/state").is_dir())
        self.assertNotEqual(self.start("dpkg", "-s", "equipoise").returncode, 0)


if __name__ == "__main__":
    unittest.main()

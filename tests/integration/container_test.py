"""deploy/container/Containerfile, built with the programs that are here, and what the image is for: training as a user
without rights, a coordinator whose root file system is read-only, and sshd for the ranks of a cluster. The stage that
compiles is left out: `deploy/bootstrap` and `deploy/build` are what built these programs."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

BUILD_LIMIT = 1500  # seconds
RUN_LIMIT = 300
# Where this runs there may be no systemd, no overlayfs and no right to raise limits.
RUN = ("--runtime", "runc", "--cgroup-manager", "cgroupfs")
LIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:1024", "--network", "host")


class Container(programs.ProgramTest):
    @classmethod
    def setUpClass(cls):
        for tool in ("podman", "buildah", "runc", "mmdebstrap"):
            if shutil.which(tool) is None:
                raise RuntimeError(f"{tool} is not installed; deploy/bootstrap --containers installs it")
        cls.images = pathlib.Path(tempfile.mkdtemp(prefix="equipoise-images-"))
        cls.addClassCleanup(shutil.rmtree, cls.images, ignore_errors=True)
        cls.storage = ("--storage-driver", "vfs", "--root", str(cls.images / "root"), "--runroot", str(cls.images / "run"))
        base = cls.images / "base"
        base.mkdir()
        cls.command("mmdebstrap", "--variant=minbase", "bookworm", base / "root.tar")
        (base / "Containerfile").write_text("FROM scratch\nADD root.tar /\n")
        cls.build("--tag", "base", base)
        programs_folder = cls.images / "context/programs"
        cls.command(programs.ROOT / "deploy/container/collect", programs_folder, EQUIPOISE_BIN=str(programs.BIN))
        cls.build("--network", "host", "--build-arg", "BASE=localhost/base", "--build-context",
                  f"programs={cls.images / 'context'}", "--file", programs.ROOT / "deploy/container/Containerfile",
                  "--tag", "equipoise", programs.ROOT / "deploy/container")

    @classmethod
    def command(cls, *arguments, **variables):
        result = subprocess.run([str(argument) for argument in arguments], stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=BUILD_LIMIT,
                                env={**programs.ENVIRONMENT, **variables})
        if result.returncode != 0:
            raise RuntimeError(f"{arguments} ended with {result.returncode}: {result.stdout[-3000:]}")

    @classmethod
    def build(cls, *arguments):
        cls.command("buildah", *cls.storage, "bud", "--isolation", "chroot", *arguments)

    def in_container(self, script, *options):
        """What a shell in the image prints; /data there is `self.folder`."""
        self.folder.chmod(0o777)
        result = subprocess.run(
            ["podman", *self.storage, *RUN, "run", "--rm", *LIMITS, "--volume", f"{self.folder}:/data", *options,
             "localhost/equipoise", "bash", "-ec", script],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_LIMIT)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def test_trains_without_root(self):
        self.write_job("run")
        said = self.in_container("""
            id --user
            equipoise data generate survey.jsonl --questions 80
            equipoise data import opinionqa survey.jsonl --output data
            equipoise model init model --data data/train.jsonl --hidden-size 32 --layers 2 --heads 2 --head-dim 16 \\
              --intermediate-size 64 --vocab-size 600
            equipoise train run.yaml --np 2 --quiet
            """)
        self.assertEqual(said.splitlines()[0], "1000")
        self.assertTrue((self.folder / "run/final/model.safetensors").exists())

    def test_a_coordinator_needs_its_state_and_tmp_alone(self):
        """As the Deployment in deploy/kubernetes has it."""
        state = self.folder / "state"
        state.mkdir()
        state.chmod(0o777)
        said = self.in_container("""
            equipoise-coordinator --listen 127.0.0.1:0 --metrics-listen '' --state /var/lib/equipoise/state \\
              --announce /tmp/announce > /tmp/log 2>&1 &
            while [ ! -e /tmp/announce ]; do kill -0 $! || { cat /tmp/log; exit 1; }; sleep 0.1; done
            cat /tmp/announce
            equipoise jobs list --coordinator "$(sed -n 's/.*"address": *"\\([^"]*\\)".*/\\1/p' /tmp/announce)" >&2
            kill $!
            wait $!
            """, "--read-only", "--read-only-tmpfs=true", "--cap-drop", "all", "--volume", f"{state}:/var/lib/equipoise")
        self.assertIn("address", json.loads(said))

    def test_sshd_serves_the_launcher_without_root(self):
        """With a key where Kubeflow Trainer and the MPI operator mount theirs."""
        said = self.in_container("""
            mkdir ~/.ssh
            ssh-keygen -q -t rsa -N '' -f ~/.ssh/id_rsa
            cp ~/.ssh/id_rsa.pub ~/.ssh/authorized_keys
            /usr/sbin/sshd -De -f ~/.sshd_config 2> /tmp/log &
            until ssh localhost true 2> /tmp/said; do kill -0 $!; sleep 0.1; done
            echo "localhost slots=2" > /tmp/hostfile
            mpirun --mca plm rsh --mca plm_rsh_no_tree_spawn 1 --hostfile /tmp/hostfile --bind-to none -np 2 \\
              sh -c 'echo rank $OMPI_COMM_WORLD_RANK'
            ssh localhost equipoise --version
            kill $!
            """)
        self.assertIn("rank 0", said)
        self.assertIn("rank 1", said)
        self.assertIn("equipoise 0.1.0", said)


if __name__ == "__main__":
    unittest.main()

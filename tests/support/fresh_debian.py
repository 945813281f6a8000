"""A fresh Debian in a folder, in which a package of ours is installed and used. Needs root, mmdebstrap and Debian's
mirror."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest


class FreshDebian(unittest.TestCase):
    """The folder is `root`, with /proc and /dev, and goes with the class. A subclass says what it begins with."""

    ARCHIVE = None  # a file: the fresh Debian, which takes minutes to make and is kept
    INCLUDE = ""  # packages beside those that every Debian has
    VARIABLES = {}  # of commands in it
    TIMEOUT = 900  # seconds, of a command in it

    @classmethod
    def setUpClass(cls):
        assert os.geteuid() == 0, "needs root, for chroot and mount"
        cls.chroot = shutil.which("chroot")
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="equipoise-debian-"))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        subprocess.run(["tar", "-C", str(cls.root), "-xf", str(cls.archive())], check=True)
        cls.mount("proc", "-t", "proc", "proc")
        cls.mount("dev", "--bind", "/dev")

    @classmethod
    def archive(cls):
        if not cls.ARCHIVE.exists():
            aside = cls.ARCHIVE.with_suffix(".new.tar")
            subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={cls.INCLUDE}", "bookworm",
                            str(aside)], check=True)
            aside.rename(cls.ARCHIVE)
        return cls.ARCHIVE

    @classmethod
    def mount(cls, name, *options):
        subprocess.run(["mount", *options, str(cls.root / name)], check=True)
        cls.addClassCleanup(subprocess.run, ["umount", "--lazy", str(cls.root / name)], check=True)

    @classmethod
    def command(cls, *words, user=None):
        """What runs `words` in it, as root or as USER:GROUP."""
        as_user = [f"--userspec={user}"] if user else []
        return [cls.chroot, *as_user, str(cls.root), *map(str, words)]

    @classmethod
    def start(cls, *words, user=None, **variables):
        """The finished process."""
        return subprocess.run(cls.command(*words, user=user), capture_output=True, text=True, timeout=cls.TIMEOUT,
                              stdin=subprocess.DEVNULL, env={**cls.VARIABLES, **variables})

    @classmethod
    def succeed(cls, *words, **options):
        result = cls.start(*words, **options)
        assert result.returncode == 0, f"{words}\n{result.stdout}\n{result.stderr}"
        return result.stdout

"""A file system that stops answering and goes on again, as one over a network whose server is gone: the kernel's FUSE
protocol over a plain folder. Whoever asks it meanwhile waits in the kernel."""

import ctypes
import errno
import os
import pathlib
import stat
import struct
import subprocess
import sys
import threading

MOUNTS = "HUNG_FILES_MOUNTS"
LIBC = ctypes.CDLL(None, use_errno=True)
(LOOKUP, FORGET, GETATTR, SETATTR, READLINK, MKDIR, UNLINK, RMDIR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH,
 INIT, OPENDIR, READDIR, RELEASEDIR, CREATE, INTERRUPT, BATCH_FORGET) = (
     1, 2, 3, 4, 5, 9, 10, 11, 14, 15, 16, 17, 18, 20, 25, 26, 27, 28, 29, 35, 36, 42)


def with_own_mounts():
    """Starts this script again where it may mount, and where mounts go with it. Why it may not is in MOUNTS then."""
    if MOUNTS in os.environ:
        return
    flags = "-m" if os.geteuid() == 0 else "-rm"
    may_mount = subprocess.run(["unshare", flags, "mount", "-t", "tmpfs", "none", "/mnt"],
                               capture_output=True, text=True)
    if may_mount.returncode != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        os.environ[MOUNTS] = "no FUSE file system can be mounted here: " + may_mount.stderr.strip()
        return
    os.environ[MOUNTS] = ""
    os.execvp("unshare", ["unshare", flags, sys.executable, *sys.argv])


class HungFolder:
    """`folder` shows what is in `behind`, through a server in this process that hang() stops and go_on() starts.
    Nothing is kept by the kernel, so that each look at it asks the server."""

    def __init__(self, test, folder, behind):
        self.folder, self.behind = pathlib.Path(folder), pathlib.Path(behind)
        self.folder.mkdir(parents=True)
        self.behind.mkdir(parents=True, exist_ok=True)
        self.paths, self.numbers = {1: self.behind}, {self.behind: 1}
        self.answers = threading.Event()
        self.answers.set()
        self.asked = threading.Semaphore(0)  # once for each request that came while it hung
        self.last = None  # the kind of request with which it stops
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions".encode()
        if LIBC.mount(b"hung", os.fsencode(folder), b"fuse", 0, options) != 0:
            raise OSError(ctypes.get_errno(), "mount of FUSE")
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        test.addCleanup(self.end)

    def hang(self):
        self.answers.clear()

    def hang_at(self, opcode):
        """With the first such request."""
        self.last = opcode

    def go_on(self):
        self.last = None
        self.answers.set()

    def end(self):
        self.go_on()
        subprocess.run(["umount", "--lazy", "--force", str(self.folder)], check=False, capture_output=True)
        self.thread.join(10)

    def serve(self):
        while True:
            try:
                request = os.read(self.device, 1 << 18)
            except OSError as failure:
                if failure.errno in (errno.EINTR, errno.ENOENT):
                    continue
                os.close(self.device)
                return
            opcode = struct.unpack_from("<II", request)[1]
            if opcode in (FORGET, BATCH_FORGET, INTERRUPT):  # nobody waits for an answer
                continue
            if self.last is not None and opcode == self.last:
                self.hang()
            if not self.answers.is_set() and opcode not in (RELEASE, RELEASEDIR):  # nor for these
                self.asked.release()
                self.answers.wait()
            self.answer(request)

    def answer(self, request):
        _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
        error, body = 0, b""
        try:
            body = self.body_of(opcode, node, request[40:])
        except OSError as failure:
            error = -failure.errno
        try:
            os.write(self.device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
        except OSError:  # whoever asked is gone
            pass

    def body_of(self, opcode, node, body):
        path = self.paths[node] if opcode != INIT else None
        if opcode == INIT:
            return struct.pack("<IIIIHHIIHHI7I", 7, 31, 0, 0, 0, 0, 1 << 16, 1, 0, 0, 0, *[0] * 7)
        if opcode == LOOKUP:
            return self.entry(path / name_in(body))
        if opcode == GETATTR:
            return struct.pack("<QII", 0, 0, 0) + attributes(path)
        if opcode == SETATTR:
            valid, size = struct.unpack_from("<I", body)[0], struct.unpack_from("<Q", body, 16)[0]
            if valid & 8:
                os.truncate(path, size)
            return struct.pack("<QII", 0, 0, 0) + attributes(path)
        if opcode == READLINK:
            return os.fsencode(os.readlink(path))
        if opcode == MKDIR:
            os.mkdir(path / name_in(body[8:]))
            return self.entry(path / name_in(body[8:]))
        if opcode in (UNLINK, RMDIR):
            (os.unlink if opcode == UNLINK else os.rmdir)(path / name_in(body))
            return b""
        if opcode in (OPEN, OPENDIR):
            return struct.pack("<QII", 0, 1, 0)  # not through the kernel's cache
        if opcode == CREATE:
            os.close(os.open(path / name_in(body[16:]), os.O_CREAT | os.O_WRONLY, 0o644))
            return self.entry(path / name_in(body[16:])) + struct.pack("<QII", 0, 1, 0)
        if opcode == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return path.read_bytes()[offset:offset + size]
        if opcode == WRITE:
            _, offset, size = struct.unpack_from("<QQI", body)
            with open(path, "r+b") as file:
                file.seek(offset)
                file.write(body[40:40 + size])
            return struct.pack("<II", size, 0)
        if opcode == READDIR:
            _, offset, size = struct.unpack_from("<QQI", body)
            return entries(path, offset, size)
        if opcode == STATFS:
            return struct.pack("<5Q4I6I", 1 << 20, 1 << 19, 1 << 19, 1000, 1000, 4096, 255, 4096, 0, *[0] * 6)
        if opcode in (RELEASE, RELEASEDIR, FSYNC, FLUSH):
            return b""
        raise OSError(errno.ENOSYS, "not here")

    def entry(self, path):
        found = attributes(path)
        if path not in self.numbers:
            self.numbers[path] = len(self.paths) + 1
            self.paths[self.numbers[path]] = path
        return struct.pack("<QQQQII", self.numbers[path], 0, 0, 0, 0, 0) + found


def name_in(body):
    return os.fsdecode(body.split(b"\0", 1)[0])


def attributes(path):
    found = os.lstat(path)
    times = [int(found.st_atime), int(found.st_mtime), int(found.st_ctime)]
    return struct.pack("<6Q10I", found.st_ino, found.st_size, found.st_blocks, *times, 0, 0, 0, found.st_mode,
                       found.st_nlink, found.st_uid, found.st_gid, 0, 4096, 0)


def entries(path, offset, size):
    made = b""
    for at, name in enumerate([".", "..", *sorted(os.listdir(path))][offset:], offset + 1):
        kind = stat.S_IFDIR if (path / name).is_dir() else stat.S_IFREG
        one = struct.pack("<QQII", at, at, len(os.fsencode(name)), kind >> 12) + os.fsencode(name)
        one += b"\0" * (-len(one) % 8)
        if len(made) + len(one) > size:
            break
        made += one
    return made

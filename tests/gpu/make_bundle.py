#!/usr/bin/env python3
"""Makes the bundle of `make check-gpu`: programs, the GPU library and what Debian gave them, without torch and CUDA.

    tests/gpu/make_bundle.py FOLDER                 the unpacked bundle
    tests/gpu/make_bundle.py FOLDER --archive FILE  and the same as FILE.tar.xz, of at most 64 MB

A line for every file that is done.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("EQUIPOISE_BUILD", ROOT / "build/release"))
PROGRAMS = ["equipoise", "equipoise-coordinator", "equipoise-shim", "equipoise-worker", "equipoise-gpu-check"]
MOST_BYTES = 64_000_000
# Part of glibc, which comes with the system, as its parts must be of one version.
SYSTEM = re.compile(r"^(ld-linux|linux-vdso|libc\.|libm\.|libdl\.|libpthread\.|librt\.|libresolv\.|libutil\.|libnsl\.|libmvec\.)")
# Open MPI's plugins for networks, storage and managers that a single machine does without.
NOT_NEEDED = re.compile(r"ofi|openib|psm|ucx|usnic|flux|romio|monitoring|vprotocol|atomic|memheap|scoll|spml|sshmem|dbg_msgq")


def output_of(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def needed_libraries(file):
    """{name: path} of what the dynamic loader takes for a program or library."""
    found = {}
    for line in output_of("ldd", file).splitlines():
        match = re.match(r"\s*(\S+) => (/\S+)", line)
        if match:
            found[match[1]] = pathlib.Path(match[2])
    return found


def is_bundled(name, path):
    return not SYSTEM.match(name) and ".deps" not in path.parts


def set_search_path(file, search_path):
    """Replaces the folders of this machine that the linker wrote into the file."""
    written = re.search(r"Library r(?:un)?path: \[([^\]]*)\]", output_of("readelf", "-d", file))
    if not written or not written[1]:
        return
    old, new = written[1].encode(), search_path.encode()
    content = file.read_bytes()
    if len(new) > len(old) or content.count(old + b"\0") != 1:
        sys.exit(f"make_bundle.py: {file} has the search path {written[1]}, which cannot be replaced by {search_path}")
    file.write_bytes(content.replace(old + b"\0", new.ljust(len(old) + 1, b"\0")))


def install(source, target, search_path):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)
    subprocess.run(["strip", "--strip-unneeded", target], check=True)
    set_search_path(target, search_path)
    print(target.name, flush=True)


def mpi_folders():
    """{"Pkglibdir": ...} of this machine's Open MPI."""
    return dict(re.findall(r"^\s*(\w+): (/\S+)$", output_of("ompi_info", "--path", "all"), re.MULTILINE))


def add_mpi(folder):
    """mpirun, and plugins and messages where Open MPI looks below OPAL_PREFIX. Returns what was installed."""
    where = mpi_folders()
    prefix = pathlib.Path(where["Prefix"])
    installed = [pathlib.Path(shutil.which("mpirun")).resolve()]
    install(installed[0], folder / "bin/mpirun", "$ORIGIN/../lib")
    plugins = pathlib.Path(where["Pkglibdir"])
    for plugin in sorted(plugins.glob("*.so")):
        if not NOT_NEEDED.search(plugin.name):
            installed.append(plugin)
            install(plugin, folder / plugin.relative_to(prefix), "$ORIGIN")
    messages = pathlib.Path(where["Pkgdatadir"])
    shutil.copytree(messages, folder / messages.relative_to(prefix), dirs_exist_ok=True)
    return installed


def glibc_needed(folder):
    """The newest version of glibc that a file of the bundle asks for."""
    newest = (2, 0)
    for file in folder.rglob("*"):
        if file.is_file() and file.read_bytes()[:4] == b"\x7fELF":
            for major, minor in re.findall(r"GLIBC_(\d+)\.(\d+)", output_of("readelf", "-V", file)):
                newest = max(newest, (int(major), int(minor)))
    return ".".join(map(str, newest))


def make(folder):
    shutil.rmtree(folder, ignore_errors=True)
    for program in PROGRAMS:
        install(BUILD / "bin" / program, folder / "bin" / program, "$ORIGIN/../lib")
    install(BUILD / "lib/libequipoise_gpu.so", folder / "lib/libequipoise_gpu.so", "$ORIGIN")
    sources = [*(BUILD / "bin" / program for program in PROGRAMS), BUILD / "lib/libequipoise_gpu.so", *add_mpi(folder)]
    libraries = {}
    for source in sources:
        libraries.update({name: path for name, path in needed_libraries(source).items() if is_bundled(name, path)})
    libraries.pop("libequipoise_gpu.so", None)
    for name, path in sorted(libraries.items()):
        install(path, folder / "lib" / name, "$ORIGIN")
    for module in ("checklist.py", "bundled_programs.py", "machine_checks.py"):
        shutil.copyfile(ROOT / "tests/gpu" / module, folder / module)
    shutil.copyfile(ROOT / "tests/gpu/check_gpu.py", folder / "check-gpu")
    (folder / "check-gpu").chmod(0o755)
    (folder / "bundle.json").write_text(json.dumps({"glibc": glibc_needed(folder), "libraries": sorted(libraries)}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--archive", type=pathlib.Path)
    options = parser.parse_args()
    make(options.folder)
    if options.archive is None:
        return
    def said(member):
        print(member.name, flush=True)
        return member

    # The default would take ten times as long for an eighth less.
    with tarfile.open(options.archive, "w:xz", preset=1) as archive:
        archive.add(options.folder, "equipoise-check-gpu", filter=said)
    size = options.archive.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"make_bundle.py: {options.archive} has {size} bytes, at most {MOST_BYTES} are wanted")


if __name__ == "__main__":
    main()

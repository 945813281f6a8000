"""How far a command is, read from what it prints or writes: one class for each kind that deploy/progress knows."""
import os
import re
import time
import zipfile


class Progress:
    """How far one phase of the work is. A new phase starts its own clock."""

    def __init__(self, now):
        self.phase, self.activity, self.count = "", "", ""
        self.done, self.total, self.started = 0.0, 0.0, now

    def start(self, phase, now):
        if phase != self.phase:
            self.__init__(now)
            self.phase = phase

    def left_s(self, now):
        """Seconds to go at the pace of this phase, or nothing where there is no pace yet."""
        if not 0 < self.done < self.total or now - self.started < 1:
            return None
        return (now - self.started) * (self.total - self.done) / self.done


class Kind:
    """What a kind of command prints, read into a Progress. feed() takes a line of its output and answers whether
    people should see it at once; status() takes one of apt's status lines; measure() is called before each line."""

    def __init__(self, options):
        self.options = options
        self.progress = Progress(time.monotonic())
        self.environment = {}

    def arguments(self, command, status_fd):
        return command

    def feed(self, line):
        return False

    def status(self, line):
        pass

    def measure(self):
        pass

    def must_not_stop(self):
        return ""


class Apt(Kind):
    def arguments(self, command, status_fd):
        return command[:1] + ["-o", f"APT::Status-Fd={status_fd}", "-o", "DPkg::Lock::Timeout=600"] + command[1:]

    def feed(self, line):
        size = re.match(r"Need to get (?:[\d.,]+ \w+/)?([\d.,]+ \w+) of archives", line)
        if size:
            self.size = size[1]
        elif line.startswith("Waiting for cache lock"):
            self.progress.activity = line

    def status(self, line):
        """dlstatus:FILE:PERCENT:TEXT while it downloads, pmstatus:PACKAGE:PERCENT:TEXT while it installs."""
        what, _, percent, text = (line.split(":", 3) + ["", "", ""])[:4]
        if what not in ("dlstatus", "pmstatus") or not re.fullmatch(r"[\d.]+", percent):
            return
        self.progress.start("downloading" if what == "dlstatus" else "installing", time.monotonic())
        self.progress.done, self.progress.total = float(percent), 100
        self.progress.activity = text[:1].lower() + text[1:]
        if what == "dlstatus":
            self.progress.count = "of " + self.size if getattr(self, "size", "") else ""

    def must_not_stop(self):
        return "stops when apt-get has installed its packages" if self.progress.phase == "installing" else ""


class Pip(Kind):
    """pip says little before version 24.1 unless it has a terminal, so the files it writes are measured: wheels while it
    downloads, then the folder into which it unpacks them."""

    def __init__(self, options):
        super().__init__(options)
        self.folder = os.environ["TMPDIR"]
        self.environment = {"PYTHONUNBUFFERED": "1"}

    def feed(self, line):
        step = re.match(r"\s*(Collecting|Downloading|Using cached|Installing collected packages:) ?(\S*)", line)
        if not step:
            return
        if step[1].startswith("Installing"):
            self.progress.start("unpacking", time.monotonic())
            self.progress.total = sum(unpacked_bytes(wheel) for wheel in files_below(self.folder, ".whl"))
        else:
            self.progress.start("downloading", time.monotonic())
            self.progress.total = self.options.size * 1e6
            self.progress.activity = step[2].rsplit("/", 1)[-1]

    def measure(self):
        unpacking = self.progress.phase == "unpacking"
        files = [file for file in files_below(self.folder, "") if unpacking != file.endswith(".whl")]
        # pip moves what it has unpacked away at the end.
        self.progress.done = max(self.progress.done, sum(size_of(file) for file in files))
        if self.progress.total == 0:  # wheels that are not in the folder, such as local ones
            self.progress.count = f"{self.progress.done / 1e6:.0f} MB" if self.progress.phase else ""
            return
        # What is wanted is known about; what is there counts.
        self.progress.total = max(self.progress.total, self.progress.done)
        self.progress.count = f"{self.progress.done / 1e6:.0f} of {self.progress.total / 1e6:.0f} MB"


class Cargo(Kind):
    def __init__(self, options):
        super().__init__(options)
        self.environment = {"CARGO_TERM_PROGRESS_WHEN": "always", "CARGO_TERM_PROGRESS_WIDTH": "200", "CARGO_TERM_COLOR": "never"}

    def feed(self, line):
        bar = re.search(r"\] (\d+)/(\d+): (.*)", line)
        if bar:
            self.progress.start("compiling", time.monotonic())
            self.progress.done, self.progress.total = int(bar[1]), int(bar[2])
            self.progress.count = f"{bar[1]}/{bar[2]}"
            self.progress.activity = bar[3].strip()
            return False
        to_fetch = re.match(r"\s*Downloading (\d+) crates?", line)
        if to_fetch:
            self.progress.start("downloading", time.monotonic())
            self.progress.total = max(self.progress.total, int(to_fetch[1]))
            self.progress.done = self.progress.total - int(to_fetch[1])
            self.progress.count = f"{self.progress.done}/{self.progress.total} crates"
            return False
        if re.match(r"\s*(Updating|Locking|Adding|Downloaded|Compiling|Finished|Blocking|\[\d+/\d+\]|ninja: no work)", line):
            self.progress.activity = line.strip()
            return False
        return line.strip() != ""


class Ninja(Kind):
    def __init__(self, options):
        super().__init__(options)
        self.environment = {"NINJA_STATUS": "[%f/%t] "}

    def feed(self, line):
        step = re.match(r"\[(\d+)/(\d+)\] (.*)", line)
        if step:
            self.progress.done, self.progress.total = int(step[1]), int(step[2])
            self.progress.count = f"[{step[1]}/{step[2]}]"
            source = re.search(r"(\S*/)?CMakeFiles/[^/ ]+\.dir/(\S+)\.o$", step[3])
            self.progress.activity = (source[1] or "") + source[2] if source else step[3]
            return False
        return bool(line.strip()) and not line.startswith("-- ") and line != "ninja: no work to do."


class LineCount(Kind):
    def feed(self, line):
        self.progress.done += 1
        self.progress.total = max(self.options.lines, self.progress.done + 1)
        self.progress.activity = line.strip("- ")


def files_below(folder, ending):
    return [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(ending)]


def size_of(file):
    try:
        return os.lstat(file).st_size
    except OSError:  # it has just been moved or removed
        return 0


def unpacked_bytes(wheel):
    try:
        with zipfile.ZipFile(wheel) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return 0


KINDS = {"apt": Apt, "pip": Pip, "cargo": Cargo, "ninja": Ninja, "lines": LineCount}

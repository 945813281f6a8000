"""Sends a run's metrics.jsonl to an experiment tracker, while the run goes on or afterwards.

    python -m equipoise.trackers wandb RUN --follow
    python -m equipoise.trackers mlflow RUN
    python -m equipoise.trackers trackio RUN --project survey

RUN is the run's folder. Numbers have the names of the Hugging Face trainer, `train/loss` and `eval/loss`; the settings
of job.yaml are the configuration. Where a tracker keeps what it gets is for its own settings to say: WANDB_MODE,
WANDB_API_KEY, MLFLOW_TRACKING_URI, TRACKIO_DIR.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import re
import sys
import time
from typing import Any, Callable, Iterator, Mapping, Protocol

from equipoise import metrics

_RECEIPT = "receipt.json"  # stands in the folder once the run has come to its end


class Tracker(Protocol):
    """Where numbers go."""

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Takes the numbers of one line."""

    def finish(self) -> None:
        """All numbers have come."""


Config = Mapping[str, Any]


def _package(name: str) -> Any:
    """Trackers keep their files in folders of their own name, which are packages to Python where it finds no other.

    Raises:
        ImportError: it is not installed.
    """
    package = importlib.import_module(name)
    if getattr(package, "__file__", None) is None:
        raise ImportError(f"No module named {name!r}")
    return package


class Wandb:
    """Weights & Biases, in the mode that WANDB_MODE says."""

    def __init__(self, project: str, name: str, config: Config) -> None:
        wandb = _package("wandb")

        self._run = wandb.init(project=project, name=name, config=dict(config))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self._run.log(dict(numbers), step=step)

    def finish(self) -> None:
        self._run.finish()


class Mlflow:
    """MLflow, at MLFLOW_TRACKING_URI."""

    _LONGEST_VALUE = 500
    _LONGEST_NAME, _LONGEST_TAIL = 240, 40  # characters, of 250 that it takes
    _LONGEST_PART = 200  # bytes: a part may be the name of a file
    _NUMBERS_A_CALL = 1000
    _PARAMETERS_A_CALL = 100

    def __init__(self, project: str, name: str, config: Config) -> None:
        mlflow = _package("mlflow")

        self._mlflow = mlflow
        self._names: dict[str, str] = {}
        mlflow.set_experiment(project)
        mlflow.start_run(run_name=name)
        texts = [(self._known_name(key), str(value)[:self._LONGEST_VALUE]) for key, value in _flat_config(config)]
        for start in range(0, len(texts), self._PARAMETERS_A_CALL):
            mlflow.log_params(dict(texts[start:start + self._PARAMETERS_A_CALL]))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        known = [(self._known_name(name), number) for name, number in numbers.items()]
        for start in range(0, len(known), self._NUMBERS_A_CALL):
            self._mlflow.log_metrics(dict(known[start:start + self._NUMBERS_A_CALL]), step=step)

    def finish(self) -> None:
        self._mlflow.end_run()

    def _known_name(self, name: str) -> str:
        """One of letters that MLflow takes, and as long as it takes; two names never become one."""
        if name not in self._names:
            parts = [re.sub(r"[^\w.\- ]", "_", part).strip(".") or "_" for part in name.split("/")]
            plain = "/".join(_shortened(part, self._LONGEST_PART) for part in parts)
            # What is measured stands at the end.
            head, tail = plain[:-self._LONGEST_TAIL], plain[-self._LONGEST_TAIL:]
            plain = head[:self._LONGEST_NAME - len(tail)].rstrip("/.") + tail
            taken, number, known = set(self._names.values()), 1, plain
            while known in taken:
                number += 1
                known = f"{plain}_{number}"
            self._names[name] = known
        return self._names[name]


class Trackio:
    """Trackio, in the folder that TRACKIO_DIR says."""

    def __init__(self, project: str, name: str, config: Config) -> None:
        trackio = _package("trackio")

        self._trackio = trackio
        trackio.init(project=project, name=name, config=dict(config))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self._trackio.log(dict(numbers), step=step)

    def finish(self) -> None:
        self._trackio.finish()


TRACKERS: Mapping[str, Callable[[str, str, Config], Tracker]] = {"wandb": Wandb, "mlflow": Mlflow, "trackio": Trackio}


def _shortened(text: str, most: int) -> str:
    """The beginning of a text, in whole characters of at most so many bytes together."""
    return text.encode()[:most].decode(errors="ignore")


def _flat_config(config: Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat_config(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def read_config(run: pathlib.Path) -> dict[str, Any]:
    """The settings of a run: its job.yaml; none where there is no such file."""
    import yaml

    try:
        content = yaml.safe_load((run / "job.yaml").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return content if isinstance(content, dict) else {}


def follow(run: pathlib.Path, between: float = 2.0) -> Iterator[dict[str, Any]]:
    """The lines of a run while it goes on, until it has come to its end.

    A run that went back to a checkpoint writes the lines after it again: all are given, also those that were given
    before.

    Args:
        run: The run's folder.
        between: Seconds between two looks at the file.
    """
    path, position, number = run / metrics.METRICS_FILE, 0, 0
    while True:
        has_ended = (run / _RECEIPT).exists()
        if path.exists():
            with path.open("rb") as file:
                if file.seek(0, os.SEEK_END) < position:
                    position = number = 0
                file.seek(position)
                for text in file:
                    if not text.endswith(b"\n"):
                        break
                    position += len(text)
                    number += 1
                    yield metrics.parse_line(text.decode("utf-8"), f"{path}:{number}")
        if has_ended:
            return
        time.sleep(between)


def send(lines: Iterator[dict[str, Any]], tracker: Tracker) -> int:
    """Sends what the lines say, each step of each split once, and returns how many were sent."""
    newest: dict[str, int] = {}
    count = 0
    for line in lines:
        split, step = str(line.get("split", "train")), int(line["step"])
        # Trackers take steps in ascending order only; a line that is there again says the same.
        if step <= newest.get(split, -1) or split == "settings":
            continue
        newest[split] = step
        tracker.log(metrics.tagged_numbers(line), step)
        count += 1
    return count


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m equipoise.trackers", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracker", choices=sorted(TRACKERS))
    parser.add_argument("run", metavar="RUN", type=pathlib.Path, help="the run's folder")
    parser.add_argument("--follow", action="store_true", help="go on until the run has come to its end, or Ctrl-C")
    parser.add_argument("--project", default="equipoise", help="of the tracker (default: equipoise)")
    parser.add_argument("--name", help="of the run (default: the job's)")
    parser.add_argument("--every", metavar="SECONDS", type=float, default=2.0,
                        help="between two looks at the run, with --follow (default: 2)")
    given = parser.parse_args(arguments)
    if not given.follow and not (given.run / metrics.METRICS_FILE).exists():
        print(f"equipoise.trackers: {given.run} has no {metrics.METRICS_FILE}, expected the folder of a run",
              file=sys.stderr)
        return 2
    while not (given.run / metrics.METRICS_FILE).exists():  # which comes after job.yaml
        time.sleep(given.every)
    config = read_config(given.run)
    try:
        tracker = TRACKERS[given.tracker](given.project, given.name or str(config.get("name", given.run.name)), config)
    except ImportError as problem:
        print(f"equipoise.trackers: {problem}; pip install {given.tracker}", file=sys.stderr)
        return 2
    lines = follow(given.run, given.every) if given.follow else metrics.read_lines(given.run)
    try:
        count = send(lines, tracker)
    except KeyboardInterrupt:
        tracker.finish()
        return 130
    tracker.finish()
    print(f"{count} lines of {given.run} are in {given.tracker}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""metrics.jsonl of a run: every logged step and evaluation (docs/formats.md)."""

from __future__ import annotations

import json
import os
import pathlib
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Sequence

if TYPE_CHECKING:
    import pandas

METRICS_FILE = "metrics.jsonl"


def metrics_file(run: str | os.PathLike[str]) -> pathlib.Path:
    """The file of a run: `run` is its folder, or the file itself."""
    path = pathlib.Path(run)
    return path / METRICS_FILE if path.is_dir() else path


def read_lines(run: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The lines of a run's metrics.jsonl, oldest first; one that is still being written is left out.

    Args:
        run: The run's folder, or its metrics.jsonl.

    Raises:
        ValueError: A line is no JSON object; the text names it.
        OSError: The file cannot be read.
    """
    path = metrics_file(run)
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            if text.endswith("\n"):
                yield parse_line(text, f"{path}:{number}")


def parse_line(text: str, where: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError as problem:
        raise ValueError(f"{where}: {problem}") from None
    if not isinstance(line, dict):
        raise ValueError(f"{where}: expected a JSON object")
    return line


def require_pandas() -> None:
    """Raises an ImportError that says what to install where pandas is not there."""
    try:
        import pandas  # noqa: F401
    except ImportError as problem:
        raise ImportError("curves and weights are pandas DataFrames: pip install pandas") from problem


def _flat(line: Mapping[str, Any]) -> dict[str, Any]:
    """Objects by group as group_loss/India; the flat names that stand beside them, group/India/loss, are the same
    numbers once more."""
    flat: dict[str, Any] = {}
    for name, value in line.items():
        if isinstance(value, dict):
            flat.update({f"{name}/{group}": number for group, number in value.items()})
        elif not name.removeprefix("eval_").startswith("group/"):
            flat[name] = value
    return flat


def read_metrics(run: str | os.PathLike[str], split: str | None = "train") -> pandas.DataFrame:
    """The curves of a run: a row for each line of metrics.jsonl, a column for each of its fields.

    What a line has by group is a column for each group: `group_loss/India`, `group_weight/India`.

    Args:
        run: The run's folder, or its metrics.jsonl.
        split: "train" for the logged steps, "validation" for the evaluations over all validation pairs,
            "validation/FILE" for those of one file, "test", or None for every line, with a column `split`.

    Returns:
        The rows, with the number of steps done as index.

    Raises:
        ImportError: pandas is not installed.
        ValueError: A line cannot be read.
        OSError: The file cannot be read.
    """
    require_pandas()
    import pandas

    rows = []
    for line in read_lines(run):
        of_line = line.setdefault("split", "train")
        if split is None or of_line == split:
            rows.append(_flat(line))
    frame: pandas.DataFrame = pandas.DataFrame(rows)
    if "step" not in frame.columns:
        return frame
    frame.index = pandas.Index(frame.pop("step"), name="step")
    if split is not None:
        del frame["split"]
    return frame


def weights_frame(names: Sequence[str], steps: Sequence[int], alphas: Sequence[Sequence[float]]) -> pandas.DataFrame:
    """A row for each step, a column for each group."""
    require_pandas()
    import pandas

    index = pandas.Index(steps, name="step")
    frame: pandas.DataFrame = pandas.DataFrame(alphas, index=index, columns=list(names), dtype="float64")
    return frame


def tagged_numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line under the names of the Hugging Face trainer, as trackers and TensorBoard get them.

    `train/loss` of a step, `eval/loss` of an evaluation, `eval/FILE_loss` of one file's, `test/NAME/GROUP` of a test. A
    number that is not finite is NaN. A changed setting is no curve and has none.
    """
    split = str(line.get("split", "train"))
    if split == "settings":
        return {}
    prefix, file = {"train": "train/", "test": "test/"}.get(split, "eval/"), split.partition("/")[2]
    numbers: dict[str, float] = {}
    for name, value in line.items():
        if name == "step" or isinstance(value, (str, bool, list)):
            continue
        if not isinstance(value, dict):
            tag = name.removeprefix("eval_") if name.startswith("eval_") or not file else f"{file}_{name}"
            numbers[prefix + tag] = float("nan") if value is None else float(value)
        elif split == "test":
            numbers.update({f"{prefix}{name}/{group}": float("nan") if number is None else float(number)
                            for group, number in value.items()})
    return numbers

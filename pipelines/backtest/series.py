"""Reading CSV files of any kind into series: time, value, label; every row kept, whatever is in it."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import UsageError

_FORMATS = (
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%Y-%m-%d %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %z",
)


@dataclass(frozen=True)
class Series:
    """One series of one file, in the file's order.

    ``rows``: row numbers in the file; ``time_s``: Unix seconds, NaN where the text is no time; ``value``:
    NaN where missing; ``label``: 1 anomalous, or None.
    """

    file: Path
    name: str
    rows: NDArray[np.int64]
    time_text: list[str]
    time_s: NDArray[np.float64]
    value: NDArray[np.float64]
    label: NDArray[np.bool_] | None


def read(
    path: Path, time_column: str, value_column: str, series_column: str | None, label_column: str | None
) -> list[Series]:
    """The series of a CSV file, in order of first appearance.

    Raises:
        UsageError: when the file or a column is not there, no text in the time column is a time, or none in
            the value column a number though some say something.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            lines = [line for line in reader if line]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if not header:
        raise UsageError(f"{path}: empty; a header line with column names is expected")
    times = _column(path, header, lines, time_column)
    texts = _column(path, header, lines, value_column)
    values = [number(text) for text in texts]
    labels = _column(path, header, lines, label_column) if label_column else None
    names = _column(path, header, lines, series_column) if series_column else [path.stem] * len(lines)
    seconds = np.array([unix_s(text) for text in times])
    if lines and np.isnan(seconds).all():
        raise UsageError(f"{path}: column {time_column!r} holds no time, as in its first row: {times[0]!r}")
    if any(texts) and not any(value == value for value in values):
        raise UsageError(
            f"{path}: column {value_column!r} holds no number, as in {next(text for text in texts if text)!r}"
        )
    members: dict[str, list[int]] = {name: [] for name in names}
    for row, name in enumerate(names):
        members[name].append(row)
    value = np.array(values)
    label = None if labels is None else np.array([truth(text) for text in labels], bool)
    return [
        Series(
            file=path,
            name=name,
            rows=(rows := np.array(chosen)),
            time_text=[times[row] for row in chosen],
            time_s=seconds[rows],
            value=value[rows],
            label=None if label is None else label[rows],
        )
        for name, chosen in members.items()
    ]


def _column(path: Path, header: Sequence[str], lines: Sequence[Sequence[str]], name: str) -> list[str]:
    if name not in header:
        raise UsageError(f"{path}: no column {name!r}; there are {', '.join(map(repr, header))}")
    place = header.index(name)
    return [line[place].strip() if place < len(line) else "" for line in lines]


def number(text: str) -> float:
    """A finite number, or NaN for anything else."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def truth(text: str) -> bool:
    """A label: 1, true, yes or anomaly in any case, or a number above 0.5."""
    return text.lower() in {"true", "yes", "anomaly", "anomalous"} or number(text) > 0.5


def unix_s(text: str) -> float:
    """Unix seconds of a time in text, NaN where it is none.

    ISO 8601 and RFC 3339, a few other common forms, or Unix time in s, ms, us or ns (told apart by its
    size). A time without a zone is UTC.
    """
    try:
        return _seconds(datetime.fromisoformat(text))
    except ValueError:
        pass
    stamp = number(text)
    if not math.isnan(stamp):
        for limit, unit in ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6)):
            if abs(stamp) < limit:
                return stamp / unit
        return stamp / 1e9
    plain = text.removesuffix(" UTC").removesuffix(" GMT")
    if plain != text:
        return unix_s(plain)
    for form in _FORMATS:
        try:
            return _seconds(datetime.strptime(text, form))  # noqa: DTZ007 - made aware below
        except ValueError:
            continue
    return math.nan


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

"""Reading CSV files of any kind into series: time, value, label; every row kept, whatever is in it."""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import UsageError

_CLOCKS = (" %H:%M:%S", " %H:%M", "", " %I:%M:%S %p", " %I:%M %p")
_FORMATS = (
    *(date + clock for date in ("%Y/%m/%d", "%m/%d/%Y", "%d.%m.%Y") for clock in _CLOCKS),
    "%Y-%m-%d %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %z",
)
_DAY_FIRST = tuple("%d/%m/%Y" + clock for clock in _CLOCKS)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?")


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
        UsageError: when the file, its rows or a column are not there, no text in the time column is a time,
            or none in the value column a number though some say something.
    """
    try:
        with path.open("rb") as raw:
            encoding = "utf-16" if raw.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        with path.open(newline="", encoding=encoding, errors="replace") as file:
            delimiter = max(",;\t|", key=file.readline().count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            header = [name.strip() for name in next(reader, [])]
            lines = [line for line in reader if line]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if not header:
        raise UsageError(f"{path}: empty; a header line with column names is expected")
    if not lines:
        raise UsageError(f"{path}: a header and no rows")
    times = _column(path, header, lines, time_column)
    texts = _column(path, header, lines, value_column)
    values = [number(text if delimiter == "," else text.replace(",", ".")) for text in texts]
    labels = _column(path, header, lines, label_column) if label_column else None
    names = _column(path, header, lines, series_column) if series_column else [path.stem] * len(lines)
    seconds = _times(times)
    if np.isnan(seconds).all():
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


def _times(texts: Sequence[str]) -> NDArray[np.float64]:
    """Unix seconds; dates with slashes are month first, unless more of them are dates day first."""
    seconds = np.array([unix_s(text) for text in texts])
    if np.isnan(seconds).any() and any("/" in text for text in texts):
        other = np.array([unix_s(text, _DAY_FIRST) for text in texts])
        if np.isnan(other).sum() < np.isnan(seconds).sum():
            return other
    return seconds


def number(text: str) -> float:
    """A finite number, or NaN for anything else; a percent sign and commas between thousands are left out."""
    try:
        value = float(text)
    except ValueError:
        plain = text.removesuffix("%").strip()
        if _THOUSANDS.fullmatch(plain):
            plain = plain.replace(",", "")
        return math.nan if plain == text else number(plain)
    return value if math.isfinite(value) else math.nan


def truth(text: str) -> bool:
    """A label: 1, true, yes or anomaly in any case, or a number above 0.5."""
    return text.lower() in {"true", "yes", "anomaly", "anomalous"} or number(text) > 0.5


def unix_s(text: str, formats: Sequence[str] = _FORMATS) -> float:
    """Unix seconds of a time in text, NaN where it is none.

    Unix time in s, ms, us or ns (told apart by its size), ISO 8601 and RFC 3339, or one of ``formats``. A
    time without a zone is UTC.
    """
    if len(text) > 8 and not math.isnan(stamp := number(text)):  # before ISO 8601, which may see a date in it
        for limit, unit in ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6)):
            if abs(stamp) < limit:
                return stamp / unit
        return stamp / 1e9
    try:
        return _seconds(datetime.fromisoformat(text))
    except ValueError:
        pass
    if not math.isnan(stamp := number(text)):
        return stamp
    plain = text.removesuffix(" UTC").removesuffix(" GMT")
    if plain != text:
        return unix_s(plain, formats)
    for form in formats:
        try:
            return _seconds(datetime.strptime(text, form))  # noqa: DTZ007 - made aware below
        except ValueError:
            continue
    return math.nan


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

"""Reading CSV files of any kind into series: time, value, label; every row kept, whatever is in it."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.backtest.numerals import MISSING, numbers, truth
from pipelines.backtest.stamps import stamps
from pipelines.errors import UsageError

_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip, as Excel's files are", b"PAR1": "Parquet"}


@dataclass(frozen=True)
class Series:
    """One series of one file, in the file's order.

    ``rows``: row numbers in the file; ``time_s``: Unix seconds, NaN where the text is no time; ``value``:
    NaN where missing; ``label``: 1 anomalous, or None; ``unread_time`` and ``unread_value``: the first text
    that is none, and does not say either that there is none.
    """

    file: Path
    name: str
    rows: NDArray[np.int64]
    time_text: list[str]
    time_s: NDArray[np.float64]
    value: NDArray[np.float64]
    label: NDArray[np.bool_] | None
    unread_time: str = ""
    unread_value: str = ""


def read(
    path: Path, time_column: str, value_column: str, series_column: str | None, label_column: str | None
) -> list[Series]:
    """The series of a CSV file, in order of first appearance.

    Raises:
        UsageError: when the file, its rows or a column are not there, no text in the time column is a time,
            none in the value column a number though some say something, or one in the label column no label.
    """
    header, lines, delimiter = _table(path, time_column)
    times = _column(path, header, lines, time_column)
    texts = _column(path, header, lines, value_column)
    names = _column(path, header, lines, series_column) if series_column else [path.stem] * len(lines)
    label = _labels(path, header, lines, label_column) if label_column else None
    seconds, value = stamps(times), numbers(texts, commas=delimiter == ";")
    if np.isnan(seconds).all():
        raise UsageError(f"{path}: column {time_column!r} holds no time, as in its first row: {times[0]!r}")
    if any(texts) and np.isnan(value).all():
        raise UsageError(
            f"{path}: column {value_column!r} holds no number, as in {next(text for text in texts if text)!r}"
        )
    members: dict[str, list[int]] = {name: [] for name in names}
    for row, name in enumerate(names):
        members[name].append(row)
    return [
        Series(
            file=path,
            name=name,
            rows=(rows := np.array(chosen)),
            time_text=[times[row] for row in chosen],
            time_s=seconds[rows],
            value=value[rows],
            label=None if label is None else label[rows],
            unread_time=_unread(times, rows[np.isnan(seconds[rows])]),
            unread_value=_unread(texts, rows[np.isnan(value[rows])]),
        )
        for name, chosen in members.items()
    ]


def _table(path: Path, time_column: str) -> tuple[list[str], list[list[str]], str]:
    """Header, rows and delimiter; blank lines, comments before the header and Excel's ``sep=`` left out."""
    try:
        file = io.StringIO(_text(path), newline="")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    delimiter, first = "", file.readline()
    while first and (not first.strip() or first.startswith("sep=") or _comment(first, time_column)):
        delimiter = first[4:5] if first.startswith("sep=") else delimiter
        first = file.readline()
    delimiter = delimiter.strip("\r\n") or max(",;\t|", key=first.count)
    try:
        rows = csv.reader(chain([first], file), delimiter=delimiter, skipinitialspace=True)
        header, *lines = [line for line in rows if line] or [[]]
    except csv.Error as error:
        raise UsageError(f"{path}: no CSV: {error}") from error
    if not header:
        raise UsageError(f"{path}: empty; a header line with column names is expected")
    if not lines:
        raise UsageError(f"{path}: a header and no rows")
    return [name.strip() for name in header], lines, delimiter


def _comment(line: str, time_column: str) -> bool:
    return line[0] == "#" and time_column not in (cell.strip() for cell in re.split(r"[,;\t|]", line))


def _text(path: Path) -> str:
    raw = path.read_bytes()
    for start, what in _PACKED.items():
        if raw.startswith(start):
            raise UsageError(f"{path}: is {what}; CSV text is expected: unpack or export it first")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")  # what Excel writes in western Europe and America


def _column(path: Path, header: Sequence[str], lines: Sequence[Sequence[str]], name: str) -> list[str]:
    if name not in header:
        raise UsageError(f"{path}: no column {name!r}; there are {', '.join(map(repr, header))}")
    place = header.index(name)
    texts = [line[place].strip() if place < len(line) else "" for line in lines]
    for row, text in enumerate(texts, start=1):
        if "\n" in text:  # rows swallowed would be missing in the output
            raise UsageError(
                f"{path}: row {row}: a quote before {text.splitlines()[0][:40]!r} is not closed on its line"
            )
    return texts


def _unread(texts: Sequence[str], rows: NDArray[np.int64]) -> str:
    return next((texts[row][:40] for row in rows if texts[row].lower() not in MISSING), "")


def _labels(
    path: Path, header: Sequence[str], lines: Sequence[Sequence[str]], name: str
) -> NDArray[np.bool_]:
    texts = _column(path, header, lines, name)
    known = {text: truth(text) for text in set(texts)}
    for text in texts:
        if known[text] is None:
            raise UsageError(
                f"{path}: column {name!r} holds {text!r}; a label is 1 or 0, true or false, anomaly or normal"
            )
    return np.array([known[text] for text in texts], bool)

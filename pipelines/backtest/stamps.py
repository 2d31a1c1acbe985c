"""Times as files hold them: ISO 8601, Unix time, and dates whose order only the whole column tells."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

#: What a date of three numbers may mean, the usual first; where four digits come first it is the last.
_ORDERS = ("mdy", "dmy", "ymd")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: A date, a time of day perhaps, a zone perhaps.
_WRITTEN = re.compile(
    r"(?:[a-z]{3,9},?\s+)?"  # Monday,
    r"(?P<a>\d{1,4}|[a-z]{3,9})(?P<sign>[-/. ])\s*(?P<b>\d{1,2}|[a-z]{3,9})[-/., ]\s*(?P<c>\d{4}|\d{1,2})\.?"
    r"(?:[t ,:]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<part>[.,]\d+)?)?"
    r"\s*(?P<half>[ap]m)?)?"
    r"(?:\s*(?P<zone>z|utc|gmt|[-+]\d\d:?\d\d|[a-z_]+(?:/[a-z_]+)+))?",
    re.IGNORECASE,
)
_MONTH = re.compile(r"\d{4}[-/]\d{1,2}")
_AMBIGUOUS = re.compile(r"\d{1,2}([-/])\d{1,2}\1(\d{4}|\d\d)(?!\d)")
#: Digits of a time without signs, and how they are read; as Unix milliseconds they would lie in 1976 or 2612.
_RUN = {12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_FIRST_S, _LAST_S = -62_135_596_800.0, 253_402_300_799.0  # the years 1 to 9999


def stamps(texts: Sequence[str]) -> NDArray[np.float64]:
    """Unix seconds of a column, NaN where a text is no time.

    Where dates are three numbers with the year last, or of two digits, the column is read in the order in
    which most of it are dates; of several such, in the one without jumps: days read as months lie far apart.
    """
    first = np.array([unix_s(text) for text in texts])
    if not any(map(_AMBIGUOUS.match, texts)):
        return first
    readings = [first, *(np.array([unix_s(text, order) for text in texts]) for order in _ORDERS[1:])]
    return min(readings, key=lambda read: (np.isnan(read).sum(), _widest(read)))


def _widest(seconds: NDArray[np.float64]) -> float:
    known = np.sort(seconds[~np.isnan(seconds)])
    return float(np.diff(known).max()) if known.size > 1 else 0.0


def unix_s(text: str, order: str = _ORDERS[0]) -> float:
    """Unix seconds of a time in text, NaN where it is none or lies outside the years 1 to 9999.

    Unix time in s, ms, us or ns (told apart by its size), ISO 8601 and RFC 3339, digits as
    ``20260105130500``, or a date with signs or the month's name, with or without a time of day, in the given
    ``order``. A time without a zone is UTC; a zone is an offset or a name such as ``Europe/Berlin``.
    """
    seconds = _unix_s(text, order)
    return seconds if _FIRST_S <= seconds <= _LAST_S else math.nan


def _unix_s(text: str, order: str) -> float:
    if len(text) in _RUN and text.isdecimal() and text[:2] in ("19", "20"):
        try:
            return _seconds(datetime.strptime(text, _RUN[len(text)]))  # noqa: DTZ007 - made aware there
        except ValueError:
            pass
    if len(text) > 8 and not math.isnan(stamp := _float(text)):  # before ISO 8601, which may see a date in it
        for limit, unit in ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6)):
            if abs(stamp) < limit:
                return stamp / unit
        return stamp / 1e9
    try:
        return _seconds(datetime.fromisoformat(text))
    except ValueError:
        pass
    if not math.isnan(stamp := _float(text)):
        return stamp
    found = _WRITTEN.fullmatch(f"{text}-01" if _MONTH.fullmatch(text) else text)
    try:
        return _seconds(_moment(found, order)) if found else math.nan
    except (ValueError, KeyError):  # no such day or month, no such zone
        return math.nan


def _moment(found: re.Match[str], order: str) -> datetime:
    a, b, c = found["a"], found["b"], found["c"]
    if a.isalpha():
        order = "mdy"
    elif len(a) == 4:
        order = "ymd"
    elif b.isalpha() or found["sign"] == ".":
        order = "dmy"
    date = dict(zip(order, (_number(a), _number(b), _number(c)), strict=True))
    if date["y"] < 100:
        date["y"] += 2000 if date["y"] < 69 else 1900
    hour = int(found["hour"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if found["half"].lower() == "pm" else 0)
    part = round(1e6 * float("0." + found["part"][1:7])) if found["part"] else 0
    clock = (hour, int(found["minute"] or 0), int(found["second"] or 0), part)
    return datetime(date["y"], date["m"], date["d"], *clock, tzinfo=_zone(found["zone"]))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else _MONTHS.index(text[:3].lower()) + 1


def _zone(name: str | None) -> tzinfo:
    if name is None or name.lower() in ("z", "utc", "gmt"):
        return UTC
    if name[0] in "+-":
        zone = datetime.strptime(name, "%z").tzinfo
        return zone or UTC
    return ZoneInfo(name)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _seconds(moment: datetime) -> float:
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except OverflowError:
        return math.nan

"""Times as files hold them: ISO 8601, Unix time, and dates whose order only the whole column tells."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
from dateutil import parser
from numpy.typing import NDArray

#: What a date of three numbers may mean, the usual first; where four digits come first it is the last.
_ORDERS = ("mdy", "dmy", "ymd")
_AMBIGUOUS = re.compile(r"\d{1,2}([-/])\d{1,2}\1(\d{4}|\d\d)(?!\d)")
_DAY_FIRST = re.compile(r"\d{1,2}\.\d{1,2}\.")
_MONTH = re.compile(r"\d{4}[-/]\d{1,2}")
#: A date and what parts it from its time of day in the logs of web servers; a zone by its place.
_OF_LOGS = re.compile(r"(/\d{4}):")
_PLACED = re.compile(r"(.*\d) ?([A-Za-z_]+(?:/[A-Za-z_]+)+)")
#: Digits of a time without signs, and how they are read; as Unix milliseconds they would lie in 1976 or 2612.
_RUN = {12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_FIRST_S, _LAST_S = -62_135_596_800.0, 253_402_300_799.0  # the years 1 to 9999
#: What a text says of its date does not hang on these: it says all of it.
_ANY = datetime(2000, 1, 1, tzinfo=UTC), datetime(2004, 2, 2, tzinfo=UTC)


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
    try:
        return _seconds(_moment(f"{text}-01" if _MONTH.fullmatch(text) else text, order))
    except (ValueError, KeyError, OverflowError):  # no such day or month, no such zone
        return math.nan


def _moment(text: str, order: str) -> datetime:
    placed = _PLACED.fullmatch(text)
    plain = _OF_LOGS.sub(r"\1 ", placed[1] if placed else text, count=1)
    first, other = (
        parser.parse(
            plain,
            default=default,
            dayfirst=order == "dmy" or _DAY_FIRST.match(plain) is not None,
            yearfirst=order == "ymd",
            tzinfos=_zone,
        )
        for default in _ANY
    )
    if first != other:
        raise ValueError(text)
    moment: datetime = first.replace(tzinfo=ZoneInfo(placed[2])) if placed else first
    return moment


def _zone(name: str | None, offset_s: int | None) -> tzinfo:
    if offset_s is not None:
        return timezone(timedelta(seconds=offset_s))
    if name not in (None, "UTC", "GMT"):
        raise ValueError(name)  # several places share a zone's letters
    return UTC


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

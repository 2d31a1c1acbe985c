"""One line for humans: what moved, how far, for whom."""

import math

from operators.lifecycle.meaning import meaning, unit
from operators.series import NEAR, SeriesKey
from schemas.outputs import AnomalyKind
from schemas.signals import SIGNALS

_UNITS = {"s": " s", "ms": " ms", "s/s": " s/s", "1/s": "/s", "1/min": "/min"}
_UNITS |= {"%": " %", "W": " W", "Cel": " °C"}
#: Statistics that go without saying, and those that are parts of a whole.
_PLAIN = ("mean", "ratio", "completed", "rate", "late_ratio", "ahead_ratio")
_PARTS = ("ratio", "share", "present", "completed", "received", "late_ratio", "ahead_ratio")
#: Attributes as people write them.
_NAMES = {"gpu": "GPU", "xid": "XID"}
#: Below this a value is next to nothing.
_NOTHING = 1e-3
_MOVED = {
    "mix": "changed in mix",
    "spread": "changed in spread",
    "tails": "moved in part",
    "repeats": "repeat themselves",
}


def summary(key: SeriesKey, kind: AnomalyKind, observed: float, baseline: float) -> str:
    """For example ``TTFT p95 860 ms, 4.1x baseline on chat-api v2 (eu-west1)``."""
    word = meaning(key).word or key.signal
    whom = on(key)
    if kind == "missing_data":
        return f"{word}: no data on {whom}"
    if key.statistic.startswith(NEAR):
        name = key.statistic.removeprefix(NEAR)
        return f"{observed:.2%} of {word} lie near {name}, baseline {baseline:.2%}, on {whom}"
    if kind == "embedding_drift":
        return f"{word} {_MOVED.get(key.statistic, 'moved')} on {whom}"
    factor, measured = _scale(key, max(observed, baseline))
    now, before = observed * factor, baseline * factor
    return f"{_what(key, word)} {amount(now, measured)}, {against(now, before, measured)} on {whom}"


def _what(key: SeriesKey, word: str) -> str:
    """What is measured: ``TTFT p95``, ``rate limited errors``, ``Thai script in answers``."""
    statistic, _, attribute = key.statistic.partition(":")
    name = _NAMES.get(attribute, attribute.replace("_", " "))
    if statistic == "present":
        return f"{name} {word} in answers"
    if key.signal.endswith("finish_reason_share"):
        return word if word.endswith(attribute) else f"{word} {attribute}"
    stated = "" if statistic in (*_PLAIN, "share") else f" {statistic}"
    return f"{name} {word}{stated}" if name else f"{word}{stated}"


def _scale(key: SeriesKey, most: float) -> tuple[float, str]:
    """By what values are multiplied to be read, and the unit they are in then."""
    measured = unit(key)
    known = SIGNALS.get(key.signal)
    whole = known is not None and known.kind == "ratio" and measured == "1"
    if whole or key.statistic.partition(":")[0] in _PARTS or measured == "s/s":
        return 100.0, "%"
    if measured == "1/s" and most < 0.1:
        return 60.0, "1/min"
    if measured == "s" and most < 1:
        return 1000.0, "ms"
    return 1.0, measured


def amount(value: float, unit: str) -> str:
    """A value with its unit."""
    if not math.isfinite(value):
        return "unknown"
    if unit == "Hz":
        return f"{value / 1e6:.0f} MHz"
    if 0 < abs(value) < _NOTHING:
        return f"~0{_UNITS.get(unit, '')}"
    figures = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return figures + _UNITS.get(unit, "")


def against(observed: float, baseline: float, unit: str) -> str:
    """How a value compares with its baseline: how many times as much, where that is a measure."""
    times = observed / baseline if baseline >= _NOTHING and math.isfinite(observed) else 1.0
    if 2 <= times < 1000:
        return f"{times:.2g}x baseline" if times < 100 else f"{times:.0f}x baseline"
    return f"baseline {amount(baseline, unit)}"


def on(key: SeriesKey) -> str:
    """Whom a series is of."""
    identity = key.identity
    names = [
        identity.pop(name) for name in ("service", "request_model", "service_version") if name in identity
    ]
    rest = ", ".join(identity.values())
    return " ".join(names) + (f" ({rest})" if names and rest else rest)

"""One line for humans: what moved, how far, for whom."""

import math

from operators.lifecycle.meaning import meaning, unit
from operators.series import NEAR, SeriesKey
from schemas.outputs import AnomalyKind

_UNITS = {"s": " s", "1/s": "/s", "W": " W", "Cel": " °C", "s/s": " s/s"}


def summary(key: SeriesKey, kind: AnomalyKind, observed: float, baseline: float) -> str:
    """For example ``TTFT p95 0.86 s, 4.1x baseline on chat-api v2 (eu-west1)``."""
    word = meaning(key).word or key.signal
    statistic = "" if key.statistic in ("mean", "ratio", "completed") else f" {key.statistic}"
    whom = on(key)
    if kind == "missing_data":
        return f"{word}: no data on {whom}"
    if key.statistic.startswith(NEAR):
        name = key.statistic.removeprefix(NEAR)
        return f"{observed:.2%} of {word} lie near {name}, baseline {baseline:.2%}, on {whom}"
    if kind == "embedding_drift":
        return f"{word} drifted ({key.statistic}) on {whom}"
    measured = unit(key)
    return (
        f"{word}{statistic} {amount(observed, measured)}, {against(observed, baseline, measured)} on {whom}"
    )


def amount(value: float, unit: str) -> str:
    """A value with its unit."""
    if not math.isfinite(value):
        return "unknown"
    if unit == "Hz":
        return f"{value / 1e6:.0f} MHz"
    return f"{value:.3g}{_UNITS.get(unit, '')}"


def against(observed: float, baseline: float, unit: str) -> str:
    """How a value compares with its baseline; one of next to nothing is no measure."""
    times = observed / baseline if baseline > 0 and math.isfinite(observed) else 1.0
    if 2 <= times < 1000 or 0 < times <= 0.5:
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

"""The declared meters as Beam metrics, which runners show under names of their own around ours.

Beam's metrics have no labels: a metric's name is the whole series as Prometheus writes it,
``driftline_samples_total{topic="telemetry.gpu.v1",outcome="accepted",reason=""}``. What a bundle counted is
counted again when the bundle is. A gauge that is taken back stays what it was.
"""
# mypy: allow-untyped-calls

from functools import lru_cache
from typing import Any

from apache_beam.metrics.metric import Metrics

from operators.meters import Meter, Meters

#: Namespace of all of them.
NAMESPACE = "driftline"


class BeamMeters:
    """Records meters where Beam runs this process: outside a bundle there is nothing to record to."""

    def add(self, meter: Meter, amount: int, *labels: str) -> None:
        """Raise a counter."""
        _metric(meter, labels).inc(int(amount))

    def set(self, meter: Meter, value: float, *labels: str) -> None:
        """Set a gauge."""
        _metric(meter, labels).set(round(value))

    def observe(self, meter: Meter, value: float, *labels: str) -> None:
        """Put a value into a distribution."""
        _metric(meter, labels).update(round(value))

    def forget(self, meter: Meter, *labels: str) -> None:
        """Nothing: Beam's gauges stay."""


class Both:
    """Records twice."""

    def __init__(self, one: Meters, other: Meters) -> None:
        self._each = (one, other)

    def add(self, meter: Meter, amount: int, *labels: str) -> None:
        """Raise a counter."""
        for meters in self._each:
            meters.add(meter, amount, *labels)

    def set(self, meter: Meter, value: float, *labels: str) -> None:
        """Set a gauge."""
        for meters in self._each:
            meters.set(meter, value, *labels)

    def observe(self, meter: Meter, value: float, *labels: str) -> None:
        """Put a value into a histogram."""
        for meters in self._each:
            meters.observe(meter, value, *labels)

    def forget(self, meter: Meter, *labels: str) -> None:
        """Take a gauge back."""
        for meters in self._each:
            meters.forget(meter, *labels)


def series(meter: Meter, labels: tuple[str, ...]) -> str:
    """Name and labels as one text."""
    if not labels:
        return meter.name
    pairs = ",".join(f'{name}="{value}"' for name, value in zip(meter.labels, labels, strict=True))
    return f"{meter.name}{{{pairs}}}"


@lru_cache(maxsize=10_000)
def _metric(meter: Meter, labels: tuple[str, ...]) -> Any:
    if meter.kind == "counter":
        return Metrics.counter(NAMESPACE, series(meter, labels))
    if meter.kind == "gauge":
        return Metrics.gauge(NAMESPACE, series(meter, labels))
    return Metrics.distribution(NAMESPACE, series(meter, labels))

"""The declared meters in a Prometheus registry of one run."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from operators.meters import METERS, Meter


class Recorder:
    """Records meters, from any thread, and knows the gauges it was told; adds the process's own figures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._metrics: dict[str, Any] = {name: self._make(meter) for name, meter in METERS.items()}
        self._gauges: dict[tuple[str, ...], float] = {}

    def add(self, meter: Meter, amount: int, *labels: str) -> None:
        """Raise a counter."""
        self._series(meter, labels).inc(amount)

    def set(self, meter: Meter, value: float, *labels: str) -> None:
        """Set a gauge."""
        self._series(meter, labels).set(value)
        self._gauges[meter.name, *labels] = value

    def observe(self, meter: Meter, value: float, *labels: str) -> None:
        """Put a value into a histogram."""
        self._series(meter, labels).observe(value)

    def forget(self, meter: Meter, *labels: str) -> None:
        """Take a labelled gauge back."""
        if self._gauges.pop((meter.name, *labels), None) is not None:
            self._metrics[meter.name].remove(*labels)

    def value(self, meter: Meter, *labels: str) -> float | None:
        """What a gauge was set to last."""
        return self._gauges.get((meter.name, *labels))

    def _make(self, meter: Meter) -> Counter | Gauge | Histogram:
        if meter.kind == "histogram":
            return Histogram(
                meter.name, meter.help, meter.labels, buckets=meter.buckets, registry=self.registry
            )
        kind = Counter if meter.kind == "counter" else Gauge
        return kind(meter.name, meter.help, meter.labels, registry=self.registry)

    def _series(self, meter: Meter, labels: tuple[str, ...]) -> Any:
        metric = self._metrics[meter.name]
        return metric.labels(*labels) if labels else metric

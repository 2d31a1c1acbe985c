"""A finding: what a detector says of one series in one window, in the words of an event."""

import math
from typing import Literal, NamedTuple

from operators.series import SeriesKey
from schemas.outputs import AnomalyKind, CalibrationSource, Severity, Symptom

Source = Literal["bank", "absence", "shortfall", "occurrence", "embedding", "clock"]


class Finding(NamedTuple):
    """One window of one series; ``kind``, ``severity``, ``symptom``: None where the series' meaning says.

    ``expected``, ``low``, ``high``, ``observed`` are in the series' unit; ``direction`` is +1 above what was
    expected, -1 below, 0 neither. ``usual``: samples that a window had of late, NaN where not known;
    ``warming``: the series is too young to know its own normal. Episodes of a series from different sources
    are apart.
    """

    source: Source
    key: SeriesKey
    detector: str
    alarm: bool
    score: float
    threshold: float
    p_value: float | None
    observed: float
    expected: float
    low: float
    high: float
    samples: int
    direction: int = 0
    calibration: CalibrationSource = "empirical"
    kind: AnomalyKind | None = None
    severity: Severity | None = None
    symptom: Symptom | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    usual: float = math.nan
    warming: bool = False

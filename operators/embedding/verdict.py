"""What a scored window of one embedding series says."""

from dataclasses import dataclass

from operators.series import SeriesKey
from schemas.outputs import CalibrationSource


@dataclass(frozen=True, slots=True)
class EmbeddingVerdict:
    """One family of scorers on one window of one series; ``key.statistic`` is the family.

    Attributes:
        key: The series; signal ``gen_ai.prompt.embedding`` or ``gen_ai.output.embedding``.
        window_start_ms: Of the deciding window: the newest one, or a longer one whose verdict still stands.
        window_end_ms: End of the newest window.
        score: -log10 of ``p_value``; higher is more anomalous, comparable across series.
        p_value: Rate of such windows per detection period without drift, in (0, 1].
        threshold: The score from which the alarm budget allows an alarm.
        alarm: Whether it is reached.
        detector: Id of the leading scorer, ``name/version``.
        observed: The leading scorer's value.
        expected: What the reference leads one to expect of it.
        n: Vectors in the window.
        effective: Independent vectors they are worth (runs of one topic count once).
        calibration: Where the p-value comes from.
        warming: The reference is still being built; p is 1.
        embedder_version: Whose vectors these are.
    """

    key: SeriesKey
    window_start_ms: int
    window_end_ms: int
    score: float
    p_value: float
    threshold: float
    alarm: bool
    detector: str
    observed: float
    expected: float
    n: int
    effective: float
    calibration: CalibrationSource
    warming: bool
    embedder_version: str

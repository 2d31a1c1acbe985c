"""Verdicts of the embedding path as findings, window by window."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from operators.lifecycle import Finding

if TYPE_CHECKING:
    from operators.embedding import EmbeddingVerdict


def embedding_findings(
    verdicts: "Sequence[EmbeddingVerdict]",
) -> Iterator[tuple[int, int, list[Finding]]]:
    """Findings by window: (start, end, findings), in time order."""
    spans = sorted({(verdict.window_start_ms, verdict.window_end_ms) for verdict in verdicts})
    for start, end in spans:
        mine = [v for v in verdicts if (v.window_start_ms, v.window_end_ms) == (start, end) and not v.warming]
        yield start, end, [_finding(verdict) for verdict in mine]


def _finding(verdict: "EmbeddingVerdict") -> Finding:
    return Finding(
        "embedding",
        verdict.key,
        verdict.detector,
        alarm=verdict.alarm,
        score=verdict.score,
        threshold=verdict.threshold,
        p_value=verdict.p_value,
        observed=verdict.observed,
        expected=verdict.expected,
        low=verdict.expected,
        high=verdict.expected,
        samples=verdict.n,
        direction=1,
        calibration=verdict.calibration,
        kind="embedding_drift",
        attributes=(("driftline.embedder_version", verdict.embedder_version),),
    )

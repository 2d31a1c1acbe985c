"""Verdicts of the embedding path as findings, window by window."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from operators.lifecycle import Finding
from schemas.outputs import Severity

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
        severity=_severity(verdict),
        attributes=(("driftline.embedder_version", verdict.embedder_version),),
    )


def _severity(verdict: "EmbeddingVerdict") -> Severity:
    """What users ask may change; what the model answers to it may not."""
    if verdict.key.side == "prompt":
        return "info"
    excess = verdict.score - verdict.threshold
    return "critical" if excess >= 6 else "error" if excess >= 3 else "warning"

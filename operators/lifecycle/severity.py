"""How bad a finding is: which way it went, how far below the alarm budget, and how large."""

import math

from operators.lifecycle.findings import Finding
from operators.lifecycle.meaning import meaning
from schemas.outputs import AnomalyKind, Severity

#: Order of severities.
RANK: dict[Severity, int] = {"info": 0, "warning": 1, "error": 2, "critical": 3}

#: Below this a GPU's heat harms nobody (degrees Celsius).
_WARM = 80.0
#: A script that holds this share already is one the users ask for, no corruption.
_REQUESTED = 0.02
_FATAL = frozenset({"rate:uncorrected", "rate:xid"})


def severity_of(finding: Finding) -> Severity:
    """Severity of an alarming finding of a scalar series."""
    key = finding.key
    worse = meaning(key).worse
    if worse is None or (worse and worse * finding.direction < 0):
        return "info"
    if key.signal == "hw.temperature" and finding.observed < _WARM:
        return "info"
    if key.signal == "gen_ai.output.script_share" and finding.expected >= _REQUESTED:
        return "info"
    excess, size = finding.score - finding.threshold, effect(finding)
    if excess >= 4 and size >= 3:
        return "critical"
    if (excess >= 2 and size >= 1.5) or key.statistic in _FATAL:
        return "error"
    return "warning"


def effect(finding: Finding) -> float:
    """Size of a change, comparable across signals: 1 is a half more, 3 four times as much or a quarter."""
    observed, expected = finding.observed, finding.expected
    if not (math.isfinite(observed) and math.isfinite(expected)):
        return 0.0
    if finding.key.unit == "1" and 0 <= observed <= 1 and 0 <= expected <= 1:
        return abs(observed - expected) / 0.1
    large, small = max(abs(observed), abs(expected)), min(abs(observed), abs(expected))
    return math.log2(large / small) * 1.5 if small > 0 else (0.0 if large == 0 else 3.0)


def kind_of(finding: Finding, *, lasting: bool = False) -> AnomalyKind:
    """Kind of an alarming finding of a scalar series; what lasts is no spike."""
    if finding.detector.startswith("spike/") and not lasting:
        return "spike"
    worse = meaning(finding.key).worse
    return "degradation" if worse and worse * finding.direction > 0 else "drift"

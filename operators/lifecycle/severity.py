"""How bad a finding is: which way it went, how far below the alarm budget, and how large."""

import math

from operators.lifecycle.findings import Finding
from operators.lifecycle.harm import Harm, is_share
from operators.lifecycle.meaning import meaning
from schemas.outputs import AnomalyKind, Severity

#: Order of severities.
RANK: dict[Severity, int] = {"info": 0, "warning": 1, "error": 2, "critical": 3}

#: Below this a GPU's heat harms nobody (degrees Celsius).
_WARM = 80.0
#: Below this a KV cache has room.
_FULL = 0.8
#: A script that holds this share already is one the users ask for, no corruption.
_REQUESTED = 0.02
_FATAL = frozenset({"rate:uncorrected", "rate:xid"})


#: Detectors of single windows: one request can do it, so they page only when it goes on.
_MOMENTARY = frozenset({"spike/1", "marginal/1", "flat/1"})
#: A wider spread harms when something else says so too (`operators.correlation`).
_FAINT = frozenset({"variance/1"})
#: Its pace hangs on neither load nor length: where it begins to swing and goes on for so many windows, so
#: many decades beyond the budget, something shares the device.
_STEADY, _SWINGS, _CLEARLY = "gen_ai.server.time_per_output_token", 10, 1.5
#: Decades beyond the budget at which one series pages at once: a fleet has thousands of series.
_AT_ONCE = 3.0
#: Decades beyond the budget, and windows in alarm, at which one that goes on pages.
_SUSTAINED, _WINDOWS = 0.5, 3
#: Decades beyond the budget that the bad samples of an episode must come to, all counted.
_ADDED = 1.0
#: Decades beyond the budget at which moved embeddings page: topics wander, and pooled tails are short.
_FAR = 5.5
#: How long requests take: longer where many come at once, and at a part that has only just begun.
_TIMES = frozenset(
    {
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_per_output_token",
        "gen_ai.server.request.duration",
        "gen_ai.server.queue_time",
    }
)
#: Where so many times the usual number of requests came, being slow is load: what pages then are requests
#: that wait, full caches, evictions, errors.
_BUSY = 1.25
#: Windows in which a young series must go on being slow: caches are cold at first.
_COLD = 10
#: A tail must move further to harm as much: it is of few requests.
_TAILS = {"p95": 3.0, "p99": 5.0}
#: Changes smaller than this (`effect`) are found, and told, but wake nobody.
_SMALL = 0.4


def severity_of(finding: Finding, windows: int, harm: Harm) -> Severity:
    """Severity of an alarming finding.

    Args:
        finding: of a series that the table of meanings judges.
        windows: with a material change (`is_material`) so far in its episode, this one included.
        harm: over its episode.
    """
    key = finding.key
    worse = meaning(key).worse
    # what is counted good or bad spreads wider only when its ratio moves
    faint = finding.detector in _FAINT and key.statistic != "ratio"
    excess = finding.score - finding.threshold
    if worse is None or (worse and not _went(finding, worse)):
        return "info"
    if faint:
        swings = key.signal == _STEADY and windows >= _SWINGS and excess >= _CLEARLY
        return "warning" if swings else "info"
    if key.signal == "hw.temperature" and finding.observed < _WARM:
        return "info"
    if key.signal == "gen_ai.server.kv_cache_usage" and finding.observed < _FULL:
        return "info"
    if key.signal == "gen_ai.output.script_share" and finding.expected >= _REQUESTED:
        return "info"
    if finding.source == "embedding":
        return _embedding_severity(finding, excess, windows)
    size = effect(finding)
    if key.statistic in _FATAL:
        return "error"
    momentary = finding.detector in _MOMENTARY
    share = is_share(finding)
    sure = _convincing(excess, windows, momentary)
    if finding.warming and key.signal in _TIMES and windows < _COLD:
        sure = False
    if not is_material(finding) or not (sure or (share and harm.adds_up(finding.threshold + _ADDED))):
        return "info"
    if share and not harm.matters(key):
        return "info"
    if excess >= 4 and size >= 3:
        return "critical"
    return "error" if excess >= 2 and size >= 1.5 else "warning"


def _went(finding: Finding, worse: int) -> bool:
    """Whether it went the way that is worse; where nothing is observed the direction alone says so."""
    moved = finding.observed - finding.expected
    return worse * finding.direction >= 0 and not worse * moved < 0


def is_material(finding: Finding) -> bool:
    """Whether the change is large enough to matter, however sure it is, and not what load explains."""
    if finding.source != "bank":
        return True
    if finding.key.signal in _TIMES and finding.samples > _BUSY * finding.usual:
        return False
    least = meaning(finding.key).least * _TAILS.get(finding.key.statistic, 1.0)
    return abs(finding.observed - finding.expected) >= least and effect(finding) >= _SMALL


def _convincing(excess: float, windows: int, momentary: bool) -> bool:
    """Whether one series' evidence is enough to wake somebody."""
    if windows >= _WINDOWS and excess >= _SUSTAINED:
        return True
    return not momentary and windows >= 2 and excess >= _AT_ONCE


def _embedding_severity(finding: Finding, excess: float, windows: int) -> Severity:
    """What users ask may change, and with it the mix of answers; the answer to the same question may not."""
    if finding.key.statistic == "mix" or excess < _FAR or windows < 2:
        return "info"
    return "critical" if excess >= 2 * _FAR else "error" if excess >= 1.5 * _FAR else "warning"


def effect(finding: Finding) -> float:
    """Size of the change, about comparable across signals: 1 a half more, 3 four times or a quarter."""
    observed, expected = finding.observed, finding.expected
    if not (math.isfinite(observed) and math.isfinite(expected)):
        return 0.0
    if finding.key.unit == "1" and 0 <= observed <= 1 and 0 <= expected <= 1:
        # of a rare thing, how many times more matters as well as how much more
        times = abs(math.log2((observed + _RARE) / (expected + _RARE)))
        return max(abs(observed - expected) / 0.1, times)
    large, small = max(abs(observed), abs(expected)), min(abs(observed), abs(expected))
    return math.log2(large / small) * 1.5 if small > 0 else (0.0 if large == 0 else 3.0)


#: A ratio below this is as good as none.
_RARE = 0.004


def kind_of(finding: Finding, *, lasting: bool = False) -> AnomalyKind:
    """Kind of an alarming finding of a scalar series; what lasts is no spike."""
    if finding.detector.startswith("spike/") and not lasting:
        return "spike"
    worse = meaning(finding.key).worse
    return "degradation" if worse and worse * finding.direction > 0 else "drift"

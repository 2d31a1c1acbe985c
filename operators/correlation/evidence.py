"""What an incident's members say about its symptom and layer: a table of weights, and their sum.

Every member votes once per signal, with the weight of its signal; a guilty change votes too. The layer
probabilities are the votes' shares, so a reader sees how contested the verdict is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from operators.correlation.episodes import Episode
from operators.correlation.suspects import PLATFORM
from schemas.outputs import FailureKind, Layer, Symptom

ASKED, ANSWERS = "gen_ai.prompt.embedding", "gen_ai.output.embedding"
LENGTHS, SCRIPTS = "gen_ai.usage.input_tokens", "gen_ai.output.script_share"

#: Votes of a signal (prefix) for layers. The most specific prefix decides.
LAYER_VOTES: dict[str, dict[str, float]] = {
    "hw.errors": {"hardware": 6},
    "hw.gpu.throttle_time": {"hardware": 8},
    "hw.gpu.sm_clock": {"hardware": 5},
    "hw.gpu.memory_clock": {"hardware": 4},
    "hw.gpu.nvlink_errors": {"hardware": 6},
    "hw.gpu.pcie_replays": {"hardware": 6},
    "hw.temperature": {"hardware": 3},
    "hw.power": {"hardware": 0.5, "operations": 0.5},
    "hw.gpu.utilization": {"operations": 0.5},
    "hw.gpu.memory.utilization": {"operations": 0.5},
    "gen_ai.server.kv_cache_usage": {"operations": 4},
    "gen_ai.server.preemptions": {"operations": 4},
    "gen_ai.server.requests_waiting": {"operations": 2},
    "gen_ai.server.requests_running": {"operations": 1},
    "gen_ai.server.queue_time": {"operations": 2},
    "gen_ai.server.arrivals": {"operations": 2},
    "gen_ai.server.completions": {"operations": 2},
    "gen_ai.server.timeouts": {"operations": 2},
    "gen_ai.server.errors": {"operations": 1},
    "gen_ai.server.cancellations": {"operations": 0.5},
    "gen_ai.server.time_per_output_token": {"operations": 0.5, "hardware": 0.5},
    "gen_ai.server": {"operations": 1},
    "gen_ai.server.prefix_cache_hit_ratio": {"operations": 6},
    "gen_ai.server.replicas_ready": {"operations": 3},
    "gen_ai.server.restarts": {"operations": 3},
    "gen_ai.output": {"model": 2},
    "gen_ai.output.embedding": {"model": 3},
    "gen_ai.output.finish_reason_share": {"model": 0.5, "operations": 0.5},
    "gen_ai.usage.output_tokens": {"model": 0.5, "operations": 0.5},
    "gen_ai.output.pii_ratio": {"operations": 3},
    "gen_ai.usage.input_tokens": {"operations": 4},
    "gen_ai.prompt.embedding": {"none": 3},
    "gen_ai.canary": {"model": 2},
    "gen_ai.feedback": {"model": 1},
    "producer.heartbeat": {"operations": 3},
}

#: Votes of a suspect's change type for layers.
CHANGE_VOTES: dict[str, dict[str, float]] = {
    "deployment": {"model": 3, "operations": 1},
    "model_swap": {"model": 5},
    "prompt": {"operations": 12},
    "config": {"operations": 10},
    "route": {"operations": 6},
    "feature_flag": {"operations": 4},
    "infra": {"operations": 2, "hardware": 1},
}

#: Signals that say an answer itself is different, whatever its speed.
CONTENT = ("gen_ai.output.", "gen_ai.usage.output_tokens", "gen_ai.canary.", "gen_ai.feedback.")
#: Signals that say the engine or the device is in trouble: they explain slowness by themselves.
ENGINE = (
    "hw.",
    "gen_ai.server.kv_cache_usage",
    "gen_ai.server.preemptions",
    "gen_ai.server.requests_waiting",
    "gen_ai.server.queue_time",
    "gen_ai.server.time_per_output_token",
    "gen_ai.server.time_to_first_token",
    "gen_ai.server.timeouts",
    "gen_ai.server.errors",
    "gen_ai.server.completions",
)
#: Quality signals whose move says harm, not only difference: they make an input shift a page again.
HARM = (
    "gen_ai.server.errors",
    "gen_ai.canary.",
    "gen_ai.feedback.",
    "gen_ai.output.parse_failure_ratio",
    "gen_ai.output.nan_count",
    "gen_ai.output.finish_reason_share",
    "gen_ai.output.repetition_ratio",
    "gen_ai.output.pii_ratio",
    "gen_ai.server.prefix_cache_hit_ratio",
)
#: Signals that harm nobody, and so never page, yet tell what is wrong.
TELLING = ("gen_ai.server.prefix_cache_hit_ratio", LENGTHS, ASKED)
#: A sign of this score (-log10) is plain.
STRONG = 10.0
_PLACES = PLATFORM | {"replica", "gpu"}
#: A device that gets warm and shows none of these does somebody's work.
WARMTH = "hw.temperature"
FAULTY = (
    "hw.errors",
    "hw.gpu.throttle_time",
    "hw.gpu.sm_clock",
    "hw.gpu.memory_clock",
    "hw.gpu.nvlink",
    "hw.gpu.pcie",
)
#: What a device that computes wrongly does not do: its software does.
SOFTWARE = ("gen_ai.output.nan_count", "gen_ai.output.repetition_ratio", SCRIPTS)
#: Weight of a sign that wakes nobody beside those that do: it may be the day's natural course.
BESIDE = 0.3
#: An output that moved this many times further than its prompt moved by itself.
FOLLOWS = 0.4


@dataclass(frozen=True, slots=True)
class Verdict:
    """Symptom, layer with its probabilities, and whether the model or its input moved."""

    symptom: Symptom
    layer: Layer
    layer_probabilities: dict[str, float]
    failure_kind: FailureKind
    confidence: float


def classify(
    members: Iterable[Episode], change_types: Mapping[str, float], root: Mapping[str, str] | None = None
) -> Verdict:
    """The verdict on an incident from its members, its suspects' change types with their scores, its root."""
    found = list(members)
    strength = _strength(found)
    if any(member.symptom == "telemetry_fault" for member in found):
        return Verdict("telemetry_fault", "operations", {"operations": 1.0}, "reliability", 1.0)
    content = _total(strength, CONTENT)
    # what got faster is no trouble
    engine = _total(_strength(member for member in found if not member.improves), ENGINE)
    rollout = _total(strength, ("gen_ai.server.replicas_", "gen_ai.server.restarts"))
    guilty = {kind: score for kind, score in change_types.items() if score >= 0.5}
    asked, answered = _largest(found, ASKED), _largest(found, ANSWERS)
    # answers follow questions: only when the questions moved as clearly is it the input
    moved = (asked > 0 and asked >= FOLLOWS * answered) or _tongues(found)
    symptom: Symptom
    harmed = any(member.signal.startswith(HARM) and member.severity != "info" for member in found)
    if moved and not guilty and not harmed and engine <= content + 1.0:
        symptom = "input_shift"
    elif "route" in guilty and any(member.signal == LENGTHS for member in found):
        symptom = "invalid_inference"  # answered by what was made for other requests
    elif rollout > 0 and rollout >= 0.3 * max(content, engine):
        symptom = "deployment_failure"
    elif content > 0 and content >= 0.5 * engine:
        symptom = "invalid_inference"
    elif content or engine:
        symptom = "performance_degradation"
    else:
        symptom = max(found, key=lambda member: member.score).symptom
    votes = _votes(strength, guilty)
    if symptom == "input_shift":
        votes = {"none": votes.get("none", 0.0) + 1.0} | {"model": 0.2 * votes.get("model", 0.0)}
    elif symptom == "invalid_inference":
        votes.pop("none", None)
        software = any(m.signal.startswith(SOFTWARE) and m.severity != "info" for m in found)
        if "replica" in (root or {}) and not guilty and not software:
            # siblings run the same build and settings: what differs is the machine
            votes["hardware"] = votes.get("hardware", 0.0) + votes.pop("model", 0.0)
    total = sum(votes.values()) or 1.0
    shares = {
        name: share / total for name, share in sorted(votes.items(), key=lambda item: -item[1]) if share > 0
    }
    layer = cast(Layer, next(iter(shares), "none"))
    kind: FailureKind = "reliability"
    if symptom == "input_shift":
        kind = "robustness"
    elif moved and content > 0:
        kind = "mixed"
    return Verdict(symptom, layer, shares, kind, shares.get(layer, 0.0))


def _strength(members: Iterable[Episode]) -> dict[str, float]:
    """Per signal, the strongest member's capped score: statistics of one signal are not independent votes."""
    found = list(members)
    paging = any(member.severity != "info" for member in found)
    best: dict[str, float] = {}
    for member in found:
        weight = BESIDE if paging and member.severity == "info" and member.signal not in TELLING else 1.0
        strength = weight * (min(member.score, 12.0) / 12.0 + 0.2)
        best[member.signal] = max(best.get(member.signal, 0.0), strength)
    return best


def _tongues(members: Sequence[Episode]) -> bool:
    """Whether a whole service answers in another script, and nothing wakes anybody.

    Users write in another language: a fault has a place, comes with a change, or harms.
    """
    return all(member.severity == "info" for member in members) and any(
        member.signal == SCRIPTS
        and member.statistic.startswith("share:")
        and member.score >= STRONG
        and not member.identity.keys() & _PLACES
        for member in members
    )


def _largest(members: Iterable[Episode], signal: str) -> float:
    return max((member.score for member in members if member.signal == signal), default=0.0)


def _total(strength: Mapping[str, float], prefixes: tuple[str, ...]) -> float:
    return sum(value for name, value in strength.items() if name.startswith(prefixes))


def _votes(strength: Mapping[str, float], guilty: Mapping[str, float]) -> dict[str, float]:
    votes: dict[str, float] = {}
    for signal, weight in strength.items():
        prefix = max((name for name in LAYER_VOTES if signal.startswith(name)), key=len, default="")
        busy = prefix == WARMTH and not any(name.startswith(FAULTY) for name in strength)
        for layer, vote in LAYER_VOTES.get("gen_ai.server" if busy else prefix, {}).items():
            votes[layer] = votes.get(layer, 0.0) + vote * weight
    for change, score in guilty.items():
        for layer, vote in CHANGE_VOTES.get(change, {}).items():
            votes[layer] = votes.get(layer, 0.0) + vote * score
    return votes

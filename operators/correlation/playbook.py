"""What to do about an incident: the first rule that fits, in the order on-call would think.

Rules read the verdict, the root and the suspects; each gives an action, its reason in words, and what the
action refers to (the change to undo, the node to drain).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from operators.correlation.suspects import ScoredChange
from schemas.outputs import Action, Layer, Symptom

#: A suspect below this is mentioned, not acted on.
CONVINCING = 0.5


@dataclass(frozen=True, slots=True)
class Case:
    """What a rule may look at.

    ``skewed``: load rose at some places and fell at their siblings; ``rising``, ``falling``: signals whose
    strongest sign went up or down; ``faint``: it wakes nobody.
    """

    symptom: Symptom
    layer: Layer
    root: Mapping[str, str]
    signals: frozenset[str]
    suspects: Sequence[ScoredChange]
    skewed: bool = False
    rising: frozenset[str] = frozenset()
    falling: frozenset[str] = frozenset()
    faint: bool = False

    def change(self, *types: str) -> ScoredChange | None:
        """The best convincing suspect of one of these change types."""
        return next((s for s in self.suspects if s.score >= CONVINCING and s.change_type in types), None)

    def sees(self, *prefixes: str) -> bool:
        """Whether a member's signal starts with one of these."""
        return any(signal.startswith(prefixes) for signal in self.signals)


@dataclass(frozen=True, slots=True)
class Advice:
    """An action, why, and what it refers to."""

    action: Action
    reason: str
    ref: str | None = None


def _undo(case: Case) -> Advice | None:
    undo: dict[str, tuple[Action, str]] = {
        "prompt": ("revert_prompt", "the prompt changed just before"),
        "deployment": ("roll_back_build", "a deployment just before touched what is affected"),
        "model_swap": ("roll_back_build", "the model was swapped just before"),
        "config": ("revert_config", "its configuration changed just before"),
        "feature_flag": ("revert_config", "a feature flag changed just before"),
        "route": ("revert_config", "the routing changed just before"),
    }
    suspect = case.change(*undo)
    if suspect is None or case.symptom == "input_shift":
        return None
    if case.layer == "hardware" and case.sees("hw.errors", "hw.gpu.throttle_time"):
        return None  # a device that reports its own fault is not mended by a rollback
    action, reason = undo[suspect.change_type]
    return Advice(action, f"{reason}: {suspect.change_id}", suspect.change_id)


def _cache(case: Case) -> Advice | None:
    if case.symptom != "invalid_inference" or "gen_ai.server.prefix_cache_hit_ratio" not in case.rising:
        return None
    return Advice("disable_cache", "cache hits jumped as answers changed: they may be for others")


def _telemetry(case: Case) -> Advice | None:
    if case.symptom != "telemetry_fault":
        return None
    who = case.root.get("producer") or case.root.get("replica") or case.root.get("node")
    return Advice("fix_telemetry", "what arrives late or not at all is the telemetry, not the service", who)


def _hardware(case: Case) -> Advice | None:
    if case.layer != "hardware":
        return None
    where = case.root.get("node") or case.root.get("gpu") or case.root.get("replica")
    return Advice("drain_node", "the device reports throttling or errors while its siblings do not", where)


def _input(case: Case) -> Advice | None:
    if case.symptom != "input_shift":
        return None
    return Advice("re_evaluate", "users ask something else; the model was not changed")


def _faint(case: Case) -> Advice | None:
    if not case.faint or case.symptom != "invalid_inference":
        return None
    return Advice("re_evaluate", "answers moved too faintly to say whether they are worse")


def _stuck(case: Case) -> Advice | None:
    replica = case.root.get("replica")
    if (
        case.symptom == "performance_degradation"
        and replica
        and not case.skewed
        and case.sees("gen_ai.server.timeouts", "gen_ai.server.completions")
    ):
        return Advice("restart_replica", "it takes requests and finishes none", replica)
    return None


#: Signals of answers to questions that stay the same, or that must have a form.
_SAME_QUESTIONS = ("gen_ai.canary.", "gen_ai.output.parse_failure_ratio", "gen_ai.output.refusal_ratio")


def _output(case: Case) -> Advice | None:
    if case.symptom != "invalid_inference":
        return None
    if "replica" in case.root and case.layer == "hardware":
        return Advice(
            "drain_node", "one replica answers wrongly with its siblings' build", case.root["replica"]
        )
    if "replica" in case.root:
        return Advice(
            "restart_replica", "one replica answers differently from its siblings", case.root["replica"]
        )
    if case.root.keys() & {"gpu_model", "region", "route", "node"}:
        return Advice(
            "revert_config", "only one platform answers differently: its runtime configuration is suspect"
        )
    if "gen_ai.usage.input_tokens" in case.falling:
        return Advice("inform", "questions lost part of their context: what supplies it is suspect")
    if not case.sees(*_SAME_QUESTIONS):
        return Advice("re_evaluate", "answers moved, and nothing says that they are worse")
    return Advice("pin_version", "answers changed everywhere at once and nobody announced it")


def _capacity(case: Case) -> Advice | None:
    if case.symptom != "performance_degradation":
        return None
    if case.skewed:
        return Advice("reroute", "some replicas are loaded while their siblings idle")
    if "tenant_hash" in case.root:
        return Advice("rate_limit_tenant", "one tenant's load explains it", case.root["tenant_hash"])
    if case.sees(
        "gen_ai.server.kv_cache_usage", "gen_ai.server.preemptions", "gen_ai.server.requests_waiting"
    ):
        return Advice("add_capacity", "the cache is full and requests wait or are evicted")
    if "replica" in case.root or "node" in case.root:
        return Advice("reroute", "one replica is slow, its siblings are not", case.root.get("replica"))
    return Advice("add_capacity", "everything is slower and no change explains it")


def _rollout(case: Case) -> Advice | None:
    if case.symptom != "deployment_failure":
        return None
    return Advice("roll_back_build", "replicas do not become ready", case.root.get("service_version"))


_RULES: tuple[Callable[[Case], Advice | None], ...] = (
    _telemetry,
    _input,
    _faint,
    _cache,
    _undo,
    _rollout,
    _hardware,
    _stuck,
    _output,
    _capacity,
)


def advise(case: Case) -> Advice:
    """The first rule that fits; ``inform`` when none does."""
    for rule in _RULES:
        advice = rule(case)
        if advice:
            return advice
    return Advice("inform", "nothing in the playbook fits")

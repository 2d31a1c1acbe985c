"""What the pipeline is without one of its parts: each ablation should fail scenarios of its own."""

from dataclasses import dataclass

from msgspec.structs import replace

from operators.settings import Detection, Settings, Slicing, river_detectors
from schemas.signals import SIGNALS

_THRESHOLDS = ("spike/1",)
_EMBEDDINGS, _CHANGES = "telemetry.embeddings.v1", "changes.v1"
_QUANTILES = ("p50", "p95", "p99")


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings of the core, and topics that are not read."""

    settings: Settings
    without: tuple[str, ...] = ()


def variants(whole: Settings) -> dict[str, Variant]:
    """By name: the whole, and what is left of it."""
    budget = whole.detection.alarm_budget

    def detecting(**chosen: dict[str, tuple[str, ...]]) -> Settings:
        detection = Detection(detectors=_THRESHOLDS, alarm_budget=budget, **chosen)  # type: ignore[arg-type]
        return replace(whole, detection=detection)

    thresholds, river = detecting(per_signal={}), detecting(per_signal=river_detectors())
    silent: dict[str, tuple[str, ...]] = {f"{name} {part}": () for name in SIGNALS for part in _QUANTILES}
    means = replace(whole, detection=replace(whole.detection, per_signal=silent))
    unkeyed = replace(whole, slices=Slicing(sets=(("service", "request_model"),)))
    return {
        "all of it": Variant(whole),
        "thresholds only": Variant(thresholds, (_EMBEDDINGS,)),
        "thresholds + river": Variant(river, (_EMBEDDINGS,)),
        "thresholds + river + embeddings": Variant(river),
        "means only": Variant(means),
        "unkeyed": Variant(unkeyed),
        "change topic off": Variant(whole, (_CHANGES,)),
    }

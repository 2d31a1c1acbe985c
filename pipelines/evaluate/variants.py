"""What the pipeline is without one of its parts: each ablation should fail scenarios of its own."""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from operators.settings import Detection, Settings, Slicing, river_detectors
from schemas.signals import SIGNALS

_THRESHOLDS = ("spike/1",)
_EMBEDDINGS, _CHANGES = "telemetry.embeddings.v1", "changes.v1"
_QUANTILES = ("p50", "p95", "p99")


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings made from the whole's, and topics that are not read."""

    settings: Callable[[Settings], Settings]
    without: tuple[str, ...] = ()


def _detecting(detection: Detection) -> Callable[[Settings], Settings]:
    def changed(settings: Settings) -> Settings:
        return replace(settings, detection=replace(detection, alarm_budget=settings.detection.alarm_budget))

    return changed


def _means(settings: Settings) -> Settings:
    silent: dict[str, tuple[str, ...]] = {f"{name} {part}": () for name in SIGNALS for part in _QUANTILES}
    return replace(settings, detection=replace(settings.detection, per_signal=silent))


def _unkeyed(settings: Settings) -> Settings:
    return replace(settings, slices=Slicing(sets=(("service", "request_model"),)))


#: By name: the whole, and what is left of it.
VARIANTS: dict[str, Variant] = {
    "all of it": Variant(lambda settings: settings),
    "thresholds only": Variant(_detecting(Detection(detectors=_THRESHOLDS, per_signal={})), (_EMBEDDINGS,)),
    "thresholds + river": Variant(
        _detecting(Detection(detectors=_THRESHOLDS, per_signal=river_detectors())), (_EMBEDDINGS,)
    ),
    "thresholds + river + embeddings": Variant(
        _detecting(Detection(detectors=_THRESHOLDS, per_signal=river_detectors()))
    ),
    "means only": Variant(_means),
    "unkeyed": Variant(_unkeyed),
    "embeddings off": Variant(lambda settings: settings, (_EMBEDDINGS,)),
    "change topic off": Variant(lambda settings: settings, (_CHANGES,)),
}

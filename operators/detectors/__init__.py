"""The registry of detectors: one file each, one line here; ``DEFAULT`` runs where config names none."""

from operators.detectors.channel import Channel, Detector, Window
from operators.detectors.ewma import Ewma
from operators.detectors.flat import Flat
from operators.detectors.level import Level
from operators.detectors.marginal import Marginal
from operators.detectors.spike import Spike
from operators.detectors.variance import Variance

#: Every detector the bank can run, by versioned id.
REGISTRY: dict[str, type[Detector]] = {
    detector.id: detector for detector in (Spike, Ewma, Level, Variance, Marginal, Flat)
}

DEFAULT: tuple[str, ...] = ("spike/1", "ewma/1", "level/1", "variance/1", "marginal/1", "flat/1")

__all__ = ["DEFAULT", "REGISTRY", "Channel", "Detector", "Window"]

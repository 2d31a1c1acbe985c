"""The registry of detectors: one file each, one line here; ``DEFAULT`` runs where config names none."""

from operators.detectors.adwin import Adwin
from operators.detectors.channel import Channel, Detector, Window
from operators.detectors.contrast import Contrast
from operators.detectors.cusum import Cusum
from operators.detectors.ewma import Ewma
from operators.detectors.flat import Flat
from operators.detectors.hddm import HddmA, HddmW
from operators.detectors.kswin import Kswin
from operators.detectors.level import Level
from operators.detectors.marginal import Marginal
from operators.detectors.newcomer import Newcomer
from operators.detectors.page_hinkley import PageHinkleyTest
from operators.detectors.rare import Rare
from operators.detectors.siblings import Siblings
from operators.detectors.spike import Spike
from operators.detectors.variance import Variance

#: Every detector the bank can run, by versioned id.
REGISTRY: dict[str, type[Detector]] = {
    Spike.id: Spike,
    Ewma.id: Ewma,
    Level.id: Level,
    Variance.id: Variance,
    Marginal.id: Marginal,
    Flat.id: Flat,
    Rare.id: Rare,
    Newcomer.id: Newcomer,
    Siblings.id: Siblings,
    Contrast.id: Contrast,
    Cusum.id: Cusum,
    Adwin.id: Adwin,
    PageHinkleyTest.id: PageHinkleyTest,
    Kswin.id: Kswin,
    HddmA.id: HddmA,
    HddmW.id: HddmW,
}

DEFAULT: tuple[str, ...] = (
    "spike/1",
    "ewma/1",
    "level/1",
    "variance/1",
    "marginal/1",
    "flat/1",
    "rare/1",
    "newcomer/1",
    "siblings/1",
    "contrast/1",
)

__all__ = ["DEFAULT", "REGISTRY", "Channel", "Detector", "Window"]

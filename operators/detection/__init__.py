"""Detection that keeps its alarm budget: baselines, calibrated tails, budget; vectorised over series."""

from operators.detection.bank import Bank
from operators.detection.verdicts import Verdicts, WindowValues

__all__ = ["Bank", "Verdicts", "WindowValues"]

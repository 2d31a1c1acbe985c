"""Detection that keeps its alarm budget: baselines, calibrated tails, budget; vectorised over series."""

from operators.detection.bank import Bank, Verdicts, WindowValues

__all__ = ["Bank", "Verdicts", "WindowValues"]

"""Streams and a driver for tests of the bank."""

import numpy as np

from operators.detection import Bank, Verdicts, WindowValues
from operators.series import SeriesKey
from operators.settings import AlarmBudget, Detection

PERIOD_S = 300


def key(name: str, kind: str = "gauge", signal: str = "s") -> SeriesKey:
    return SeriesKey("t", signal, "value", None, (("service", name),), kind, "1")


def settings(budget: float = 10_000, **names: object) -> Detection:
    return Detection(alarm_budget=AlarmBudget(per_series_days=budget * PERIOD_S / 86_400), **names)


def run(
    values: np.ndarray, detection: Detection | None = None, **window: np.ndarray
) -> tuple[Bank, list[Verdicts]]:
    """Drive a bank with values [windows, rows]; ``hits`` and ``samples`` alike."""
    bank = Bank(detection or settings(), PERIOD_S)
    kind = "ratio" if "hits" in window else "gauge"
    rows = bank.add([key(str(i), kind) for i in range(values.shape[1])], 0)
    verdicts = []
    for t, row in enumerate(values):
        given = WindowValues.plain(row)
        for name, array in window.items():
            setattr(given, name, array[t])
        verdicts.append(bank.step(t * PERIOD_S * 1000, rows, given))
    return bank, verdicts


def onsets(verdicts: list[Verdicts]) -> np.ndarray:
    """Alarm onsets of each row; alarms within 16 windows are one."""
    alarm = np.array([v.alarm for v in verdicts])
    quiet = np.full(alarm.shape[1], 99)
    count = np.zeros(alarm.shape[1], int)
    for row in alarm:
        count += row & (quiet > 16)
        quiet = np.where(row, 0, quiet + 1)
    return count

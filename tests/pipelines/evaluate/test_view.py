"""The summary for people fits a narrow terminal and leaves nothing of the figures out."""

import io

from rich.console import Console

from pipelines.evaluate.view import show


def test_figures_intervals_and_magnitudes_are_shown_in_eighty_columns() -> None:
    part = {"labels": 1, "in_time": 1.0, "median_delay_s": None}
    summary = {
        "labels": 1234,
        "in_time": 2 / 3,
        "symptom_kappa": None,
        "by_magnitude": {"weak": part, "mid": part, "strong": part},
        "intervals": {"in_time": (0.5, 0.8), "symptom_kappa": None},
    }
    out = io.StringIO()
    show(summary, Console(file=out, width=80))
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["labels", "1,234"] in lines
    assert ["in", "time", "0.6667", "0.5", "to", "0.8"] in lines
    assert ["median", "delay", "s", "-", "-", "-"] in lines
    assert max(map(len, out.getvalue().splitlines())) <= 80

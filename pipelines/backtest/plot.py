"""A picture of a series: values, expected band, episodes and labels."""

from pathlib import Path

import numpy as np

from pipelines.backtest.judge import runs
from pipelines.backtest.replay import Scored


def plot(scored: Scored, path: Path) -> None:
    """Write a PNG to ``path``.

    Raises:
        RuntimeError: when matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RuntimeError("--plot needs matplotlib: install the extra 'plot'") from error
    order = np.flatnonzero(~np.isnan(scored.series.time_s))
    order = order[np.argsort(scored.series.time_s[order], kind="stable")]
    time = (scored.series.time_s[order] * 1000).astype("datetime64[ms]")
    figure = Figure(figsize=(14, 6), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    value = scored.series.value[order]
    top.fill_between(
        time, scored.low[order], scored.high[order], color="#9ecae1", alpha=0.5, lw=0, label="expected"
    )
    top.plot(time, value, color="#1f2d3d", lw=0.7, label="value")
    for number, (first, last) in enumerate(runs(scored.alarm[order])):
        name = "_" if number else "alarm"  # one entry of each kind in the legend
        top.axvspan(time[first], time[last], color="#d62728", alpha=0.25, lw=1, label=name)
    if scored.series.label is not None:
        for number, (first, last) in enumerate(runs(scored.series.label[order])):
            name = "_" if number else "labelled"
            top.axvspan(time[first], time[last], ymax=0.04, color="#2ca02c", lw=1, label=name)
    shown = value[~np.isnan(value)]
    if shown.size:
        low, high = float(shown.min()), float(shown.max())
        margin = 0.15 * (high - low) or 1.0
        top.set_ylim(low - margin, high + margin)
    top.set_title(scored.series.name)
    top.legend(loc="upper left", fontsize="small")
    bottom.plot(time, scored.score[order], color="#d62728", lw=0.7)
    bottom.set_ylabel("score")
    figure.savefig(path, dpi=110)

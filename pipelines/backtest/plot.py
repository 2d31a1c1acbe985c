"""A picture of a series: values, expected band, episodes and labels."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.backtest.judge import runs
from pipelines.backtest.replay import Scored
from pipelines.errors import UsageError

#: More is not drawn: an axis must have a finite length.
_LARGEST = 1e300
#: A gap is so many steps long.
_GAP_STEPS = 20


def plot(scored: Scored, path: Path) -> None:
    """Write a picture to ``path``, in the format that its ending says.

    Raises:
        UsageError: when matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("--plot needs matplotlib: install the extra 'plot'") from error
    order = np.flatnonzero(~np.isnan(scored.series.time_s))
    order = order[np.argsort(scored.series.time_s[order], kind="stable")]
    time_s = scored.series.time_s[order]
    time = (time_s * 1000).astype("datetime64[ms]")
    gaps = np.flatnonzero(np.diff(time_s) > _GAP_STEPS * scored.step_s) + 1

    def drawn(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.insert(
            np.clip(values[order], -_LARGEST, _LARGEST), gaps, np.nan
        )  # nothing is drawn across a gap

    figure = Figure(figsize=(14, 6), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    value, at = scored.series.value, np.insert(time, gaps, time[gaps])
    top.fill_between(
        at, drawn(scored.low), drawn(scored.high), color="#9ecae1", alpha=0.5, lw=0, label="expected"
    )
    top.plot(at, drawn(value), color="#1f2d3d", lw=0.7, label="value")
    for number, (first, last) in enumerate(runs(scored.alarm[order])):
        name = "_" if number else "alarm"  # one entry of each kind in the legend
        top.axvspan(time[first], time[last], color="#d62728", alpha=0.25, lw=1, label=name)
    if scored.series.label is not None:
        for number, (first, last) in enumerate(runs(scored.series.label[order])):
            name = "_" if number else "labelled"
            top.axvspan(time[first], time[last], ymax=0.04, color="#2ca02c", lw=1, label=name)
    shown = np.clip(value[~np.isnan(value)], -_LARGEST, _LARGEST)
    if shown.size:
        low, high = float(shown.min()), float(shown.max())
        margin = 0.15 * (high - low) or 1.0
        top.set_ylim(low - margin, high + margin)
    file, name = scored.series.file.stem, scored.series.name
    top.set_title(name if name == file else f"{file}: {name}", loc="right")
    top.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize="small", frameon=False)
    bottom.plot(at, drawn(scored.score), color="#d62728", lw=0.7)
    bottom.set_ylabel("score")
    for axes in (top, bottom):
        axes.set_xmargin(0)  # a time may be the first or the last that can be drawn
    bottom.xaxis.set_major_locator(dates := AutoDateLocator())  # type: ignore[no-untyped-call]
    bottom.xaxis.set_major_formatter(ConciseDateFormatter(dates))  # type: ignore[no-untyped-call]
    figure.savefig(path, dpi=110)

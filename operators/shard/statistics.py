"""From sketches to statistics: which ones a signal has, and their values for all series at once.

Durations give quantiles and mean, distributions mean and p95, counts and counters rates, yes/no ratios hits
over trials, other ratios and gauges means, shares by attribute their part of the whole, completions their
part of the arrivals too.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from operators.cells import GAMMA
from operators.shard.sketches import Floats, Ints, Sketches, quantiles, take
from schemas.signals import SIGNALS, Kind

#: Signals counted among completions: on requests and spans a sample is a trial.
OUTCOMES = frozenset({"gen_ai.server.errors", "gen_ai.server.timeouts", "gen_ai.server.cancellations"})
COMPLETIONS = "gen_ai.server.completions"
#: Attribute of completions that counts the arrivals beside them.
STARTED = "started"
HEARTBEAT = "producer.heartbeat"
#: Ratios whose samples answer yes or no; where ``sample_count`` says how many, ``count`` has them.
TRIALS = frozenset(
    {
        "gen_ai.output.refusal_ratio",
        "gen_ai.output.parse_failure_ratio",
        "gen_ai.output.pii_ratio",
        "gen_ai.canary.match_ratio",
        "gen_ai.feedback.negative_ratio",
    }
)
_UNCOUNTED = "telemetry.metrics.v1"
#: Step of a quantile, relative to its value: the width of a histogram bin.
_BIN_WIDTH = GAMMA - 1.0
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
#: Samples a statistic needs to say something of its window: for a quantile, one beyond it to be expected.
LEAST = {"p50": 5, "p95": 20, "p99": 100, "mean": 5, "completed": 10}


class Form(IntEnum):
    """How a series' statistics are computed."""

    NONE = 0
    DURATION = 1
    DISTRIBUTION = 2
    RATE = 3
    RATIO = 4
    MEAN = 5
    SHARE = 6
    PORTION = 7
    RECEIVED = 8
    COMPLETED = 9


#: Statistics of each form, in the order of their slots.
NAMES: dict[Form, tuple[str, ...]] = {
    Form.NONE: (),
    Form.DURATION: ("p50", "p95", "p99", "mean"),
    Form.DISTRIBUTION: ("mean", "p95"),
    Form.RATE: ("rate",),
    Form.RATIO: ("ratio",),
    Form.MEAN: ("mean",),
    Form.SHARE: ("share",),
    Form.PORTION: ("share",),
    Form.RECEIVED: ("received",),
    Form.COMPLETED: ("rate", "completed"),
}
SLOTS = max(len(names) for names in NAMES.values())
_PARTS = (Form.RATIO, Form.SHARE, Form.PORTION, Form.RECEIVED)


class Measure(NamedTuple):
    """What one (topic, signal, attribute) is measured by."""

    form: Form
    statistics: tuple[str, ...]
    kind: Kind
    unit: str
    step: float


@lru_cache(maxsize=8192)
def measure(topic: str, signal: str, attribute: str) -> Measure:
    """The statistics of a signal's attribute ("" the whole); those of an unknown signal are none."""
    known = SIGNALS.get(signal)
    if known is None:
        return Measure(Form.NONE, (), "gauge", "", 1.0)
    form = _form(topic, signal, attribute, known.kind)
    names = NAMES[form]
    if attribute and form in (Form.SHARE, Form.PORTION):
        names = (attribute if ":" in attribute else f"share:{attribute}",)
    elif attribute:
        names = tuple(f"{name}:{attribute}" for name in names)
    return Measure(
        form, names, known.kind, "1" if form in _PARTS else _unit(form, known.kind, known.unit), known.step
    )


def _form(topic: str, signal: str, attribute: str, kind: Kind) -> Form:
    if signal == HEARTBEAT:
        return Form.RECEIVED
    if attribute == STARTED:
        return Form.NONE
    if signal == COMPLETIONS and topic != _UNCOUNTED:
        return Form.COMPLETED
    if signal in OUTCOMES and topic != _UNCOUNTED:
        return Form.SHARE if attribute else Form.RATIO
    if signal in TRIALS:
        return Form.RATIO
    if kind == "ratio" and SIGNALS[signal].by_attribute:
        # a script's share is a mean of shares, how many responses have it a count of them
        shared = signal == "gen_ai.output.script_share" and attribute.startswith("share:")
        return Form.NONE if not attribute else Form.PORTION if shared else Form.SHARE
    if kind == "counter" and attribute.startswith("share:"):
        return Form.SHARE
    if kind == "counter" and SIGNALS[signal].by_attribute and not attribute:
        return Form.NONE
    return {
        "duration": Form.DURATION,
        "distribution": Form.DISTRIBUTION,
        "count": Form.RATE,
        "counter": Form.RATE,
        "ratio": Form.MEAN,
        "gauge": Form.MEAN,
        "embedding": Form.NONE,
    }[kind]


@dataclass(frozen=True, slots=True)
class Values:
    """Statistics of n series, [n, SLOTS] each; NaN where there is none."""

    value: Floats
    samples: Floats
    hits: Floats
    resolution: Floats


def compute(rows: Sketches, form: Ints, step: Floats, trials: Floats, window_s: float) -> Values:
    """Statistics of one window.

    Args:
        rows: n sketches of the window.
        form: [n] `Form` of each.
        step: [n] fixed-point step of each sum.
        trials: [n] for shares, the samples of the whole they are a part of; for completions, the arrivals.
        window_s: length of the window, s.
    """
    count, total = rows.count.astype(np.float64), rows.total * step
    value, samples, hits, resolution = (np.full((len(rows), SLOTS), np.nan) for _ in range(4))
    resolution[:] = 0.0

    for shape in (Form.DURATION, Form.DISTRIBUTION):
        some = np.flatnonzero(form == shape)
        if not len(some):
            continue
        names = NAMES[shape]
        wanted = [name for name in names if name in _QUANTILES]
        found = quantiles(take(rows, some), [_QUANTILES[name] for name in wanted])
        for slot, name in enumerate(names):
            if name in _QUANTILES:
                value[some, slot] = found[:, wanted.index(name)]
                resolution[some, slot] = np.nan_to_num(_BIN_WIDTH * np.abs(value[some, slot]))
            else:
                value[some, slot] = _over(total[some], count[some])
            samples[some, slot] = count[some]
            value[some, slot] = np.where(count[some] < LEAST[name], np.nan, value[some, slot])

    rate = ((form == Form.RATE) | (form == Form.COMPLETED)) & ((rows.span > 0) | (count > 0))
    # a counter's increments stand on the time between its readings, other counts on the window
    seconds = np.where(rows.span > 0, rows.span / 1000.0, window_s)
    value[rate, 0], samples[rate, 0] = (total / seconds)[rate], np.abs(total)[rate]
    resolution[rate, 0] = (step / seconds)[rate]

    mean = form == Form.MEAN
    value[mean, 0], samples[mean, 0] = _over(total, count)[mean], count[mean]
    share = (form == Form.SHARE) | (form == Form.PORTION)
    part = np.where(share, trials, count)
    some = share | (form == Form.RATIO)
    # several words counted as one other may all be true of a sample
    hit = np.where(form == Form.SHARE, np.minimum(total, part), total)
    value[some, 0], samples[some, 0] = _over(hit, part)[some], part[some]
    few = (form == Form.PORTION) & (part < LEAST["mean"])
    value[few, 0] = np.nan
    # values of their own have extremes; where there are none, each sample was a yes or a no
    tried = some & np.isnan(rows.low) & (form != Form.PORTION) & (part > 0)
    hits[tried, 0] = hit[tried]

    completed = form == Form.COMPLETED
    value[completed, 1], samples[completed, 1] = _over(total, trials)[completed], trials[completed]
    value[completed & ~(trials >= LEAST["completed"]), 1] = np.nan

    received = form == Form.RECEIVED
    value[received, 0] = np.minimum(_over(count, total), 1.0)[received]
    samples[received, 0], hits[received, 0] = total[received], np.minimum(count, total)[received]
    return Values(value, samples, hits, resolution)


def _unit(form: Form, kind: Kind, unit: str) -> str:
    if kind == "counter" and form is Form.RATE:
        return "1/s" if unit == "1" else f"{unit}/s"
    return unit


def _over(above: Floats, below: Floats) -> Floats:
    found: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return found

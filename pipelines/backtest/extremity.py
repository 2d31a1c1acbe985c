"""How far a row lies from the bulk of the rows before it, in robust deviations.

Rarity alone ranks badly where anomalies recur: after three outages in a week a fourth is not rare any more,
yet just as extreme. The middle half of the past is not moved by them. And a peak of every day
is extreme, yet expected: so a third of what counts is how far a row lies from what was expected.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Rows that the bulk is taken from, and the fewest that make one.
PAST = 1000
LEAST = 24
#: A lasting deviation is more than its rows: the mean of this many is judged beside the row itself.
_RUN = 3
#: The bulk is read anew every so many rows: it moves slowly. So many of them at once keep memory small.
_EVERY = 8
_AT_ONCE = 1000
_QUARTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_NORMAL = (1.349, 3.290)
#: A deviation is at least this share of the middle value, and of what the outer quantiles would say.
_RELATIVE = 1e-3
_OUTER = 0.1
#: Weight of the distance from what was expected, beside the value's own.
_APART = 1 / 3


def extremity(value: Floats) -> Floats:
    """log2(1 + deviations from the bulk) of each row, [n]; 0 for missing rows and while there is no bulk.

    Args:
        value: [n] in time order, NaN where missing; no row is judged by a later one.
    """
    out = np.zeros(len(value))
    given = np.flatnonzero(~np.isnan(value))
    if len(given) > LEAST:
        known = value[given]
        run = np.convolve(known, np.full(_RUN, 1 / _RUN))[: len(known)]
        run[: _RUN - 1] = known[: _RUN - 1]
        out[given] = np.log2(1.0 + np.maximum(_deviations(known), _deviations(run)))
    return out


def surprise(value: Floats, expected: Floats) -> Floats:
    """`extremity` of values and, for a third, of their distance from what was ``expected``, [n] in order.

    ``expected``: NaN where nothing was: there the values alone count.
    """
    plain, apart = extremity(value), extremity(value - expected)
    return np.where(apart > 0, plain + (apart - plain) * _APART, plain)


def _deviations(value: Floats) -> Floats:
    centre, scale = _bulk(value)
    with np.errstate(over="ignore"):  # a scale may be next to nothing
        return np.nan_to_num(np.abs(value - centre) / np.maximum(scale, np.finfo(np.float64).tiny))


def _bulk(value: Floats) -> tuple[Floats, Floats]:
    """Middle and robust deviation of the rows before each; NaN for the first `LEAST`."""
    read = np.arange(LEAST, len(value), _EVERY)
    quantiles = np.empty((len(_QUARTILES), len(read)))
    early = int(np.searchsorted(read, PAST))
    for index, end in enumerate(read[:early].tolist()):
        quantiles[:, index] = np.quantile(value[:end], _QUARTILES)
    for begin in range(early, len(read), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        windows = sliding_window_view(value, PAST)[read[part] - PAST]
        quantiles[:, part] = np.quantile(windows, _QUARTILES, axis=1)
    low, first, middle, third, high = quantiles
    scale = np.maximum((third - first) / _NORMAL[0], _OUTER * (high - low) / _NORMAL[1])
    scale = np.maximum(scale, _RELATIVE * np.abs(middle))
    steps = np.abs(np.diff(value))
    steps = np.minimum.accumulate(np.where(steps > 0, steps, np.inf))  # values come in steps of about this
    scale = np.maximum(scale, np.where(np.isfinite(steps), steps, np.inf)[read - 2] / 2)
    held = np.full((2, len(value)), np.nan)
    place = (np.arange(LEAST, len(value)) - LEAST) // _EVERY
    held[:, LEAST:] = middle[place], scale[place]
    return held[0], held[1]

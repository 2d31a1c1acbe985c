"""What a row's odd events were like: no event is rarer than the number of its like that were seen.

A tail is a model; the scores a row's own events have reached are a fact. The strongest few are kept, and a
new event that is like ``k`` of them is said to come no rarer than (k - spared) times in the windows seen.

Nor does a tail learn from those: a few incidents would make one so heavy that the next of their like is not
heard.
"""

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import Floats

KEPT = 10
#: An event counts as alike when its score reached the new one's less this.
_ALIKE = 0.5
#: Events a row may have had before their like are ordinary; and the score that makes them plain events.
SPARED, _PLAIN = 7.0, 5.0
#: Event rate below which an event begins, windows without that end it, and how many windows are remembered.
_EVENT = 1e-3
_GAP = 16.0
_MEMORY = 20_000.0
#: Windows after which what began as an event is how the row is.
_LONG = 250.0

#: ``event_age``: windows since the last event began, as if long ago if that hour was odd the day before.
FIELDS = (
    Field("records", KEPT, "f2", sparse=True),
    Field("event_peak"),
    Field("event_quiet", start=1e9),
    Field("event_age", start=_LONG),
)


def bounded(
    state: Rows, rate: Floats, weighed: Floats, active: NDArray[np.bool_], again: NDArray[np.bool_]
) -> Floats:
    """Event rates, [n], not below what the row's own events say; remembers this one.

    ``rate``: as the tails say, which is what is remembered; ``weighed``: what is to be bounded;
    ``again``: where this time of day was odd the day before.
    """
    score = -np.log10(np.maximum(rate, 1e-30))
    records, peak, quiet = state["records"], state["event_peak"], state["event_quiet"]
    ended = np.flatnonzero(active & (quiet >= _GAP) & (peak > 0))
    if ended.size:
        least = records[:, ended].argmin(0)
        records[least, ended] = np.maximum(records[least, ended], peak[ended])
        peak[ended] = 0.0
    odd = active & (rate < _EVENT)
    age = state["event_age"]
    age += active
    np.copyto(age, np.where(again, _LONG, 0.0), where=odd & (quiet >= _GAP))
    peak[...] = np.where(odd, np.maximum(peak, score), peak)
    quiet[...] = np.where(odd, 0.0, quiet + active)
    some = np.flatnonzero(odd)
    alike = (records[:, some] >= score[some] - _ALIKE).sum(0)
    least_rate = np.minimum(np.maximum(alike - SPARED, 0.0) / np.minimum(state["n"][some], _MEMORY), _EVENT)
    bound = weighed.copy()
    bound[some] = np.maximum(weighed[some], least_rate)
    return bound


def spared(state: Rows, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of ``rows`` (indices into the block) are in a plain event that was told, one of their first few.

    What comes at the same time of day again is none, but a pattern not known yet; nor is what does not end.
    """
    told = (state["quiet"][rows] < _GAP) & (state["event_peak"][rows] >= _PLAIN)
    few: NDArray[np.bool_] = (state["own_events"][rows] <= SPARED) & (state["event_age"][rows] < _LONG)
    return told & few

"""Alarms to episodes: an episode runs from its onset until the row has been quiet for some rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def episodes(
    alarm: NDArray[np.bool_], given: NDArray[np.bool_], clear: int
) -> tuple[NDArray[np.bool_], list[int]]:
    """Rows inside an episode and each episode's onset, from the rows' own alarms in time order.

    Args:
        alarm: the verdicts, [n].
        given: rows that have a value; the others carry the state on.
        clear: given rows without an alarm that end an episode.
    """
    inside = np.zeros(len(alarm), bool)
    onsets: list[int] = []
    quiet = clear
    for row in np.flatnonzero(given | alarm) if not given.all() else range(len(alarm)):
        if alarm[row]:
            if quiet >= clear:
                onsets.append(int(row))
            quiet = 0
        else:
            quiet += 1
        inside[row] = quiet < clear
    return _carried(inside, given), onsets


def _carried(inside: NDArray[np.bool_], given: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows without a value take the state of the last one that had."""
    last = np.maximum.accumulate(np.where(given, np.arange(len(given)), -1))
    return np.where(last >= 0, inside[np.maximum(last, 0)], False)


def owner(inside: NDArray[np.bool_], onsets: Sequence[int]) -> NDArray[np.int64]:
    """The index of the episode each row belongs to, -1 outside."""
    number = np.searchsorted(np.asarray(onsets, np.int64), np.arange(len(inside)), side="right") - 1
    return np.where(inside, number, -1)

"""Where labels found a detector wrong too often, it keeps only a share of its alarm budget on that series."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from operators.detectors.channel import Floats
from operators.series import SeriesKey, fingerprint


class Shares:
    """Lowered shares by event fingerprint, looked up for rows as they come to be known.

    Args:
        lowered: share, 0 to 1, by fingerprint of series and detector.
        detectors: their ids.
        leads: [C] the detector of each channel.
    """

    def __init__(
        self, lowered: Mapping[str, float], detectors: Sequence[str], leads: NDArray[np.int16]
    ) -> None:
        self._lowered = dict(lowered)
        self._detectors = tuple(detectors)
        self._leads = leads
        self._of: dict[int, Floats] = {}
        self._known = 0

    def at(self, keys: Sequence[SeriesKey], rows: NDArray[np.int64]) -> Floats | None:
        """[C, n] shares of ``rows``, or None where all are whole; ``keys`` of all rows."""
        if not self._lowered:
            return None
        for row in range(self._known, len(keys)):
            shares = [self._lowered.get(fingerprint(keys[row], name), 1.0) for name in self._detectors]
            if min(shares) < 1.0:
                self._of[row] = np.array(shares)[self._leads]
        self._known = len(keys)
        here = [place for place, row in enumerate(rows.tolist()) if row in self._of]
        if not here:
            return None
        found = np.ones((len(self._leads), len(rows)))
        for place in here:
            found[:, place] = self._of[int(rows[place])]
        return found

"""Telling a cumulative counter from a gauge, as its values come, and turning it into increments."""

import math

#: Values that must only rise before a series is taken for a counter; the bank is still warming then.
_WATCHED = 20
#: A drop to less than this share of the last value is a reset; a smaller drop is no counter's.
_RESET = 0.1


class Counter:
    """Decides from the values so far, never from later ones, what is judged: the value, or its increment.

    A series is a counter when its first 20 values never fall, most rise, and none is negative. It stays one
    until it falls without a reset; then it was a gauge on its way up, and is judged by its values from there
    on.
    """

    def __init__(self) -> None:
        self.counting = False
        self._last = math.nan
        self._rises = 0
        self._seen = 0
        self._settled = False

    def take(self, value: float) -> tuple[float, bool]:
        """The number to judge for ``value`` (NaN passes), and whether the baseline must start again."""
        if math.isnan(value):
            return value, False
        last, self._last = self._last, value
        if self._settled and not self.counting:
            return value, False
        step = value - last
        if self.counting:
            if step >= 0:
                return step, False
            if value <= _RESET * last:
                return value, False
            self.counting = False
            return value, True
        self._seen += 1
        self._rises += step > 0
        if step < 0 or value < 0:
            self._settled = True
        elif self._seen == _WATCHED:
            self._settled = True
            self.counting = self._rises >= 0.5 * _WATCHED
            return (step, True) if self.counting else (value, False)
        return value, False

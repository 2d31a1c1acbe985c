"""When a slice has ended for good: nobody has reported it for two weeks of windows that had data.

Replicas, versions and GPUs come and go, and what is kept of each is to go with it. What returns does so
sooner: a weekly pattern, a version that is rolled back to. A time in which the whole pipeline was silent does
not count.
"""

#: Days of data without a sample after which a slice is let go.
DAYS = 14


class Days:
    """The last days of data a shard has seen: so many windows as a day has.

    Args:
        window_ms: length of a window.
    """

    def __init__(self, window_ms: int) -> None:
        self.windows = max(86_400_000 // window_ms, 1)
        self.ends: list[int] = []

    def over(self, window: int, end: int) -> int | None:
        """Count the ``window``-th window, which ends at ``end`` (Unix ms).

        Returns:
            Once a day, when it is over: the time `DAYS` days of data ago, Unix ms; None before there were
            so many.
        """
        if window % self.windows:
            return None
        self.ends.append(end)
        return self.ends.pop(0) if len(self.ends) > DAYS else None

"""Which seeds are for what: settings and rules are tuned on some, and results are reported on others."""

#: Worlds that may be looked at while anything is changed.
TUNING = range(1, 100)
#: The first of the worlds that results are reported on; none of them is looked at before.
REPORTING = 1000


def reporting(count: int) -> list[int]:
    """The first ``count`` reporting seeds."""
    return list(range(REPORTING, REPORTING + count))

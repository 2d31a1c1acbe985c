"""What can go wrong with a store or a sink."""


class StoreError(Exception):
    """ClickHouse refused, or could not be reached; nothing that was being written counts as written."""


class StoreAway(StoreError):
    """ClickHouse cannot be reached, or asks to come back later: the very same call may succeed yet."""


class StoreBusy(StoreError):
    """The folder of the embedded engine is open elsewhere; the message says where."""


class StoreUrlError(StoreError):
    """The URL is not one of a store, or holds credentials (wrong use: exit code 2)."""


class StoreMissing(StoreUrlError):
    """The folder holds no store (wrong use: exit code 2)."""


class SinkError(Exception):
    """A sink could not take what it was given; it keeps it, and the next flush tries again."""


class SinkAway(SinkError):
    """Nobody answered within the sink's patience, so nothing was refused: the next flush may succeed."""

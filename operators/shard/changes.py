"""Recent changes: revisions of one change merged, and which of them hold alarms down."""

from datetime import datetime
from typing import Any

import msgspec

from operators.series import Slice
from schemas.identity import IDENTITY_FIELDS
from schemas.records import ChangeRecord

#: Kept this long after they began and ended (ms).
_KEPT_MS = 7 * 86_400_000
#: A maintenance without an end lasts this long.
_MAINTENANCE_MS = 3_600_000
#: A target's fields that series do not carry by default: a series without one is inside.
_AROUND = frozenset({"environment", "cluster", "region", "node", "provider"})


class Changes:
    """The changes of the last week, one record per ``change_id``."""

    def __init__(self) -> None:
        self.known: dict[str, ChangeRecord] = {}

    def add(self, revision: ChangeRecord) -> None:
        """Merge a revision: the first event time stands, absent fields keep their value."""
        earlier = self.known.get(revision.change_id)
        if earlier is None:
            self.known[revision.change_id] = revision
            return
        said = {
            name: value
            for name in ChangeRecord.__struct_fields__
            if (value := getattr(revision, name)) is not None and name != "event_time"
        }
        self.known[revision.change_id] = msgspec.structs.replace(earlier, **said)

    def meant(self, slice_: Slice, start: int, end: int) -> bool:
        """Whether a change marked ``expected`` that names this slice began in [start, end), Unix ms."""
        return any(
            change.expected is True
            and change.status not in ("cancelled", "failed")
            and start <= began(change) < end
            and _names(change, dict(slice_))
            for change in self.known.values()
        )

    def suppress(self, slice_: Slice, start: int, end: int) -> tuple[str, ...]:
        """Ids of the maintenances that name this slice and overlap [start, end), Unix ms."""
        return tuple(
            sorted(
                change.change_id
                for change in self.known.values()
                if change.change_type == "maintenance"
                and change.status not in ("cancelled", "failed")
                and began(change) < end
                and start < _ends(change)
                and _names(change, dict(slice_))
            )
        )

    def forget(self, now: int) -> None:
        """Drop what began and ended long ago."""
        self.known = {
            name: change
            for name, change in self.known.items()
            if max(began(change), _ends(change)) > now - _KEPT_MS
        }

    def snapshot(self) -> bytes:
        """All known changes."""
        return msgspec.msgpack.encode([self.known[name] for name in sorted(self.known)])

    def restore(self, data: bytes) -> None:
        """Take over what `snapshot` gave."""
        changes = msgspec.msgpack.decode(data, type=list[ChangeRecord])
        self.known = {change.change_id: change for change in changes}


def _names(change: ChangeRecord, slice_: dict[str, str]) -> bool:
    target: dict[str, Any] = {name: getattr(change, name) for name in IDENTITY_FIELDS}
    return all(
        slice_[name] == value if name in slice_ else name in _AROUND and not _narrow(target)
        for name, value in target.items()
        if value is not None
    )


def _narrow(target: dict[str, Any]) -> bool:
    """Whether a target is confined to some node or region: a series that says nothing of either is wider."""
    return target["node"] is not None or target["region"] is not None


def began(change: ChangeRecord) -> int:
    """When a change began, Unix ms."""
    return _ms(change.event_time)


def _ends(change: ChangeRecord) -> int:
    return began(change) + _MAINTENANCE_MS if change.ends_at is None else _ms(change.ends_at)


def _ms(time: datetime | int) -> int:
    return time if isinstance(time, int) else round(time.timestamp() * 1000)

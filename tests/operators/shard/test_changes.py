"""Changes that are meant: they name whose series may follow, from when they begin."""

from datetime import UTC, datetime

from operators.shard.changes import Changes
from schemas.records import ChangeRecord

AT = 1_767_571_200_000
SLICE = (("service", "chat"), ("service_version", "2"))


def test_only_a_running_change_marked_expected_is_meant() -> None:
    at = datetime.fromtimestamp(AT / 1000, UTC)
    changes = Changes()
    changes.add(ChangeRecord(event_time=at, change_id="c", change_type="deployment", service="chat"))
    assert not changes.meant(SLICE, AT, AT + 1)
    changes.add(
        ChangeRecord(event_time=at, change_id="c", change_type="deployment", service="chat", expected=True)
    )
    assert changes.meant(SLICE, AT, AT + 1)
    assert not changes.meant(SLICE, AT + 1, AT + 2)
    assert not changes.meant((("service", "other"),), AT, AT + 1)
    changes.add(ChangeRecord(event_time=at, change_id="c", change_type="deployment", status="cancelled"))
    assert not changes.meant(SLICE, AT, AT + 1)

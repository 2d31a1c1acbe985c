import hashlib
import uuid

from operators.series import SeriesKey, event_id, fingerprint, slice_of

KEY = SeriesKey(
    "telemetry.requests.v1",
    "gen_ai.server.time_to_first_token",
    "p95",
    None,
    slice_of({"request_model": "llama-70b", "service": "chat-api", "replica": None}),
    "duration",
    "s",
)


def test_fingerprint_is_over_sorted_lines_of_what_is_present() -> None:
    lines = (
        "detector=ewma/1",
        "request_model=llama-70b",
        "service=chat-api",
        "signal=gen_ai.server.time_to_first_token",
        "statistic=p95",
        "topic=telemetry.requests.v1",
    )
    assert fingerprint(KEY, "ewma/1") == hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def test_side_takes_part_and_kind_and_unit_do_not() -> None:
    assert fingerprint(KEY._replace(side="prompt"), "mmd/1") != fingerprint(KEY, "mmd/1")
    assert fingerprint(KEY._replace(unit="ms", kind="gauge"), "mmd/1") == fingerprint(KEY, "mmd/1")


def test_event_id_follows_from_detector_fingerprint_and_onset() -> None:
    name = "driftline|ewma/1|00ff00ff00ff00ff|1767571200000"
    expected = uuid.uuid5(uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8"), name)
    assert event_id("ewma/1", "00ff00ff00ff00ff", 1_767_571_200_000) == expected


def test_slices_come_in_canonical_order() -> None:
    assert KEY.slice == (("service", "chat-api"), ("request_model", "llama-70b"))

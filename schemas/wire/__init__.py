"""Records to chunks: `decode` takes any bytes of any topic, accounts for every sample, and never raises.

The topic decides first, then the first byte. Each wire format is one module that fills a
`schemas.wire.draft.Draft`; what is common to all of them is checked there.
"""

from collections import Counter

from schemas.chunk import Chunk, Decoded, Form, Refusal
from schemas.wire.arrow_rows import ArrowRows
from schemas.wire.framing import sniff, unframe
from schemas.wire.json_rows import JsonRows
from schemas.wire.otlp import OTLP_TOPICS, decode_otlp
from schemas.wire.reasons import MAX_BYTES, Refused, refusal, whole

#: Topics of driftline's own records, and the form of each.
FORMS: dict[str, Form] = {
    "telemetry.requests.v1": "requests",
    "telemetry.embeddings.v1": "embeddings",
    "telemetry.gpu.v1": "gpu",
    "telemetry.metrics.v1": "metrics",
    "changes.v1": "changes",
}

#: Every topic that is read.
TOPICS: tuple[str, ...] = (*FORMS, *OTLP_TOPICS)


def decode(topic: str, value: bytes, *, broker_time_ms: int | None = None, ahead_s: float = 300.0) -> Decoded:
    """Decode and validate one record.

    Args:
        topic: The topic's canonical name.
        value: A Kafka record's value; from files a line, a whole ``.json``, or one Arrow batch as a stream.
        broker_time_ms: The record's Kafka timestamp; files have none, and then no time is too far ahead.
        ahead_s: How far ahead of that timestamp an ``event_time`` may lie, seconds.

    Returns:
        Chunks of the accepted samples, a `Refusal` for each refused one (a record that cannot be taken apart
        counts as one), and the ignored ones by name. Never raises on what is in ``value``.
    """
    otlp = topic in OTLP_TOPICS
    if topic not in FORMS and not otlp:
        return whole("unknown_topic", "no such topic is read", value)
    if len(value) > MAX_BYTES:
        return whole("too_large", f"over {MAX_BYTES} bytes", value)
    try:
        encoding, body = sniff(unframe(value, protobuf=otlp), otlp=otlp)
        if otlp:
            return decode_otlp(topic, body, encoding == "otlp_json", broker_time_ms, ahead_s)
        if encoding == "json":
            return _from_json(topic, JsonRows(FORMS[topic], body), broker_time_ms, ahead_s)
        return _from_arrow(topic, ArrowRows(FORMS[topic], body), value, broker_time_ms, ahead_s)
    except Refused as refused:
        return whole(refused.reason, refused.detail, value)


def _from_json(topic: str, source: JsonRows, broker_time_ms: int | None, ahead_s: float) -> Decoded:
    draft = source.draft()
    chunks = draft.chunks(topic, broker_time_ms, ahead_s)
    if not source.bad and not draft.refused:
        return Decoded(tuple(chunks), (), draft.ignored_by_name(), dict(source.unknown))
    rows = source.rows()
    found = {int(draft.row[index]): finding for index, finding in draft.refused.items()}
    found |= {row: (reason, detail) for row, reason, detail in source.bad}
    refused = tuple(
        refusal(reason, detail, rows[row], keep=reason not in ("not_json", "text_field"))
        for row, (reason, detail) in sorted(found.items())
    )
    return Decoded(tuple(chunks), refused, draft.ignored_by_name(), dict(source.unknown))


def _from_arrow(
    topic: str, source: ArrowRows, value: bytes, broker_time_ms: int | None, ahead_s: float
) -> Decoded:
    """An Arrow row has no bytes of its own: its refusal names the row and leaves the record's SHA-256."""
    chunks: list[Chunk] = []
    refused: list[Refusal] = []
    ignored: Counter[str] = Counter()
    account: Refusal | None = None
    for draft in source.drafts():
        chunks += draft.chunks(topic, broker_time_ms, ahead_s)
        ignored.update(draft.ignored_by_name())
        for index, (reason, detail) in sorted(draft.refused.items()):
            account = account or refusal(reason, "", value)
            where = f"row {draft.row[index]}: {detail}"
            refused.append(Refusal(reason, where, account.length, account.sha256))
    return Decoded(tuple(chunks), tuple(refused), dict(ignored), dict(source.unknown))


__all__ = ["FORMS", "TOPICS", "decode"]

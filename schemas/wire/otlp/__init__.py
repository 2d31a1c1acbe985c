"""OTLP."""

from schemas.chunk import Decoded


def decode_metrics(body: bytes, is_json: bool, broker_time_ms: int | None, ahead_s: float) -> Decoded:
    return Decoded()


def decode_spans(body: bytes, is_json: bool, broker_time_ms: int | None, ahead_s: float) -> Decoded:
    return Decoded()

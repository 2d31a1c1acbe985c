"""Attributes of OTLP messages, protobuf or JSON, as plain values, and whether any of them carries text."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from schemas.names.text import carries_text

Value = str | bool | int | float | bytes | tuple[Any, ...] | None


def values_of(pairs: Iterable[Any]) -> dict[str, Value]:
    """Key → value of a list of KeyValue messages."""
    return {pair.key: _value(pair.value) for pair in pairs}


def holds_text(attributes: dict[str, Value]) -> bool:
    """Whether one of these attributes carries text, at any depth."""
    return any(
        (_suspect(key) and carries_text(key, value)) or (type(value) is tuple and _nested(value))
        for key, value in attributes.items()
    )


@lru_cache(maxsize=65536)
def _suspect(key: str) -> bool:
    return carries_text(key)


def _value(message: Any) -> Value:
    kind = message.WhichOneof("value")
    if kind is None:
        return None
    value = getattr(message, kind)
    if kind == "array_value":
        return tuple(_value(item) for item in value.values)
    if kind == "kvlist_value":
        # Marked, so that a nested map is told from an array and can still be hashed.
        return (_MAP, *((pair.key, _value(pair.value)) for pair in value.values))
    return value  # type: ignore[no-any-return]


class _Map:
    """Marks a tuple as a nested map."""

    def __repr__(self) -> str:  # the same in every process
        return "map"


_MAP = _Map()


def _nested(values: tuple[Any, ...]) -> bool:
    if values and values[0] is _MAP:
        return any(
            carries_text(key, value) or (type(value) is tuple and _nested(value)) for key, value in values[1:]
        )
    return any(type(value) is tuple and _nested(value) for value in values)

"""Strategies for valid samples of every form, as JSON-ready dicts, and what their chunk must say."""

import base64
from typing import Any

import numpy as np
from hypothesis import strategies as st

from schemas.arrow import Column, columns
from schemas.chunk import Chunk, Form
from schemas.names.gpu import BLANK
from schemas.names.text import carries_text

TOPIC: dict[Form, str] = {
    "requests": "telemetry.requests.v1",
    "embeddings": "telemetry.embeddings.v1",
    "gpu": "telemetry.gpu.v1",
    "metrics": "telemetry.metrics.v1",
    "changes": "changes.v1",
}
FORMS: tuple[Form, ...] = tuple(TOPIC)
NOW_MS = 1_767_571_200_000

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
names = texts.filter(lambda name: not carries_text(name))
_values: dict[str, st.SearchStrategy[Any]] = {
    "time": st.integers(NOW_MS - 10**6, NOW_MS),
    "text": texts,
    "bool": st.booleans(),
    "texts": st.lists(texts, max_size=3),
    "shares": st.dictionaries(names, st.floats(0, 1, width=32), max_size=3),
}


def _field(column: Column) -> st.SearchStrategy[Any]:
    if column.kind == "choice":
        return st.sampled_from(sorted(column.choices))
    if column.kind == "int":
        return st.integers(int(column.low), int(column.high))
    if column.kind == "float":
        return st.floats(max(column.low, -1e6), min(column.high, 1e6))
    return _values[column.kind]


@st.composite
def samples(draw: st.DrawFn, form: Form) -> dict[str, Any]:
    """One valid sample; absent fields are left out."""
    sample: dict[str, Any] = {}
    for name, column in columns(form).items():
        if column.kind != "vector" and (column.required or draw(st.integers(0, 3)) == 0):
            sample[name] = draw(_field(column))
    if form == "metrics":
        sample["signal"] = "hw.temperature"
        sample["value"] = draw(st.floats(-100, 1000))
        sample.pop("unit", None)
    if form == "changes":
        sample["service"] = draw(texts)
    if form == "embeddings":
        sample["dim"] = draw(st.integers(1, 5))
        sample["dtype"] = draw(st.sampled_from(["f16", "f32"]))
        width = 16 if sample["dtype"] == "f16" else 32
        numbers = draw(
            st.lists(st.floats(-100, 100, width=width), min_size=sample["dim"], max_size=sample["dim"])
        )
        sample["vector"] = base64.b64encode(np.array(numbers, f"<f{width // 8}").tobytes()).decode()
    return sample


def vector(sample: dict[str, Any]) -> list[float]:
    """An embedding sample's numbers."""
    kind = "<f2" if sample.get("dtype") == "f16" else "<f4"
    return np.frombuffer(base64.b64decode(sample["vector"]), kind).astype(np.float32).tolist()


def expected(form: Form, sample: dict[str, Any]) -> dict[str, Any]:
    """What a chunk's row holds of a valid sample; absent fields left out."""
    row = dict(sample)
    if form == "gpu":
        row = {name: value for name, value in row.items() if not (isinstance(value, int) and value >= BLANK)}
    if form == "metrics":
        row |= {"unit": "Cel", "temporality": sample.get("temporality", "gauge")}
    if form == "embeddings":
        row |= {"vector": vector(sample), "dtype": sample.get("dtype", "f32")}
    if "script_shares" in row:
        row["script_shares"] = {
            name: float(np.float32(share)) for name, share in row["script_shares"].items()
        }
    return row


def rows(chunks: tuple[Chunk, ...]) -> dict[int, dict[str, Any]]:
    """Row index → the fields of every accepted sample."""
    found = {}
    for chunk in chunks:
        chunk.batch.validate(full=True)
        for row in chunk.batch.to_pylist():
            fields = {name: value for name, value in row.items() if value is not None}
            if "script_shares" in fields:
                fields["script_shares"] = dict(fields["script_shares"])
            found[fields.pop("row")] = fields
    return found

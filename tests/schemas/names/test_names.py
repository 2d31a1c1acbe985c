"""The tables of names hang together."""

import pytest

from schemas.arrow import columns
from schemas.identity import IDENTITY_FIELDS, OTEL_ATTRIBUTE
from schemas.names.attributes import identity_of
from schemas.names.gpu import GPU_FIELDS
from schemas.names.metrics import ALIASES, BOUNDS, SPLIT_BY, UNREAD, Alias, resolve, unit_factor
from schemas.names.spans import SPAN_FIELDS
from schemas.names.text import TEXT_FIELDS, carries_text
from schemas.signals import SIGNALS


def test_every_alias_is_of_a_canonical_signal_and_no_signal_itself() -> None:
    assert {alias.signal for alias in ALIASES.values()} <= set(SIGNALS)
    assert not set(ALIASES) & set(SIGNALS)
    assert not set(ALIASES) & set(UNREAD)
    assert set(BOUNDS) == set(SIGNALS)


def test_an_attribute_is_only_given_to_signals_split_by_one() -> None:
    assert {SIGNALS[alias.signal].by_attribute for alias in ALIASES.values() if alias.attribute} == {True}


def test_a_metric_split_by_an_attribute_is_only_known_with_it() -> None:
    for name in SPLIT_BY:
        assert resolve(name) is None
        assert resolve(name, "input") is not None


def test_gpu_and_span_fields_are_fields() -> None:
    assert {alias.field for alias in GPU_FIELDS} <= set(columns("gpu"))
    assert set(SPAN_FIELDS) <= set(columns("requests"))


def test_identity_is_read_from_the_name_it_is_written_as() -> None:
    assert set(OTEL_ATTRIBUTE) == set(IDENTITY_FIELDS)
    written = {OTEL_ATTRIBUTE[field]: field.upper() for field in IDENTITY_FIELDS}
    assert identity_of(written) == {field: field.upper() for field in IDENTITY_FIELDS}
    assert identity_of({f"driftline.{field}": field for field in IDENTITY_FIELDS}) == {
        field: field for field in IDENTITY_FIELDS
    }


def test_the_canonical_name_wins_and_empty_values_are_absent() -> None:
    assert identity_of({"gen_ai.system": "a", "gen_ai.provider.name": "b"}) == {"provider": "b"}
    assert identity_of({"gen_ai.system": "a", "gen_ai.provider.name": ""}) == {"provider": "a"}
    assert identity_of({"service.name": 3}) == {}


def test_a_label_means_what_its_exporter_means() -> None:
    assert identity_of({"model_name": "x"}, "vllm:num_requests_running") == {"request_model": "x"}
    assert identity_of({"model_name": "x"}, "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL") == {
        "gpu_model": "x"
    }
    assert identity_of({"model_name": "x"}) == {}


@pytest.mark.parametrize(
    ("name", "unit", "factor"),
    [
        ("gen_ai.server.queue_time", None, 1.0),
        ("gen_ai.server.queue_time", "s", 1.0),
        ("gen_ai.server.queue_time", "ms", 1e-3),
        ("gen_ai.server.kv_cache_usage", "%", 0.01),
        ("gen_ai.server.kv_cache_usage", "ms", 1.0),
        ("DCGM_FI_DEV_GPU_UTIL", "%", 0.01),
        ("DCGM_FI_DEV_SM_CLOCK", "MHz", 1e6),
        ("hw.gpu.sm_clock", "MHz", 1e6),
    ],
)
def test_a_value_is_converted_once(name: str, unit: str | None, factor: float) -> None:
    alias = resolve(name)
    assert isinstance(alias, Alias)
    assert unit_factor(alias, unit) == factor


def test_names_of_text() -> None:
    assert all(carries_text(name) for name in TEXT_FIELDS)
    for name in ("gen_ai.prompt.version", "gen_ai.usage.output_tokens", "gen_ai.prompt.name", "context"):
        assert not carries_text(name, "x")
    assert not carries_text("prompt", None)
    assert carries_text("prompt", 3)
    assert carries_text("gen_ai.completion.0.content", "x")
    assert not carries_text("gen_ai.usage.input", 3)

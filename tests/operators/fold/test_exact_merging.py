"""Any split, order and regrouping of the same samples gives the same cells, to the byte."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.fold import fold, merge
from operators.settings import Settings
from schemas.chunk import Chunk
from tests.arrow import stream

START_MS = 1_767_571_200_000
SETTINGS = Settings()

_words = st.one_of(st.none(), st.sampled_from(["a", "b", "ä", "c-1"]))
_amount = st.one_of(
    st.none(), st.floats(0, 1e6, allow_nan=False), st.sampled_from([0.0, -0.0, 1e-9, 0.1, 0.2, 0.3, 1e300])
)
_flag = st.one_of(st.none(), st.booleans())
_identity = dict.fromkeys(("service_version", "replica", "gpu", "region", "route"), _words)
_time = st.integers(START_MS, START_MS + 25_000)

request = st.fixed_dictionaries(
    {
        "event_time": _time,
        "service": st.sampled_from(["chat", "search"]),
        **_identity,
        "status": st.sampled_from(["started", "ok", "ok", "error", "timeout", "cancelled"]),
        "error_type": _words,
        "finish_reason": _words,
        "ttft_s": _amount,
        "duration_s": _amount,
        "output_tokens": st.one_of(st.none(), st.integers(0, 2**62)),
        "refused": _flag,
        "gpus": st.one_of(st.none(), st.lists(st.sampled_from(["g1", "g2"]), max_size=2)),
        "script_shares": st.one_of(
            st.none(),
            st.dictionaries(st.sampled_from(["latin", "han"]), st.floats(0, 1, width=32), max_size=2),
        ),
    }
)
gpu = st.fixed_dictionaries(
    {
        "event_time": _time,
        **_identity,
        "gpu": st.sampled_from(["g1", "g2"]),
        "node": _words,
        "utilization": st.one_of(st.none(), st.floats(0, 1)),
        "memory_used_bytes": _amount,
        "memory_total_bytes": _amount,
        "ecc_corrected_total": _amount,
        "xid": st.one_of(st.none(), st.sampled_from([0, 79])),
        "throttle_reasons": st.one_of(st.none(), st.lists(st.sampled_from(["thermal", "power"]), max_size=3)),
    }
)
metric = st.fixed_dictionaries(
    {
        "event_time": _time,
        "service": st.just("chat"),
        **_identity,
        "signal": st.sampled_from(
            [
                "gen_ai.server.requests_running",
                "gen_ai.server.errors",
                "gen_ai.server.preemptions",
                "gen_ai.canary.match_ratio",
                "gen_ai.output.script_share",
            ]
        ),
        "value": st.floats(-1e9, 1e9),
        "temporality": st.one_of(st.none(), st.sampled_from(["gauge", "delta", "cumulative"])),
        "attribute": _words,
        "sample_count": st.one_of(st.none(), st.integers(0, 1000)),
    }
)

_LISTS = {
    "gpus": pa.list_(pa.utf8()),
    "throttle_reasons": pa.list_(pa.utf8()),
    "script_shares": pa.map_(pa.utf8(), pa.float32()),
}


def chunk(form, rows):
    columns = {}
    for name in rows[0]:
        held = [row[name] for row in rows]
        if name == "script_shares":
            held = [None if value is None else list(value.items()) for value in held]
        array = pa.array(held, _LISTS.get(name))
        if name == "event_time" or array.null_count < len(array):
            text = pa.types.is_string(array.type)
            columns[name] = array.dictionary_encode() if text else array
    return Chunk(f"telemetry.{form}.v1", form, pa.RecordBatch.from_pydict(columns))


@pytest.mark.parametrize(("form", "samples"), [("requests", request), ("gpu", gpu), ("metrics", metric)])
def test_any_split_order_and_grouping(form, samples):
    @settings(max_examples=40)
    @given(st.lists(samples, min_size=1, max_size=24), st.randoms(use_true_random=False), st.data())
    def check(rows, random, data):
        whole = merge([fold([chunk(form, rows)], SETTINGS)], SETTINGS.slices)
        shuffled = random.sample(rows, len(rows))
        cuts = sorted(data.draw(st.sets(st.integers(1, len(rows)), max_size=4)) | {0, len(rows)})
        pieces = [shuffled[start:end] for start, end in pairwise(cuts)]
        partial = [fold([chunk(form, piece)], SETTINGS) for piece in pieces]
        random.shuffle(partial)
        middle = random.randrange(len(partial) + 1)
        left, right = merge(partial[:middle], SETTINGS.slices), merge(partial[middle:], SETTINGS.slices)
        merged = merge([right, left], SETTINGS.slices)
        assert merged.to_pylist() == whole.to_pylist()
        assert stream(merged) == stream(whole)
        assert stream(fold([chunk(form, shuffled)], SETTINGS)) == stream(whole)

    check()


def test_alignment_of_a_batch_does_not_move_a_value_to_another_bin():
    rng = np.random.default_rng(5)
    seconds = rng.lognormal(0, 2, 4099)
    columns = {
        "event_time": np.full(4099, START_MS),
        "service": pa.array(["chat"] * 4099).dictionary_encode(),
        "status": pa.array(["ok"] * 4099).dictionary_encode(),
        "duration_s": seconds,
    }
    batch = pa.RecordBatch.from_pydict(columns)
    whole = fold([Chunk("telemetry.requests.v1", "requests", batch)], SETTINGS)
    singles = [
        fold([Chunk("telemetry.requests.v1", "requests", batch.slice(start, 13))], SETTINGS)
        for start in range(0, 4099, 13)
    ]
    assert stream(merge(singles, SETTINGS.slices)) == stream(whole)

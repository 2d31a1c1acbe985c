"""Requests: starts count as arrivals; completions bring latency, tokens and output figures."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.fold.coding import Ints, coded
from operators.fold.parts import Part, column, listed, numbers, present, tallies, values

#: Fields whose values fold into a distribution; time to first token from cancelled requests too.
_VALUES: dict[str, str] = {
    "ttft_s": "gen_ai.server.time_to_first_token",
    "tpot_s": "gen_ai.server.time_per_output_token",
    "duration_s": "gen_ai.server.request.duration",
    "queue_s": "gen_ai.server.queue_time",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "top1_probability": "gen_ai.output.top1_probability",
    "entropy": "gen_ai.output.entropy",
    "repetition_ratio": "gen_ai.output.repetition_ratio",
    "nan_count": "gen_ai.output.nan_count",
}
#: Yes or no of one response: trials are the responses that say.
_FLAGS: dict[str, str] = {
    "refused": "gen_ai.output.refusal_ratio",
    "parse_failed": "gen_ai.output.parse_failure_ratio",
    "pii_flagged": "gen_ai.output.pii_ratio",
}
_OUTCOMES: dict[str, str] = {
    "error": "gen_ai.server.errors",
    "timeout": "gen_ai.server.timeouts",
    "cancelled": "gen_ai.server.cancellations",
}
#: A response holds a script when more than this share of its characters is of it.
_PRESENT = 0.005


def request_parts(batch: Any) -> Iterator[Part]:
    """What accepted requests contribute; ``batch`` as in `schemas.chunk`."""
    status = coded(batch.column("status"))
    names = status.values.to_pylist()

    def having(*wanted: str) -> Any:
        return np.array([name in wanted for name in names])[status.codes]

    started, ok = having("started"), having("ok")
    yield from _flow(np.flatnonzero(started), np.flatnonzero(~started), having)
    if "error" in names and (kinds := column(batch, "error_type")) is not None:
        yield from _by_word("gen_ai.server.errors", kinds, having("error"))
    for field, signal in _VALUES.items():
        if (held := column(batch, field)) is not None:
            found = numbers(held)
            fits = having("ok", "cancelled") if field == "ttft_s" else ok
            row = np.flatnonzero(fits & ~np.isnan(found))
            yield values(signal, row, found[row])
    for field, signal in _FLAGS.items():
        if (held := column(batch, field)) is not None:
            found = numbers(held)
            row = np.flatnonzero(ok & ~np.isnan(found))
            yield tallies(signal, row, total=found[row])
    if (reasons := column(batch, "finish_reason")) is not None:
        yield from _by_word("gen_ai.output.finish_reason_share", reasons, ok)
        said = present(reasons)
        said = said[ok[said]]
        yield tallies("gen_ai.output.finish_reason_share", said, total=np.zeros(len(said)))
    if (shares := column(batch, "script_shares")) is not None:
        yield from _scripts(shares, ok)


def _flow(started: Ints, completed: Ints, having: Any) -> Iterator[Part]:
    if len(started):
        yield tallies("gen_ai.server.arrivals", started)
        yield tallies("gen_ai.server.completions", started, attributes=("started",))
    if len(completed):
        yield tallies("gen_ai.server.completions", completed)
        for status, signal in _OUTCOMES.items():
            yield tallies(signal, completed, total=having(status)[completed].astype(np.float64))


def _by_word(signal: str, words: Any, fits: Any) -> Iterator[Part]:
    word = coded(words)
    row = np.flatnonzero(fits & (word.codes >= 0))
    yield tallies(signal, row, attributes=word.values.to_pylist(), attribute=word.codes[row])


def _scripts(shares: Any, ok: Any) -> Iterator[Part]:
    signal = "gen_ai.output.script_share"
    said = present(shares)
    said = said[ok[said]]
    yield tallies(signal, said, total=np.zeros(len(said)))
    row, place = listed(shares)
    kept = ok[row]
    row, place = row[kept], pa.array(place[kept])
    keys = shares.keys.take(place)
    script = coded(keys if pa.types.is_dictionary(keys.type) else pc.dictionary_encode(keys))
    share = numbers(shares.items.take(place))
    names = script.values.to_pylist()
    yield tallies(
        signal,
        row,
        total=share,
        attributes=[f"share:{name}" for name in names],
        attribute=script.codes,
    )
    seen = np.flatnonzero(share > _PRESENT)
    yield tallies(
        signal,
        row[seen],
        attributes=[f"present:{name}" for name in names],
        attribute=script.codes[seen],
    )

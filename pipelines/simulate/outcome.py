"""What becomes of the requests: factors into seconds, and one ``started`` and one completion sample each."""

from typing import cast

import numpy as np

from pipelines.simulate.arrays import Floats, Ints
from pipelines.simulate.episodes import SERVERS
from pipelines.simulate.fleet import Service
from pipelines.simulate.streams import stream
from pipelines.simulate.tables import Table, Words, take
from pipelines.simulate.traffic import wander

#: Clients give up after this long.
CLIENT_TIMEOUT_S = 120.0
#: Scripts of a language's answers, with their parts of what is not punctuation.
SCRIPTS = {
    "en": {"Latin": 1.0},
    "de": {"Latin": 1.0},
    "ja": {"Hiragana": 0.62, "Han": 0.38},
    "zh": {"Han": 1.0},
}
ALIEN_SCRIPT = "Thai"
_LATENCIES = ("ttft_s", "tpot_s", "queue_s", "output_tokens", "input_tokens", "top1_probability", "entropy")
_JUDGED = ("repetition_ratio", "nan_count", "refused", "parse_failed", "pii_flagged")


def resolve(service: Service, table: Table, load: Floats, seed: int, words: Words) -> None:
    """Turn the factors of a service's requests into seconds and final statuses, in place.

    Args:
        service: whose requests they are.
        table: requests of `pipelines.simulate.traffic.requests`, after all effects.
        load: the service's load relative to its mean, for each second of the span.
        seed: of the world; the servers' own slow noise comes from it.
        words: of the coded columns.
    """
    time_s = cast(Floats, table["t"])
    server = cast(Ints, table["server"])
    excess = np.clip(load, 0.2, 3.0)[time_s.astype(np.int64)] - 1
    pace = np.array([each.pace for _, each in SERVERS])[server]
    minutes = wander(stream(seed, "pace", service.name), load.size // 60 + 1, 8.0, rows=len(SERVERS))
    slow = np.exp(0.03 * minutes[server, (time_s // 60).astype(np.int64)])
    prompt, answer = (
        cast(Floats, table["input_tokens"]),
        np.maximum(np.rint(cast(Floats, table["output_tokens"])), 1),
    )
    queue_s = 0.02 * cast(Floats, table["queue"]) * np.exp(1.2 * excess)
    prefill_s = (0.08 + 1.8e-4 * prompt) * pace * cast(Floats, table["prefill"]) * (1 + 0.15 * excess)
    tpot_s = service.tpot_s * pace * slow * cast(Floats, table["tpot"]) * (1 + 0.2 * excess)
    duration_s = queue_s + prefill_s + tpot_s * (answer - 1)
    ok, error, timeout, cancelled = words.codes("status", ("ok", "error", "timeout", "cancelled")).tolist()
    status = table["status"].copy()
    status[cast(np.ndarray, table["hang"]) | (duration_s > CLIENT_TIMEOUT_S)] = timeout
    given_up = status == cancelled
    part = 0.2 + 0.7 * cast(Floats, table["abandoned"])
    duration_s = np.where(given_up, duration_s * part, duration_s)
    duration_s = np.where(status == error, 0.05 + 2 * cast(Floats, table["abandoned"]), duration_s)
    duration_s = np.where(status == timeout, CLIENT_TIMEOUT_S, duration_s)
    table["error_type"] = np.where(
        status == timeout, words.code("error_type", "timeout"), table["error_type"]
    )
    table["error_type"] = np.where((status == error) | (status == timeout), table["error_type"], -1)
    table |= {"status": status, "input_tokens": np.rint(prompt), "output_tokens": answer, "queue_s": queue_s}
    table |= {"ttft_s": queue_s + prefill_s, "tpot_s": tpot_s, "duration_s": duration_s}
    fine = status == ok
    for column in (*_LATENCIES, *_JUDGED):
        kept = fine | given_up if column == "ttft_s" else fine
        table[column] = np.where(kept, table[column], np.nan)
    for column in ("top1_probability", "repetition_ratio", "refused", "parse_failed"):
        table[column] = np.clip(cast(Floats, table[column]), 0.0, 1.0)
    table["entropy"] = np.maximum(cast(Floats, table["entropy"]), 0.0)
    table["finish_reason"] = np.where(fine, table["finish_reason"], -1)
    table["tpot_s"] = np.where(answer > 1, table["tpot_s"], np.nan)


def scripts(table: Table, words: Words, seed: int) -> list[dict[str, float] | None]:
    """Script shares of each answer's characters, None where there was no answer."""
    draw = stream(seed, "scripts", int(table["service"][0]) if table["service"].size else 0, table["t"].size)
    common = draw.uniform(0.01, 0.06, table["t"].size).round(4).tolist()
    alien = np.round(cast(Floats, table["alien"]), 4).tolist()
    language = [SCRIPTS[name] for name in words.values("language")]
    answered = np.isfinite(cast(Floats, table["output_tokens"])).tolist()
    rows: list[dict[str, float] | None] = []
    for code, rest, foreign, has in zip(table["language"].tolist(), common, alien, answered, strict=True):
        if not has:
            rows.append(None)
            continue
        shares = {name: round((1 - rest - foreign) * part, 4) for name, part in language[code].items()}
        shares["Common"] = rest
        if foreign:
            shares[ALIEN_SCRIPT] = foreign
        rows.append(shares)
    return rows


def in_time(table: Table, seconds: int) -> Table:
    """The requests that were completed within the span."""
    return take(table, cast(Floats, table["t"]) + cast(Floats, table["duration_s"]) < seconds)

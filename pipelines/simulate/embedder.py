"""A synthetic embedder: unit vectors whose place says topic, language, session and, for answers, the prompt.

A prompt is its topic's centre, moved by its language and session, with anisotropic noise. Its answer is the
same topic's centre in the answers' half of the space, carries part of what is peculiar about the prompt, and
has noise of its own. Faults move, spread, collapse or replace answers.
"""

import hashlib
from typing import cast

import numpy as np
import numpy.typing as npt

from pipelines.simulate.arrays import Floats, Ints
from pipelines.simulate.fleet import EMBEDDER
from pipelines.simulate.streams import stream
from pipelines.simulate.tables import Table, Words

DIM = 64
TOPICS = 16
_SESSION, _LANGUAGE, _NOISE, _CARRIED = 0.45, 0.6, 0.8, 0.5

Vectors = npt.NDArray[np.float16]


def _frame(version: str) -> dict[str, Floats]:
    """The fixed geometry of one embedder version."""
    draw = stream(0, "embedder", version)
    spectrum = np.exp(-np.arange(DIM) / 20.0)
    return {
        "prompt": _unit(draw.standard_normal((TOPICS, DIM))),
        "output": _unit(draw.standard_normal((TOPICS, DIM))),
        "language": _unit(draw.standard_normal((16, DIM))),
        "fault": _unit(draw.standard_normal((8, DIM))),
        "carry": np.linalg.qr(draw.standard_normal((DIM, DIM)))[0],
        "noise": np.linalg.qr(draw.standard_normal((DIM, DIM)))[0]
        * np.sqrt(spectrum / spectrum.sum())[:, None],
    }


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def embed(table: Table, words: Words, seed: int, *name: str | int) -> tuple[Vectors, Vectors]:
    """Prompt and answer vectors of the given requests, each rows x `DIM`, float16, of unit length.

    Args:
        table: requests, with the columns the faults act on.
        words: of the coded columns.
        seed: of the world.
        name: of the streams.
    """
    frame, draw = _frame(EMBEDDER), stream(seed, "embed", *name)
    rows = table["t"].size
    topic = cast(Ints, table["topic"])
    peculiar = _SESSION * _by_name(words.values("session_hash"), cast(Ints, table["session_hash"]))
    peculiar = peculiar + _NOISE * draw.standard_normal((rows, DIM)) @ frame["noise"]
    own = draw.standard_normal((rows, DIM)) @ frame["noise"]
    languages = words.values("language")
    spoken = np.array(
        [0.0 if each == "en" else _LANGUAGE * (1.5 if each == "ja" else 1.0) for each in languages]
    )
    tongue = (spoken[:, None] * frame["language"][: len(languages)])[cast(Ints, table["language"])]
    fault = frame["fault"]
    prompt = frame["prompt"][topic] + tongue + peculiar + _column(table, "prompt_shift") * fault[0]
    swapped = cast(Floats, table["other_prompt"]) > 0
    source = np.where(swapped, np.roll(np.arange(rows), 17), np.arange(rows))
    answer = frame["output"][topic[source]] + 0.7 * tongue + _CARRIED * peculiar[source] @ frame["carry"]
    answer = (
        answer + _NOISE * _column(table, "output_spread") * own + _column(table, "output_shift") * fault[1]
    )
    outlier = _column(table, "output_outlier")
    answer = answer * (1 - outlier) + outlier * (1.5 * fault[2] + 0.3 * own)
    collapse = _column(table, "output_collapse")
    answer = answer * (1 - collapse) + collapse * 1.5 * fault[3]
    return _unit(prompt).astype(np.float16), _unit(answer).astype(np.float16)


def _column(table: Table, name: str) -> Floats:
    return cast(Floats, table[name])[:, None]


def _by_name(names: list[str], codes: Ints) -> Floats:
    """A direction for each session, from its name alone, of about unit length."""
    used, place = np.unique(codes, return_inverse=True)
    digests = [hashlib.shake_128(names[code].encode()).digest(DIM) for code in used.tolist()]
    raw = np.frombuffer(b"".join(digests), np.uint8).reshape(used.size, DIM).astype(float)
    return np.asarray(((raw - 127.5) / 73.9 / np.sqrt(DIM))[place])

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
from pipelines.simulate.streams import stream
from pipelines.simulate.tables import Table, Words

DIM = 64
TOPICS = 16
_SESSION, _LANGUAGE, _NOISE, _CARRIED = 0.45, 0.6, 0.8, 0.5
#: How far a language lies from the others, in units of `_LANGUAGE`.
_DISTANCE = {"en": 0.0, "ja": 1.5}

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
    rows = table["t"].size
    draw = stream(seed, "embed", *name)
    noise, own = draw.standard_normal((rows, DIM)), draw.standard_normal((rows, DIM))
    swapped = cast(Floats, table["other_prompt"]) > 0
    source = np.where(swapped, np.roll(np.arange(rows), 17), np.arange(rows))
    topic, session = cast(Ints, table["topic"]), _by_name(words, cast(Ints, table["session_hash"]))
    languages = words.values("language")
    spoken = np.array([_LANGUAGE * _DISTANCE.get(each, 1.0) for each in languages])[:, None]
    prompts, answers = np.zeros((rows, DIM), np.float16), np.zeros((rows, DIM), np.float16)
    for code, version in enumerate(words.values("embedder_version")):
        mine = table["embedder_version"] == code
        if not mine.any():
            continue
        frame = _frame(version)
        fault = frame["fault"]
        tongue = (spoken * frame["language"][: len(languages)])[cast(Ints, table["language"])]
        peculiar = _SESSION * session + _NOISE * noise @ frame["noise"]
        prompt = frame["prompt"][topic] + tongue + peculiar + _column(table, "prompt_shift") * fault[0]
        strayed = _NOISE * own @ frame["noise"] * _column(table, "output_spread")
        answer = frame["output"][topic[source]] + 0.7 * tongue + _CARRIED * peculiar[source] @ frame["carry"]
        answer = answer + strayed + _column(table, "output_shift") * fault[1]
        answer = _mixed(answer, 1.5 * fault[2] + 0.3 * strayed, _column(table, "output_outlier"))
        answer = _mixed(answer, 1.5 * fault[3], _column(table, "output_collapse"))
        prompts[mine], answers[mine] = _unit(prompt)[mine], _unit(answer)[mine]
    return prompts, answers


def _mixed(one: Floats, other: Floats, part: Floats) -> Floats:
    return np.asarray(one * (1 - part) + other * part)


def _column(table: Table, name: str) -> Floats:
    return cast(Floats, table[name])[:, None]


def _by_name(words: Words, codes: Ints) -> Floats:
    """A direction for each session, from its name alone, of about unit length."""
    names = words.values("session_hash")
    used, place = np.unique(codes, return_inverse=True)
    digests = [hashlib.shake_128(names[code].encode()).digest(DIM) for code in used.tolist()]
    raw = np.frombuffer(b"".join(digests), np.uint8).reshape(used.size, DIM).astype(float)
    return np.asarray(((raw - 127.5) / 73.9 / np.sqrt(DIM))[place])

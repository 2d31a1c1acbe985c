"""Sentinels in the pipeline: named in events, part of what identifies a state, nothing without them."""

import logging

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from gpu_scorers.sentinels import Sentinels
from operators.embedding import EmbeddingState, project
from operators.message import Message
from operators.settings import EmbeddingSettings, SentinelSet, Settings
from operators.shard import Shard
from operators.state import StateError

DIM = 24


def _refusals(random, rows):
    """Answers that hardly vary, where no topic is."""
    x = np.full((rows, DIM), -1.0) + random.standard_normal((rows, DIM)) * 0.3
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _set(names=("refusals",), *, version="e1", dim=DIM, side="output", seed=1):
    random = np.random.default_rng(seed)
    rows = [Sentinels.fit(_refusals(random, 64), 1).centroids[:, :dim] for _ in names]
    return SentinelSet(
        embedder_version=version,
        side=side,
        dim=dim,
        names=names,
        of=tuple(range(len(names))),
        centroids=np.concatenate(rows).astype("<f4").tobytes(),
    )


def _with(settings, *sets):
    return msgspec.structs.replace(
        settings, embeddings=msgspec.structs.replace(settings.embeddings, sentinels=sets)
    )


@pytest.fixture
def watched(settings):
    return _with(settings, _set())


def _vectors(stream, share):
    x = stream.vectors(stream.per_bucket)
    wrong = stream.random.random(len(x)) < share
    x[wrong] = _refusals(stream.random, int(wrong.sum()))
    return x


def _stream_of(batch):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _events(settings, stream, shares):
    """Events of a shard over minutes with so many refusals."""
    shard, found = Shard(0, settings), []
    for minute, share in enumerate(shares):
        for part in range(6):
            bucket_ms = minute * 60_000 + part * 10_000
            rows = project(stream.chunk(bucket_ms, vectors=_vectors(stream, share)), settings)
            message = Message(
                partition="p",
                after=bucket_ms - 10_000 if bucket_ms else -1,
                offset=bucket_ms,
                time_ms=bucket_ms + 9_999,
                partitions=("p",),
                vectors=_stream_of(rows),
            )
            found.extend(shard.receive(message).events)
    return [*found, *shard.finish().events]


def test_an_event_names_the_sentinel_that_answers_lie_near(watched, stream):
    events = _events(watched, stream, [0.003] * 18 + [0.06] * 3)
    near = [event for event in events if event.statistic == "near:refusals"]
    assert near
    assert near[-1].signal == "gen_ai.output.embedding"
    assert (near[-1].detector, near[-1].kind) == ("sentinel", "embedding_drift")
    assert 0.03 < near[-1].observed_value < 0.1
    assert near[-1].baseline_value < 0.01
    assert "output embeddings lie near refusals, baseline 0." in near[-1].summary
    assert near[-1].window_start >= 18 * 60_000


def test_quiet_answers_raise_none(watched, stream):
    assert not _events(watched, stream, [0.003] * 20)


def test_without_sentinels_nothing_of_them_is_there(settings, stream, drive):
    assert b"sentinels" not in msgspec.json.encode(Settings())
    assert EmbeddingSettings() == msgspec.json.decode(
        msgspec.json.encode(EmbeddingSettings()), type=EmbeddingSettings
    )
    state = EmbeddingState(settings)
    verdicts = drive(state, stream, 0, 3)
    assert len({verdict.key.statistic for verdict in verdicts}) == 5
    assert b"sentinel" not in state.snapshot()


def test_a_restored_state_goes_on_to_the_bit(watched, stream, drive):
    whole = EmbeddingState(watched)
    drive(whole, stream, 0, 12)
    other = EmbeddingState.restore(whole.snapshot(), watched)
    for bucket_ms in range(12 * 60_000, 14 * 60_000, 10_000):
        rows = project(stream.chunk(bucket_ms, vectors=_vectors(stream, 0.05)), watched)
        for state in (whole, other):
            state.add(pa.Table.from_batches([rows]))
        assert repr(whole.close(bucket_ms)) == repr(other.close(bucket_ms))
    assert whole.snapshot() == other.snapshot()


def test_a_state_kept_with_other_sentinels_is_refused(settings, watched, stream, drive):
    for kept, other, says in (
        (watched, settings, "none"),
        (watched, _with(settings, _set(seed=2)), "refusals"),
        (settings, watched, "refusals"),
    ):
        state = EmbeddingState(kept)
        drive(state, stream, 0, 1)
        with pytest.raises(StateError, match=f"other sentinels than this run has .{says}"):
            EmbeddingState.restore(state.snapshot(), other)


def test_sentinels_are_part_of_the_settings_hash(settings, watched):
    hashes = {each.config_hash() for each in (settings, watched, _with(settings, _set(seed=2)))}
    assert len(hashes) == 3


@pytest.mark.parametrize(
    "other", [{"dim": 16}, {"version": "e2"}], ids=["another dimension", "another embedder"]
)
def test_sentinels_of_other_vectors_are_left_out_and_told(settings, stream, drive, caplog, other):
    with caplog.at_level(logging.WARNING):
        verdicts = drive(EmbeddingState(_with(settings, _set(**other))), stream, 0, 3)
    assert not any(verdict.key.statistic.startswith("near:") for verdict in verdicts)
    told = caplog.text
    assert "outputs of e1 with 24 dimensions have no sentinels: there are refusals" in told
    assert (f"{other.get('version', 'e1')}, {other.get('dim', DIM)} dimensions") in told


def test_those_of_prompts_leave_answers_alone(settings, stream, drive):
    verdicts = drive(EmbeddingState(_with(settings, _set(side="prompt"))), stream, 0, 3)
    assert not any(verdict.key.statistic.startswith("near:") for verdict in verdicts)
    verdicts = drive(EmbeddingState(_with(settings, _set(side="prompt"))), stream, 3, 6, side="prompt")
    assert {verdict.key.signal for verdict in verdicts} == {"gen_ai.prompt.embedding"}
    assert any(verdict.key.statistic == "near:refusals" for verdict in verdicts)


def test_answers_given_their_prompts_are_watched_and_prompts_are_not(watched, stream):
    state, verdicts = EmbeddingState(watched), []
    for bucket_ms in range(0, 14 * 60_000, 10_000):
        sides = {
            "prompt": stream.vectors(100),
            "output": _vectors(stream, 0.06 if bucket_ms >= 720_000 else 0),
        }
        for side, x in sides.items():
            rows = project(stream.chunk(bucket_ms, side=side, vectors=x), watched)
            state.add(pa.Table.from_batches([rows]))
        verdicts += state.close(bucket_ms)
    assert any(group.spec.given for group in state.groups.values())
    near = [verdict for verdict in verdicts if verdict.key.statistic == "near:refusals"]
    assert {verdict.key.side for verdict in near} == {"output"}
    assert {verdict.window_start_ms >= 720_000 for verdict in near if verdict.alarm} == {True}

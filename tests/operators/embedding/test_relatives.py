"""Answers beside their prompts, and new series beside their relatives."""

import pyarrow as pa
import pytest

from operators.embedding import EmbeddingState, project


@pytest.fixture
def both(settings, stream):
    """Runs a state over minutes of answers and, but for ``prompts=False``, their prompts."""

    def go(state, first, last, *, prompts=True):
        verdicts = []
        for bucket_ms in range(first * 60_000, last * 60_000, 10_000):
            sides = ("prompt", "output") if prompts else ("output",)
            rows = [project(stream.chunk(bucket_ms, side=side), settings) for side in sides]
            state.add(pa.Table.from_batches(rows))
            verdicts += state.close(bucket_ms)
        return [verdict for verdict in verdicts if verdict.key.side == "output"]

    return go


def _series(state):
    group = next(group for key, group in state.groups.items() if key.side == "output")
    return group, next(iter(group.series.values()))


def test_answers_are_scored_given_their_prompts(state, both):
    verdicts = both(state, 0, 15)
    group, series = _series(state)
    assert group.spec.given is not None
    assert not series.lone
    assert not verdicts[-1].warming
    assert series.recent[group.spec.layout.width] == series.recent[0]  # as many prompts as answers
    assert all(not each.sample_request.size for each in state.groups.values())


def test_answers_that_lose_their_prompts_start_a_reference_of_their_own(state, both):
    both(state, 0, 15)
    lost = both(state, 15, 40, prompts=False)
    _, series = _series(state)
    assert series.lone
    assert lost[0].window_end_ms > 16 * 60_000  # what cannot be compared is not judged
    assert any(verdict.warming for verdict in lost)
    assert not lost[-1].warming
    assert not any(verdict.alarm for verdict in lost)


def test_a_pair_of_sides_survives_a_snapshot(settings, state, both):
    both(state, 0, 15)
    assert EmbeddingState.restore(state.snapshot(), settings).snapshot() == state.snapshot()


def test_a_new_replica_is_covered_by_its_relatives_within_minutes(state, stream, drive):
    drive(state, stream, 0, 25, replicas=1)
    fresh = drive(state, stream, 25, 29, replicas=2)
    mine = [verdict for verdict in fresh if dict(verdict.key.slice).get("replica") == "r1"]
    covered = [verdict for verdict in mine if not verdict.warming]
    assert covered[0].window_end_ms <= 28 * 60_000
    assert {verdict.calibration for verdict in covered} == {"prior"}
    assert not any(verdict.alarm for verdict in covered)
    # long before it has a reference of its own, a fault of that replica is seen
    struck = drive(state, stream, 29, 30, replicas=2, shift=0.2)
    assert any(v.alarm for v in struck if dict(v.key.slice).get("replica") == "r1")


def test_prompts_are_kept_while_answers_are_scored_given_them(state, both):
    both(state, 0, 20)
    both(state, 20, 22, prompts=False)
    assert state.let_go(20 * 60_000)
    sides = {key.side: group for key, group in state.groups.items()}
    assert not sides["prompt"].series
    assert sides["output"].series
    assert state.let_go(22 * 60_000)
    assert not state.groups

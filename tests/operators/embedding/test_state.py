"""The embedding state of a shard: warming, scoring, order, replay, freezing, snapshot."""

import subprocess
import sys

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from operators.embedding import EmbeddingState, project, vector_schema
from operators.series import fingerprint
from operators.state import StateError


def _alarms(verdicts):
    return {verdict.key.statistic for verdict in verdicts if verdict.alarm}


def test_warms_up_stays_quiet_and_sees_a_shift(state, stream, drive):
    quiet = drive(state, stream, 0, 25)
    assert quiet[0].warming
    assert not quiet[-1].warming
    assert not _alarms(quiet)
    shifted = drive(state, stream, 25, 28, shift=0.15)
    assert "mean" in _alarms(shifted)
    loud = next(verdict for verdict in shifted if verdict.alarm and verdict.key.statistic == "mean")
    assert loud.key.signal == "gen_ai.output.embedding"
    assert loud.window_start_ms == 25 * 60_000
    assert loud.window_end_ms == 26 * 60_000
    assert loud.score >= loud.threshold
    assert loud.calibration in ("extrapolated", "prior")
    assert dict(loud.key.slice)["service"] == "chat"


def test_a_scorer_found_wrong_needs_more_on_that_series_alone(settings, stream):
    batches = _batches(stream, settings, 22)

    def told(settings):
        state = EmbeddingState(settings)
        for place, table in enumerate(batches):
            state.add(table)
            yield from state.close(place * 10_000)

    plain = list(told(settings))
    loud = next(verdict for verdict in plain if verdict.alarm)
    wrong = fingerprint(loud.key, loud.detector)
    detection = msgspec.structs.replace(settings.detection, budget_shares={wrong: 1 / 64})
    lowered = list(told(msgspec.structs.replace(settings, detection=detection)))
    upto = plain.index(loud) + 1  # what joins a reference later may differ
    for before, after in zip(plain[:upto], lowered[:upto], strict=True):
        share = 1 / 64 if fingerprint(before.key, before.detector) == wrong and not before.warming else 1.0
        assert after.p_value == min(before.p_value / share, 1.0)


def test_every_slice_that_carries_its_field_is_a_series(state, stream, drive):
    verdicts = drive(state, stream, 0, 6, replicas=2)
    slices = {verdict.key.slice for verdict in verdicts}
    base = (("service", "chat"), ("service_version", "v1"), ("request_model", "m"))
    assert len(slices) == 4
    assert {dict(each).get("replica") for each in slices} == {None, "r0", "r1"}
    assert base in slices


def _batches(stream, settings, minutes):
    rows = []
    for bucket_ms in range(0, minutes * 60_000, 10_000):
        shift = 0.15 if bucket_ms >= 20 * 60_000 else 0.0
        rows.append(pa.Table.from_batches([project(stream.chunk(bucket_ms, shift, replicas=2), settings)]))
    return rows


def test_any_order_and_cut_of_the_same_rows_gives_the_same_verdicts(settings, stream):
    batches = _batches(stream, settings, 22)
    random = np.random.default_rng(9)
    plain, shuffled = EmbeddingState(settings), EmbeddingState(settings)
    for place, table in enumerate(batches):
        plain.add(table)
        one = plain.close(place * 10_000)
        # the next bucket's rows arrive between this one's, in other orders and sizes
        if place % 3 == 0:
            window = pa.concat_tables(batches[place : place + 3])
            window = window.take(pa.array(random.permutation(window.num_rows)))
            for start in range(0, window.num_rows, 77):
                shuffled.add(window.slice(start, 77))
        other = shuffled.close(place * 10_000)
        assert repr(one) == repr(other)
    assert any(verdict.alarm for verdict in one)


@pytest.mark.parametrize("at", [10, 75, 130], ids=["before the spec", "while warming", "in a fault"])
def test_a_restored_state_goes_on_to_the_bit(settings, stream, at):
    batches = _batches(stream, settings, 23)
    whole, halves = EmbeddingState(settings), EmbeddingState(settings)
    for place, table in enumerate(batches):
        whole.add(table)
        halves.add(table)
        if place == at:
            halves = EmbeddingState.restore(halves.snapshot(), settings)
        assert repr(whole.close(place * 10_000)) == repr(halves.close(place * 10_000))
    assert whole.snapshot() == halves.snapshot()


def test_foreign_bytes_are_refused(settings):
    with pytest.raises(StateError):
        EmbeddingState.restore(b"something else", settings)


def test_late_rows_are_counted_and_change_nothing(state, settings, stream, drive):
    drive(state, stream, 0, 3)
    before = state.snapshot()
    state.add(pa.Table.from_batches([project(stream.chunk(0), settings)]))
    assert state.late == 100
    state.late = 0
    assert state.snapshot() == before


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_reference_learns_nothing(state, stream, drive, frozen):
    verdicts = drive(state, stream, 0, 12)
    series = next(iter(state.groups.values())).series
    held = {each: one.held for each, one in series.items()}
    if frozen:
        for verdict in verdicts[-20:]:
            state.freeze(verdict.key, None)
    drive(state, stream, 12, 40)
    grown = {each: one.held for each, one in series.items()}
    assert (grown == held) is frozen


def test_a_slow_drift_too_weak_for_one_window_is_seen_over_an_hour(state, stream, drive):
    drive(state, stream, 0, 30)
    verdicts = drive(state, stream, 30, 110, shift=0.008)
    alarms = [verdict for verdict in verdicts if verdict.alarm]
    assert alarms
    assert any(verdict.n > 1000 for verdict in alarms)


def test_a_new_embedder_version_starts_its_own_reference(state, stream, drive):
    drive(state, stream, 0, 20)
    verdicts = drive(state, stream, 20, 25, version="e2")
    assert all(verdict.warming for verdict in verdicts)
    assert {verdict.embedder_version for verdict in verdicts} == {"e2"}


def test_an_unannounced_dimension_is_another_embedder(state, settings, stream, drive):
    drive(state, stream, 0, 20)
    wide = stream.random.standard_normal((100, 40))
    state.add(pa.Table.from_batches([project(stream.chunk(1_200_000, vectors=wide), settings)]))
    assert {group.dim for group in state.groups} == {24, 40}
    assert not _alarms(state.close(1_200_000))


def test_rebase_makes_a_series_warm_up_again(state, stream, drive):
    verdicts = drive(state, stream, 0, 20)
    state.rebase(verdicts[-1].key)
    again = drive(state, stream, 20, 21)
    assert {verdict.warming for verdict in again if verdict.key.slice == verdicts[-1].key.slice} == {True}


def test_skipped_buckets_do_not_hold_a_window_back(state, stream, drive):
    drive(state, stream, 0, 20)
    # nothing for half an hour, then one closed bucket at the end of a period
    assert state.close(50 * 60_000 - 10_000) == []
    assert not _alarms(drive(state, stream, 50, 55))


def test_vectors_that_are_all_the_same_never_warm_up(state, settings, stream):
    for bucket_ms in range(0, 300_000, 10_000):
        same = np.ones((100, 24))
        state.add(pa.Table.from_batches([project(stream.chunk(bucket_ms, vectors=same), settings)]))
        assert state.close(bucket_ms) == []


def test_projection_is_fixed_by_the_embedder_version_and_keeps_lengths(settings, stream):
    x = stream.vectors(100)
    rows = [project(stream.chunk(0, version=version, vectors=x), settings) for version in ("e1", "e1", "e2")]
    assert rows[0].schema == vector_schema(settings)
    flat = [batch.column("x").flatten().to_numpy().reshape(100, -1).astype(float) for batch in rows]
    np.testing.assert_array_equal(flat[0], flat[1])
    assert np.abs(flat[0] - flat[2]).max() > 0.1
    np.testing.assert_allclose(np.linalg.norm(flat[0], axis=1), np.linalg.norm(x, axis=1), rtol=2e-3)
    assert not np.allclose(flat[0], x, atol=0.05)


def test_wide_vectors_shrink_to_the_projection(settings, stream):
    x = stream.random.standard_normal((100, 200))
    rows = project(stream.chunk(0, vectors=x), settings)
    assert set(rows.column("x").value_lengths().to_pylist()) == {24}
    assert set(rows.column("dim").to_pylist()) == {200}


def test_importing_the_operator_does_not_import_torch():
    check = "import sys, operators.embedding; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_replicas_nobody_has_reported_for_long_are_let_go(state, settings, stream, drive):
    told = drive(state, stream, 0, 15, replicas=2)
    drive(state, stream, 15, 18)
    for key in {verdict.key for verdict in told if "replica" in dict(verdict.key.slice)}:
        state.freeze(key, None)
    (group,) = state.groups.values()
    names = {dict(each).get("replica") for each in group.series}
    assert names == {None, "r0", "r1"}
    assert state.let_go(14 * 60_000) == set()
    gone = state.let_go(15 * 60_000)
    assert {(side, dict(each)["replica"]) for side, each in gone} == {("output", "r1")}
    assert {dict(each).get("replica") for each in group.series} == {None, "r0"}
    assert {dict(each)["replica"] for _, each, _ in state.frozen} == {"r0"}
    # what calibrates the others is without it, as it is in a state that was restored
    again = EmbeddingState.restore(state.snapshot(), settings)
    batches = [
        pa.Table.from_batches([project(stream.chunk(at), settings)])
        for at in range(18 * 60_000, 21 * 60_000, 10_000)
    ]
    for place, table in enumerate(batches):
        state.add(table)
        again.add(table)
        at = 18 * 60_000 + place * 10_000
        assert repr(state.close(at)) == repr(again.close(at))


def test_a_group_that_never_had_enough_vectors_to_fit_is_let_go(state, settings, stream):
    for at in (0, 60_000):
        state.add(pa.Table.from_batches([project(stream.chunk(at, rows=3), settings)]))
        state.close(at)
    assert not state.let_go(60_000)
    assert len(state.groups) == 1
    again = EmbeddingState.restore(state.snapshot(), settings)
    for each in (state, again):
        assert not each.let_go(60_001)
        assert not each.groups


def test_an_embedder_version_nobody_uses_is_let_go_and_its_slices_live_on(state, stream, drive):
    drive(state, stream, 0, 12)
    drive(state, stream, 12, 24, version="e2")
    assert state.let_go(12 * 60_000) == set()
    assert [key.embedder_version for key in state.groups] == ["e2"]

"""Two versions on matched traffic, from records through the pipeline and the store to a verdict."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks.compare import simulated
from operators.clickhouse import Store
from operators.shard.sketches import take
from pipelines.cli import app
from pipelines.compare import compare
from pipelines.compare.blocks import BLOCK_SAMPLES, differences
from pipelines.compare.sequential import FEWEST, blocks_until, half_width, interval
from pipelines.compare.verdict import answer, judge
from pipelines.config import resolve
from pipelines.engines.job import Job
from pipelines.errors import UsageError
from pipelines.run import start

START_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
MINUTES = 90
V1, V2, V3 = ({"service_version": name} for name in ("v1", "v2", "v3"))


def _requests() -> Iterator[dict[str, Any]]:
    """v2 is v1 on other traffic; v3 is faster and fails more often."""
    rng = random.Random(3)
    for number in range(MINUTES * 60 * 6):
        version = rng.choice(("v1", "v2", "v3"))
        batch = rng.random() < {"v1": 0.3, "v2": 0.7, "v3": 0.3}[version]
        ttft = rng.lognormvariate(0.0, 0.3) * (1.5 if batch else 0.2) * (0.8 if version == "v3" else 1.0)
        failed = rng.random() < (0.06 if version == "v3" else 0.01)
        yield {
            "event_time": START_MS + number * 1000 // 6,
            "request_id": f"q{number}",
            "status": "error" if failed else "ok",
            "service": "chat",
            "request_model": "m",
            "service_version": version,
            "route": "batch" if batch else "chat",
            "ttft_s": round(ttft, 5),
        }


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with the three versions' buckets."""
    place = tmp_path_factory.mktemp("compare")
    (place / "in" / "telemetry.requests.v1").mkdir(parents=True)
    lines = (json.dumps(record) + "\n" for record in _requests())
    (place / "in" / "telemetry.requests.v1" / "part.ndjson").write_text("".join(lines))
    config = resolve(input=str(place / "in"), clickhouse=f"chdb:{place / 'db'}", engine="local")
    start(Job(config, until_end=True))
    return config.clickhouse


def test_other_traffic_is_no_harm(url: str) -> None:
    with Store.open(url) as store:
        found = compare(store, V1, V2)
    assert found.verdict != "roll back"
    p50 = next(one for one in found.statistics if one.statistic == "p50")
    assert abs(p50.difference) < 0.05 * p50.baseline  # matched; unmatched medians are several times apart
    assert found.matched_by["telemetry.requests.v1 gen_ai.server.time_to_first_token"] == (
        "service",
        "request_model",
        "route",
    )


def test_one_that_gets_better_pays_for_none_that_gets_worse(url: str) -> None:
    with Store.open(url) as store:
        found = compare(store, V1, V3)
    assert found.verdict == "roll back"
    findings = {(one.signal, one.statistic): one.finding for one in found.statistics}
    assert findings["gen_ai.server.errors", "ratio"] == "worse"
    assert findings["gen_ai.server.time_to_first_token", "p50"] == "better"
    assert found.reason == "worse: gen_ai.server.errors ratio"


def test_command(url: str) -> None:
    given = ["compare", "--baseline", "service_version=v1", "--candidate", "service_version=v3"]
    told = CliRunner().invoke(app, [*given, "--clickhouse", url, "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["verdict"] == "roll back"
    later = CliRunner().invoke(app, [*given, "--clickhouse", url, "--since", "2026-01-06T00:00Z"])
    assert later.exit_code == 0
    assert "hold: no signal has buckets of both sides" in later.output


@pytest.mark.parametrize(
    ("baseline", "candidate", "says"),
    [
        (["service_version"], ["service_version=v2"], "is not field=value"),
        (["colour=red"], ["colour=blue"], "is no identity field"),
        (["service_version=v1"], ["route=chat"], "must name the same fields"),
        (["service_version=v1"], ["service_version=v1"], "are the same"),
        (["service_version=v1", "service_version=v2"], ["service_version=v1"], "is given twice"),
    ],
)
def test_wrong_use(url: str, baseline: list[str], candidate: list[str], says: str) -> None:
    flags = [part for text in baseline for part in ("--baseline", text)]
    flags += [part for text in candidate for part in ("--candidate", text)]
    told = CliRunner().invoke(app, ["compare", *flags, "--clickhouse", url])
    assert isinstance(told.exception, UsageError)
    assert says in str(told.exception)


def test_looking_after_every_block_errs_no_more_often_than_it_says() -> None:
    """A/A, 400 streams of 100 skewed differences, looked at after each: at most 5 % may ever exclude zero.

    400 trials with at most 5 %: more than 32 come once in 500 such tests.
    """
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(400):
        stream = rng.gamma(2.0, 1.0, 100) - rng.gamma(2.0, 1.0, 100)
        intervals = (interval(stream[:count], 0.05) for count in range(FEWEST, 101))
        wrong += any(one.low > 0 or one.high < 0 for one in intervals)
    assert wrong <= 32


@given(st.integers(FEWEST, 2000), st.sampled_from([0.05, 0.01, 0.001]))
def test_intervals_shrink_with_blocks_and_widen_with_certainty(blocks: int, alpha: float) -> None:
    assert half_width(blocks + 1, alpha) < half_width(blocks, alpha)
    assert half_width(blocks, alpha / 10) > half_width(blocks, alpha)


def test_blocks_until_is_the_first_that_suffices() -> None:
    stream = np.random.default_rng(1).standard_normal(30)
    spread = float(np.std(stream, ddof=1))
    needed = blocks_until(stream, 0.05, 0.2)
    assert needed is not None
    assert spread * half_width(needed, 0.05) <= 0.2 < spread * half_width(needed - 1, 0.05)
    assert blocks_until(stream, 0.05, 1e-6) is None


def test_blocks_stand_on_enough_and_look_at_nothing_later() -> None:
    rows = simulated(np.random.default_rng(2), 120, 1.1, (0.6, 0.4))
    (p50,) = (found for found in differences(rows) if found.statistic.name == "p50")
    assert min(p50.samples) >= BLOCK_SAMPLES * len(p50.end_ms)
    seen = np.flatnonzero(rows.start < 3_600_000)
    early = replace(
        rows,
        **{name: getattr(rows, name)[seen] for name in ("start", "side", "stratum", "attribute")},
        sketches=take(rows.sketches, seen),
    )
    (half,) = (found for found in differences(early) if found.statistic.name == "p50")
    assert np.array_equal(half.baseline, p50.until(int(half.end_ms[-1])).baseline)


def test_too_little_is_hold() -> None:
    rows = simulated(np.random.default_rng(2), 20, 2.0, (0.5, 0.5))
    assert answer(judge(differences(rows), 0.05)) == "hold"
    assert answer([]) == "hold"

"""`driftline compare` looked at after every block: how often it errs, how soon it sees, whatever the traffic.

Two sides serve two routes of very unlike latency through a day whose load swings both sides at once. A/A: the
same model; once also with the routes dealt out 80:20 against 20:80, which a comparison of averages falls for.
"""

from typing import Any

import numpy as np

from operators.cells import GAMMA
from operators.shard.sketches import Sketches
from pipelines.compare import ALPHA
from pipelines.compare.blocks import differences
from pipelines.compare.traffic import Rows
from pipelines.compare.verdict import answer, judge

MINUTE_MS = 60_000
_STEP = 1e-6


def run(runs: int = 300, minutes: int = 480) -> dict[str, Any]:
    """Share of runs that ever said roll back, and the median blocks until they did."""
    cases: dict[str, tuple[float, tuple[float, float]]] = {
        "A/A": (1.0, (0.5, 0.5)),
        "A/A, other traffic": (1.0, (0.8, 0.2)),
        "candidate 5 % slower": (1.05, (0.5, 0.5)),
        "candidate 10 % slower": (1.10, (0.5, 0.5)),
        "candidate 20 % slower": (1.20, (0.5, 0.5)),
        "candidate 20 % slower, other traffic": (1.20, (0.8, 0.2)),
        "candidate 20 % faster": (0.80, (0.5, 0.5)),
    }
    rows = []
    for name, (factor, shares) in cases.items():
        told = [_first(np.random.default_rng([7, number]), minutes, factor, shares) for number in range(runs)]
        verdicts = [verdict for verdict, _ in told]
        blocks = [block for verdict, block in told if verdict != "hold"]
        rows.append(
            {
                "case": name,
                "runs": runs,
                "roll back": verdicts.count("roll back") / runs,
                "go": verdicts.count("go") / runs,
                "median blocks": float(np.median(blocks)) if blocks else None,
            }
        )
    return {"looked at after every block": rows, "alpha": ALPHA, "minutes": minutes}


def _first(
    rng: np.random.Generator, minutes: int, factor: float, shares: tuple[float, float]
) -> tuple[str, int]:
    """The first verdict that is not hold, and after how many blocks."""
    found = differences(simulated(rng, minutes, factor, shares))
    ends = np.unique(np.concatenate([difference.end_ms for difference in found]))
    for count, end in enumerate(ends, 1):
        verdict = answer(judge([difference.until(int(end)) for difference in found], ALPHA))
        if verdict != "hold":
            return verdict, count
    return "hold", len(ends)


def simulated(rng: np.random.Generator, minutes: int, factor: float, shares: tuple[float, float]) -> Rows:
    """TTFT of two sides on two routes: log-normal, with a load common to both that wanders over the day."""
    load = np.zeros(minutes)
    for minute in range(1, minutes):
        load[minute] = 0.95 * load[minute - 1] + 0.08 * rng.standard_normal()
    start, side, stratum, parts = [], [], [], []
    for minute in range(minutes):
        for who, share in enumerate(shares):
            for route, (centre, part) in enumerate(((0.2, share), (1.2, 1.0 - share))):
                slow = factor if who else 1.0
                own = 0.03 * rng.standard_normal()
                values = (
                    centre
                    * slow
                    * np.exp(load[minute] + own + 0.4 * rng.standard_normal(rng.poisson(60 * part)))
                )
                start.append(minute * MINUTE_MS)
                side.append(who)
                stratum.append(route)
                parts.append(values)
    return Rows(
        topic="telemetry.requests.v1",
        signal="gen_ai.server.time_to_first_token",
        by=("route",),
        strata=(("chat",), ("batch",)),
        start=np.array(start),
        side=np.array(side),
        stratum=np.array(stratum),
        attribute=np.full(len(start), ""),
        step=_STEP,
        sketches=_sketches(parts),
    )


def _sketches(parts: list[np.ndarray[Any, np.dtype[np.float64]]]) -> Sketches:
    row, bins, counts = [], [], []
    for place, values in enumerate(parts):
        found, number = np.unique(
            np.ceil(np.log(values) / np.log(GAMMA)).astype(np.int64), return_counts=True
        )
        row.append(np.full(len(found), place))
        bins.append(found)
        counts.append(number)
    return Sketches(
        key=np.arange(len(parts), dtype=np.uint64),
        count=np.array([len(values) for values in parts]),
        total=np.array([round(values.sum() / _STEP) for values in parts]),
        span=np.zeros(len(parts), np.int64),
        low=np.array([values.min(initial=np.inf) for values in parts]),
        high=np.array([values.max(initial=-np.inf) for values in parts]),
        bin_row=np.concatenate(row),
        bin=np.concatenate(bins),
        bin_count=np.concatenate(counts),
    )

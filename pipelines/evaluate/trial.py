"""One trial of the incident benchmark: simulate a timeline and its twin, run both, judge what was raised.

Each run has its own folder and its own process, so that memory and the embedded store are given back.
"""

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from pipelines.evaluate.scoring import Judged, judge
from pipelines.simulate import read_labels, simulate
from pipelines.simulate.timeline import parse_all, schedule

_DAY_S = 86_400.0
#: Correlation runs once, after all input: what it tells then is the same as live, and never a matter of pace.
_AT_THE_END_S = 1e9


@dataclass(frozen=True, slots=True)
class Watched:
    """What the pipeline made of one timeline: all versions of its incidents, and how many series it kept."""

    incidents: list[dict[str, Any]]
    series: int


def trial(
    scenarios: Sequence[str], seed: int, *, config: Path | None = None, keep: Path | None = None
) -> Judged:
    """Simulate, run and judge one seed.

    Args:
        scenarios: as `pipelines.simulate.simulate` takes them.
        seed: of the world.
        config: a config file whose settings are used; the defaults without one.
        keep: folder for telemetry, tables and outputs; a temporary one, removed, without it.
    """
    with TemporaryDirectory(prefix="driftline-evaluate-") as scratch:
        root = keep or Path(scratch)
        days = schedule(parse_all(scenarios), seed)[1] / _DAY_S
        found = {}
        for name in ("faults", "twin"):
            arguments = (list(scenarios), seed, root / f"{seed}-{name}", name == "twin", config)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                found[name] = process.submit(watch, *arguments).result()
        labels = read_labels(root / f"{seed}-faults" / "telemetry" / "labels.json")
        return judge(
            labels,
            found["faults"].incidents,
            twin_incidents=found["twin"].incidents,
            days=days,
            series=found["faults"].series,
        )


def watch(scenarios: list[str], seed: int, folder: Path, twin: bool, config: Path | None) -> Watched:
    """Simulate one timeline into ``folder`` and run the local engine over it."""
    from pipelines.config import resolve
    from pipelines.engines.job import Job
    from pipelines.engines.local import run

    shutil.rmtree(folder, ignore_errors=True)
    telemetry, output = folder / "telemetry", folder / "output"
    simulate(scenarios, seed, telemetry, format="arrow", twin=twin)
    resolved = resolve(
        config,
        input=str(telemetry),
        output=str(output),
        clickhouse=f"chdb:{folder / 'tables'}",
        engine="local",
        correlate_s=_AT_THE_END_S,
    )
    report = run(Job(resolved, until_end=True))
    return Watched(list(incidents(output)), report.series)


def incidents(output: Path) -> Iterator[dict[str, Any]]:
    """Every version of every incident in an output folder: the bodies of ``incidents.v1``."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    for path in sorted((output / "incidents.v1").glob("*.ndjson")):
        for event in decoder.decode_lines(path.read_bytes()):
            yield event["data"]

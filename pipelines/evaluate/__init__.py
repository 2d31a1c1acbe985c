"""The incident benchmark: labelled timelines through the whole core, scored by incident, over seeds."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec

from pipelines.config import resolve
from pipelines.errors import UsageError
from pipelines.evaluate import recall
from pipelines.evaluate.intervals import bootstrap, wilson
from pipelines.evaluate.scoring import Judged, by_scenario, judge, summarise
from pipelines.evaluate.seeds import reporting
from pipelines.evaluate.timelines import Pair, Timeline, deal
from pipelines.evaluate.variants import Variant
from pipelines.evaluate.watch import Watched, watch
from pipelines.simulate.timeline import QUIET_S

_HOUR_S = 3600.0
_RESAMPLED = (
    *("false_pages_per_day", "false_pages_per_series_day", "info_incidents_per_day"),
    *("symptom_kappa", "layer_kappa", "action_right", "root_right"),
    *("median_delay_s", "median_lead_s"),
)

Progress = Callable[[str, float], None]


def evaluate(
    scenarios: Sequence[str],
    seeds: int | Sequence[int],
    json_path: Path | None = None,
    progress: Progress | None = None,
    *,
    config: Path | None = None,
    keep: Path | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Run the benchmark.

    Args:
        scenarios: as `pipelines.simulate.simulate` takes them; many are dealt onto several timelines.
        seeds: how many of the reporting seeds, or which seeds.
        json_path: where the result is written too.
        progress: told what comes next and the part done, 0 to 1.
        config: a config file whose settings are used; the defaults without one.
        keep: folder that keeps the telemetry and incidents of every timeline.
        workers: processes; one a core by default.

    Returns:
        ``summary`` (figures over all seeds, with 95 % ``intervals``), ``scenarios`` (the same for each),
        and ``seeds``.

    Raises:
        UsageError: an unknown scenario, or no seed.
    """
    numbers = reporting(seeds) if isinstance(seeds, int) else list(seeds)
    if not numbers:
        raise UsageError("seeds: give at least one")
    # more shards share work out; in one process each only costs its own calls
    settings = msgspec.structs.replace(resolve(config).settings, shards=1)
    (by_seed,) = run(scenarios, numbers, [Variant(settings)], progress, keep=keep, workers=workers)
    result = report(by_seed)
    if json_path is not None:
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    return result


def run(
    scenarios: Sequence[str],
    seeds: Sequence[int],
    variants: Sequence[Variant],
    progress: Progress | None = None,
    *,
    twins: bool = True,
    quiet_s: float = QUIET_S,
    keep: Path | None = None,
    known: Path | None = None,
    workers: int | None = None,
) -> list[dict[int, list[Judged]]]:
    """Judge every timeline of every seed, for each variant; other arguments as for `deal` and `evaluate`.

    Without ``twins`` faults are not held against the same timeline without them: chance is not known then.
    ``known``: folder that keeps what became of each timeline; a later run of the same code takes it up.
    """
    tell = progress or (lambda text, part: None)
    pairs = [pair for seed in seeds for pair in deal(scenarios, seed, quiet_s=quiet_s)]
    every = [each for pair in pairs for each in ((pair.faults, pair.twin) if twins else (pair.faults,))]
    # the longest first, so that none is waited for at the end
    wanted = sorted(dict.fromkeys(every), key=lambda t: -t.seconds)
    files = {each: None if known is None else known / recall.name(each, variants) for each in wanted}
    watched = {each: found for each, file in files.items() if file and (found := recall.read(file))}
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process a core: threads within would fight
    tell("simulating and watching", 0.0)
    # a process a timeline: memory is given back; forked from one that has imported what all of them need
    context = get_context("forkserver")
    context.set_forkserver_preload(["pipelines.evaluate.watch", "operators.embedding.decision"])
    with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context, max_tasks_per_child=1) as pool:
        futures = {pool.submit(watch, each, variants, keep): each for each in wanted if each not in watched}
        for future in as_completed(futures):
            timeline = futures[future]
            watched[timeline] = future.result()
            if file := files[timeline]:
                recall.write(file, watched[timeline])
            tell(f"watched {timeline.name}", len(watched) / len(wanted))
    by_variant: list[dict[int, list[Judged]]] = []
    for place in range(len(variants)):
        by_seed: dict[int, list[Judged]] = {seed: [] for seed in seeds}
        for pair in pairs:
            by_seed[pair.faults.seed].append(_judged(pair, watched, place))
        by_variant.append(by_seed)
    return by_variant


def _judged(pair: Pair, watched: Mapping[Timeline, Sequence[Watched]], place: int) -> Judged:
    faults, twin = watched[pair.faults][place], watched.get(pair.twin)
    return judge(
        faults.labels,
        faults.incidents,
        twin_incidents=None if twin is None else twin[place].incidents,
        days=pair.faults.seconds / (24 * _HOUR_S),
        series=faults.series,
    )


def report(by_seed: Mapping[int, Sequence[Judged]]) -> dict[str, Any]:
    """The result of judged timelines, as `evaluate` returns it."""
    everything = [one for judged in by_seed.values() for one in judged]
    return {
        "summary": summarise(everything) | {"intervals": intervals(by_seed)},
        "scenarios": by_scenario(everything),
        "seeds": list(by_seed),
    }


def intervals(by_seed: Mapping[int, Sequence[Judged]]) -> dict[str, tuple[float, float] | None]:
    """95 % intervals: Wilson's for shares of labels and pages, bootstrap over seeds for the others."""
    judged = [one for each in by_seed.values() for one in each]
    outcomes = [outcome for one in judged for outcome in one.outcomes]
    found = sum(outcome.found for outcome in outcomes)
    false_pages = sum(one.false_pages for one in judged)
    luck = [outcome.by_chance for outcome in outcomes if outcome.by_chance is not None]
    shares = {
        "in_time": wilson(sum(outcome.in_time for outcome in outcomes), len(outcomes)),
        "false_share": wilson(false_pages, false_pages + found),
        "chance": wilson(sum(luck), len(luck)),
    }
    worlds = list(by_seed.values())
    return shares | {name: bootstrap(worlds, _figure(name)) for name in _RESAMPLED}


def _figure(name: str) -> Callable[[Sequence[Sequence[Judged]]], float | None]:
    return lambda sample: summarise([one for world in sample for one in world])[name]

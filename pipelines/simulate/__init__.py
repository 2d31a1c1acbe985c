"""Simulated telemetry with labelled incidents: a fleet's day, what goes wrong in it, and the truth."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.simulate.changes import innocent, of_episode
from pipelines.simulate.labels import Label, read_labels, write_labels
from pipelines.simulate.timeline import QUIET_S, WARM_UP_S, label, parse_all, schedule
from pipelines.simulate.traffic import Clock
from pipelines.simulate.world import build
from pipelines.simulate.writing import Format, clear, write_records, write_samples

__all__ = ["DEMO_SCENARIOS", "Label", "read_labels", "simulate"]

#: The incident day that `driftline demo` shows.
DEMO_SCENARIOS: tuple[str, ...] = ("P01", "P08", "N3", "P06", "P09", "P10", "P04", "N7", "P12")

#: 2026-01-05T00:00Z, a Monday.
DEFAULT_START_MS = 1_767_571_200_000

Progress = Callable[[str, float], None]


def simulate(
    scenarios: Sequence[str],
    seed: int,
    out: Path,
    *,
    start_ms: int = DEFAULT_START_MS,
    format: Format = "ndjson",
    twin: bool = False,
    progress: Progress | None = None,
    warm_up_s: float = WARM_UP_S,
    quiet_s: float = QUIET_S,
    least_s: int = 0,
) -> list[Label]:
    """Simulate one timeline into files, scenarios one after another with quiet between.

    Args:
        scenarios: ids, each with options as ``ID[:weak|mid|strong][:duration=SECONDS][:share=S]``, or
            ``all``.
        seed: the same seed gives the same bytes.
        out: folder that gets ``<topic>/*`` and ``labels.json``; an earlier simulation in it is replaced.
        start_ms: start of the timeline, Unix ms.
        format: ``ndjson`` or ``arrow``.
        twin: leave out the faults (and their labels), keep the controls and all else as it is.
        progress: told what comes next and the part done, 0 to 1.
        warm_up_s: time before the first scenario, in which baselines are learnt.
        quiet_s: time after each scenario.
        least_s: length of the timeline at least: what is drawn for a world depends on its length.

    Returns:
        The labels, as written.

    Raises:
        UsageError: a scenario or option that there is none of.
    """
    tell = progress or (lambda text, part: None)
    episodes, seconds = schedule(parse_all(scenarios), seed, warm_up_s=warm_up_s, quiet_s=quiet_s)
    seconds = max(seconds, least_s)
    if twin:
        episodes = [episode for episode in episodes if episode.scenario.truth is None]
    tell("simulating traffic", 0.0)
    world = build(Clock(start_ms, seconds), seed, episodes)
    for episode in episodes:
        world.replay(episode)
    out.mkdir(parents=True, exist_ok=True)
    clear(out)
    done = 0.4
    for form, table in (
        ("requests", world.requests),
        ("embeddings", world.embeddings),
        ("gpu", world.gpu),
        ("metrics", world.metrics),
    ):
        tell(f"writing {form}", done)
        write_samples(out, form, table, world.words, format)  # type: ignore[arg-type]
        done += 0.15
    changes = innocent(seconds, start_ms, seed)
    labels = []
    for episode, harmed in zip(episodes, world.harmed, strict=True):
        own = of_episode(episode, start_ms)
        changes += own
        labels.append(label(episode, start_ms, own[0]["change_id"] if own else None, harmed))
    write_records(out, "changes", sorted(changes, key=lambda record: record["event_time"]))
    write_labels(out / "labels.json", labels)
    tell("simulated", 1.0)
    return labels

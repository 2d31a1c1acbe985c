"""One timeline through the core in one process: decoded, folded, judged and correlated, nothing stored.

The incidents are those of `driftline run` on the same telemetry; only the store and the sinks are left out.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from operators.adapters.drive import drive, series_of
from operators.adapters.files import FileSource
from operators.adapters.reader import Reader
from operators.adapters.source import Partition
from operators.correlation.episodes import Topology, episode
from operators.correlation.grouping import group
from operators.correlation.incidents import Context, moved_prompts, tell
from operators.correlation.suspects import change_of
from operators.settings import Settings
from operators.shard import Shard
from operators.shard.changes import Changes
from pipelines.evaluate.timelines import Timeline
from pipelines.evaluate.variants import Variant
from pipelines.simulate import Label, simulate
from schemas.outputs import AnomalyEvent, Incident

#: Slices by these fields say which places a service has.
_PLACES = ("route", "region", "replica", "gpu")


@dataclass(frozen=True, slots=True)
class Watched:
    """What became of one timeline: its truth, all versions of its incidents, and how many series it had."""

    labels: list[Label]
    incidents: list[Incident]
    series: int


def watch(timeline: Timeline, variants: Sequence[Variant], keep: Path | None = None) -> list[Watched]:
    """Simulate a timeline once and run the core over it, once a variant.

    Args:
        timeline: which.
        variants: of the core, and of what it is given to read.
        keep: folder that gets the telemetry and, below the timeline's name, ``incidents.ndjson`` of the
            first variant.
    """
    with TemporaryDirectory(prefix="driftline-evaluate-") as scratch:
        folder = (keep or Path(scratch)) / timeline.name
        shutil.rmtree(folder, ignore_errors=True)
        telemetry = folder / "telemetry"
        labels = simulate(
            timeline.scenarios,
            timeline.seed,
            telemetry,
            format="arrow",
            twin=timeline.twin,
            least_s=timeline.seconds,
            quiet_s=timeline.quiet_s,
        )
        watched = []
        for variant in variants:
            core = Core(variant.settings)
            core.read(telemetry, variant.without)
            watched.append(Watched(labels, core.incidents(), sum(map(series_of, core.shards))))
        if keep:
            told = msgspec.json.Encoder().encode_lines(watched[0].incidents)
            (folder / "incidents.ndjson").write_bytes(told)
        return watched


class _Some(FileSource):
    """The topics of a folder, without some of them."""

    def __init__(self, root: Path, without: Sequence[str]) -> None:
        super().__init__(root, follow=False)
        self._without = without

    def partitions(self) -> Sequence[Partition]:
        return [each for each in super().partitions() if each.topic not in self._without]


class Core:
    """Reader and shards, and what correlation needs of what they hand out."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.shards = [Shard(index, settings) for index in range(settings.shards)]
        self.events: dict[Any, AnomalyEvent] = {}
        self.changes = Changes()
        self.edges: dict[tuple[str, str, str], None] = {}

    def read(self, telemetry: Path, without: Sequence[str] = ()) -> None:
        """Drive everything in a folder through the shards, but for some topics."""
        reader = Reader(_Some(telemetry, without), self.settings, until_end=True)
        try:
            while not reader.finished:
                for step in reader.step(time.monotonic()):
                    for index, message in step.delivery.messages.items():
                        for emission in drive(self.shards[index], message):
                            self.events |= {event.event_id: event for event in emission.events}
                            self.edges |= dict.fromkeys(emission.edges)
                            for change in emission.changes:
                                self.changes.add(change)
        finally:
            reader.close()

    def incidents(self) -> list[Incident]:
        """All versions of all incidents."""
        if not self.events:
            return []
        topology = Topology.of(sorted(edge[:2] for edge in self.edges), self._places())
        changes = sorted(map(change_of, self.changes.known.values()), key=lambda c: (c.at, c.change_id))
        closed = [shard.closed_to or 0 for shard in self.shards]
        now = max(max(closed), *(event.updated_at for event in self.events.values()))
        groups = group(map(episode, self.events.values()), topology, changes)
        context = Context(topology, changes, now, moved_prompts(groups))
        return [version for each in groups for version in tell(each, context)]

    def _places(self) -> set[tuple[str, str, str]]:
        slices = {base.slice for shard in self.shards for base in shard.evaluation.catalogue.bases}
        named = [dict(each) for each in slices]
        return {
            (each["service"], name, each[name])
            for each in named
            for name in _PLACES
            if "service" in each and name in each
        }

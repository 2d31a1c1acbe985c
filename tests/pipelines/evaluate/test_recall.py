"""What was watched is known again; another timeline, or other settings, are not taken for it."""

from dataclasses import replace
from pathlib import Path

import msgspec

from operators.settings import Settings
from pipelines.evaluate import recall
from pipelines.evaluate.timelines import Timeline
from pipelines.evaluate.variants import Variant
from pipelines.evaluate.watch import Watched

TIMELINE = Timeline(3, ("P06", "N7"), 40_000)


def test_what_was_written_is_read_and_nothing_else(tmp_path: Path) -> None:
    one, other = Variant(Settings()), Variant(msgspec.structs.replace(Settings(), shards=1))
    names = {
        recall.name(timeline, variants)
        for timeline in (TIMELINE, replace(TIMELINE, twin=True), replace(TIMELINE, quiet_s=600.0))
        for variants in ([one], [other], [one, other], [replace(one, without=("changes.v1",))])
    }
    assert len(names) == 12
    watched = [Watched(labels=[], incidents=[], series=7)]
    path = tmp_path / "kept" / recall.name(TIMELINE, [one])
    assert recall.read(path) is None
    recall.write(path, watched)
    assert recall.read(path) == watched
    assert [each.name for each in path.parent.iterdir()] == [recall.name(TIMELINE, [one])]

"""Scenarios dealt onto timelines: everything once, incidents and controls apart, twins shared."""

from pipelines.evaluate.seeds import TUNING, reporting
from pipelines.evaluate.timelines import deal
from pipelines.simulate.scenarios import CATALOGUE


def test_a_few_scenarios_stay_on_one_timeline_in_their_order() -> None:
    (pair,) = deal(["P06,N7", "P01:weak"], 3)
    assert pair.faults.scenarios == ("P06", "N7", "P01:weak")
    assert pair.twin.twin
    assert pair.twin.scenarios == pair.faults.scenarios


def test_the_whole_catalogue_is_dealt_once_and_shares_twins() -> None:
    pairs = deal(["all"], 7)
    assert sorted(name for pair in pairs for name in pair.faults.scenarios) == sorted(CATALOGUE)
    incidents = [pair for pair in pairs if any(CATALOGUE[n].truth for n in pair.faults.scenarios)]
    controls = [pair for pair in pairs if pair not in incidents]
    assert len({pair.twin for pair in incidents}) == 1
    assert len({pair.faults.seconds for pair in incidents}) == 1
    assert all(pair.twin == pair.faults for pair in controls)
    assert not any(CATALOGUE[n].truth for pair in controls for n in pair.faults.scenarios)
    assert deal(["all"], 7) == pairs
    assert deal(["all"], 8) != pairs


def test_less_quiet_makes_shorter_timelines_of_the_same_scenarios() -> None:
    names = [f"P06:duration={seconds}" for seconds in range(600, 660)]
    long, short = deal(names, 7), deal(names, 7, quiet_s=600)
    assert sum(p.faults.seconds for p in short) < sum(p.faults.seconds for p in long)
    dealt = [sorted(name for pair in pairs for name in pair.faults.scenarios) for pairs in (long, short)]
    assert dealt == [names, names]
    assert {pair.twin.quiet_s for pair in short} == {600}


def test_tuning_and_reporting_seeds_are_apart() -> None:
    assert not set(TUNING) & set(reporting(1000))

"""The catalogue: every scenario's label says what the truth table says."""

from itertools import pairwise

import numpy as np
import pytest

from pipelines.simulate.labels import MAGNITUDES
from pipelines.simulate.scenario import Scenario
from pipelines.simulate.scenarios import CATALOGUE
from pipelines.simulate.scenarios.p27 import SCENARIO as P27
from pipelines.simulate.timeline import label, parse_all, schedule

PERF, DEPLOY, INVALID, TELEMETRY, SHIFT = (
    *("performance_degradation", "deployment_failure", "invalid_inference", "telemetry_fault", "input_shift"),
)
#: Symptoms, layers and actions accepted, the first of each being the truth; fields a page may name.
TRUTH: dict[str, tuple[str, str, str, str]] = {
    "P01": (PERF, "hardware", "drain_node", "gpu replica node tp_group"),
    "P02": (f"{PERF} {DEPLOY}", "hardware", "drain_node", "gpu replica node"),
    "P03": (PERF, "hardware", "drain_node reroute", "gpu node tp_group"),
    "P04": (PERF, "operations", "add_capacity revert_config", "service replica"),
    "P05": (PERF, "operations", "reroute drain_node", "gpu node replica"),
    "P06": (PERF, "operations model", "restart_replica reroute", "replica"),
    "P07": (INVALID, "model", "roll_back_build", "service_version quantization"),
    "P08": (INVALID, "operations", "revert_prompt", "prompt_version service"),
    "P09": (INVALID, "model", "pin_version re_evaluate", "request_model provider"),
    "P10": (SHIFT, "none", "re_evaluate inform", "service task"),
    "P11": (INVALID, "operations", "revert_config reroute", "route replica"),
    "P12": (INVALID, "model operations", "revert_config roll_back_build", "gpu_model region provider"),
    "P13": (INVALID, "model hardware", "restart_replica drain_node", "replica gpu"),
    "P14": (INVALID, "model hardware", "roll_back_build", "gpu_model service_version"),
    "P15": (INVALID, "hardware", "drain_node", "gpu replica"),
    "P16": (f"{INVALID} {SHIFT}", "model none", "re_evaluate", "service request_model"),
    "P17": (PERF, "operations", "rate_limit_tenant add_capacity", "tenant_hash service"),
    "P18": (PERF, "operations", "reroute", "replica route"),
    "P19": (TELEMETRY, "operations", "fix_telemetry", "producer"),
    "P20": (TELEMETRY, "operations", "fix_telemetry", "producer node"),
    "P21": (DEPLOY, "operations model", "roll_back_build revert_config", "service_version replica"),
    "P22": (f"{DEPLOY} {PERF}", "operations", "revert_config add_capacity", "service replica"),
    "P23": (INVALID, "model operations", "roll_back_build revert_config", "service_version service"),
    "P24": (INVALID, "operations", "disable_cache", "service replica"),
    "P25": (INVALID, "operations", "revert_config reroute inform", "service"),
    "P26": (INVALID, "operations", "revert_config", "decode_params_hash service"),
    "P28": (PERF, "operations", "add_capacity", "service replica"),
}


@pytest.mark.parametrize("name", TRUTH)
def test_labels_say_what_the_truth_table_says(name: str) -> None:
    symptom, layer, action, named = TRUTH[name]
    (episode,), _ = schedule(parse_all([name]), 7)
    found = label(episode, 0, None, np.zeros(10))
    assert (found.symptom, found.layer, found.expected_action) == (
        symptom.split(),
        layer.split(),
        action.split(),
    )
    assert found.root
    assert set(found.root) <= set(named.split())
    assert found.min_severity == ("info" if name in ("P10", "P16") else "warning")
    kinds = {"P10": ["robustness"], "P16": ["reliability", "robustness", "undetermined"]}
    assert found.failure_kind == kinds.get(name, ["reliability"])
    assert 0 < found.share <= 1
    assert 0 <= found.depth <= 1


def test_the_catalogue_is_complete() -> None:
    assert set(CATALOGUE) == {f"P{n:02d}" for n in range(1, 29)} | {f"N{n}" for n in range(1, 11)}


@pytest.mark.parametrize("scenario", CATALOGUE.values(), ids=CATALOGUE)
def test_controls_have_no_truth_and_unannounced_faults_no_change(scenario: Scenario) -> None:
    assert (scenario.truth is None) == scenario.id.startswith("N")
    if scenario.id == "P09":
        assert scenario.change is None
    for effect in scenario.effects:
        for value in (effect.by, effect.share):
            assert not isinstance(value, tuple) or len(value) == len(MAGNITUDES)


@pytest.mark.parametrize("seed", range(10))
def test_three_overlapping_faults_have_three_labels_at_different_places(seed: int) -> None:
    episodes, _ = schedule(parse_all(["P27"]), seed)
    delays = [episode.onset_s - delay for episode, (_, delay) in zip(episodes, P27.parts, strict=True)]
    assert max(delays) - min(delays) <= 300
    labels = [label(episode, 0, None, np.zeros(10)) for episode in episodes]
    assert [each.scenario for each in labels] == ["P27"] * 3
    assert len({str(each.place.fields) for each in episodes}) == len({str(each.root) for each in labels}) == 3
    assert max(each.onset for each in labels) < min(each.end for each in labels)


def test_scenarios_follow_one_another_with_quiet_between() -> None:
    episodes, seconds = schedule(parse_all(["P01,P04", "N3"]), 2)
    assert episodes[0].onset_s >= 4 * 3600
    for one, other in pairwise(episodes):
        assert other.onset_s - one.end_s >= 3600
    assert seconds - episodes[-1].end_s >= 3600


def test_magnitude_duration_and_share_can_be_asked_for() -> None:
    (episode,), _ = schedule(parse_all(["P11:strong:duration=600:share=0.008"]), 2)
    assert (MAGNITUDES[episode.magnitude], episode.end_s - episode.onset_s) == ("strong", 600)
    assert episode.share == 0.008

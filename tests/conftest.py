"""Which tests run where: those of real servers on one worker, first, so that they share one stack.

Of the others each file is a unit: files share nothing, and workers no ports. Hypothesis draws the same
examples in every run and holds none to a time: nothing fails on a slow machine that does not on a fast one.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from pipelines.stack import ports

SERVERS = "tests/engines/"

settings.register_profile(
    "driftline", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("driftline")
# it also draws numbers that stand in the code, so that examples depend on what a worker has imported by then
providers._get_local_constants = lambda: providers._local_constants


class Scheduling(LoadFileScheduling):
    """As ``--dist loadfile``, with one unit for all files of real servers."""

    def _split_scope(self, nodeid: str) -> str:
        return SERVERS if nodeid.startswith(SERVERS) else super()._split_scope(nodeid)


def pytest_configure(config: pytest.Config) -> None:
    """A port that is free when one worker looks may be another's when it is bound: each has its own."""
    if worker := getattr(config, "workerinput", None):
        number = int(worker["workerid"].removeprefix("gw"))
        ports._UNASSIGNED = ports._UNASSIGNED[number :: worker["workercount"]]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(SERVERS))

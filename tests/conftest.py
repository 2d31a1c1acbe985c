"""Which tests run where: those of real servers on one worker, first, so that they share one stack.

Of the others each file is a unit: files share nothing.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

SERVERS = "tests/engines/"


class Scheduling(LoadFileScheduling):
    """As ``--dist loadfile``, with one unit for all files of real servers."""

    def _split_scope(self, nodeid: str) -> str:
        return SERVERS if nodeid.startswith(SERVERS) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(SERVERS))

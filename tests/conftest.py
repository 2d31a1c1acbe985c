"""Which tests run where: those of real servers on one worker, first, so that they share one stack.

Of the others each file is a group: files share nothing.
"""

from pathlib import Path

import pytest

SERVERS = Path(__file__).parent / "engines"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: not item.path.is_relative_to(SERVERS))


def _group(item: pytest.Item) -> str:
    return SERVERS.name if item.path.is_relative_to(SERVERS) else str(item.path)

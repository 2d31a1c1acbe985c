"""One stack of real servers for the whole run; its parts start when a test asks for them."""

import os
from collections.abc import Iterator

import pytest

from pipelines.stack import NotInstalledError, Stack
from pipelines.stack.jars import SETS, jars, java


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Say ``stack.up("kafka")``, and the broker is there; a test makes topics of names of its own."""
    try:
        java()
        for name in SETS:
            jars(name)
    except NotInstalledError as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"NO REAL SERVERS: {reason}")
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        yield stack
    finally:
        stack.down()

"""One stack of real servers for the whole run; its parts start when a test asks for them."""

import gc
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from benchmarks.reliability.faults import calm_contract
from benchmarks.reliability.outcome import Outcome
from benchmarks.reliability.recorded import Record
from pipelines.stack import NotInstalledError, Stack
from pipelines.stack.jars import SETS, jars, java
from tests.engines.broker import NEVER_IDLE_S

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """kafka-python 3.0.12 leaves the sockets of refused connections for the garbage collector to close."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning"))
            item.add_marker(pytest.mark.timeout(1800))  # real servers on a machine that may be slow


@pytest.fixture(autouse=True, scope="module")
def _collected() -> Iterator[None]:
    """Those of a module go with it; what it logged of them would keep them for longer."""
    logger = logging.getLogger("kafka")
    logger.propagate = False
    yield
    logger.propagate = True
    gc.collect()


@pytest.fixture(autouse=True, scope="module")
def _quick_to_start() -> Iterator[None]:
    """Java's second compiler takes as much of a core as a server that is up for a minute has use for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
        yield


@pytest.fixture(scope="session")
def records() -> Sequence[Record]:
    """What all engines are held to, in order of time."""
    return calm_contract(NEVER_IDLE_S)[0]


@pytest.fixture(scope="session")
def wanted() -> Outcome:
    """What the in-process loop makes of it, undisturbed."""
    return calm_contract(NEVER_IDLE_S)[1]


def _memory() -> str | None:
    """Where a folder is in memory, if there is room: no disk is tested here, and disks may be slow."""
    where = "/dev/shm"
    there = os.access(where, os.W_OK) and shutil.disk_usage(where).free > 2 << 30
    return where if there else None


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Say ``stack.up("kafka")``, and the broker is there; a test makes topics of names of its own."""
    try:
        java()
        for name in SETS:
            jars(name)
    except NotInstalledError as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"NO REAL SERVERS: {reason}")
    with TemporaryDirectory(prefix="driftline-", dir=_memory(), ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder))
        try:
            yield stack
        finally:
            stack.down()

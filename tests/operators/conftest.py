"""Stores on the real engine, by each way to reach it."""

from collections.abc import Iterator

import pytest

from operators.clickhouse import Store
from tests.operators.engine import WAYS, engine, fresh


@pytest.fixture(scope="module", params=WAYS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with engine(request.param, tmp_path_factory.mktemp("engine")) as at:
        yield at


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with fresh(url) as opened:
        yield opened

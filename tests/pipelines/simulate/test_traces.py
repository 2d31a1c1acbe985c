"""Simulated traffic has the shape of the traces it takes its figures from."""

import numpy as np
import pytest

from pipelines.simulate.fleet import CHAT, CODE
from pipelines.simulate.tables import Words
from pipelines.simulate.traces import TRACES, tokens_at
from pipelines.simulate.traffic import Clock, base_rate, requests

DAY = Clock(1_767_571_200_000, 86_400)


def test_token_lengths_have_the_quantiles_of_the_trace() -> None:
    ranks = np.random.default_rng(1).random(20_000)
    for trace in TRACES.values():
        for table in (trace.input_tokens, trace.output_tokens):
            drawn = tokens_at(table, ranks)
            assert np.median(drawn) == pytest.approx(table[5], rel=0.05)
            assert np.quantile(drawn, 0.95) == pytest.approx(table[8], rel=0.1)
            assert table[0] <= drawn.min() <= drawn.max() <= table[-1]


def test_chat_wanders_and_code_comes_in_bursts() -> None:
    spread = {}
    for service in (CHAT, CODE):
        table = requests(service, DAY, base_rate(service, DAY, 3), 3, Words())
        gaps = np.diff(np.asarray(table["t"], float))
        spread[service.name] = gaps.std() / gaps.mean()
        assert table["t"].size / DAY.seconds == pytest.approx(service.rate, rel=0.12)
    assert 1.0 < spread["chat-api"] < 1.3
    assert spread["code-api"] > 2.0


def test_load_follows_the_day() -> None:
    rate = base_rate(CHAT, DAY, 3)
    assert rate[13 * 3600 : 15 * 3600].mean() > 1.4 * rate[1 * 3600 : 3 * 3600].mean()

"""What a stage asks of its consumer never keeps the group from dealing anew."""

import asyncio
from typing import Any

from operators.adapters.faust import stage
from operators.adapters.faust.stage import Stage
from operators.adapters.kafka.options import KafkaOptions


class Dealing:
    """A consumer whose group deals anew; like aiokafka's, it answers only when that is over."""

    async def getmany(self, *places: Any, **asked: Any) -> dict[Any, Any]:
        await asyncio.Event().wait()
        return {}


def test_a_fetch_ends_while_the_group_deals_anew(monkeypatch: Any) -> None:
    monkeypatch.setattr(stage, "ASK_S", 0.1)

    async def fetched() -> object:
        one = Stage(KafkaOptions(servers="127.0.0.1:1"), "group")
        one.consumer = Dealing()
        return await asyncio.wait_for(one.fetch(most=1), 30)

    assert asyncio.run(fetched()) == {}

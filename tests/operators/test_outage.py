"""Waiting for what is away, and the end of it."""

from threading import Event

import pytest

from operators.outage import wait_out
from operators.store_errors import StoreAway


class StoppedWhilePausing(Event):
    """Set by whoever waits for it."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return super().wait(timeout)


@pytest.mark.parametrize("away", [1, 2])
def test_who_is_told_to_stop_while_it_pauses_tries_once_more(
    away: int, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([StoreAway("refused")] * away)

    def call() -> str:
        for problem in answers:
            raise problem
        return "taken"

    if away == 1:
        assert wait_out(call, StoppedWhilePausing(), "5 rows") == "taken"
        assert "waiting: 5 rows; refused" in caplog.messages[0]
        assert "the store is back" in caplog.messages[1]
    else:
        with pytest.raises(StoreAway, match="when the run was to stop"):
            wait_out(call, StoppedWhilePausing(), "5 rows")

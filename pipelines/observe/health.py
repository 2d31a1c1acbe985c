"""Whether a run lives and whether it is of use, both read off its own meters."""

import threading
import time
from collections.abc import Callable
from typing import Any, Literal, get_args

from operators import meters as of
from pipelines.observe.recorder import Recorder

State = Literal["starting", "running", "no_data", "source_away", "store_away", "sink_away", "stopped"]

#: Longest time without getting round. One call to a store that is silent may take 70 s, a large shard's
#: restore or window some more; a loop that is silent for longer hangs.
HANGS_AFTER_S = 180.0


class Health:
    """What the meters say of the process.

    Args:
        recorder: of the run.
        stop: set when the run is to end.
        clock: Unix time in seconds.
    """

    def __init__(
        self, recorder: Recorder, stop: threading.Event, clock: Callable[[], float] = time.time
    ) -> None:
        self._recorder = recorder
        self._stop = stop
        self._clock = clock

    @property
    def state(self) -> State:
        """The worst that holds."""
        if self._stop.is_set():
            return "stopped"
        if self._recorder.value(of.STORE_AWAY):
            return "store_away"
        if self._recorder.value(of.SINK_AWAY):
            return "sink_away"
        if self._recorder.value(of.TURN, "reading") is None:
            return "starting"
        if not self._recorder.value(of.SOURCE_UP):
            return "source_away"
        return "no_data" if self._recorder.value(of.NO_DATA) else "running"

    @property
    def ready(self) -> bool:
        """Whether source, store and output answer; that nothing comes to read is no reason to start anew."""
        return self.state in ("running", "no_data")

    @property
    def alive(self) -> bool:
        """Whether every part got round lately; who waits for a store or brokers gets round by asking again.

        A run that is to end has the time it needs, for a savepoint or a last correlation.
        """
        if self._stop.is_set():
            return True
        waits = bool(self._recorder.value(of.STORE_AWAY) or self._recorder.value(of.SINK_AWAY))
        turns = [self._turn_s("storing")] if waits else [self._turn_s("reading"), self._turn_s("detecting")]
        return all(turn is None or turn <= HANGS_AFTER_S for turn in turns)

    def told(self) -> dict[str, Any]:
        """State, and for how long source, store and output have given nothing."""
        return {
            "state": self.state,
            "no_data_s": self._recorder.value(of.NO_DATA) or 0,
            "store_away_s": self._recorder.value(of.STORE_AWAY) or 0,
            "sink_away_s": self._recorder.value(of.SINK_AWAY) or 0,
        }

    def record(self) -> None:
        """Put the state among the meters."""
        state = self.state
        for each in get_args(State):
            self._recorder.set(of.STATE, int(each == state), each)

    def _turn_s(self, part: str) -> float | None:
        turn = self._recorder.value(of.TURN, part)
        return None if turn is None else self._clock() - turn

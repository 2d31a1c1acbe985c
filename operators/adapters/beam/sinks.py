"""The two ends around the shards: parcels taken apart, and emissions and dead letters written and counted."""
# mypy: allow-untyped-calls

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from operators.adapters.beam.codec import decode_handout, decode_parcel, packets
from operators.adapters.beam.process import Inlet, process
from operators.adapters.beam.totals import Totals
from operators.adapters.metering import tell_emission
from operators.dead_letters import DeadLetter
from operators.emission import Emission, by_window
from operators.meters import Meters
from schemas.rows import Count

DEAD_LETTERS = "dead_letters"


class Outputs(Protocol):
    """What the writing DoFns need of the run's sinks."""

    def write(self, emission: Emission) -> None: ...  # noqa: D102
    def deliver(self, emission: Emission) -> None: ...  # noqa: D102
    def write_dead_letters(self, letters: Sequence[DeadLetter]) -> None: ...  # noqa: D102
    def write_accounts(self, run_id: str, revision: int, counts: Iterable[Count]) -> None: ...  # noqa: D102
    def flush(self) -> None: ...  # noqa: D102


OpenOutputs = Callable[[Meters], Outputs]


class TakeApart(beam.DoFn):
    """Parcels to (shard, packet); dead letters on a side output.

    It runs in the process of the source and brings along how to open it: what is kept of a source in a
    savepoint outlives configs and versions, so nothing of that is in there.
    """

    def __init__(self, inlet: Inlet, job_id: str) -> None:
        self._inlet = inlet
        self._job_id = job_id

    def setup(self) -> None:
        """Say how this job reads."""
        process(self._job_id).inlet = self._inlet

    def process(self, element: bytes) -> Iterator[Any]:
        """One poll's parcel."""
        contents = decode_parcel(element)
        yield from packets(contents).items()
        for letter in contents.dead_letters:
            yield TaggedOutput(DEAD_LETTERS, letter)


class _Write(beam.DoFn):
    """Opens the run's outputs once a process; what a bundle wrote is flushed before the bundle ends."""

    def __init__(self, open_outputs: OpenOutputs, job_id: str) -> None:
        self._open = open_outputs
        self._job_id = job_id

    def setup(self) -> None:
        """Find the outputs of this process, or open them."""
        here = process(self._job_id)
        with here.lock:
            if here.outputs is None:
                here.outputs = self._open(here.meters)
        self._outputs: Outputs = here.outputs
        self._process = here

    @contextmanager
    def _delivering(self) -> Iterator[None]:
        try:
            yield
        except Exception as problem:
            self._process.failure = problem  # Beam hands on only its text
            raise


class WriteEmissions(_Write):
    """Handouts into the sinks."""

    def start_bundle(self) -> None:
        """Nothing is done with yet in this bundle."""
        self._done_to: dict[int, int] = {}
        self._totals: dict[tuple[str, int], Totals] = {}

    def process(self, element: bytes) -> None:
        """Write one emission."""
        emission, done_to, totals = decode_handout(element)
        if totals is not None:
            self._totals[totals.run_id, totals.shard] = totals
        # a failed bundle may come again, cut otherwise; others of this process write meanwhile
        if self._process.acknowledgements is None:
            with self._delivering():
                for part in by_window(emission):
                    self._outputs.deliver(part)
        else:
            self._outputs.write(emission)
        tell_emission(self._process.meters, emission)
        if done_to is not None:
            self._done_to[emission.shard] = done_to

    def finish_bundle(self) -> None:
        """Deliver, then acknowledge. Where no launcher can see the totals in memory, they are rows too."""
        acknowledgements = self._process.acknowledgements
        if acknowledgements is None:
            for totals in self._totals.values():
                self._outputs.write_accounts(totals.row_id(), totals.position, totals.lines())
        with self._delivering():
            self._outputs.flush()
        if acknowledgements is not None:
            for shard, done_to in self._done_to.items():
                acknowledgements.flushed(shard, done_to)


class WriteDeadLetters(_Write):
    """Refused samples into the dead-letter topics."""

    def process(self, element: DeadLetter) -> None:
        """Write one dead letter."""
        self._outputs.write_dead_letters([element])

    def finish_bundle(self) -> None:
        """Deliver."""
        with self._delivering():
            self._outputs.flush()

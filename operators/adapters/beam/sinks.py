"""The two ends around the shards: parcels taken apart, and emissions and dead letters written and counted."""
# mypy: allow-untyped-calls

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import apache_beam as beam
import msgspec
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import TaggedOutput

from operators.adapters.beam.codec import decode_emission, decode_parcel, encode_messages
from operators.adapters.beam.process import process
from operators.dead_letters import DeadLetter
from operators.emission import Emission

#: Namespace of driftline's Beam metrics. Samples are counted under the JSON of [topic, outcome, reason].
NAMESPACE = "driftline"
DEAD_LETTERS = "dead_letters"


class Outputs(Protocol):
    """What the writing DoFns need of the run's sinks."""

    def write(self, emission: Emission) -> None: ...  # noqa: D102
    def write_dead_letters(self, letters: Sequence[DeadLetter]) -> None: ...  # noqa: D102
    def flush(self) -> None: ...  # noqa: D102


OpenOutputs = Callable[[], Outputs]


class TakeApart(beam.DoFn):
    """Parcels to (shard, messages); dead letters on a side output; accounts as counters."""

    def process(self, element: bytes) -> Iterator[Any]:
        """One poll's parcel."""
        contents = decode_parcel(element)
        for topic, outcome, reason, samples in contents.accounts:
            name = msgspec.json.encode([topic, outcome, reason]).decode()
            Metrics.counter(NAMESPACE, name).inc(samples)
        for shard, messages in contents.messages.items():
            yield shard, encode_messages(messages)
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
                here.outputs = self._open()
        self._outputs: Outputs = here.outputs
        self._process = here

    def _flush(self) -> None:
        try:
            self._outputs.flush()
        except Exception as problem:
            self._process.failure = problem  # Beam hands on only its text
            raise


class WriteEmissions(_Write):
    """Encoded emissions into the sinks; counts events by kind, windows, buckets and what came too late."""

    def start_bundle(self) -> None:
        """Nothing is done with yet in this bundle."""
        self._done_to: dict[int, int] = {}

    def process(self, element: bytes) -> None:
        """Write one emission."""
        emission, done_to = decode_emission(element)
        self._outputs.write(emission)
        for event in emission.events:
            if event.revision == 0:
                Metrics.counter(NAMESPACE, f"events/{event.kind}").inc()
        Metrics.counter(NAMESPACE, "revisions").inc(len(emission.events))
        Metrics.counter(NAMESPACE, "windows").inc(len(emission.windows))
        if emission.buckets is not None:
            Metrics.counter(NAMESPACE, "buckets").inc(emission.buckets.num_rows)
        for topic, samples in emission.late.items():
            Metrics.counter(NAMESPACE, f"after_idle/{topic}").inc(samples)
        if done_to is not None:
            self._done_to[emission.shard] = done_to

    def finish_bundle(self) -> None:
        """Deliver, then acknowledge."""
        self._flush()
        acknowledgements = self._process.acknowledgements
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
        self._flush()

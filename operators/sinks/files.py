"""Topics as folders of NDJSON files: one CloudEvent in structured mode, or one dead letter, a line.

Lines gather in memory and are appended and synced at `flush`. A line that the file already has is not written
again, so that a replay or a second run on the same input leaves the files as they are.
"""

import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from operators.dead_letters import DeadLetter
from operators.emission import Emission
from operators.sinks.dead_letters import dlq_json, dlq_topic
from operators.store_errors import SinkError
from schemas.events import cloudevent_json
from schemas.outputs import Incident

ANOMALIES = "anomalies.v1"
INCIDENTS = "incidents.v1"


class FileSink:
    """Writes ``FOLDER/<topic>/<name>.ndjson``.

    Args:
        folder: where the topics' folders are.
        pipeline: the last part of the events' ``source``.
        name: of the files; writers that share a folder need names of their own.
    """

    def __init__(self, folder: Path | str, pipeline: str = "driftline", name: str = "part-0"):
        self._folder = Path(folder)
        self._pipeline = pipeline
        self._name = name
        self._pending: dict[str, list[bytes]] = {}
        self._known: dict[str, set[bytes]] = {}

    def write(self, emission: Emission) -> None:
        """Take one emission's events."""
        for event in emission.events:
            self._pending.setdefault(ANOMALIES, []).append(cloudevent_json(event, self._pipeline))

    def write_incidents(self, incidents: Sequence[Incident]) -> None:
        """Take new versions of incidents."""
        for incident in incidents:
            self._pending.setdefault(INCIDENTS, []).append(cloudevent_json(incident, self._pipeline))

    def write_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Take refused samples."""
        for letter in letters:
            self._pending.setdefault(dlq_topic(letter.topic), []).append(dlq_json(letter))

    def flush(self) -> None:
        """Append what was gathered and sync it to disk; raises `SinkError`, keeping what is not written."""
        for topic, lines in list(self._pending.items()):
            try:
                self._append(topic, lines)
            except OSError as error:
                raise SinkError(f"cannot write {self._path(topic)}: {error.strerror}") from error
            del self._pending[topic]

    def close(self) -> None:
        """Nothing: files are open only while they are written."""

    def _path(self, topic: str) -> Path:
        return self._folder / topic / f"{self._name}.ndjson"

    def _append(self, topic: str, lines: list[bytes]) -> None:
        path = self._path(topic)
        known = self._known.get(topic)
        if known is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            known = self._known[topic] = _recover(path)
        if topic in (ANOMALIES, INCIDENTS):  # two refusals can be alike and still be two
            lines = list({key: line for line in lines if (key := _key(line)) not in known}.values())
        with path.open("ab") as file:
            start = file.tell()
            try:
                file.write(b"".join(line + b"\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), start)  # whole or not at all, as the next flush tries again
                raise
        known.update(map(_key, lines))


def _recover(path: Path) -> set[bytes]:
    """Keys of the lines a file has; cuts off a last line that a crash left unfinished."""
    if not path.exists():
        return set()
    with path.open("rb+") as file:
        known, end = set(), 0
        for line in file:
            if line.endswith(b"\n"):
                known.add(_key(line[:-1]))
                end += len(line)
        file.truncate(end)
    return known


def _key(line: bytes) -> bytes:
    return blake2b(line, digest_size=16).digest()

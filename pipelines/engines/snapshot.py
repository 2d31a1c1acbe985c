"""The local engine's state on disk: one file that holds a whole run, replaced as one."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from operators.adapters.reader import Reader
from operators.shard import Shard
from pipelines.config import Config
from pipelines.errors import UsageError
from schemas.plans import prepare

FILE = "driftline.state"


class Saved(Struct, frozen=True):
    """Reader and shards at one moment, all of whose outputs were delivered."""

    input: str
    config_hash: str
    reader: bytes
    shards: list[bytes]


prepare(Saved)


class Snapshots:
    """Saves to and loads from the config's state folder."""

    def __init__(self, config: Config) -> None:
        self._path = Path(config.state or ".") / FILE
        self._input = config.input or ""
        self._hash = config.settings.config_hash()

    def load(self) -> Saved | None:
        """What was saved last, or None; `UsageError` when it belongs to another input or config."""
        if not self._path.exists():
            return None
        try:
            saved = msgspec.msgpack.decode(self._path.read_bytes(), type=Saved)
        except msgspec.MsgspecError as problem:
            raise UsageError(f"state: {self._path} is no state of driftline ({problem}); remove it") from None
        if (saved.input, saved.config_hash) != (self._input, self._hash):
            raise UsageError(
                f"state: {self._path} belongs to input {saved.input} and config {saved.config_hash}, this "
                f"run has {self._input} and {self._hash}; name another folder, or remove it to start anew"
            )
        return saved

    def save(self, reader: Reader, shards: Sequence[Shard]) -> list[int]:
        """Save, all or nothing; returns the bytes of each shard's part."""
        saved = Saved(self._input, self._hash, reader.snapshot(), [shard.snapshot() for shard in shards])
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.msgpack.encode(saved))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        return [len(data) for data in saved.shards]

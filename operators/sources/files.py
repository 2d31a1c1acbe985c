"""A folder of files as a source: one folder a topic, sub-folders 0, 1, … its partitions.

A record is a line of ``*.ndjson``, a whole ``*.json``, or one batch of ``*.arrow`` (IPC file or stream) and
``*.arrows`` (stream), each optionally ``.gz`` or ``.zst``. Files are read in name order and streamed: memory
holds one record, or one batch, of one file.
"""

import gzip
import io
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import zstandard

from operators.sources import SourceRecord
from schemas.wire import TOPICS
from schemas.wire.ipc import dictionary_of
from schemas.wire.reasons import MAX_BYTES

_log = logging.getLogger(__name__)

_NAME = re.compile(r".+\.(?P<kind>ndjson|json|arrow|arrows)(?P<packed>\.gz|\.zst)?$")
_ARROW_FILE = b"ARROW1"
_BUFFER = 2**20
#: Ends an Arrow stream.
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
#: What is no record file and needs no warning: the truth `driftline simulate` leaves beside the topics.
_OURS = "labels.json"


@dataclass(frozen=True, slots=True)
class FilePartition:
    """One partition of a topic's folder: its files, in name order. ``name`` is ``topic/number``."""

    topic: str
    name: str
    files: tuple[Path, ...]

    def read(self, start: int = 0, max_records: int = 1000) -> Iterator[list[SourceRecord]]:
        """Records from index ``start`` on, in lists of at most ``max_records`` and about 16 MiB.

        A record beyond the size limit is cut just above it, so that decoding refuses it as too large; a file
        that cannot be read on is logged, and what it still held is one record of no known format.
        """
        batch: list[SourceRecord] = []
        size = 0
        for offset, value in enumerate(self._values()):
            if offset < start:
                continue
            batch.append(SourceRecord(self.topic, self.name, offset, value, None))
            size += len(value)
            if len(batch) >= max_records or size >= MAX_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _values(self) -> Iterator[bytes]:
        for path in self.files:
            yield from values(path)


def partitions(root: Path) -> list[FilePartition]:
    """Every partition under ``root``, topics and partitions in order.

    Folders that are no known topic and files of other names are skipped, with one warning for all of them;
    that there is no topic at all is worth another.

    Raises:
        NotADirectoryError: ``root`` is no folder.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is no folder; it should hold one folder a topic, as {TOPICS[0]}/")
    found: list[FilePartition] = []
    skipped: list[Path] = []
    for folder in sorted(root.iterdir()):
        if folder.name not in TOPICS or not folder.is_dir():
            if folder.name != _OURS:
                skipped.append(folder)
            continue
        numbered = sorted(
            (each for each in folder.iterdir() if each.is_dir() and _number(each.name)),
            key=lambda each: int(each.name),
        )
        own = _files(folder, skipped, numbered)
        for number, files in _by_number(own, numbered, skipped):
            found.append(FilePartition(folder.name, f"{folder.name}/{number}", tuple(files)))
    if not found:
        _warn_once(f"nothing to read in {root}: it holds no folder of a topic, such as {TOPICS[0]}/")
    if skipped:
        names = ", ".join(str(path.relative_to(root)) for path in skipped[:8])
        more = f" and {len(skipped) - 8} more" if len(skipped) > 8 else ""
        _warn_once(f"skipped in {root}, no topic and no record file: {names}{more}")
    return found


@cache
def _warn_once(message: str) -> None:
    # a folder is looked at by several readers, and again while it is followed
    _log.warning("%s", message)


def _number(name: str) -> bool:
    return name.isascii() and name.isdigit() and str(int(name)) == name


def _by_number(
    own: list[Path], numbered: list[Path], skipped: list[Path]
) -> Iterator[tuple[int, list[Path]]]:
    """Files by partition; those beside the sub-folders come first in partition 0."""
    files = {int(each.name): _files(each, skipped, []) for each in numbered}
    if own or not files:
        files[0] = own + files.get(0, [])
    yield from sorted(files.items())


def _files(folder: Path, skipped: list[Path], known: list[Path]) -> list[Path]:
    files = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and _NAME.match(path.name):
            files.append(path)
        elif path not in known:
            skipped.append(path)
    return files


def values(path: Path) -> Iterator[bytes]:
    """The records of one file, one after another."""
    match = _NAME.match(path.name)
    if match is None:
        raise ValueError(f"{path.name}: *.ndjson, *.json, *.arrow or *.arrows, optionally .gz or .zst")
    kind = match["kind"]
    with ExitStack() as stack:
        stream = _opened(path, match["packed"], stack)
        records = (
            _lines(stream) if kind == "ndjson" else _whole(stream) if kind == "json" else _batches(stream)
        )
        try:
            yield from records
        except (OSError, EOFError, pa.ArrowException, zstandard.ZstdError) as error:
            _log.warning("%s cannot be read on: %s", path, error)
            yield b"\x00"  # framing that holds nothing: refused and counted as one sample


def _opened(path: Path, packed: str | None, stack: ExitStack) -> IO[bytes]:
    if packed == ".gz":
        return cast(IO[bytes], stack.enter_context(gzip.open(path, "rb")))
    raw = stack.enter_context(path.open("rb", buffering=_BUFFER))
    if packed != ".zst":
        return raw
    reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    return stack.enter_context(io.BufferedReader(reader, _BUFFER))


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines without their end; blank ones are no records; of a long one only its beginning is kept."""
    while line := stream.readline(MAX_BYTES + 1):
        kept = line.strip()
        while not line.endswith(b"\n") and (line := stream.readline(MAX_BYTES + 1)):
            pass
        if kept:
            yield kept


def _whole(stream: IO[bytes]) -> Iterator[bytes]:
    yield stream.read(MAX_BYTES + 1)


def _batches(stream: IO[bytes]) -> Iterator[bytes]:
    """Each batch as a stream of its own, its buffers as they are: the decoder judges what they unpack to.

    A file is its stream between two marks, so both are read alike.
    """
    head = stream.read(8)
    source = stream if head.startswith(_ARROW_FILE) else _Prefixed(head, stream)
    schema = b""
    dictionaries: dict[int, list[bytes]] = {}
    for message in pa.ipc.MessageReader.open_stream(source):
        if message.type == "schema":
            schema = _bytes(message)
        elif message.type == "dictionary":
            number, delta = dictionary_of(memoryview(message.metadata))
            dictionaries[number] = [*(dictionaries.get(number, ()) if delta else ()), _bytes(message)]
        else:
            known = [part for parts in dictionaries.values() for part in parts]
            yield b"".join([schema, *known, _bytes(message), _END])[: MAX_BYTES + 1]


def _bytes(message: Any) -> bytes:
    plain: bytes = message.serialize().to_pybytes()
    return plain


class _Prefixed(io.RawIOBase):
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        head, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
        rest = b"" if size == len(head) else self._rest.read(size if size < 0 else size - len(head))
        return head + rest

    def close(self) -> None:
        with suppress(OSError):
            super().close()

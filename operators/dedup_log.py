"""The embedded engine's memory of insert tokens, put right after a kill.

ClickHouse writes the token of an insert into a table's log before the part with its rows takes its name. When
the engine is killed between the two, the log knows rows that nobody has, and the same insert again would be
dropped for a repetition. So before the engine opens a folder, what no part covers is taken out of its logs.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_NAME = re.compile(r"([^_]+)_(\d+)_(\d+)_\d+(?:_\d+)?")
_ADDED = "1"


class _Part(NamedTuple):
    """A part by its name: the partition, and the blocks that it was made of."""

    partition: str
    first: int
    last: int


def mend(folder: Path) -> int:
    """Forget tokens whose rows are in no part; gives how many. Nobody may have the folder open.

    Raises:
        OSError: a log cannot be read or written.
    """
    forgotten = 0
    for logs in folder.glob("store/*/*/deduplication_logs"):
        parts = [part for path in logs.parent.iterdir() if (part := _part(path.name))]
        for log in logs.glob("deduplication_log_*.txt"):
            lines = log.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if not _lost(line, parts)]
            if len(kept) < len(lines):
                partial = folder / "deduplication_log.partial"  # among the logs it would be read as one
                partial.write_bytes(b"".join(kept))
                os.replace(partial, log)
                forgotten += len(lines) - len(kept)
    return forgotten


def _part(name: str) -> _Part | None:
    found = _NAME.fullmatch(name)
    return _Part(found[1], int(found[2]), int(found[3])) if found else None


def _lost(line: bytes, parts: Iterable[_Part]) -> bool:
    """Whether a record, ``operation TAB part TAB token``, tells of a part that no part there covers."""
    operation, _, rest = line.decode(errors="replace").partition("\t")
    wanted = _part(rest.partition("\t")[0])
    if operation != _ADDED or wanted is None:
        return False
    return not any(
        part.partition == wanted.partition and part.first <= wanted.first and wanted.last <= part.last
        for part in parts
    )

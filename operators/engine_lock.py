"""Who has the folder of the embedded engine open: one process at a time, and in it one folder at a time."""

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from operators import dedup_log
from operators.store_errors import StoreBusy, StoreError

log = logging.getLogger(__name__)

_guard = threading.Lock()
_open: dict[str, tuple[int, int]] = {}  # folder -> (stores that have it open, descriptor of its lock file)


def acquire(folder: str) -> Callable[[], None]:
    """Take the folder for this process, or count one more user of it; returns what lets go again.

    Raises:
        StoreBusy: another process has it, or this process has another folder open.
    """
    with _guard:
        users, descriptor = _open.get(folder, (0, -1))
        if not users:
            if _open:
                raise StoreBusy(
                    f"chdb:{folder} cannot be opened: this process ({os.getpid()}) has "
                    f"chdb:{next(iter(_open))} open, and the embedded engine can have one folder open"
                )
            descriptor = _lock(folder)
            _mend(folder, descriptor)
        _open[folder] = (users + 1, descriptor)
    held = True

    def release() -> None:
        nonlocal held
        with _guard:
            if not held:
                return
            held = False
            users, descriptor = _open.pop(folder)
            if users > 1:
                _open[folder] = (users - 1, descriptor)
            else:
                os.close(descriptor)  # drops the lock

    return release


def _mend(folder: str, descriptor: int) -> None:
    """Put right what a kill of whoever had it may have left behind."""
    try:
        forgotten = dedup_log.mend(Path(folder))
    except OSError as error:
        os.close(descriptor)
        raise StoreError(f"chdb:{folder} cannot be opened: {error}") from error
    if forgotten:
        log.warning("chdb:%s was killed amid an insert: %d tokens without rows forgotten", folder, forgotten)


def _lock(folder: str) -> int:
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        # beside the folder's own files, never removed: a lock on an unlinked file would hold nobody off
        descriptor = os.open(path / "driftline.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"chdb:{folder} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "an unknown process"
        os.close(descriptor)
        raise StoreBusy(
            f"chdb:{folder} is held by {holder}: one process at a time can open it; stop that one, choose "
            "another folder, or use a ClickHouse server by http://HOST:PORT/DB"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode(), 0)
    return descriptor

"""Why a broker refuses: what a library raises, and what it tells in its log alone."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

_WHY = re.compile("authenticat|certificate|mechanism", re.IGNORECASE)


def reason(problem: BaseException) -> str:
    """What was raised, as ``Kind words``; some libraries' words begin with the kind themselves."""
    kind, words = type(problem).__name__, str(problem)
    return words if words.startswith(kind) else f"{kind} {words}".strip()


class Heard(logging.Handler):
    """Keeps the last line that speaks of who is who."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.why = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, if it does."""
        said = record.getMessage()
        if _WHY.search(said):
            self.why = f" ({said})"


@contextmanager
def heard(library: str) -> Iterator[Heard]:
    """Listen to a library's log while it connects; the lines go nowhere else."""
    logger, ear = logging.getLogger(library), Heard()
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.addHandler(ear)
    try:
        yield ear
    finally:
        logger.removeHandler(ear)
        logger.setLevel(level)
        logger.propagate = propagate

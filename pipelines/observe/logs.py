"""The log of a command: lines for people, or one JSON object a line.

A record's ``extra`` are its fields. Machines are told all that a run goes through; people, who get a report
at its end, what they should look at. Of the libraries only warnings are shown, and what they repeat twice a
minute at most. Nothing of a sample's content is ever logged.
"""

import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import msgspec

Format = Literal["text", "json"]

#: Whose ``info`` is shown.
_TOLD: dict[Format, tuple[str, ...]] = {
    "text": ("pipelines.observe",),
    "json": ("pipelines", "operators"),
}
#: Whose every line is shown.
_OWN = frozenset({"driftline", "pipelines", "operators", "gpu_scorers", "schemas"})
#: How long a library is silent that would only say the same.
SPARED_S = 30.0
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """``time``, ``level``, ``logger``, ``message``, its own fields, ``exception`` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        time = datetime.fromtimestamp(record.created, UTC)
        line |= {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str, order="sorted").decode()


class Sparing(logging.Filter):
    """Lets one line of each place in a library pass every half minute, with how many were like it since.

    A client whose broker is away says so at every try, thousands of times an hour.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._silent: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line passes."""
        if record.name.partition(".")[0] in _OWN:
            return True
        place, now = (record.pathname, record.lineno), self._clock()
        until, spared = self._silent.get(place, (now, 0))
        if now < until:
            self._silent[place] = (until, spared + 1)
            return False
        self._silent[place] = (now + SPARED_S, 0)
        if spared:
            record.msg, record.args = f"{record.getMessage()} (and {spared} more like it before)", ()
        return True


def spare(library: str) -> None:
    """The same where others set up logging: for the loggers that a library has made by now."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == library:
            logging.getLogger(name).addFilter(Sparing())


def set_up(kind: Format, stream: TextIO | None = None) -> None:
    """Log to the error stream, in that format."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(Sparing())
    if kind == "json":
        handler.setFormatter(JsonFormatter())
        logging.captureWarnings(True)
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in _TOLD[kind]:
        logging.getLogger(name).setLevel(logging.INFO)


def dict_config() -> dict[str, Any]:
    """The same as JSON for `logging.config.dictConfig`, for those who set up logging themselves."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "filters": {"sparing": {"()": Sparing}},
        "handlers": {
            "error stream": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["sparing"]}
        },
        "root": {"level": "WARNING", "handlers": ["error stream"]},
        "loggers": {name: {"level": "INFO"} for name in _TOLD["json"]},
    }


def failed(problem: BaseException, *, known: bool = True) -> bool:
    """Log what a command ends with, where its log is JSON; says whether it is.

    Args:
        problem: what it ends with.
        known: whether its message is all there is to say; else the traceback comes too.
    """
    if not any(isinstance(each.formatter, JsonFormatter) for each in logging.getLogger().handlers):
        return False
    fields = {"error": type(problem).__name__}
    log = logging.getLogger("driftline")
    log.error("%s", problem, extra=fields, exc_info=None if known else problem)
    return True

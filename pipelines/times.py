"""Times and durations as the command line takes them."""

from datetime import UTC, datetime

from pipelines.config_file import parse_duration
from pipelines.errors import UsageError


def unix_ms(flag: str, text: str) -> int:
    """Unix milliseconds of an ISO 8601 time; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{flag}: {text!r} is no time; write it as 2026-01-05T00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def seconds(flag: str, text: str) -> float:
    """Seconds of a duration such as ``30s`` or ``5m``."""
    found = parse_duration(text)
    if not found:
        raise UsageError(f"{flag}: {text!r} is no duration; write a number and a unit, such as 30s or 5m")
    return found

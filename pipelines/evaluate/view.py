"""The benchmark's summary for people: figures with their intervals, and the same by magnitude."""

from typing import Any

from rich.console import Console
from rich.table import Table

_APART = ("by_magnitude", "intervals")


def show(summary: dict[str, Any], console: Console | None = None) -> None:
    """Print what `evaluate` summed up; absent figures have had nothing to stand on."""
    console = console or Console()
    intervals = summary.get("intervals", {})
    whole = Table("", "all labels", "95 % interval", box=None, pad_edge=False)
    for name, value in summary.items():
        if name not in _APART:
            between = intervals.get(name)
            whole.add_row(_words(name), _figure(value), " to ".join(map(_figure, between or ())))
    console.print(whole)
    magnitudes = summary.get("by_magnitude", {})
    apart = Table("", *magnitudes, box=None, pad_edge=False)
    for name in next(iter(magnitudes.values()), {}):
        apart.add_row(_words(name), *(_figure(each[name]) for each in magnitudes.values()))
    console.print()
    console.print(apart)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"

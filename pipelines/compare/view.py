"""A comparison for people."""

from rich.console import Console
from rich.table import Table

from pipelines.compare import Comparison
from pipelines.compare.verdict import Judged
from pipelines.uncut import uncut


def show(comparison: Comparison, console: Console) -> None:
    """The verdict, why, and every statistic."""
    console.print(f"verdict    {comparison.verdict}: {comparison.reason}", highlight=False)
    if not comparison.statistics:
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    for name in ("finding", "statistic"):
        table.add_column(name)
    for name in ("baseline", "candidate", "difference", "interval", "margin", "blocks"):
        table.add_column(name, justify="right")
    for one in comparison.statistics:
        table.add_row(*_cells(one))
    uncut(console).print(table)


def _cells(one: Judged) -> tuple[str, ...]:
    bounds = "too few yet" if one.low is None else f"{one.low:+.3g} to {one.high:+.3g}"
    blocks = str(one.blocks) if one.blocks_needed is None else f"{one.blocks} of about {one.blocks_needed}"
    unit = "" if one.unit == "1" else f" {one.unit}"
    return (
        one.finding,
        f"{one.signal} {one.statistic}",
        f"{one.baseline:.4g}{unit}",
        f"{one.candidate:.4g}{unit}",
        f"{one.difference:+.3g}",
        bounds,
        f"{one.margin:.2g}",
        blocks,
    )

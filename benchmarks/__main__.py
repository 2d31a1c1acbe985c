"""``make bench``: run the benchmarks named (default: the quick ones), print tables, write JSON to build/bench.

``python -m benchmarks --list`` names them. Those that take long or need data of one's own are run by name:
``python -m benchmarks detection.labelled --data DIR``.
"""

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

#: Module under `benchmarks` → whether ``make bench`` runs it unasked.
BENCHMARKS: dict[str, bool] = {
    "decode": True,
    "fold": True,
    "state": True,
    "pipeline": True,
    "beam_zscore": True,
}
OUT = Path("build/bench")


def show(console: Console, name: str, result: dict[str, object]) -> None:
    """One table a benchmark: a row a figure; lists of rows become tables of their own."""
    figures = Table("figure", "value", title=name)
    for key, value in result.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = Table(*value[0], title=f"{name}: {key}")
            for row in value:
                rows.add_row(*(_text(row.get(column)) for column in value[0]))
            console.print(rows)
        elif isinstance(value, dict):
            for inner, number in value.items():
                figures.add_row(f"{key} {inner}", _text(number))
        else:
            figures.add_row(key, _text(value))
    if figures.row_count:
        console.print(figures)


def _text(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Run and print; 2 when a name is unknown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--list", action="store_true")
    parser.add_argument(
        "--data", type=Path, default=None, help="folder of public data, for those that use it"
    )
    chosen = parser.parse_args()
    if chosen.list:
        print("\n".join(f"{name}{'' if quick else '   (by name)'}" for name, quick in BENCHMARKS.items()))
        return 0
    unknown = [name for name in chosen.names if name not in BENCHMARKS]
    if unknown:
        print(f"unknown benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    console = Console(width=140)
    OUT.mkdir(parents=True, exist_ok=True)
    for name in chosen.names or [name for name, quick in BENCHMARKS.items() if quick]:
        module = importlib.import_module(f"benchmarks.{name}")
        start = time.perf_counter()
        with_data = {"data": chosen.data} if chosen.data and "data" in module.run.__annotations__ else {}
        result = module.run(**with_data)
        result["took_s"] = round(time.perf_counter() - start, 1)
        (OUT / f"{name}.json").write_text(json.dumps(result, indent=1, default=float))
        show(console, name, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())

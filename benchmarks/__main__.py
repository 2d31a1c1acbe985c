"""``make bench``: run the benchmarks named (default: the quick ones), print tables, write JSON.

``python -m benchmarks --list`` names them. Some take long, or need data of one's own, and run by name
alone: ``python -m benchmarks detection.labelled --data DIR``. ``--docs`` makes docs/benchmark.md and
docs/reliability.md of what was measured.
"""

import argparse
import importlib
import inspect
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.reliability import docs as reliability
from benchmarks.tables import markdown, tables

#: Module under `benchmarks` → whether ``make bench`` runs it unasked.
BENCHMARKS: dict[str, bool] = {
    "compare": False,
    "decode": True,
    "fold": True,
    "state": True,
    "engines": False,
    "pipeline": True,
    "kafka": False,
    "embedding.speed": True,
    "embedding.power": False,
    "embedding.type_one": False,
    "detection.cost": True,
    "detection.delay": False,
    "detection.ends": False,
    "detection.false_alarms": False,
    "detection.fleet": False,
    "detection.labelled": False,
    "detection.made": False,
    "detection.real_noise": False,
    "incidents": False,
}
OUT = Path("build/bench")
DOCS = Path("docs/benchmark.md")


def measure(name: str, data: Path | None) -> dict[str, Any]:
    """Run one benchmark; its figures, with how long it took and on what."""
    module = importlib.import_module(f"benchmarks.{name}")
    start = time.perf_counter()
    wants_data = "folder" in inspect.signature(module.run).parameters
    result = dict(module.run(folder=data) if wants_data else module.run())
    result["took_s"] = round(time.perf_counter() - start, 1)
    result["command"] = f"python -m benchmarks {name}" + (" --data DIR" if wants_data else "")
    result["python"] = platform.python_version()
    return result


def main() -> int:
    """Run and print; 2 when a name is unknown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--list", action="store_true", help="name the benchmarks")
    parser.add_argument(
        "--docs", action="store_true", help=f"write {DOCS} and {reliability.DOCS}, run nothing"
    )
    parser.add_argument("--data", type=Path, default=None, help="folder of data, for those that need it")
    chosen = parser.parse_args()
    if chosen.list:
        print("\n".join(f"{name}{'' if quick else '   (by name)'}" for name, quick in BENCHMARKS.items()))
        return 0
    if chosen.docs:
        results = {p.stem: json.loads(p.read_text()) for p in sorted(OUT.glob("*.json"))}
        DOCS.write_text(markdown(results))
        reliability.write()
        return 0
    unknown = [name for name in chosen.names if name not in BENCHMARKS]
    if unknown:
        print(f"unknown benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    console = Console(width=140)
    OUT.mkdir(parents=True, exist_ok=True)
    for name in chosen.names or [name for name, quick in BENCHMARKS.items() if quick]:
        result = measure(name, chosen.data)
        (OUT / f"{name}.json").write_text(json.dumps(result, indent=1, default=float))
        for table in tables(name, result):
            console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

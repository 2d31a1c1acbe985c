"""What driftline survives: real processes killed, stopped, starved and lied to, and how it fares over time.

``make bench-faults`` and ``make bench-soak`` run these on a stack of their own; every run leaves one line of
JSON under ``build/bench``, and ``python -m benchmarks --docs`` makes docs/reliability.md of them.
"""

from pathlib import Path

RUNS = Path("build/bench/faults.jsonl")
#: Of each engine, what was looked at (``faust.jsonl``) and what came of it (``faust.json``).
SOAKS = Path("build/bench/soaks")

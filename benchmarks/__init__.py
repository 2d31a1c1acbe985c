"""Speed and detection benchmarks: each module has ``run() -> dict`` and prints nothing but tables."""

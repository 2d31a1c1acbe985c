"""Vectors a second through the fold, beside an online MMD detector; cost of scoring and bytes of state."""

import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.embedding.online_mmd import OnlineMmd
from benchmarks.embedding.topics import Topics
from gpu_scorers.fold import empty, fold
from gpu_scorers.reference import Reference
from gpu_scorers.spec import Spec
from operators.embedding.vectors import projected

DIM = 384
ROWS = 16_384


def run() -> dict[str, object]:
    """Measure on the device there is; a machine's other work shows in the figures."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    topics, random = Topics.shaped(DIM), np.random.default_rng(0)
    rows = topics.draw(random, ROWS, 1)
    halves = torch.from_numpy(rows.astype(np.float16)).to(device)
    folds = []
    for features in (256, 512, 1024):
        spec = Spec.fit(rows[:4096], features=features, device=device)
        for series in (1, 100, 2_000):
            target = torch.from_numpy(random.integers(series, size=ROWS)).to(device)
            sketches = empty(spec, series)
            took = _best(lambda s=spec, k=sketches, t=target: fold(s, k, halves, t), device)
            folds.append({"features": features, "series": series, "vectors/s": ROWS / took})
    default = Spec.fit(rows[:4096], device=device)
    detector = OnlineMmd(torch.from_numpy(rows[:1000]), 100)
    stream = torch.from_numpy(rows[:300])
    took = _best(lambda: [detector.update(row[None]) for row in stream], "cpu")
    mmd = len(stream) / took
    ours = next(f["vectors/s"] for f in folds if f["features"] == 512 and f["series"] == 1)
    assert isinstance(ours, float)
    series = 256
    buckets = fold(
        default,
        empty(default, series * 20),
        halves.repeat(8, 1),
        torch.arange(ROWS * 8, device=device) % (series * 20),
    ).reshape(series, 20, -1)
    reference = Reference.build(default, buckets)
    scoring = _best(lambda: reference.score(buckets[:, 0]), device)
    building = _best(lambda: Reference.build(default, buckets), device)
    project = _best(lambda: projected(rows, "bench", DIM), "cpu")
    return {
        "device": device,
        "threads": torch.get_num_threads(),
        "fold": folds,
        "project vectors/s": ROWS / project,
        "online MMD rows/s (N=1000, d=384, W=100, own copy of its update)": mmd,
        "fold over online MMD (512 features, 1 series; bar 100)": ours / mmd,
        "score us/series": scoring / series * 1e6,
        "reference us/series (20 buckets)": building / series * 1e6,
        "bytes an open bucket (bar 16384)": default.layout.width * 8,
        "bytes a reference": reference.model.shape[1] * 8,
    }


def _best(work: Callable[[], object], device: str, times: int = 5) -> float:
    """Seconds of the fastest of some runs, after one to warm up: of one core, or of the clock on a GPU."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    took = []
    for _ in range(times + 1):
        start = clock()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        took.append(clock() - start)
    return min(took[1:])

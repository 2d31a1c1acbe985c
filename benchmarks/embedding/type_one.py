"""How often windows without drift are called drift: i.i.d. and topics in runs, pooled calibration.

Every series has 20 reference buckets of its own; their held-out values calibrate all of them together, as in
the pipeline. Windows shorter than five runs are merged until they are not. A new window is scored against
several references, and intervals are over references: windows of one reference share its luck.
"""

import numpy as np
import torch

from benchmarks.embedding.power import RUNS, calibrated, sketches
from benchmarks.embedding.topics import Topics
from gpu_scorers.reference import Reference
from gpu_scorers.scores import FAMILIES
from gpu_scorers.spec import Spec
from gpu_scorers.tails import cauchy

DIM = 384
#: alpha: how many times alpha is allowed.
BARS = {0.05: 1.2, 0.01: 1.2, 0.001: 2.0}
#: Vectors of a window: as it is, and what it is merged to by mean run length.
MERGED = {1: (100, 1000), 20: (100, 1000), 200: (1000,)}
_BUCKETS = 20
_SHARED = 5


def run(references: int = 120, windows: int = 4000, seed: int = 11) -> dict[str, object]:
    """Tables of rejection rates with 95 % intervals.

    Args:
        references: Series, each with its own reference.
        windows: Windows without drift; each is scored against 5 references.
        seed: Of everything drawn.
    """
    rows = []
    for length in RUNS:
        for size in MERGED[length]:
            p = _windows(length, size, references, windows, seed)
            for name, values in p.items():
                rates: dict[str, object] = {"run": length, "rows": size, "p": name, "windows": values.size}
                for alpha, bar in BARS.items():
                    each = (values < alpha).mean(1)
                    rate, half = each.mean(), 1.96 * each.std() / np.sqrt(references)
                    rates[f"p<{alpha}"] = f"{rate:.4f} [{max(rate - half, 0):.4f}, {rate + half:.4f}]"
                    rates[f"within {bar:g}x at {alpha}"] = bool(rate <= bar * alpha)
                rows.append(rates)
    return {"rates": rows}


def _windows(length: int, size: int, references: int, windows: int, seed: int) -> dict[str, np.ndarray]:
    """P-values by family and of all combined, [references, windows of each]."""
    topics, random = Topics(DIM), np.random.default_rng([seed, length, size])
    spec = Spec.fit(topics.draw(random, 4096, length))
    buckets = sketches(spec, topics, random, references * _BUCKETS, size, length)
    reference, calibration = calibrated(spec, buckets.reshape(references, _BUCKETS, -1))
    quiet = sketches(spec, topics, random, windows, size, length)
    each = windows * _SHARED // references
    found: list[torch.Tensor] = []
    for place in range(references):
        mine = quiet[(torch.arange(each) * _SHARED + place * 7919) % windows]
        one = Reference(
            spec, reference.model[place].expand(each, -1), reference.effective[place].expand(each)
        )
        found.append(calibration(one.score(mine).p).p)
    p = torch.stack(found)
    found_by = {"all": cauchy(p).numpy()}
    return found_by | {str(family): p[..., i].numpy() for i, family in enumerate(FAMILIES)}

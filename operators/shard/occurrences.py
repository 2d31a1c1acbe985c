"""Hardware errors of which one is enough: an XID, an uncorrected error, a remapped row is an event by itself.

No baseline is asked: a GPU that never failed has no rate of failing to learn.
"""

from collections.abc import Container
from typing import Any

import numpy as np

from operators.lifecycle.findings import Finding
from operators.shard.catalogue import Catalogue
from operators.shard.sketches import Floats, Ints
from schemas.outputs import Severity

DETECTOR = "occurrence/1"
_SIGNAL = "hw.errors"
_SEVERITY: dict[str, Severity] = {"xid": "error", "uncorrected": "error", "row_remap": "warning"}


def occurrences(
    catalogue: Catalogue, index: Ints, value: Floats, samples: Floats, episodes: Container[Any]
) -> list[Finding]:
    """Findings of one window: what occurred on a GPU, and the calm of one where something had.

    Args:
        catalogue: of the bases.
        index: [n] bases of the window.
        value: [n] their rates, 1/s.
        samples: [n] how often.
        episodes: open or cooling ones, by (source, series).
    """
    signal = catalogue.names[1].get(_SIGNAL, -2)
    findings = []
    for place in np.flatnonzero(catalogue.codes[index, 1] == signal).tolist():
        base = catalogue.bases[index[place]]
        severity = _SEVERITY.get(base.attribute)
        if severity is None or not any(name == "gpu" for name, _ in base.slice) or np.isnan(value[place]):
            continue
        key, rate = base.series()[0], float(value[place])
        if rate > 0 or ("occurrence", key) in episodes:
            findings.append(
                Finding(
                    "occurrence",
                    key,
                    DETECTOR,
                    alarm=rate > 0,
                    score=float(samples[place]),
                    threshold=1.0,
                    p_value=None,
                    observed=rate,
                    expected=0.0,
                    low=0.0,
                    high=0.0,
                    samples=int(samples[place]),
                    direction=1,
                    kind="spike",
                    severity=severity,
                )
            )
    return findings

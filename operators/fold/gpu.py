"""GPU scrapes: gauges fold into distributions, cumulative counters and XID stay readings."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.fold.coding import coded
from operators.fold.parts import Part, column, listed, numbers, points, present, tallies, values

#: field: (signal, attribute)
_GAUGES: dict[str, tuple[str, str]] = {
    "utilization": ("hw.gpu.utilization", ""),
    "power_w": ("hw.power", ""),
    "temperature_c": ("hw.temperature", "gpu"),
    "memory_temperature_c": ("hw.temperature", "memory"),
    "sm_clock_hz": ("hw.gpu.sm_clock", ""),
    "memory_clock_hz": ("hw.gpu.memory_clock", ""),
}
_READINGS: dict[str, tuple[str, str]] = {
    "thermal_violation_s_total": ("hw.gpu.throttle_time", "thermal"),
    "power_violation_s_total": ("hw.gpu.throttle_time", "power"),
    "ecc_corrected_total": ("hw.errors", "corrected"),
    "ecc_uncorrected_total": ("hw.errors", "uncorrected"),
    "remapped_rows_total": ("hw.errors", "row_remap"),
    "xid": ("hw.errors", "xid"),
    "nvlink_errors_total": ("hw.gpu.nvlink_errors", ""),
    "pcie_replay_total": ("hw.gpu.pcie_replays", ""),
}


def gpu_parts(batch: Any) -> Iterator[Part]:
    """What accepted scrapes contribute; ``batch`` as in `schemas.chunk`."""
    for field, (signal, attribute) in _GAUGES.items():
        if (held := column(batch, field)) is not None:
            row, found = present(held), numbers(held)
            yield values(signal, row, found[row], attributes=(attribute,))
    used, limit = column(batch, "memory_used_bytes"), column(batch, "memory_total_bytes")
    if used is not None and limit is not None:
        total = numbers(limit)
        fill = np.divide(numbers(used), total, out=np.full(len(total), np.nan), where=total > 0)
        row = np.flatnonzero(~np.isnan(fill))
        yield values("hw.gpu.memory.utilization", row, np.minimum(fill[row], 1.0))
    for field, (signal, attribute) in _READINGS.items():
        if (held := column(batch, field)) is not None:
            row, found = present(held), numbers(held)
            yield points(signal, row, found[row], attributes=(attribute,))
    if (reasons := column(batch, "throttle_reasons")) is not None:
        yield from _throttle(reasons)


def _throttle(reasons: Any) -> Iterator[Part]:
    told = present(reasons)
    yield tallies("hw.gpu.throttle_time", told, total=np.zeros(len(told)))
    row, place = listed(reasons)
    words = reasons.values.take(pa.array(place))
    word = coded(words if pa.types.is_dictionary(words.type) else pc.dictionary_encode(words))
    # a reason named twice by one scrape is one
    once = np.unique(row * (len(word.values) + 1) + word.codes, return_index=True)[1]
    names = [f"share:{name}" for name in word.values.to_pylist()]
    yield tallies("hw.gpu.throttle_time", row[once], attributes=names, attribute=word.codes[once])

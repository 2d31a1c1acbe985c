"""DCGM's names for the fields of ``telemetry.gpu.v1``: one table, in the order they are preferred.

Source: NVIDIA/dcgm-exporter ``etc/default-counters.csv`` and ``render_metrics.go``. ``Hostname`` became
``hostname`` in 2026, and NVLink series say ``gpu_uuid``/``model_name``: both spellings are read.
"""

from dataclasses import dataclass

#: DCGM marks a blank sample with values from here on (``DCGM_INT64_BLANK`` and its neighbours).
BLANK = 2**63 - 256

_MIB = 1048576.0


@dataclass(frozen=True, slots=True)
class GpuAlias:
    """``field`` is the sum of the ``names`` times ``factor``; with ``every`` only where all are there."""

    field: str
    names: tuple[str, ...]
    factor: float = 1.0
    every: bool = False


#: How each field is made from DCGM names when it is not given itself; the first row that applies wins.
GPU_FIELDS: tuple[GpuAlias, ...] = (
    GpuAlias("utilization", ("DCGM_FI_PROF_GR_ENGINE_ACTIVE",)),
    GpuAlias("utilization", ("DCGM_FI_DEV_GPU_UTIL",), 0.01),
    GpuAlias("memory_used_bytes", ("DCGM_FI_DEV_FB_USED",), _MIB),
    GpuAlias("memory_total_bytes", ("DCGM_FI_DEV_FB_TOTAL",), _MIB),
    GpuAlias(
        "memory_total_bytes",
        ("DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED"),
        _MIB,
        every=True,
    ),
    GpuAlias("memory_total_bytes", ("DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE"), _MIB, every=True),
    GpuAlias("power_w", ("DCGM_FI_DEV_POWER_USAGE",)),
    GpuAlias("temperature_c", ("DCGM_FI_DEV_GPU_TEMP",)),
    GpuAlias("memory_temperature_c", ("DCGM_FI_DEV_MEMORY_TEMP",)),
    GpuAlias("sm_clock_hz", ("DCGM_FI_DEV_SM_CLOCK",), 1e6),
    GpuAlias("memory_clock_hz", ("DCGM_FI_DEV_MEM_CLOCK",), 1e6),
    GpuAlias("thermal_violation_s_total", ("DCGM_FI_DEV_THERMAL_VIOLATION",), 1e-9),
    GpuAlias("power_violation_s_total", ("DCGM_FI_DEV_POWER_VIOLATION",), 1e-9),
    GpuAlias("ecc_corrected_total", ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",)),
    GpuAlias("ecc_corrected_total", ("DCGM_FI_DEV_ECC_SBE_AGG_TOTAL",)),
    GpuAlias("ecc_uncorrected_total", ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",)),
    GpuAlias("ecc_uncorrected_total", ("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL",)),
    GpuAlias("xid", ("DCGM_FI_DEV_XID_ERRORS",)),
    GpuAlias(
        "nvlink_errors_total",
        (
            "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL",
            "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL",
            "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL",
            "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL",
        ),
    ),
    GpuAlias("pcie_replay_total", ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER",)),
    GpuAlias(
        "remapped_rows_total",
        ("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS"),
    ),
)

#: Exporter labels by identity field. A UUID wins over ``gpu``, which DCGM uses for the device's index.
GPU_LABELS: dict[str, tuple[str, ...]] = {
    "gpu": ("UUID", "gpu_uuid"),
    "node": ("hostname", "Hostname"),
    "gpu_model": ("modelName", "model_name"),
}

#: Every name above: what a GPU record may be spelt with beside its own fields.
GPU_NAMES: frozenset[str] = frozenset(
    [name for alias in GPU_FIELDS for name in alias.names]
    + [label for labels in GPU_LABELS.values() for label in labels]
)

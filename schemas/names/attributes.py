"""Identity from OpenTelemetry attributes: the canonical name first, then driftline's own, then others."""

from collections.abc import Mapping

from schemas.identity import IDENTITY_FIELDS, OTEL_ATTRIBUTE
from schemas.names.gpu import GPU_LABELS

_EARLIER: dict[str, tuple[str, ...]] = {
    "environment": ("deployment.environment",),
    "provider": ("gen_ai.system",),
}

#: Labels of inference servers' Prometheus metrics: vLLM and SGLang say ``model_name``, Triton ``model``.
_SERVER_LABELS: dict[str, tuple[str, ...]] = {"request_model": ("model_name", "model")}


def _spellings(labels: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, int]]:
    """Attribute → (identity field, rank); the lowest rank that is present wins."""
    table: dict[str, tuple[str, int]] = {}
    for field in IDENTITY_FIELDS:
        names = [
            OTEL_ATTRIBUTE[field],
            f"driftline.{field}",
            *_EARLIER.get(field, ()),
            *labels.get(field, ()),
        ]
        for rank, name in enumerate(dict.fromkeys(names)):
            table[name] = (field, rank)
    return table


_GENERAL = _spellings({})
_SERVER = _spellings(_SERVER_LABELS)
_GPU = _spellings(GPU_LABELS)


def identity_of(attributes: Mapping[str, object], source: str = "") -> dict[str, str]:
    """The identity fields these attributes give.

    Args:
        attributes: Attribute name → value; only strings that are not empty count.
        source: Name of the metric they come with: labels such as ``model_name`` mean the GPU's model
            on a DCGM metric and the served model on any other. Empty for spans and resources.
    """
    table = _GENERAL if not source else _GPU if source.startswith("DCGM_") else _SERVER
    best: dict[str, tuple[int, str]] = {}
    for name, value in attributes.items():
        spelling = table.get(name)
        if spelling is None or not isinstance(value, str) or not value:
            continue
        field, rank = spelling
        if field not in best or rank < best[field][0]:
            best[field] = (rank, value)
    return {field: value for field, (_, value) in best.items()}

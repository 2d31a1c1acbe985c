"""Who a sample belongs to: the identity fields, in their one canonical order.

Every record may carry any of them; slices are sets of them, and a fingerprint is taken over the
slice's fields under exactly these names.
"""

#: String-valued identity fields, canonical order.
IDENTITY_FIELDS: tuple[str, ...] = (
    "environment",
    "service",
    "service_version",
    "region",
    "cluster",
    "node",
    "replica",
    "gpu",
    "gpu_model",
    "tp_group",
    "provider",
    "request_model",
    "response_model",
    "quantization",
    "prompt_version",
    "decode_params_hash",
    "route",
    "task",
    "tenant_hash",
    "session_hash",
    "producer",
)

#: The OpenTelemetry attribute each field is read from and written as; the rest use ``driftline.<field>``.
OTEL_ATTRIBUTE: dict[str, str] = {
    "service": "service.name",
    "service_version": "service.version",
    "environment": "deployment.environment.name",
    "region": "cloud.region",
    "cluster": "k8s.cluster.name",
    "node": "k8s.node.name",
    "replica": "service.instance.id",
    "gpu": "hw.id",
    "gpu_model": "hw.model",
    "provider": "gen_ai.provider.name",
    "request_model": "gen_ai.request.model",
    "response_model": "gen_ai.response.model",
    "prompt_version": "gen_ai.prompt.version",
} | {
    field: f"driftline.{field}"
    for field in (
        "tp_group",
        "quantization",
        "decode_params_hash",
        "route",
        "task",
        "tenant_hash",
        "session_hash",
        "producer",
    )
}

#: Resource attributes of an anomaly event start with one of these; the others are plain attributes.
RESOURCE_PREFIXES: tuple[str, ...] = ("service.", "deployment.", "cloud.", "k8s.", "hw.")

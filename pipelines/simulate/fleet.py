"""The simulated fleet: four services, their servers, GPUs, nodes, tenants, tasks and topics.

``chat-api`` serves ``llama-70b`` itself on eight two-GPU replicas in two regions; one of them takes the
long contexts.
``code-api`` serves ``coder-7b`` on two single-GPU replicas. ``assist-api`` calls a provider's model through
two
gateways, so it has neither replicas nor GPUs;
``legal-api`` does the same for three requests an hour. All names are made up.
"""

from dataclasses import dataclass, field

ENVIRONMENT = "production"
CLUSTER = "c1"
EMBEDDER = "mini-embed-1"

#: Prompts longer than this go to the long-context route.
LONG_PROMPT_TOKENS = 4000


@dataclass(frozen=True, slots=True)
class Server:
    """What answers requests: a replica with GPUs, or a gateway to a provider (no replica, no GPUs)."""

    producer: str
    region: str
    replica: str | None = None
    node: str | None = None
    gpu_model: str | None = None
    tp_group: str | None = None
    gpus: tuple[str, ...] = ()
    long_context: bool = False
    #: Started only by an autoscaling scenario.
    spare: bool = False
    #: Time per output token relative to the service's.
    pace: float = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """One service and the traffic it gets; ``rate`` in requests a second over the day."""

    name: str
    request_model: str
    version: str
    trace: str
    rate: float
    servers: tuple[Server, ...]
    tasks: tuple[str, ...]
    tenants: int
    tpot_s: float
    embedded_share: float
    provider: str | None = None
    prompt_version: str = "p7"
    quantization: str | None = None
    topics: tuple[int, ...] = field(default=tuple(range(10)))

    @property
    def identity(self) -> dict[str, str]:
        """The identity fields that all of the service's samples share."""
        fields = {
            "environment": ENVIRONMENT,
            "service": self.name,
            "service_version": self.version,
            "cluster": CLUSTER,
            "request_model": self.request_model,
        }
        return fields | ({"provider": self.provider} if self.provider else {})


def gpu_uuid(node: str, slot: int) -> str:
    """A made-up GPU UUID."""
    return f"GPU-{node}-{slot}"


def _replica(
    service: str,
    number: int,
    region: str,
    gpu_model: str,
    *,
    gpus: int,
    spare: bool = False,
    long: bool = False,
) -> Server:
    name, node = f"{service}-{number}", f"{service}-node-{number}"
    return Server(
        producer=name,
        region=region,
        replica=name,
        node=node,
        gpu_model=gpu_model,
        tp_group=f"tp-{name}",
        gpus=tuple(gpu_uuid(node, slot) for slot in range(gpus)),
        long_context=long,
        spare=spare,
        pace=1.0 if gpu_model == "H100" else 1.35,
    )


CHAT = Service(
    name="chat-api",
    request_model="llama-70b",
    version="v1",
    trace="conv",
    rate=1.7,
    servers=tuple(
        _replica(
            "chat",
            number,
            "eu-west1" if number % 8 < 4 else "us-east1",
            "H100" if number % 2 == 0 else "A100",
            gpus=2,
            spare=number >= 8,
            long=number == 7,
        )
        for number in range(10)
    ),
    tasks=("chat", "summarise", "extract", "translate"),
    tenants=12,
    tpot_s=0.022,
    embedded_share=0.5,
    quantization="fp8",
)

CODE = Service(
    name="code-api",
    request_model="coder-7b",
    version="v3",
    trace="code",
    rate=0.3,
    servers=tuple(_replica("code", number, "eu-west1", "L40S", gpus=1) for number in range(2)),
    tasks=("complete",),
    tenants=6,
    tpot_s=0.011,
    embedded_share=0.0,
)

ASSIST = Service(
    name="assist-api",
    request_model="acme-large",
    version="v5",
    trace="conv",
    rate=0.5,
    servers=tuple(
        Server(producer=f"gateway-{number}", region=region)
        for number, region in enumerate(("eu-west1", "us-east1"))
    ),
    tasks=("draft", "classify"),
    tenants=5,
    tpot_s=0.016,
    embedded_share=1.0,
    provider="acme-ai",
    topics=(2, 3, 5, 7, 10, 11),
)

LEGAL = Service(
    name="legal-api",
    request_model="acme-large",
    version="v2",
    trace="conv",
    rate=3 / 3600,
    servers=(Server(producer="legal-gateway", region="eu-west1"),),
    tasks=("review",),
    tenants=2,
    tpot_s=0.016,
    embedded_share=1.0,
    provider="acme-ai",
    topics=(4, 9),
)

SERVICES: dict[str, Service] = {service.name: service for service in (CHAT, CODE, ASSIST, LEGAL)}


def server_fields(service: Service, server: Server) -> dict[str, str]:
    """The identity fields of one server's samples."""
    fields = {
        "region": server.region,
        "node": server.node,
        "replica": server.replica,
        "gpu_model": server.gpu_model,
        "tp_group": server.tp_group,
        "quantization": service.quantization,
    }
    return service.identity | {name: value for name, value in fields.items() if value is not None}

"""Where a scenario strikes: draws one place of its kind from the fleet and says what confines it."""

from collections.abc import Sequence

import numpy as np

from pipelines.simulate.episodes import Place
from pipelines.simulate.fleet import SERVICES, Server, Service, server_fields
from pipelines.simulate.scenario import Scenario

Fields = dict[str, str | list[str]]


def locate(scenario: Scenario, draw: np.random.Generator, taken: Sequence[Place] = ()) -> Place:
    """One place of the scenario's kind, drawn from its service, none that is taken."""
    for _ in range(50):
        place = _drawn(scenario, draw)
        if not place.fields or all(place.fields != other.fields for other in taken):
            return place
    raise ValueError(f"{scenario.id}: no other place left")


def _drawn(scenario: Scenario, draw: np.random.Generator) -> Place:
    service = SERVICES[scenario.service]
    ordinary = [server for server in service.servers if not (server.spare or server.long_context)]
    server = ordinary[int(draw.integers(len(ordinary)))]
    fields: dict[str, tuple[str, ...]] = {}
    identity: Fields = dict(service.identity)
    match scenario.at:
        case "replica":
            fields = {"replica": (str(server.replica),)}
        case "producer":
            fields = {"producer": (server.producer,)}
        case "gpu":
            fields = {
                "replica": (str(server.replica),),
                "gpu": (server.gpus[int(draw.integers(len(server.gpus)))],),
            }
        case "gpu_model":
            fields = {"gpu_model": (str(server.gpu_model),)}
        case "servers":
            pair = draw.choice(len(ordinary), size=max(2, len(ordinary) // 3), replace=False)
            fields = {"replica": tuple(sorted(str(ordinary[index].replica) for index in pair))}
        case "route":
            server = next(each for each in service.servers if each.long_context)
            identity |= {**confined(service, [server]), "route": "long"}
        case "tenant":
            tenant = f"t-{service.name[:4]}-{int(draw.integers(1, 4)):02d}"
            return Place(service, {}, identity, {"tenant_hash": tenant, **_named(scenario, identity)})
        case _:
            pass
    if fields:
        identity |= confined(service, [each for each in service.servers if _has(each, fields)])
        if scenario.at == "producer":
            identity["producer"] = server.producer
    identity |= dict(scenario.names)
    for name in scenario.unconfined:
        identity.pop(name, None)
    found = identity | {
        name: values[0] if len(values) == 1 else list(values) for name, values in fields.items()
    }
    return Place(service, fields, identity, _named(scenario, found))


def confined(service: Service, servers: list[Server]) -> Fields:
    """The identity of some servers, lists where they differ; what all of the service have is left out."""
    everyone = [_fields(service, server) for server in service.servers]
    chosen = [_fields(service, server) for server in servers]
    identity: Fields = {}
    for name in dict.fromkeys(name for fields in chosen for name in fields):
        values = sorted({value for fields in chosen for value in fields.get(name, ())})
        if len(values) < len({value for fields in everyone for value in fields.get(name, ())}):
            identity[name] = values[0] if len(values) == 1 else values
    return identity


def others(service: Service, field: str, identity: Fields) -> list[str]:
    """Every other value of a field in the service than those of ``identity``."""
    mine = identity.get(field, [])
    everyone = {value for server in service.servers for value in _fields(service, server).get(field, ())}
    return sorted(everyone - set([mine] if isinstance(mine, str) else mine))


def _fields(service: Service, server: Server) -> dict[str, tuple[str, ...]]:
    fields = {name: (value,) for name, value in server_fields(service, server).items()}
    return fields | ({"gpu": server.gpus} if server.gpus else {})


def _has(server: Server, fields: dict[str, tuple[str, ...]]) -> bool:
    return all(getattr(server, name) in values for name, values in fields.items() if name != "gpu")


def _named(scenario: Scenario, identity: Fields) -> Fields:
    return {name: identity[name] for name in scenario.root if name in identity}

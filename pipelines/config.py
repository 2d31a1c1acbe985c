"""What `driftline` runs with: one YAML file, read into one frozen `Config`.

Flags come before the environment, the environment before the file, the file before the defaults. The
settings of the core stand at the top level of the file beside input and outputs; a field named ``x_s`` or
``x_days`` may be written ``x`` with a duration (``bucket: 10s``, ``per_series: 90d``). Secrets are never in
the file: it names the files that hold them, or they come from the environment.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from operators.settings import Detection, Settings
from pipelines.config_file import Source, convert, duration_names, read, schema_with_durations
from pipelines.errors import UsageError
from pipelines.generated import check_or_write
from schemas.identity import IDENTITY_FIELDS
from schemas.signals import SIGNALS

Engine = Literal["beam", "faust", "local"]
Runner = Literal["fnapi", "flink", "dataflow"]
DEFAULT_CLICKHOUSE = "chdb:./driftline-data"
KAFKA_PREFIX = "kafka://"
SCHEMA_PATH = Path(__file__).resolve().parent.parent / "schemas" / "json" / "config.schema.json"


class Kafka(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Kafka is reached. User and password: `username_file`, `password_file` or the environment."""

    client: Literal["kafka-python", "aiokafka", "confluent-kafka"] = "kafka-python"
    group: Annotated[str, Meta(min_length=1)] = "driftline"
    topics: tuple[str, ...] = ()
    start: Literal["earliest", "latest"] = "earliest"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ssl_ca_file: str | None = None
    ssl_cert_file: str | None = None
    ssl_key_file: str | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username_file: str | None = None
    password_file: str | None = None
    api_version: tuple[int, int] | None = None
    max_poll_records: Annotated[int, Meta(ge=1)] = 10_000


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a run needs to know.

    ``input``: a folder, or ``kafka://HOST:PORT``; ``output``: the same, for the anomalies and incidents
    topics and dead letters, or None. ``state``: folder for the local engine's snapshots, or None.
    ``observe``: HOST:PORT at which `driftline run` serves metrics, health and readiness, or None.
    """

    input: str | None = None
    output: str | None = None
    clickhouse: str = DEFAULT_CLICKHOUSE
    engine: Engine = "beam"
    runner: Runner = "fnapi"
    engine_options: tuple[str, ...] = ()
    state: str | None = None
    correlate_s: Annotated[float, Meta(gt=0)] = 30.0
    observe: str | None = None
    log_format: Literal["text", "json"] = "text"
    kafka: Kafka = Kafka()
    settings: Settings = Settings()


class ConfigError(UsageError):
    """A config that cannot be run with; the message names file, line, field and what would be right."""


def load(path: Path) -> Config:
    """Read and validate one config file; raises `ConfigError`."""
    source = read(path, ConfigError)
    tree = dict(source.tree)
    if "alarm_budget" in tree:  # the one number people set stands at the top
        detection = tree.setdefault("detection", {})
        if not isinstance(detection, dict) or "alarm_budget" in detection:
            raise source.error("alarm_budget", "stands at the top level or under detection, not both")
        tree["detection"] = detection | {"alarm_budget": tree.pop("alarm_budget")}
    own = {name for name in Config.__struct_fields__ if name != "settings"}
    own |= duration_names(Config)
    core = {name: tree.pop(name) for name in list(tree) if name in Settings.__struct_fields__}
    unknown = [name for name in tree if name not in own]
    if unknown:
        raise source.unknown(unknown[0], own | set(Settings.__struct_fields__) | {"alarm_budget"})
    if isinstance(core.get("embeddings"), dict) and "sentinels" in core["embeddings"]:
        core["embeddings"] = core["embeddings"] | {"sentinels": _sentinels(core["embeddings"], source)}
    settings = convert(core, Settings, source)
    config = convert(tree, Config, source)
    config = msgspec.structs.replace(config, settings=settings)
    _check_settings(settings, source)
    _check_addresses(config, source)
    return config


def resolve(path: Path | None = None, **flags: Any) -> Config:
    """The config file (or the defaults) with ``DRIFTLINE_CLICKHOUSE`` and given flags laid over it.

    Flags that are None are not given. Raises `ConfigError`.
    """
    config = load(path) if path else Config()
    environment = os.environ.get("DRIFTLINE_CLICKHOUSE")
    given = {"clickhouse": environment} if environment else {}
    given |= {name: value for name, value in flags.items() if value is not None}
    config = msgspec.structs.replace(config, **given)
    _check_addresses(config, Source(Path(path or "command line"), "", {}, ConfigError))
    return config


def check_runnable(config: Config) -> None:
    """Refuse what cannot be started: no input; a folder or an embedded store where several processes run."""
    if not config.input:
        raise ConfigError(
            "no input: give --input DIR or --input kafka://HOST:PORT, or `input:` in the config file"
        )
    if not config.input.startswith(KAFKA_PREFIX) and not Path(config.input).is_dir():
        raise ConfigError(f"input: {config.input} is no folder; it holds one folder per topic")
    several = config.engine == "faust" or (config.engine == "beam" and config.runner != "fnapi")
    name = config.engine if config.engine == "faust" else config.runner
    if several and config.clickhouse.startswith("chdb:"):
        raise ConfigError(
            f"clickhouse: {config.clickhouse} serves one process at a time and {name} runs several; "
            "give http://HOST:PORT/DB"
        )
    for field in ("input", "output"):
        address = getattr(config, field)
        if several and address and not address.startswith(KAFKA_PREFIX):
            raise ConfigError(
                f"{field}: {address} is a folder, which the workers of {name} do not share; "
                "give kafka://HOST:PORT"
            )


def kafka_servers(address: str) -> str | None:
    """``HOST:PORT[,HOST:PORT]`` of a ``kafka://`` address, or None for a folder."""
    return address.removeprefix(KAFKA_PREFIX).rstrip("/") if address.startswith(KAFKA_PREFIX) else None


def json_schema() -> dict[str, Any]:
    """JSON Schema of the config file."""
    core = msgspec.json.schema(Settings)
    own = msgspec.json.schema(Config)
    definitions = own["$defs"] | core["$defs"]
    file = definitions.pop("Config")
    settings = definitions.pop("Settings")
    del definitions["SentinelSet"]
    file_name = {"type": "string", "minLength": 1}
    definitions["EmbeddingSettings"]["properties"]["sentinels"] = {
        "anyOf": [file_name, {"type": "array", "items": file_name, "minItems": 1}]
    }
    properties = {name: value for name, value in file["properties"].items() if name != "settings"}
    properties |= settings["properties"] | {"alarm_budget": {"$ref": "#/$defs/AlarmBudget"}}
    return schema_with_durations(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "driftline config",
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            "$defs": definitions,
        }
    )


def _sentinels(tree: dict[str, Any], source: Source) -> list[Any]:
    """What the files that are named hold: every worker needs it, and it is part of what decides."""
    from pipelines.sentinels import read_all

    named = tree["sentinels"]
    paths = [named] if isinstance(named, str) else named
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths) or not paths:
        raise source.error("embeddings.sentinels", "must be a file of driftline sentinels fit, or several")
    try:
        every = read_all(paths)
    except UsageError as problem:
        raise source.error("embeddings.sentinels", str(problem)) from None
    made: list[Any] = msgspec.to_builtins(every, builtin_types=(bytes,))
    return made


def _check_settings(settings: Settings, source: Source) -> None:
    windows = settings.windows
    if windows.detect_s % windows.bucket_s:
        raise source.error("windows.detect", f"must be a multiple of windows.bucket ({windows.bucket_s}s)")
    for fields in settings.slices.sets:
        for name in fields:
            if name not in IDENTITY_FIELDS:
                raise source.unknown("slices.sets", set(IDENTITY_FIELDS), name=name, what="identity field")
    for key in settings.detection.per_signal:
        name = key.partition(" ")[0]
        if name not in SIGNALS:
            raise source.unknown("detection.per_signal", set(SIGNALS), name=name, what="signal")
    _check_detectors(settings.detection, source)


def _check_detectors(detection: Detection, source: Source) -> None:
    # river and scipy are loaded only for detectors that are not the default
    if not detection.detectors and detection.per_signal == Detection().per_signal:
        return
    from operators.detectors import REGISTRY

    named = [("detection.detectors", name) for name in detection.detectors]
    named += [
        ("detection.per_signal", name.removeprefix("+"))
        for names in detection.per_signal.values()
        for name in names
    ]
    for field, name in named:
        if name not in REGISTRY:
            raise source.unknown(field, set(REGISTRY), name=name, what="detector")


def _check_addresses(config: Config, source: Source) -> None:
    for field in ("input", "output"):
        address = getattr(config, field)
        if not address:
            continue
        if "://" in address and not address.startswith(KAFKA_PREFIX):
            raise source.error(field, f"{address} is neither a folder nor kafka://HOST:PORT")
        servers = kafka_servers(address)
        if servers is not None and not all(":" in server for server in servers.split(",")):
            raise source.error(field, f"{address} lacks a port: kafka://HOST:PORT[,HOST:PORT]")
        if servers is not None and "@" in servers:
            raise source.error(field, "holds a user; use kafka.username_file or DRIFTLINE_KAFKA_USERNAME")
    if config.observe and not re.fullmatch(r"[^/\s]+:\d{1,5}", config.observe):
        raise source.error("observe", f"{config.observe} is not HOST:PORT, such as 127.0.0.1:9464")
    url = config.clickhouse
    if not url.startswith(("chdb:", "http://", "https://")):
        raise source.error("clickhouse", f"{url} is neither chdb:PATH nor http(s)://HOST:PORT/DB")
    if "@" in url.split("://", 1)[-1]:
        raise source.error(
            "clickhouse",
            "holds a user; use DRIFTLINE_CLICKHOUSE_USER and DRIFTLINE_CLICKHOUSE_PASSWORD(_FILE)",
        )


def main(arguments: list[str]) -> int:
    """``python -m pipelines.config --check|--write``: hold the exported JSON Schema to the structs."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    return check_or_write(
        SCHEMA_PATH, text, arguments, module="pipelines.config", source="pipelines/config.py"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

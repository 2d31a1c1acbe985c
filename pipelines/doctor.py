"""``driftline doctor``: what is installed, and what is reachable."""

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from pipelines.config import Config, kafka_servers, resolve

State = Literal["ok", "absent", "failed"]
_ANSI = re.compile(r"\x1b\[[0-9;]*m")

#: Distribution by what it is for; extras are named as in pyproject.toml.
PACKAGES: tuple[tuple[str, str], ...] = (
    ("driftline", "this"),
    ("numpy", "core"),
    ("pyarrow", "core"),
    ("msgspec", "core"),
    ("river", "core"),
    ("clickhouse-connect", "core"),
    ("kafka-python", "core"),
    ("apache-beam", "extra beam"),
    ("google-cloud-storage", "extra gcp"),
    ("faust-streaming", "extra faust"),
    ("aiokafka", "extra faust"),
    ("confluent-kafka", "extra faust"),
    ("torch", "extra gpu"),
    ("chdb", "extra embedded"),
    ("matplotlib", "extra plot"),
)


class Finding(Struct, frozen=True):
    """One thing looked at. Only ``failed`` makes the command fail: it was asked for and is not there."""

    what: str
    state: State
    detail: str


def command(path: Path | None, flags: dict[str, Any], *, as_json: bool) -> int:
    """Print the findings; 1 when something the config asks for cannot be reached."""
    config = resolve(path, **flags)
    asked = path is not None or any(flags.values()) or "DRIFTLINE_CLICKHOUSE" in os.environ
    findings = [*_installed(), *(_reachable(config) if asked else ())]
    if as_json:
        print(json.dumps([{"what": f.what, "state": f.state, "detail": f.detail} for f in findings]))
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            print(f"{finding.state:<7} {finding.what:<{width}}  {finding.detail}")
        if not asked:
            print("\nReachability: give --config, --input or --clickhouse.")
    return int(any(finding.state == "failed" for finding in findings))


def _installed() -> Iterator[Finding]:
    yield Finding(
        "python", "ok", f"{platform.python_version()} on {os.cpu_count()} CPUs, {platform.system()}"
    )
    for name, role in PACKAGES:
        try:
            yield Finding(name, "ok", f"{version(name)} ({role})")
        except PackageNotFoundError:
            yield Finding(name, "absent", role)
    for program, purpose in (("java", "Flink and Kafka on a laptop"), ("mvn", "fetches their jars")):
        found = shutil.which(program)
        yield Finding(program, "ok" if found else "absent", _version_of(found) if found else purpose)
    yield _cuda()


def _version_of(program: str) -> str:
    try:
        answer = subprocess.run(  # noqa: S603
            [program, "-version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError) as problem:
        return f"{program}: {problem}"
    return _ANSI.sub("", (answer.stdout or answer.stderr).strip().splitlines()[0])[:100]


def _cuda() -> Finding:
    # asked in a process of its own: nothing but scoring waits for torch's import
    if importlib.util.find_spec("torch") is None:
        return Finding("cuda", "absent", "torch is not installed; scoring runs in numpy")
    code = (
        "import torch; c = torch.cuda;"
        " print(c.get_device_name() if c.is_available() else '', torch.version.cuda)"
    )
    try:
        answer = subprocess.run(  # noqa: S603
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
        )
    except (OSError, subprocess.SubprocessError) as problem:
        return Finding("cuda", "absent", f"torch cannot be asked: {problem}")
    device, _, toolkit = answer.stdout.strip().rpartition(" ")
    return Finding(
        "cuda", "ok" if device else "absent", f"{device or 'no device; torch runs on CPU'} (CUDA {toolkit})"
    )


def _reachable(config: Config) -> Iterator[Finding]:
    yield _store(config)
    for field in ("input", "output"):
        address = getattr(config, field)
        if not address:
            continue
        if kafka_servers(address):
            yield _kafka(config, field, address)
        else:
            there = Path(address).is_dir()
            state: State = "ok" if there else "failed" if field == "input" else "absent"
            yield Finding(field, state, f"folder {address}" + ("" if there else " does not exist"))


def _store(config: Config) -> Finding:
    from operators.clickhouse import Store, StoreError, StoreMissing

    try:
        store = Store.open(config.clickhouse, make=False)
    except StoreMissing as problem:
        return Finding("clickhouse", "absent", str(problem))
    except (StoreError, ImportError) as problem:
        return Finding("clickhouse", "failed", str(problem))
    try:
        return Finding("clickhouse", "ok", f"{config.clickhouse} {'.'.join(map(str, store.server_version))}")
    finally:
        store.close()


def _kafka(config: Config, field: str, address: str) -> Finding:
    from operators.adapters.kafka import connect
    from operators.adapters.source import SourceError
    from pipelines.brokers import reached
    from schemas.topics import INPUT_TOPICS

    try:
        client = connect(config.kafka.client, reached(config, address))
    except SourceError as problem:
        return Finding(field, "failed", str(problem))
    try:
        topics = {topic for topic, _ in client.partitions(config.kafka.topics or INPUT_TOPICS)}
        return Finding(
            field, "ok", f"{address}: {', '.join(sorted(topics)) or 'none of the input topics yet'}"
        )
    except SourceError as problem:
        return Finding(field, "failed", str(problem))
    finally:
        client.close()

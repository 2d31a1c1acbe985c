"""The part ``kafka``: one broker that is its own controller (KRaft)."""

import shlex
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from pipelines.stack.jars import jars, java
from pipelines.stack.ports import Ports, address, listens
from pipelines.stack.process import Process

_CLUSTER = "driftline-stack-AAAAAA"  # Kafka wants 22 characters of base64
_LOG = ("-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")


def processes(folder: Path, ports: Ports) -> list[Process]:
    """The broker, its log under ``folder/kafka``."""
    properties = folder / "kafka.properties"
    return [
        Process(
            name="kafka",
            part="kafka",
            command=["/bin/sh", "-c", _command(folder, properties)],
            address=address(ports.kafka),
            healthy=lambda: _healthy(ports.kafka),
            prepare=lambda: _prepare(folder, properties, ports),
        )
    ]


def _command(folder: Path, properties: Path) -> str:
    """Format the folder if it is new, then become the broker."""
    run = [java(), "-XX:+UseSerialGC", *_LOG, "-cp", str(jars("kafka") / "*")]
    tool = ("kafka.tools.StorageTool", "format", "--standalone", "-t", _CLUSTER, "-c", str(properties))
    formatted = shlex.quote(str(folder / "kafka" / "meta.properties"))
    once = shlex.join([*run, "-XX:TieredStopAtLevel=1", *tool])
    broker = shlex.join([*run, "-Xms128m", "-Xmx384m", "kafka.Kafka", str(properties)])
    return f"[ -f {formatted} ] || {once} && exec {broker}"


def _healthy(port: int) -> bool:
    if not listens(port):  # the client would try for long, and say so
        return False
    try:
        client = KafkaAdminClient(bootstrap_servers=address(port), request_timeout_ms=20_000)
    except KafkaError:
        return False
    try:
        return bool(client.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        client.close()


def _prepare(folder: Path, properties: Path, ports: Ports) -> None:
    properties.write_text("".join(f"{key}={value}\n" for key, value in _settings(folder, ports).items()))


def _settings(folder: Path, ports: Ports) -> dict[str, object]:
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": f"PLAINTEXT://{address(ports.kafka)},CONTROLLER://{address(ports.kafka_controller)}",
        "advertised.listeners": f"PLAINTEXT://{address(ports.kafka)}",
        "controller.quorum.bootstrap.servers": address(ports.kafka_controller),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": folder / "kafka",
        # logs of one that was killed, each with files to be made and synced on a disk that may be slow
        "num.recovery.threads.per.data.dir": 8,
        # of 128 MiB, held from the start, a stack's few compacted keys need little
        "log.cleaner.dedupe.buffer.size": 4 << 20,
        # topics are made by `driftline topics create`: a misspelt one is an error, not a new topic
        "auto.create.topics.enable": "false",
        "message.max.bytes": 17 << 20,  # a record of 16 MiB and its head
        "replica.fetch.max.bytes": 17 << 20,
        # one broker holds the only replica of everything, and few files
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # a broker that was killed may come back once its last session has run out
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 2_000,
    }

"""TLS and SASL on a real broker, by each client library, and through the command."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec import structs

from operators.adapters.kafka import CLIENTS, KafkaOptions, OutRecord, connect, connect_producer
from operators.adapters.source import SourceError
from operators.store_errors import SinkError
from pipelines.stack import Stack
from pipelines.stack.jars import jars, java
from pipelines.stack.ports import Ports, address, listens
from tests.acceptance.command import here
from tests.engines.broker import make_topic, until

USER, PASSWORD = "alice", "correct-horse"


class Secure(NamedTuple):
    """A broker's listeners, and what proves who it and its client are."""

    plain: str
    tls: str
    sasl: str
    sasl_tls: str
    ca: str
    certificate: str
    key: str


def pkcs8(pem: bytes) -> bytes:
    """A private key in the only form that Java reads."""
    key = load_pem_private_key(pem, None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="module")
def secure(stack: Stack) -> Iterator[Secure]:
    """A broker of its own, with listeners for TLS (which asks for a certificate), SASL, and both."""
    folder = stack.folder / "secure"
    folder.mkdir()
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    server = ca.issue_cert("127.0.0.1")
    chain = b"".join(pem.bytes() for pem in server.cert_chain_pems)
    (folder / "server.pem").write_bytes(pkcs8(server.private_key_pem.bytes()) + chain)
    client = ca.issue_cert("client@example.org")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    client.private_key_pem.write_to_path(folder / "client.key")
    free = Ports.free()
    ports = (free.kafka, free.kafka_controller, free.flink_rest, free.flink_rpc, free.flink_blob)
    plain, controller, tls, sasl, sasl_tls = map(address, ports)
    (folder / "server.properties").write_text(f"""
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{plain},CONTROLLER://{controller},SSL://{tls},SASL_PLAINTEXT://{sasl},SASL_SSL://{sasl_tls}
advertised.listeners=PLAINTEXT://{plain},SSL://{tls},SASL_PLAINTEXT://{sasl},SASL_SSL://{sasl_tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
controller.quorum.bootstrap.servers={controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder / "data"}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
ssl.keystore.type=PEM
ssl.keystore.location={folder / "server.pem"}
ssl.truststore.type=PEM
ssl.truststore.location={folder / "ca.pem"}
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_plaintext.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
""")
    run = [java(), "-Xmx384m", "-XX:+UseSerialGC", "-cp", str(jars("kafka") / "*")]
    tool = ["kafka.tools.StorageTool", "format", "--standalone", "-t", "driftline-stack-AAAAAA", "-c"]
    scram = ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"]
    properties = str(folder / "server.properties")
    subprocess.run([*run, *tool, properties, *scram], check=True, capture_output=True)
    with (folder / "broker.log").open("wb") as log:
        broker = subprocess.Popen([*run, "kafka.Kafka", properties], stdout=log, stderr=log)
        try:
            until(lambda: listens(ports[0]) or broker.poll() is not None, "the broker's listeners")
            assert broker.poll() is None, (folder / "broker.log").read_text()[-2000:]
            make_topic(plain, "secured")
            files = (str(folder / name) for name in ("ca.pem", "client.pem", "client.key"))
            yield Secure(plain, tls, sasl, sasl_tls, *files)
        finally:
            broker.kill()
            broker.wait()


def ways(secure: Secure) -> dict[str, KafkaOptions]:
    """How each listener is reached."""
    patience = {"bootstrap_timeout_s": 180.0, "timeout_s": 180.0}
    certificate = {
        "ssl_ca_file": secure.ca,
        "ssl_cert_file": secure.certificate,
        "ssl_key_file": secure.key,
    }
    user = {"username": USER, "password": PASSWORD}
    return {
        "TLS with a certificate": KafkaOptions(
            servers=secure.tls, security_protocol="SSL", **certificate, **patience
        ),
        "SASL PLAIN": KafkaOptions(
            servers=secure.sasl,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN",
            **user,
            **patience,
        ),
        "SCRAM over TLS": KafkaOptions(
            servers=secure.sasl_tls,
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-512",
            ssl_ca_file=secure.ca,
            **user,
            **patience,
        ),
    }


@pytest.mark.parametrize("library", sorted(CLIENTS))
def test_records_go_and_come_by_every_way(secure: Secure, library: str) -> None:
    for way, options in ways(secure).items():
        sent = f"{library} {way}".encode()
        producer = connect_producer(library, options)
        assert producer.deliver([OutRecord("secured", None, [], sent)]) == {}, way
        producer.close()
        client = connect(library, options)
        try:
            client.assign({("secured", 0): 0})
            found: set[bytes] = set()

            def arrived(client: object = client, found: set[bytes] = found, sent: bytes = sent) -> bool:
                for records in client.poll((), 0.2).values():
                    found.update(record.value for record in records)
                return sent in found

            until(arrived, f"{library} by {way}")
            client.commit({("secured", 0): 1})
        finally:
            client.close()


def why_not_read(library: str, options: KafkaOptions) -> str:
    """What a consumer says that cannot connect."""
    with pytest.raises(SourceError) as told:
        connect(library, options).close()
    return str(told.value)


def why_not_sent(library: str, options: KafkaOptions) -> str:
    """What a producer says that cannot send."""
    try:
        producer = connect_producer(library, options)
    except SinkError as problem:
        return str(problem)
    failed = producer.deliver([OutRecord("secured", None, [], b"")])
    producer.close()
    return failed[0]


def hung_up(library: str, said: str) -> bool:
    """kafka-python 3.0.12 at times sees only that a broker hung up on a wrong password, and says that."""
    return library == "kafka-python" and "cannot be reached" in said


@pytest.mark.parametrize("library", sorted(CLIENTS))
def test_a_wrong_password_or_authority_is_said_and_shown_to_nobody(secure: Secure, library: str) -> None:
    scram = ways(secure)["SCRAM over TLS"]
    wrong = structs.replace(scram, password="wrong-battery")
    untrusted = structs.replace(scram, ssl_ca_file=None)
    for options, word in ((wrong, "uthentication"), (untrusted, "certificate verify failed")):
        for ask in (why_not_read, why_not_sent):
            for seconds in (1.0, 10.0, 250.0):  # who is not answered at all in this time says that
                hasty = structs.replace(options, bootstrap_timeout_s=seconds, timeout_s=seconds)
                said = ask(library, hasty)
                assert "wrong-battery" not in said
                assert PASSWORD not in said
                if word in said or hung_up(library, said):
                    break
            else:
                raise AssertionError(said)


def test_the_command_reads_secrets_from_files(
    secure: Secure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "user").write_text(USER + "\n")
    (tmp_path / "password").write_text("wrong-battery\n")
    (tmp_path / "driftline.yaml").write_text(f"""
input: kafka://{secure.sasl_tls}
engine: local
kafka:
  client: confluent-kafka
  security_protocol: SASL_SSL
  sasl_mechanism: SCRAM-SHA-512
  ssl_ca_file: {secure.ca}
  username_file: {tmp_path / "user"}
  password_file: {tmp_path / "password"}
""")

    def refused() -> bool:
        run = ("run", "--config", "driftline.yaml", "--until-end")
        answer = here(tmp_path, *run, monkeypatch=monkeypatch, capfd=capfd)
        assert answer.code == 1
        assert "wrong-battery" not in answer.err + answer.out
        return "uthentication" in answer.err

    until(refused, "a word of it")  # a run that is not answered at all in its time says that
    (tmp_path / "password").write_text(PASSWORD)
    for command, code in ((("topics", "diff"), 1), (("dlq", "list", "changes.v1"), 0)):
        done = here(tmp_path, *command, "--config", "driftline.yaml", monkeypatch=monkeypatch, capfd=capfd)
        assert done.code == code, done.err

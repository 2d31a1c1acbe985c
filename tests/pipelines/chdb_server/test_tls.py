"""The store over TLS: with the right authority it works, with another it is refused at once, unwaited."""

import datetime
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from operators.clickhouse import Store, StoreAway, StoreError
from tests.clickhouse_server import Server

pytest.importorskip("cryptography")
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime.datetime.now(datetime.UTC)


class Authority:
    """A CA of one's own, with its certificate in a file."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / f"{name}.pem"
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        basic = x509.BasicConstraints(ca=True, path_length=0)
        made = self._sign(self._name, self._key.public_key(), basic)
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def issue(self, address: str) -> tuple[Path, Path]:
        """Certificate and key files for a server at an IP address."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
        alternative = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))])
        made = self._sign(name, key.public_key(), alternative)
        certificate, secret = self._folder / "server.pem", self._folder / "server.key"
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        form = serialization.PrivateFormat.PKCS8
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
        return certificate, secret

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(NOW - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(NOW + datetime.timedelta(hours=1))
        return builder.add_extension(extension, critical=False).sign(self._key, hashes.SHA256())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Server, Authority]]:
    authority = Authority(tmp_path, "ours")
    certificate, key = authority.issue("127.0.0.1")
    options = ("--certificate", str(certificate), "--key", str(key))
    with Server(tmp_path / "engine", *options, scheme="https") as running:
        yield running, authority


def test_only_the_right_authority_is_trusted(
    server: tuple[Server, Authority], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, ours = server
    for file in (None, Authority(tmp_path, "theirs").file):
        if file:
            monkeypatch.setenv("DRIFTLINE_CLICKHOUSE_CA_FILE", str(file))
        with pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            Store.open(running.url)
        assert not isinstance(caught.value, StoreAway)
    monkeypatch.setenv("DRIFTLINE_CLICKHOUSE_CA_FILE", str(ours.file))
    with Store.open(running.url) as store:
        assert store.query("SELECT 1 AS n")["n"].to_pylist() == [1]
    monkeypatch.setenv("DRIFTLINE_CLICKHOUSE_CA_FILE", str(tmp_path / "none"))
    with pytest.raises(StoreError, match="DRIFTLINE_CLICKHOUSE_CA_FILE: there is no file"):
        Store.open(running.url)

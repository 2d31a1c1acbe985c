import re
import socket
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipelines.stack import NotInstalledError, Ports, Stack, StackError, jars
from pipelines.stack.ports import get, listens

POMS = sorted((Path(jars.__file__).parent / "poms").glob("*.xml"))
MAVEN = "{http://maven.apache.org/POM/4.0.0}"


def test_free_ports_are_all_different_and_free() -> None:
    ports = Ports.free()
    numbers = [getattr(ports, name) for name in ports.__struct_fields__]
    assert len(set(numbers)) == len(numbers)
    assert not any(listens(number) for number in numbers)
    others = {getattr(Ports.free(), name) for name in ports.__struct_fields__ for _ in range(20)}
    assert others.isdisjoint(numbers)  # which nothing listens on yet


def test_a_server_that_answers_otherwise_gives_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert listens(server.getsockname()[1])
    with socket.socket() as held:  # by which nobody else can have it meanwhile
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        assert not listens(port)
        assert get(port, "/ping") is None


def test_a_folder_remembers_its_ports(tmp_path: Path) -> None:
    first = Stack(tmp_path / "s")
    first.down()
    assert Stack(tmp_path / "s").ports == first.ports
    assert Stack(tmp_path / "s", Ports()).ports == first.ports
    assert Stack(tmp_path / "t", Ports()).kafka == "127.0.0.1:9092"


def test_looking_writes_nothing(tmp_path: Path) -> None:
    assert Stack(tmp_path / "s").status() == []
    assert not (tmp_path / "s").exists()


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"other": 1}')
    with pytest.raises(StackError, match="is this the folder of a stack"):
        Stack(tmp_path)


def test_unknown_parts_and_processes_are_named(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    with pytest.raises(StackError, match="no part 'redis'; it has kafka, flink, clickhouse"):
        stack.up("redis")
    with pytest.raises(StackError, match="no process 'clickhouse-7'"):
        Stack(tmp_path).start("clickhouse-7")


def test_a_fetch_that_fails_leaves_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[INFO] scanning'\necho '[ERROR] no route to host'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(NotInstalledError, match=r"the jars of kafka: \[ERROR\] no route to host"):
        jars.jars("kafka")
    assert list((tmp_path / "cache" / "driftline" / "jars").iterdir()) == []


@pytest.mark.parametrize("pom", POMS, ids=lambda pom: pom.stem)
def test_poms_pin_every_version_and_name_no_repository(pom: Path) -> None:
    project = ElementTree.parse(pom).getroot()
    properties = {one.tag.removeprefix(MAVEN): one.text for one in project.iterfind(f"{MAVEN}properties/*")}
    versions = [one.text or "" for one in project.iterfind(f".//{MAVEN}dependency/{MAVEN}version")]
    plain = [re.sub(r"\$\{(\w+)}", lambda name: str(properties[name[1]]), version) for version in versions]
    assert plain
    assert all(re.fullmatch(r"\d+(\.\d+)+", version) for version in plain), plain
    assert len(plain) == len(project.findall(f".//{MAVEN}dependency"))
    assert project.find(f"{MAVEN}repositories") is None
    assert set(re.findall(r"https?://[^\s\"<]+", pom.read_text())) == {MAVEN.strip("{}")}

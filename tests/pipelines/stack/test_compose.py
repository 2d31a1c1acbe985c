"""What can be said of compose.yaml without Docker: its shape, its pins, and who can reach it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

COMPOSE: dict[str, Any] = yaml.safe_load((Path(__file__).resolve().parents[3] / "compose.yaml").read_bytes())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
#: Of the compose specification, what is used here.
KNOWN = {
    "build": (str, dict),
    "command": (str, list),
    "depends_on": dict,
    "entrypoint": list,
    "environment": dict,
    "healthcheck": dict,
    "image": str,
    "network_mode": str,
    "ports": list,
    "profiles": list,
    "user": str,
    "volumes": list,
}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


def test_the_top_is_of_the_specification() -> None:
    assert set(COMPOSE) == {"name", "services", "volumes"}
    assert {"kafka", "clickhouse", "jobmanager", "taskmanager", "workers", "job-server"} <= set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_of_the_specification(name: str) -> None:
    service = SERVICES[name]
    for field, value in service.items():
        assert isinstance(value, KNOWN[field]), field
    for other, how in service.get("depends_on", {}).items():
        assert how["condition"] in CONDITIONS
        assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]
    if "healthcheck" in service:
        assert set(service["healthcheck"]) == {"test", "interval", "timeout", "retries"}
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    for volume in service.get("volumes", ()):
        assert volume.split(":")[0] in COMPOSE["volumes"]
    shared = service.get("network_mode", "service:kafka")
    assert shared.removeprefix("service:") in SERVICES


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_published_is_published_on_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_ours_or_pinned(name: str) -> None:
    image = SERVICES[name]["image"]
    if "build" in SERVICES[name]:
        assert image == "driftline"
    else:
        assert re.search(r":\d+\.\d+", image)


def test_no_password_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or str(value).startswith("${")

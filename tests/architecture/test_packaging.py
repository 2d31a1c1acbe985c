"""The four packages have plain names: nothing else that is installed may bring one of the same name."""

import tomllib
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pipelines", "operators", "gpu_scorers", "schemas")


def test_the_wheel_holds_the_four_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert tuple(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_owns_the_name(package: str) -> None:
    assert set(packages_distributions().get(package, ())) <= {"driftline"}
    found = find_spec(package)
    assert found is not None
    assert found.origin == str(ROOT / package / "__init__.py")

"""The jars of Kafka and of Beam on Flink: fetched once with Maven, kept in the user's cache.

A set of jars is what one pom beside this module asks for; its folder carries the pom's digest, so that a
changed pom is fetched anew and an interrupted fetch leaves nothing that looks complete.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pipelines.stack.errors import NotInstalledError

SETS = ("kafka", "flink")


def java() -> str:
    """The program that runs them.

    Raises:
        NotInstalledError: there is none on the path.
    """
    found = shutil.which("java")
    if not found:
        raise NotInstalledError("java is not on the PATH: Kafka and Flink need Java 17, any vendor's")
    return found


def jars(name: str) -> Path:
    """The folder that holds a set, fetched now if it is not there.

    Raises:
        NotInstalledError: the jars are not there and Maven is not installed, or could not fetch them.
    """
    found = folder(name)
    if not found.is_dir():
        _fetch(name, found)
    return found


def folder(name: str) -> Path:
    """Where a set is, or would be."""
    kept = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    digest = hashlib.sha256(_pom(name).read_bytes()).hexdigest()
    return Path(kept) / "driftline" / "jars" / f"{name}-{digest[:12]}"


def _pom(name: str) -> Path:
    return Path(__file__).parent / "poms" / f"{name}.xml"


def _fetch(name: str, folder: Path) -> None:
    maven = shutil.which("mvn")
    if not maven:
        raise NotInstalledError(f"the jars of {name} are not here, and mvn is not on the PATH to fetch them")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as partial:
        # the pom is copied: Maven writes a target folder beside it
        own = shutil.copy(_pom(name), Path(partial) / "pom.xml")
        got = Path(partial) / "jars"
        goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={got}")
        answer = subprocess.run(  # noqa: S603
            [maven, "--quiet", "--batch-mode", "--file", own, *goal],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            said = next((line for line in answer.stdout.splitlines() if "ERROR" in line), answer.stderr)
            raise NotInstalledError(f"Maven could not fetch the jars of {name}: {said.strip()}")
        try:
            got.rename(folder)
        except OSError:  # another process was faster; its set is the same
            if not folder.is_dir():
                raise

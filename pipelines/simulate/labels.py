"""The truth about a simulated timeline: one label for each scenario in it, as `labels.json` holds them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

Shape = Literal["step", "ramp", "intermittent"]
Magnitude = Literal["weak", "mid", "strong"]

#: The magnitudes in the order in which scenarios state their three strengths.
MAGNITUDES: tuple[Magnitude, ...] = ("weak", "mid", "strong")


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, to whom, when, and what a right answer is.

    Times are integer Unix ms. ``symptom``, ``layer``, ``failure_kind`` and ``expected_action`` list the
    accepted answers, the first being the truth for agreement; they are null for controls, which nothing may
    page on. ``identity`` confines all that the fault touches, ``root`` names what to find.
    """

    scenario: str
    seed: int
    onset: int
    end: int
    first_user_report: int | None
    symptom: list[str] | None
    layer: list[str] | None
    failure_kind: list[str] | None
    expected_action: list[str] | None
    min_severity: str
    change_id: str | None
    shape: Shape
    share: float
    magnitude: Magnitude
    depth: float
    identity: dict[str, str | list[str]]
    root: dict[str, str | list[str]] | None
    must_stay_silent: list[dict[str, Any]]

    @property
    def is_control(self) -> bool:
        """Whether this is a control: nothing went wrong, nothing may page."""
        return self.symptom is None


def write_labels(path: Path, labels: Sequence[Label]) -> None:
    """Write ``labels.json``."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(list(labels)), indent=1) + b"\n")


def read_labels(path: Path) -> list[Label]:
    """Read ``labels.json``; raises ``msgspec.ValidationError`` where it is not one."""
    return msgspec.json.decode(path.read_bytes(), type=list[Label])

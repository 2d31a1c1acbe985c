"""One embedding series: the windows it is gathering, its reference, and what longer windows last said."""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from operators.series import Slice
from schemas.outputs import CalibrationSource

Floats = npt.NDArray[np.float64]

#: Longer windows, ms: what is too weak for one window and lasts is found here, against the same reference.
SCALES_MS = (900_000, 3_600_000)
#: A window is closed after this long with however many vectors, or forgotten with too few.
LONGEST_MS = 900_000
#: Later reference windows are taken at times that grow by this factor, until twice as many are held.
_GROWTH = 1.15
#: However long a gap was, what is known of late loses no more than this many e-folds by it.
_FADES = 0.5
#: Windows that suddenly lack their prompts, or suddenly have some, before the reference starts anew.
_STRANGE = 3
_NOTHING = np.zeros(0)


@dataclass(slots=True)
class Window:
    """A window being gathered, or one gathered: sums of closed buckets, ``n`` vectors, ``parts`` merged.

    ``before`` is where the series was of late when the window began (longer windows only).
    """

    start_ms: int = 0
    end_ms: int = 0
    parts: int = 0
    n: int = 0
    sums: Floats = field(default_factory=lambda: _NOTHING)
    before: Floats = field(default_factory=lambda: _NOTHING)

    def add(self, sums: Floats, start_ms: int, end_ms: int) -> None:
        """Merge sums of [start, end)."""
        if self.parts == 0:
            self.start_ms, self.sums = start_ms, sums.copy()
        else:
            self.sums += sums
        self.parts += 1
        self.n += int(sums[0])
        self.end_ms = end_ms

    def taken(self) -> "Window":
        """What was gathered; this window starts anew."""
        whole = Window(self.start_ms, self.end_ms, self.parts, self.n, self.sums, self.before)
        self.parts, self.n, self.sums, self.before = 0, 0, _NOTHING, _NOTHING
        return whole


@dataclass(slots=True)
class Standing:
    """A longer window's last verdict, valid until the next one of its scale."""

    window: Window
    p: Floats
    leading: npt.NDArray[np.int64]
    observed: Floats
    expected: Floats
    source: CalibrationSource = "prior"


@dataclass(slots=True)
class Series:
    """State of one series of one group.

    ``buckets`` are the reference windows' sums, dropped once the reference is full; ``model`` and ``null``
    (empty while warming) are what is kept of them. ``recent`` are the sums of late windows, older ones
    counting ever less: what is asked wanders over the day, so windows are compared with where the series has
    been. A series is ``lone`` when its answers came without prompts although answers of this kind have some;
    ``strange`` counts the latest windows that were otherwise. A ``borrowed`` model is a relative's scatter
    about a centre of its own, until there is a reference.
    """

    slice: Slice
    window: Window = field(default_factory=Window)
    longer: list[Window] = field(default_factory=lambda: [Window() for _ in SCALES_MS])
    standing: list[Standing | None] = field(default_factory=lambda: [None for _ in SCALES_MS])
    buckets: list[Floats] = field(default_factory=list)
    held: int = 0
    first_ms: int | None = None
    next_ms: int = 0
    model: Floats = field(default_factory=lambda: _NOTHING)
    null: Floats = field(default_factory=lambda: _NOTHING)
    effective: float = 1.0
    recent: Floats = field(default_factory=lambda: _NOTHING)
    recent_ms: int = 0
    seen_ms: int = 0
    lone: bool = False
    strange: int = 0
    borrowed: bool = False

    @property
    def warm(self) -> bool:
        """Whether there is a reference to score against."""
        return self.model.size > 0

    def takes(self, window: Window, *, lone: bool) -> bool:
        """Whether a window is of the kind of the reference; after some that are not it starts anew."""
        if self.held == 0:
            self.lone = lone
        self.strange = 0 if lone == self.lone else self.strange + 1
        if self.strange >= _STRANGE:
            self.forget_reference()
            return False
        return self.strange == 0

    def borrow(self, relative: "Series", now_ms: int) -> None:
        """Be judged by a relative's scatter about the few windows there are."""
        self.model, self.effective, self.borrowed = relative.model, relative.effective, True
        self.recent, self.recent_ms = np.sum(self.buckets, 0), now_ms

    def wants(self, window: Window, first: int) -> bool:
        """Whether a quiet window should join the reference: the first all do, later ones ever more rarely."""
        return self.held < first or (self.held < 2 * first and window.end_ms >= self.next_ms)

    def admit(self, window: Window, first: int) -> None:
        """Take a window into the reference buckets."""
        if self.first_ms is None:
            self.first_ms = window.start_ms
        self.buckets.append(window.sums)
        self.held += 1
        if self.held >= first:
            self.next_ms = self.first_ms + int((window.end_ms - self.first_ms) * _GROWTH)

    def follow(self, window: Window, tau_ms: float) -> None:
        """Let older windows fade, and join a window to ``recent`` and to the longer windows."""
        for longer in self.longer:
            if longer.parts == 0:
                longer.before = self.recent
            longer.add(window.sums, window.start_ms, window.end_ms)
        # after a gap what was known is old, but better than nothing
        passed = min(max(window.end_ms - self.recent_ms, 0) / tau_ms, _FADES)
        self.recent = self.recent * math.exp(-passed) + window.sums
        self.recent_ms = window.end_ms

    def forget_reference(self) -> None:
        """Start a new reference with the next window."""
        self.buckets, self.held, self.first_ms, self.next_ms = [], 0, None, 0
        self.model, self.null, self.effective, self.strange = _NOTHING, _NOTHING, 1.0, 0
        self.recent, self.recent_ms, self.borrowed = _NOTHING, 0, False
        self.longer = [Window() for _ in SCALES_MS]
        self.standing = [None for _ in SCALES_MS]

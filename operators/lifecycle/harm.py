"""How many samples an episode of a share (errors, refusals, a script) made bad, beyond what is so anyhow.

Also of arrivals that are not completed: there a shortfall is made good when what was in flight comes back.
"""

import math

from msgspec import Struct
from scipy.special import gammainc

from operators.lifecycle.findings import Finding
from operators.lifecycle.meaning import meaning
from operators.series import SeriesKey

#: Samples that must be harmed to wake somebody: fewer are single requests.
_FEW = 5.0
#: Whatever a detector makes of them, so many come by chance at most once in 10 to this.
_COUNTED = 4.0
#: Arrivals, and their share, that must be missing among the completions.
_LOST, _LOST_SHARE = 8.0, 0.25
#: Statistics that are a share of samples, before their colon.
_SHARES = frozenset({"ratio", "share", "present", "completed"})


class Harm(Struct):
    """Samples that were bad over an episode, and those that would have been by what was expected."""

    bad: float = 0.0
    due: float = 0.0
    samples: float = 0.0

    def add(self, finding: Finding) -> None:
        """Count a window, in alarm or not: what comes right again is taken off."""
        if not is_share(finding):
            return
        self.samples += finding.samples
        falls = meaning(finding.key).worse == -1
        # after a burst more may be completed than arrives: none of that is owed
        expected = min(finding.expected, 1.0)
        self.bad += finding.samples * (1 - finding.observed if falls else finding.observed)
        self.due += finding.samples * (1 - expected if falls else expected)

    def matters(self, key: SeriesKey) -> bool:
        """Whether more than single requests or chance were at work, and of what is in flight a good part."""
        beyond = self.bad - self.due
        if key.statistic == "completed":
            return beyond >= max(_LOST, _LOST_SHARE * self.samples)
        return beyond >= _FEW and self._chance() <= 10.0**-_COUNTED

    def adds_up(self, evidence: float) -> bool:
        """Whether so many bad ones come by chance at most once in ``10 ** evidence`` (Poisson)."""
        return self.bad >= 1 and self.due > 0 and self._chance() <= 10.0**-evidence

    def _chance(self) -> float:
        return float(gammainc(self.bad, self.due))


def is_share(finding: Finding) -> bool:
    """Whether a finding is of a share of samples."""
    part = finding.key.statistic.partition(":")[0]
    return finding.source == "bank" and part in _SHARES and math.isfinite(finding.observed)

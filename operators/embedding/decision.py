"""From windows to verdicts: one batched score a spec, calibration pooled over series, the alarm budget."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from gpu_scorers import arrays
from gpu_scorers.calibration import Calibration
from gpu_scorers.scores import FAMILIES, SCORERS, budget_shares, scorers
from gpu_scorers.scores.sentinel import sentinel
from operators.embedding.group import Group, GroupKey
from operators.embedding.series import SCALES_MS, Series, Standing, Window
from operators.embedding.verdict import EmbeddingVerdict
from operators.series import SeriesKey, Slice, fingerprint
from operators.settings import Settings
from schemas.outputs import CalibrationSource

Floats = npt.NDArray[np.float64]

#: Shares by scale: the windows themselves, then the longer ones.
SCALE_SHARE = (0.6, 0.25, 0.15)
#: Time over which what a series has been of late fades e-fold, ms: topics wander over hours, and hardly in
#: answers given their prompts.
TAU_MS, TAU_GIVEN_MS = 3_600_000.0, 10_800_000.0
#: How much wider than that of single windows the prior of each scale is: the longer, the more has wandered.
WIDER = (1.0, 1.5, 2.0)
#: A window joins the null values unless it comes within this factor of an alarm.
_NULL = 10.0
#: A window less likely than this in any family does not join the reference.
_QUIET = 0.005


class Decision:
    """Scores and decides for all series of a shard."""

    def __init__(self, settings: Settings) -> None:
        self._period_ms = settings.windows.detect_s * 1000
        self._shares = settings.detection.budget_shares
        self._rate = self._period_ms / (settings.detection.alarm_budget.per_series_days * 86_400_000)
        self._held_out: tuple[list[Floats], float] = ([], 0.1)
        self._calibrations: dict[tuple[GroupKey, int], tuple[int, Calibration]] = {}
        self._stale = True

    def recalibrate(self) -> None:
        """References changed: pool their held-out values anew when next needed."""
        self._stale = True

    def score(
        self, due: Sequence[tuple[Group, Sequence[tuple[Series, Window]]]]
    ) -> list[arrays.Windows | None]:
        """Score the due windows of groups against where their series were, for `decide`."""
        ready = [(group, [pair for pair in windows if pair[0].warm]) for group, windows in due]
        return _scored([(group, some, [series.recent for series, _ in some]) for group, some in ready])

    def decide(
        self,
        group: Group,
        due: Sequence[tuple[Series, Window]],
        scores: arrays.Windows | None,
        pool: Callable[[], Sequence[Series]],
        now_ms: int,
        frozen: set[Slice],
    ) -> tuple[list[EmbeddingVerdict], list[tuple[Series, Window]]]:
        """Decide on the due windows of a group.

        Args:
            group: The spec's group.
            due: Windows of its series.
            scores: What `score` gave of them.
            pool: Series of the shard that have a reference: their held-out values calibrate.
            now_ms: End of the bucket that closed.
            frozen: Slices inside an open anomaly.

        Returns:
            A verdict for each family of each window, and the windows that may join a reference.
        """
        if self._stale:
            known = pool()
            usual = float(np.median([series.effective for series in known])) if known else 0.1
            null = [series.null[:, : len(SCORERS)] for series in known]
            self._held_out, self._stale = (null, usual), False
            self._calibrations.clear()
        ready = [(series, window) for series, window in due if series.warm]
        said = self._test(group, 0, ready, scores)
        quiet = [pair for pair in due if not pair[0].warm and pair[0].slice not in frozen]
        for series, standing in zip((series for series, _ in ready), said, strict=True):
            window = standing.window
            if series.slice in frozen or (self._rates(standing, 0) <= self._rate).any():
                continue
            given = group.spec is not None and group.spec.given is not None and not series.lone
            series.follow(window, TAU_GIVEN_MS if given else TAU_MS)
            if standing.p.min() > _QUIET:
                quiet.append((series, window))
        self._look_back(group, now_ms)
        verdicts: list[EmbeddingVerdict] = []
        for series, window in due:
            if not series.warm:
                verdicts.extend(self._warming(group, series, window))
        for (series, _), standing in zip(ready, said, strict=True):
            verdicts.extend(self._verdicts(group, series, standing))
        return verdicts, quiet

    def _look_back(self, group: Group, now_ms: int) -> None:
        """Score the longer windows that end now; what they say stands until the next of their scale."""
        for scale, length in enumerate(SCALES_MS):
            if now_ms % length:
                continue
            gathered = []
            for each in sorted(group.series):
                series = group.series[each]
                series.standing[scale] = None
                window = series.longer[scale].taken()
                if series.warm and window.parts >= 2:
                    gathered.append((series, window))
            (scores,) = _scored([(group, gathered, [window.before for _, window in gathered])])
            said = self._test(group, scale + 1, gathered, scores)
            for (series, _), standing in zip(gathered, said, strict=True):
                standing.window.sums = standing.window.before = np.zeros(0)  # what stands is the verdict
                series.standing[scale] = standing

    def _test(
        self,
        group: Group,
        scale: int,
        windows: Sequence[tuple[Series, Window]],
        scores: arrays.Windows | None,
    ) -> list[Standing]:
        """Calibrated p-values of the families for each scored window.

        What they say before calibration joins the null values of their kind, unless it may be an alarm.
        """
        if scores is None:
            return []
        calibration = self._calibration(group, scale)
        p, leading = calibration.families(scores.p)
        rows = np.arange(len(windows))[:, None]
        observed, expected = scores.observed[rows, leading], scores.expected[rows, leading]
        source = self._source(calibration)
        found = [
            Standing(window, p[i], leading[i], observed[i], expected[i], source)
            for i, (_, window) in enumerate(windows)
        ]
        quiet = [i for i, each in enumerate(found) if (self._rates(each, scale) > _NULL * self._rate).all()]
        group.null[scale].add(scores.p[quiet])
        return found

    def _calibration(self, group: Group, scale: int) -> Calibration:
        """Null values of a group's windows of one scale: those held out, and the live ones, walks and all.

        What other groups held out says nothing of this one's sentinels.
        """
        live, known = group.null[scale], self._calibrations.get((group.key, scale))
        if known is None or known[0] != live.version:
            held, usual = self._held_out
            own = [live.values] if scale else [*(each.null for each in group.references()), live.values]
            null = [live.values[:, : len(SCORERS)]]
            near = [each[:, len(SCORERS) :] for each in own] if group.near.names else []
            calibration = Calibration.pooled(null if scale else [*held, *null], usual, WIDER[scale], near)
            known = (live.version, calibration)
            self._calibrations[group.key, scale] = known
        return known[1]

    def _rates(self, standing: Standing, scale: int) -> Floats:
        """f64 [families]: rate, per detection period and share of the budget, of windows like this one.

        Each sentinel stands behind the families as one of its own.
        """
        length = max(standing.window.end_ms - standing.window.start_ms, self._period_ms)
        share = np.array(budget_shares(standing.p.size - len(FAMILIES))) * SCALE_SHARE[scale]
        return np.minimum(standing.p / share * (self._period_ms / length), 1.0)

    def _verdicts(self, group: Group, series: Series, now: Standing) -> list[EmbeddingVerdict]:
        """For each family the scale that says most."""
        key = group.key
        standing = [now, *series.standing]
        rates = np.stack([
            np.ones(now.p.size) if each is None else self._rates(each, scale)
            for scale, each in enumerate(standing)
        ])  # fmt: skip
        run = () if group.spec is None else scorers(group.spec.layout)
        verdicts = []
        for place, family in enumerate(_statistics(group)):
            scale = int(rates[:, place].argmin())
            said = standing[scale] or now
            family_key, detector = series_key(key, series.slice, family), run[int(said.leading[place])].id
            rate = min(float(rates[scale, place]) / self._share(family_key, detector), 1.0)
            verdicts.append(
                EmbeddingVerdict(
                    key=family_key,
                    window_start_ms=said.window.start_ms,
                    window_end_ms=now.window.end_ms,
                    score=-math.log10(rate),
                    p_value=rate,
                    threshold=-math.log10(self._rate),
                    alarm=rate <= self._rate,
                    detector=detector,
                    observed=float(said.observed[place]),
                    expected=float(said.expected[place]),
                    n=said.window.n,
                    effective=said.window.n * series.effective,
                    calibration="prior" if series.borrowed else said.source,
                    warming=False,
                    embedder_version=key.embedder_version,
                )
            )
        return verdicts

    def _share(self, key: SeriesKey, detector: str) -> float:
        """Share of the budget that labels left a scorer on a series."""
        return self._shares.get(fingerprint(key, detector), 1.0) if self._shares else 1.0

    def _warming(self, group: Group, series: Series, window: Window) -> list[EmbeddingVerdict]:
        key = group.key
        leads: dict[str, str] = {scorer.family: scorer.id for scorer in reversed(SCORERS)}
        return [
            EmbeddingVerdict(
                key=series_key(key, series.slice, family),
                window_start_ms=window.start_ms,
                window_end_ms=window.end_ms,
                score=0.0,
                p_value=1.0,
                threshold=-math.log10(self._rate),
                alarm=False,
                detector=leads.get(family, sentinel(0).id),
                observed=math.nan,
                expected=math.nan,
                n=window.n,
                effective=float(window.n),
                calibration="prior",
                warming=True,
                embedder_version=key.embedder_version,
            )
            for family in _statistics(group)
        ]

    def _source(self, calibration: Calibration) -> CalibrationSource:
        """Empirical where null values reach the budget alone, prior where they are a minority."""
        if calibration.values * self._rate >= 1:
            return "empirical"
        return "extrapolated" if calibration.dominant else "prior"


def _scored(
    asked: Sequence[tuple[Group, Sequence[tuple[Series, Window]], Sequence[Floats]]],
) -> list[arrays.Windows | None]:
    """Windows of groups against their references, and where each series was; None where there are none.

    Those that are scored given prompts and lone ones have a spec each.
    """
    found: list[arrays.Windows | None] = [None for _ in asked]
    places: list[tuple[arrays.Windows, list[int]]] = []
    due: list[arrays.Due] = []
    for number, (group, windows, recent) in enumerate(asked):
        if group.spec is None or not windows:
            continue
        scores = arrays.Windows(*np.empty((3, len(windows), len(scorers(group.spec.layout)))))
        found[number] = scores
        for lone in (False, True):
            rows = [row for row, (series, _) in enumerate(windows) if series.lone == lone]
            if rows:
                spec = Group.spec_of(group.spec, windows[rows[0]][0])
                models = np.stack([windows[row][0].model for row in rows])
                sums = np.stack([windows[row][1].sums[: spec.layout.whole] for row in rows])
                late = np.stack([recent[row][: spec.layout.whole] for row in rows])
                due.append(arrays.Due(spec, models, sums, late))
                places.append((scores, rows))
    for (scores, rows), part in zip(places, arrays.score_each(due), strict=True):
        scores.p[rows], scores.observed[rows], scores.expected[rows] = part.p, part.observed, part.expected
    return found


def _statistics(group: Group) -> tuple[str, ...]:
    return (*FAMILIES, *group.near.statistics)


def series_key(key: GroupKey, slice_: Slice, family: str) -> SeriesKey:
    """The series of one family on one side of one slice."""
    return SeriesKey(
        topic=key.topic,
        signal=f"gen_ai.{key.side}.embedding",
        statistic=family,
        side=key.side,
        slice=slice_,
        kind="embedding",
        unit="1",
    )

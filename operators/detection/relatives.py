"""What a new row takes over from its relatives: the same statistic of other versions and replicas.

A version or a replica of a known model is no stranger. The nearest relative that is mature lends it all that
tells how such a row behaves (autoregression, season, tails, granularity); level and scale come from all of
them, and how far apart they lie says how far the new one may lie from them. That spread is a posterior: what
siblings differ by is itself known from few of them only, so it is shrunk to a usual spread, and widened as
Student's t asks at the rates an alarm is about. In the bank it is nothing but a young ``age``: a level known
to ``spread`` is worth var / spread**2 windows, and every own window adds one.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from operators.columns import Columns, Field, Rows
from operators.detection.peers import WHOLE
from operators.detectors.beside import PARTS as BESIDE
from operators.detectors.channel import Floats
from operators.series import SeriesKey, Slice

#: Fields whose values are names of equals: another replica is as good a relative as another version.
EQUALS = frozenset({"replica", "gpu", "node", "tp_group"})
#: Kinds whose level follows from how much traffic there is: a canary's is not its predecessor's.
_TRAFFIC = ("count", "counter")
#: Own windows that make a row mature; relatives looked at, and used.
MATURE, _LOOKED_AT, _USED = 60.0, 64, 32
#: Usual spread between relatives: deviations of a window, and share of the level; and squared, relative, of
#: ratios of trials. It is worth that many relatives.
_SPREAD, _SHARE, _RATIO_SPREAD, _WORTH = 0.3, 0.02, 0.05, 12.0
#: Event rate at which Student's t and the normal are made to agree.
_RATE = 1e-4
#: Windows that a relative's scale is worth.
SCALE_WORTH = 60.0
#: A row that stands on fewer samples is noisier, by no more than this in variance.
_NOISIER = 100.0

#: ``lent``: windows in ``n`` that are a relative's, 0 where there is none; ``usual_samples``: mean samples
#: behind a window.
FIELDS = (Field("lent"), Field("usual_samples"))

#: What a row does not take over: who it is, and what goes on in it just now.
_OWN = frozenset(
    [
        "seed",
        "group",
        "unit",
        "recent",
        "origin",
        "last",
        "own_events",
        "quiet",
        "frozen",
        "calm",
        "run",
        "event_peak",
        "event_quiet",
        "odd_sides",
        "tail_peak",
        "tail_quiet",
        "late_hits",
        "late_trials",
        "usual_samples",
        "rare_hits",
        "rare_trials",
        *(f"{name}_{part}" for name in ("siblings", "contrast") for part in BESIDE),
    ]
)

Group = tuple[object, ...]


class Relatives:
    """Who is akin to whom: rows by what they have in common."""

    def __init__(self) -> None:
        self._keys: list[SeriesKey] = []
        self._groups: dict[Group, list[int]] = {}

    def add(self, keys: Iterable[SeriesKey]) -> None:
        """Take in the next rows."""
        for key in keys:
            if key.kind not in _TRAFFIC:
                self._groups.setdefault(_group(key), []).append(len(self._keys))
            self._keys.append(key)

    def of(self, row: int, mature: NDArray[np.bool_], found: dict[Group, list[int]]) -> list[list[int]]:
        """Mature rows akin to ``row``, in classes, the nearest first and the newest first in each.

        The same part of another version; other parts of this version; other parts of others; last, the slice
        that it is a part of. ``found``: what was looked up already, for other rows.
        """
        key = self._keys[row]
        own = dict(key.slice)
        version, part = own.get("service_version"), _part(key)
        classes: list[list[int]] = [[], [], [], []]
        for other in self._newest(_group(key), mature, found):
            its = self._keys[other]
            if other == row:
                continue
            same_version = dict(its.slice).get("service_version") == version
            classes[0 if _part(its) == part else 1 if same_version else 2].append(other)
        if part:
            whole = key._replace(slice=tuple(pair for pair in key.slice if pair[0] in WHOLE))
            others = self._newest(_group(whole), mature, found)
            classes[3] = sorted(others, key=lambda other: self._keys[other].slice != whole.slice)
        return classes

    def _newest(self, group: Group, mature: NDArray[np.bool_], found: dict[Group, list[int]]) -> list[int]:
        if group not in found:
            members = (row for row in reversed(self._groups.get(group, [])) if mature[row])
            found[group] = list(islice(members, _LOOKED_AT))
        return found[group]


def _part(key: SeriesKey) -> Slice:
    return tuple(pair for pair in key.slice if pair[0] not in WHOLE)


def _group(key: SeriesKey) -> Group:
    shared = tuple(
        (name, None if name == "service_version" or name in EQUALS else value) for name, value in key.slice
    )
    return (key.topic, key.signal, key.statistic, key.side, shared)


def inherit(
    columns: Columns, relatives: Relatives, rows: NDArray[np.int64], samples: Floats
) -> NDArray[np.int64]:
    """Let new rows, whose first window this is, start from their relatives.

    Args:
        columns: state of all rows.
        relatives: who is akin to whom.
        rows: the new ones.
        samples: [len(rows)] how many stand behind their first value, NaN where unknown.

    Returns:
        Those of ``rows`` that had relatives to start from.
    """
    everyone = columns.take(slice(0, columns.count))
    mature = (everyone["n"] - everyone["lent"] >= MATURE) & (everyone["frozen"] == 0)
    looked_up: dict[Group, list[int]] = {}
    akin = [relatives.of(row, mature, looked_up) for row in rows.tolist()]
    known = np.array(sorted({other for classes in akin for some in classes for other in some}), np.int64)
    if not known.size:
        return rows[:0]
    state = columns.take(known)
    place = {row: at for at, row in enumerate(known.tolist())}
    chosen: list[tuple[int, list[int], int]] = []
    for new, classes in enumerate(akin):
        found = [[place[row] for row in some] for some in classes]
        nearest = next((number for number, some in enumerate(found) if some), None)
        if nearest is None:
            continue
        # a whole tells nothing of how far its parts lie apart
        wider = found[3] if nearest == 3 else [at for some in found[:3] for at in some]
        chosen.append((new, wider[:_USED], len(found[nearest])))
    if not chosen:
        return rows[:0]
    lent = _lent(state, chosen, samples)
    mine = columns.take(rows[[new for new, _, _ in chosen]])
    for name in mine:
        if name in lent and name not in _OWN and not name.endswith("_slot"):
            mine[name][...] = lent[name]
    heirs = rows[[new for new, _, _ in chosen]]
    columns.put(heirs, mine)
    return heirs


def _lent(state: Rows, chosen: Sequence[tuple[int, list[int], int]], samples: Floats) -> Rows:
    """State of the donors, made the prior of the rows that take it over."""
    donors = np.array([akin[0] for _, akin, _ in chosen])
    lent = {name: values[..., donors].copy() for name, values in state.items()}
    for name in ("home_spread", "home_sum", "home_seen"):
        lent[name] = np.zeros(len(donors), "f4")
    begun = samples[[new for new, _, _ in chosen]]
    for heir, (_, akin, near) in enumerate(chosen):
        some = [at for at in akin if state["root"][at] == state["root"][akin[0]]]
        nearest = some[: max(1, min(near, len(some)))]
        var = max(float(state["var"][at]) for at in nearest[:1]) if nearest else 1.0
        var = max(var, float(np.mean(state["var"][some])))
        usual = float(state["usual_samples"][akin[0]])
        noisier = min(max(usual / begun[heir], 1.0), _NOISIER) if begun[heir] > 0 and usual > 0 else 1.0
        grown = noisier * var / float(state["var"][akin[0]])
        level = float(np.mean(state["level"][nearest]))
        squares = float(((state["level"][some] - np.mean(state["level"][some])) ** 2).sum())
        usually = max(_SPREAD**2 * var, (_SHARE * level) ** 2)
        spread = _posterior(usually, squares, len(some))
        for name in ("var", "wide_var", "plain_var", "marginal_var"):
            if name in lent:
                lent[name][heir] *= grown
        if state["of_trials"][akin[0]] > 0:
            _lend_trials(lent, heir, state, some, nearest)
            continue
        lent["anchor"][heir] += level - lent["level"][heir]
        for name in ("level", "before", "mean4", "mean32", "raw12"):
            lent[name][heir] = level
        lent["age"][heir] = min(lent["var"][heir] / spread, lent["age"][heir])
        if "home" in lent:
            lent["home"][heir], lent["home_spread"][heir] = level, spread / lent["var"][heir]
    of = lent["of_trials"] > 0
    for name in ("before", "mean4", "mean32", "raw12"):
        lent[name] = np.where(of, lent["level"], lent[name])
    lent["lent"] = lent["n"].copy()
    return lent


def _posterior(usually: float, squares: float, count: int) -> float:
    """Squared spread of one more relative about the mean of ``count``, whose squared deviations add up so.

    The usual spread weighs the less the farther relatives are seen to lie apart than that.
    """
    seen = squares / max(count - 1.0, 1.0)
    worth = _WORTH * min(1.0, usually / seen) if seen > 0 else _WORTH
    freedom = worth + count - 1.0
    spread = (worth * usually + squares) / freedom * (1.0 + 1.0 / count)
    return spread * _widening(max(int(freedom), 2))


@lru_cache(maxsize=128)
def _widening(freedom: int) -> float:
    """How much wider, squared, a normal must be to reach as far as Student's t does."""
    return float(t.isf(_RATE, freedom) / norm.isf(_RATE)) ** 2


def _lend_trials(lent: Rows, heir: int, state: Rows, some: list[int], nearest: list[int]) -> None:
    """Hits and trials worth as much as relatives agree on their ratio."""
    hits, trials = state["hits"], state["trials"]
    ratio = float((hits[nearest].sum() + 0.5) / (trials[nearest].sum() + 1.0))
    rarer = min(ratio, 1.0 - ratio)
    own = (hits[some] + 0.5) / (trials[some] + 1.0)
    apart = (own - own.mean()) ** 2 - own * (1 - own) / (trials[some] + 1.0)
    squares = float(np.maximum(apart, 0.0).sum()) / max(rarer, 1e-9) ** 2
    worth = 1.0 / _posterior(_RATIO_SPREAD, squares, len(some))
    kept = min(float(trials[nearest].sum()), worth / max(rarer, 1e-9))
    for name in ("hits", "rare_known_hits"):
        if name in lent:
            lent[name][heir] = ratio * kept
    for name in ("trials", "rare_known_trials"):
        if name in lent:
            lent[name][heir] = kept

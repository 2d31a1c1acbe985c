"""Replicas that are asked for and those that are ready: too few for long, and fewer asked for."""

import numpy as np

from operators.lifecycle.findings import Finding
from operators.shard.catalogue import Base, Catalogue
from operators.shard.presence import DETECTOR, Presence
from operators.shard.sketches import Floats, Ints
from schemas.outputs import Severity

READY, DESIRED = "gen_ai.server.replicas_ready", "gen_ai.server.replicas_desired"
#: Seconds that replicas may be short before it is a failure.
_SHORT_S = 300.0
#: Windows between asking for fewer replicas and the last of them being gone.
_SCALING = 15


def shortfalls(presence: Presence, catalogue: Catalogue, index: Ints, value: Floats) -> list[Finding]:
    """Replicas that stay below what is desired for more than five minutes."""
    names = catalogue.names[1]
    counts = np.isin(catalogue.codes[index, 1], [names.get(READY, -2), names.get(DESIRED, -2)])
    at = dict(zip(index[counts].tolist(), value[counts].tolist(), strict=True))
    findings = []
    for place, ready in at.items():
        base = catalogue.bases[place]
        if base.signal == DESIRED:
            if ready < presence.desired[place]:
                presence.fell[place] = presence.window
            presence.desired[place] = ready
            continue
        desired = at.get(catalogue.place(base._replace(signal=DESIRED)))
        if desired is None:
            continue
        presence.short[place] = presence.short[place] + 1 if ready < desired - 1e-9 else 0
        lasting = are_short(presence, place)
        severity: Severity = "error" if ready <= desired / 2 else "warning"
        findings.append(
            Finding(
                "shortfall",
                base.series()[0],
                DETECTOR,
                alarm=lasting,
                score=float(presence.short[place] * presence.window_s / 60.0),
                threshold=_SHORT_S / 60.0,
                p_value=None,
                observed=ready,
                expected=desired,
                low=desired,
                high=desired,
                samples=int(presence.short[place]),
                direction=-1,
                kind="degradation",
                severity=severity,
                symptom="deployment_failure",
            )
        )
    return findings


def are_short(presence: Presence, place: int) -> bool:
    """Whether the replicas counted at ``place`` have been too few for long."""
    return bool(presence.short[place] * presence.window_s > _SHORT_S)


def asked(catalogue: Catalogue, base: Base) -> bool:
    """Whether it is known how many replicas of the service are asked for."""
    service = dict(base.slice).get("service")
    wanted = (each for each in catalogue.bases if each.signal == DESIRED)
    return any(dict(each.slice).get("service") == service for each in wanted)


def scaled_in(presence: Presence, catalogue: Catalogue, base: Base, gap: int) -> bool:
    """Whether fewer replicas of the service were asked for about when the silence began."""
    service = dict(base.slice).get("service")
    return any(
        presence.window - presence.fell[place] <= gap + _SCALING
        for place in np.flatnonzero(presence.fell).tolist()
        if dict(catalogue.bases[place].slice).get("service") == service
    )

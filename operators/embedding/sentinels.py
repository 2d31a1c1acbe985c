"""The sentinels of a group: those that its embedder version and side were given, where dimensions agree."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpu_scorers.sentinels import Sentinels
from gpu_scorers.spec import Spec
from operators.embedding.vectors import directions
from operators.series import NEAR
from operators.settings import SentinelSet, Settings

if TYPE_CHECKING:
    from operators.embedding.group import GroupKey

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Near:
    """What a group's vectors are held against.

    Attributes:
        names: Of the sentinels.
        centroids: f32, in the embedder's own space.
        of: The place in ``names`` of each centroid.
        dim: Dimension of that space.
    """

    names: tuple[str, ...] = ()
    centroids: bytes = b""
    of: tuple[int, ...] = ()
    dim: int = 0

    @classmethod
    def of_group(cls, key: "GroupKey", settings: Settings) -> "Near":
        """Those given for a group; none, with a warning, where those given are for other vectors."""
        given: Sequence[SentinelSet] = settings.embeddings.sentinels or ()
        beside = [each for each in given if each.side == key.side]
        for each in beside:
            if (each.embedder_version, each.dim) == (key.embedder_version, key.dim):
                return cls(each.names, each.centroids, each.of, each.dim)
        if beside:
            known = "; ".join(each.told() for each in beside)
            _log.warning(
                "%ss of %s with %d dimensions have no sentinels: there are %s",
                *(key.side, key.embedder_version or "an unnamed embedder", key.dim, known),
            )
        return cls()

    @property
    def digest(self) -> str:
        """What tells one set of sentinels from another; empty for none."""
        if not self.names:
            return ""
        told = repr((self.names, self.of, self.dim)).encode()
        return hashlib.blake2b(told + self.centroids, digest_size=8).hexdigest()

    @property
    def statistics(self) -> tuple[str, ...]:
        """Statistics of the sentinels' series."""
        return tuple(NEAR + name for name in self.names)

    def into(self, spec: Spec, sample: np.ndarray, embedder_version: str) -> Spec:
        """A spec that counts vectors near them; the sample is of projected vectors."""
        if not self.names:
            return spec
        own = np.frombuffer(self.centroids, "<f4").reshape(-1, self.dim)
        projected = own.astype(np.float64) @ directions(embedder_version, self.dim, sample.shape[1])
        return spec.with_sentinels(sample, Sentinels(projected, np.array(self.of, np.int64)))

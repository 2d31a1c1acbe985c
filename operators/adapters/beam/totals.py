"""What a shard has counted in one run: kept in Beam's state beside it, so that a restart counts all once.

Beam's own metrics are gone when a job is restarted. Shard 0 also keeps the accounts of what the sources read.
"""

import msgspec

from operators.adapters.drive import series_of
from operators.adapters.figures import OUTPUTS, Figures
from operators.shard import Shard

#: Outcome of the line that says that a shard has come to the input's end.
FINISHED = "finished"


class Totals(Figures, kw_only=True):
    """Figures of one shard. ``position``: of what it has heard; totals that know more rank higher."""

    run_id: str
    shard: int
    position: int = 0

    def see(self, shard: Shard) -> None:
        """Take over how far the shard is and how many series it knows."""
        self.position = shard.clock.position
        self.counts[OUTPUTS, "series", ""] = series_of(shard)
        self.counts[OUTPUTS, FINISHED, ""] = int(shard.clock.exhausted)

    def row_id(self) -> str:
        """Under which the lines stand in the table of accounts: the run, and the shard where it is not 0."""
        return f"{self.run_id}/{self.shard}" if self.shard else self.run_id


_decoder = msgspec.msgpack.Decoder(Totals)


def encode_totals(totals: Totals) -> bytes:
    """Totals as bytes."""
    return msgspec.msgpack.encode(totals)


def decode_totals(data: bytes) -> Totals:
    """Bytes of `encode_totals`."""
    return _decoder.decode(data)

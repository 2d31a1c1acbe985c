"""The log histogram's bins: which one a value lies in, decided by one table of edges.

The logarithm only guesses the bin; the comparison with the table decides it. So the same value lies in the
same bin in every batch, whatever code path the processor's vector units took.
"""

from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from operators.cells import GAMMA, ZERO_BIN

#: Values below this, negative ones included, count as zero.
SMALLEST = 1e-9

_LOG_GAMMA = float(np.log(GAMMA))
#: The lowest and highest bin a finite value can lie in.
LOWEST, HIGHEST = (
    int(np.floor(np.log(SMALLEST) / _LOG_GAMMA)),
    int(np.ceil(np.log(1.797e308) / _LOG_GAMMA)) + 1,
)


@lru_cache(maxsize=1)
def edges() -> npt.NDArray[np.float64]:
    """Upper edges ``GAMMA**i`` of the bins from ``LOWEST`` to ``HIGHEST``, from exact decimals."""
    with localcontext() as context:
        context.prec = 40
        ratio = Decimal("1.02") / Decimal("0.98")
        edge = ratio**LOWEST
        found = []
        for _ in range(HIGHEST - LOWEST + 1):
            found.append(float(edge) if edge < Decimal("1.7976931348623157e308") else np.inf)
            edge *= ratio
    return np.array(found)


def bin_of(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Bin of each finite value: ``i`` for (GAMMA**(i-1), GAMMA**i], ``ZERO_BIN`` below ``SMALLEST``."""
    upper = edges()
    positive = values >= SMALLEST
    guess = np.ceil(np.log(np.where(positive, values, 1.0)) / _LOG_GAMMA).astype(np.int64)
    place = np.clip(guess - LOWEST, 1, len(upper) - 1)
    place -= values <= upper[place - 1]
    place += values > upper[place]
    return np.where(positive, place + LOWEST, ZERO_BIN)

"""How long topics stay: sessions and runs make neighbouring vectors alike, and a reference small."""

import numpy as np
import numpy.typing as npt

_PAIRS = 20_000


def run_length(rows: npt.NDArray[np.floating], *, longest: int | None = None) -> float:
    """Rows after which the likeness of neighbours has fallen to 1/e: the mean length of geometric runs, or 1.

    Args:
        rows: [rows, dim] in the order of time.
        longest: No longer runs are looked for; a quarter of the rows by default.
    """
    count = len(rows)
    longest = longest or max(1, count // 4)
    x = rows - rows.mean(0)
    own = float(np.einsum("ij,ij->i", x, x).mean())

    def likeness(lag: int) -> tuple[float, float]:
        step = max(1, (count - lag) // _PAIRS)
        products = np.einsum("ij,ij->i", x[: count - lag : step], x[lag::step])
        return float(products.mean()), float(products.std() / np.sqrt(len(products)))

    first, error = likeness(1)
    if first < max(4 * error, 0.02 * own):
        return 1.0
    low, high = 1, 2
    while high < longest and likeness(high)[0] > first / np.e:
        low, high = high, high * 2
    high = min(high, longest)
    while high - low > 1:
        middle = (low + high) // 2
        if likeness(middle)[0] > first / np.e:
            low = middle
        else:
            high = middle
    return float(high)

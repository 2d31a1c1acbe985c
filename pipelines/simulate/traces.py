"""What real LLM traffic looks like: figures measured on the Azure LLM Inference Dataset 2023.

Source: Azure Public Dataset, "Azure LLM Inference Dataset 2023" (CC-BY-4.0; Patel et al., Splitwise,
ISCA 2024), one hour each of two services: ``conv`` (chat, 19,366 requests, 5.53/s) and ``code``
(completion, 8,819 requests, 2.57/s). Only these figures are carried over, no row of it.

* Chat arrives nearly Poisson from one request to the next (coefficient of variation of the gaps 1.09),
  on a rate that wanders: variance over mean of the counts is 1.4, 3.9 and 16 at 1, 10 and 60 s, which is a
  rate with a coefficient of variation of about 0.22, correlated 0.69 over 10 s and 0.82 over 60 s.
* Code arrives in bursts: of 17 s (9 requests/s) with 43 s of silence between, gaps' coefficient of
  variation 13.
* Prompt and answer lengths are nearly independent (correlation of logarithms 0.09 and 0.00).
"""

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.arrays import Floats

#: Ranks, in percent, of the length tables below.
_RANKS = np.array([0.0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100]) / 100


@dataclass(frozen=True, slots=True)
class Trace:
    """Shape of one kind of traffic: tokens at `_RANKS`, and how the rate moves.

    Attributes:
        rate_spread: standard deviation of the logarithm of the rate's slow wandering.
        rate_memory_s: correlation time of that wandering, in seconds.
        burst_s: mean length of a burst, in seconds; 0 where traffic does not come in bursts.
        silence_s: mean silence between bursts, in seconds.
    """

    input_tokens: tuple[int, ...]
    output_tokens: tuple[int, ...]
    rate_spread: float
    rate_memory_s: float
    burst_s: float = 0.0
    silence_s: float = 0.0


TRACES: dict[str, Trace] = {
    "conv": Trace(
        input_tokens=(2, 29, 181, 207, 396, 1020, 1189, 2734, 4083, 4142, 6179, 14050),
        output_tokens=(7, 16, 41, 54, 85, 129, 395, 424, 451, 601, 954, 1000),
        rate_spread=0.20,
        rate_memory_s=300.0,
    ),
    "code": Trace(
        input_tokens=(3, 17, 75, 147, 578, 1469, 2744, 5187, 7303, 7436, 7437, 7437),
        output_tokens=(6, 6, 6, 7, 9, 13, 24, 55, 90, 251, 825, 1899),
        rate_spread=0.20,
        rate_memory_s=300.0,
        burst_s=17.0,
        silence_s=43.0,
    ),
}


def tokens_at(table: tuple[int, ...], uniform: Floats) -> Floats:
    """Token counts at the given ranks in [0, 1), interpolated between a table's quantiles on a log scale."""
    return np.asarray(np.rint(np.exp(np.interp(uniform, _RANKS, np.log(np.asarray(table, float))))))

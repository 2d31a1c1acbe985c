"""Numbers and labels as people's files hold them."""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SWAP = str.maketrans(",.", ".,")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?")
#: What else stands between thousands: apostrophes and spaces of all widths.
_GROUPS = re.compile("(?<=\\d)['\u2019\u00a0\u2009\u202f ](?=\\d{3})")
_WORDS = {"true": 1.0, "false": 0.0}
#: Said where there is no value; not worth a word to the user.
MISSING = frozenset(("", "-", "--", "nan", "null", "nil", "none", "na", "n/a", "#n/a", "nat", "?"))

_TRUE = frozenset(("true", "t", "yes", "y", "anomaly", "anomalous", "abnormal", "outlier"))
_FALSE = frozenset(("false", "f", "no", "n", "normal", "nominal", "inlier", "ok")) | MISSING


def numbers(texts: Sequence[str], commas: bool) -> NDArray[np.float64]:
    """A column's numbers, NaN where a text is none.

    Point and comma mean what they must in the first text that can be read one way only; where there is none,
    a comma stands before decimals if ``commas``, and else between thousands.
    """
    for text in texts:
        if "," in text or "." in text:
            plain, swapped = number(text), number(text.translate(_SWAP))
            if math.isnan(plain) != math.isnan(swapped):
                return np.array([number(t.translate(_SWAP) if math.isnan(plain) else t) for t in texts])
    return np.array([number(text.replace(",", ".") if commas else text) for text in texts])


def number(text: str) -> float:
    """A finite number, or NaN for anything else; true is 1; percent and what parts thousands are left out."""
    try:
        value = float(text)
    except ValueError:
        plain = text.removesuffix("%").strip().replace("\u2212", "-")
        plain = _GROUPS.sub("", plain)
        if _THOUSANDS.fullmatch(plain):
            plain = plain.replace(",", "")
        return _WORDS.get(text.lower(), math.nan) if plain == text else number(plain)
    return value if math.isfinite(value) else math.nan


def truth(text: str) -> bool | None:
    """A label: true, yes, anomaly and their like in any case, or a number above 0.5; None for other words."""
    word = text.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    value = number(text)
    return None if math.isnan(value) else value > 0.5

"""Random numbers by name: one independent stream for each component of the simulated world.

A component that draws more or less than before (a fault that adds requests) leaves every other
component's numbers as they were. That is what makes a fault-free twin of the same seed identical
outside the faults.
"""

import hashlib

import numpy as np


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """A generator that depends on ``seed`` and ``name`` alone, the same on every platform."""
    text = "\n".join(str(part) for part in (seed, *name))
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.PCG64(key))

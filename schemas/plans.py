"""How msgspec is to read a type, worked out before there are threads.

msgspec works that out when a type is first read, field by field, and another thread that reads the same type
meanwhile meets fields without a plan and crashes the process (0.22; engines read in many threads). So every
struct that is read says so below its definition, where loading its module leaves one thread alone with it.
"""

from typing import Any

import msgspec


def prepare(*types: Any) -> None:
    """Work out how to read these types, and all they hold."""
    for each in types:
        msgspec.msgpack.Decoder(each)

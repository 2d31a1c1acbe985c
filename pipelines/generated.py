"""Files that are generated and kept: written anew, or held to what they are generated from."""

import sys
from collections.abc import Sequence
from pathlib import Path


def check_or_write(path: Path, text: str, arguments: Sequence[str], *, module: str, source: str) -> int:
    """Exit code of ``python -m MODULE --check|--write`` for one file; checks unless told otherwise.

    Args:
        path: the file.
        text: what should be in it.
        arguments: of the command line.
        module: that is run, for the messages.
        source: file that ``text`` comes of, for the messages.
    """
    if list(arguments) == ["--write"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return 0
    if list(arguments) in ([], ["--check"]):
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return 0
        print(f"{path.name} is not what {source} says: python -m {module} --write")
        return 1
    print(f"use: python -m {module} --check|--write", file=sys.stderr)
    return 2

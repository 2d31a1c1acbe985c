"""One benchmark by itself: the arguments of its ``run`` on the command line, its figures into a file."""

import argparse
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def command(run: Callable[..., dict[str, Any]], about: str | None) -> None:
    """Run with what the command line says; ``--json OUT`` keeps the figures.

    Arguments of ``run`` that have a default, a number, are options; those without are paths.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, parameter in inspect.signature(run).parameters.items():
        if parameter.default is parameter.empty:
            parser.add_argument(name, type=Path)
        else:
            parser.add_argument(f"--{name}", type=type(parameter.default), default=parameter.default)
    parser.add_argument("--json", type=Path)
    arguments = vars(parser.parse_args())
    out = arguments.pop("json")
    result = run(**arguments)
    if out:
        out.write_text(json.dumps(result, indent=2, default=float))

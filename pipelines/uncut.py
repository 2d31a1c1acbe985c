"""Tables that do not end in a terminal."""

from rich.console import Console


def uncut(console: Console, width: int = 200) -> Console:
    """``console``, with room for what goes into a file or a pipe: nothing is cut there."""
    if not console.is_terminal:
        console.width = width
    return console

"""A progress bar for long work, on the error stream, so that output stays clean."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def bar(*, quiet: bool = False) -> Iterator[Callable[[str, float], None]]:
    """A bar; what it yields is told what comes next and the part done, 0 to 1."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    quiet = quiet or not console.is_terminal  # into a file or a pipe it would leave blank lines
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        task = progress.add_task("", total=1.0)

        def tell(text: str, part: float) -> None:
            progress.update(task, description=text, completed=part)

        yield tell

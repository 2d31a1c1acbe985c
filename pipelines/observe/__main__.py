"""``python -m pipelines.observe --check|--write``: hold the docs' table of meters to what is declared."""

import re
import sys
from pathlib import Path

from operators.meters import METERS
from pipelines.generated import check_or_write

PAGE = Path(__file__).resolve().parents[2] / "docs" / "observability.md"
_TABLE = re.compile(r"(<!-- meters: .*? -->\n).*?(<!-- end of meters -->)", re.DOTALL)


def table() -> str:
    """All meters in Markdown."""
    lines = ["| meter | kind | labels | |", "|---|---|---|---|"]
    for meter in METERS.values():
        labels = ", ".join(f"`{label}`" for label in meter.labels)
        lines.append(f"| `{meter.name}` | {meter.kind} | {labels} | {meter.help} |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with the table as it should be."""
    return _TABLE.sub(lambda found: found[1] + table() + found[2], text)


def main(arguments: list[str]) -> int:
    """Exit code."""
    text = page(PAGE.read_text(encoding="utf-8"))
    return check_or_write(PAGE, text, arguments, module="pipelines.observe", source="operators/meters.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

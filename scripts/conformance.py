"""Prints the conformance matrix: each demand of the RFCs on a resource server, and the tests that hold it.

`make conformance` prints it. `.venv/bin/python scripts/conformance.py --write` writes docs/conformance.md after a change
to the rows in tests/conformance; a test compares them.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from scripts.reference import page, table  # noqa: E402 - the path must be set first
from tests.conformance.rows import Row  # noqa: E402

PAGE = ROOT / "docs" / "conformance.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class RFC:
    """The rows of one RFC. `left_out` says which of its demands have no row, and why."""

    number: int
    title: str
    left_out: str
    rows: tuple[Row, ...]


def rfcs() -> list[RFC]:
    """The RFCs that have a file in tests/conformance, by number."""
    numbers = sorted(int(path.stem.removeprefix("rfc")) for path in (ROOT / "tests" / "conformance").glob("rfc*.py"))
    return [_rfc(number) for number in numbers]


def matrix(found: Sequence[RFC]) -> str:
    """The text of docs/conformance.md."""
    rows = [row for rfc in found for row in rfc.rows]
    paragraphs = [
        "# Conformance",
        (
            "Each MUST for a resource server, in the words of its RFC and shortened, and the tests that hold it. A SHOULD is "
            "here if security depends on it. Each section says which demands are left out, and why."
        ),
        (
            f"{len(rows)} demands. {len([row for row in rows if row.departs])} of them are not met to the letter: these rows "
            "say why, and name the tests that hold what the package does instead."
        ),
        table(
            ("RFC", "demands", "departures"),
            [
                (
                    f"[{rfc.number}: {rfc.title}](#{_anchor(_heading(rfc))})",
                    str(len(rfc.rows)),
                    str(len([row for row in rfc.rows if row.departs]) or "none"),
                )
                for rfc in found
            ],
        ),
    ]
    for rfc in found:
        lines = [(row.section, row.level, _demand(row), "<br>".join(map(_link, row.tests))) for row in rfc.rows]
        paragraphs += [
            f"## {_heading(rfc)}",
            rfc.left_out,
            table(("section", "level", "demand", "tests"), lines),
        ]
    return page(paragraphs)


def _rfc(number: int) -> RFC:
    module = import_module(f"tests.conformance.rfc{number}")
    title, _, left_out = (module.__doc__ or "").strip().partition("\n")
    title = re.sub(rf"^RFC {number}\W+", "", title).rstrip(".")
    return RFC(number=number, title=title, left_out=left_out.strip(), rows=module.ROWS)


def _heading(rfc: RFC) -> str:
    return f"RFC {rfc.number}: {rfc.title}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _demand(row: Row) -> str:
    departs = f"<br>*Departs:* {row.departs}" if row.departs else ""
    return (row.demand + departs).replace("|", r"\|")


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[{name}](../{path})".replace("|", r"\|")


if __name__ == "__main__":
    text = matrix(rfcs())
    if "--write" in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)

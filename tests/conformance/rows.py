"""One row of the conformance matrix. `scripts/conformance.py` prints the matrix."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=False)
class Row:
    """A demand of an RFC, in its words, and the tests that hold it.

    A test is `path::name`, with `[id]` for one case. `departs` says in one sentence why the package does otherwise; the
    tests then hold what it does.
    """

    section: str
    level: str
    demand: str
    tests: tuple[str, ...]
    departs: str = ""

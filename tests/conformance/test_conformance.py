"""The conformance matrix: each row names tests that exist and run, and docs/conformance.md is what the command prints."""

import re
import runpy
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from tests.conformance.rows import Row
from tests.named_tests import problem
from tests.processes import ROOT

# The words of RFC 2119. An RFC that demands without them "defines".
LEVELS = {"MUST", "MUST NOT", "REQUIRED", "SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "RECOMMENDED", "defines"}
NUMBERS = [6750, 7515, 7516, 7517, 7518, 7519, 7662, 8414, 8705, 8725, 9068, 9449, 9470, 9700, 9701, 9728]

SCRIPT = runpy.run_path(str(ROOT / "scripts" / "conformance.py"))
RFCS: list[Any] = SCRIPT["rfcs"]()
ROWS: list[tuple[int, Row]] = [(rfc.number, row) for rfc in RFCS for row in rfc.rows]
TESTS = sorted({test for _, row in ROWS for test in row.tests})


def test_each_rfc_has_rows_a_title_and_says_what_is_left_out() -> None:
    assert [rfc.number for rfc in RFCS] == NUMBERS
    for rfc in RFCS:
        assert rfc.rows, rfc.number
        assert rfc.title, rfc.number
        assert "left out" in rfc.left_out.lower(), rfc.number


def test_no_row_lacks_a_test() -> None:
    assert [(number, row.section, row.demand) for number, row in ROWS if not row.tests] == []


@pytest.mark.parametrize("test", TESTS)
def test_each_named_test_exists_and_cannot_be_skipped(test: str) -> None:
    assert problem(test) is None


def test_each_case_that_a_row_names_is_collected() -> None:
    cases = [test for test in TESTS if "[" in test]
    files = sorted({test.partition("::")[0] for test in cases})
    if not files:
        return
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True).stdout
    assert set(cases) - set(listing.splitlines()) == set()


def test_each_row_cites_a_section_and_the_level_of_the_rfc() -> None:
    wrong = [
        (number, row)
        for number, row in ROWS
        if not re.fullmatch(r"(?:[1-9]\d*|[A-Z])(?:\.[1-9]\d*)*", row.section) or row.level not in LEVELS
    ]
    assert wrong == []


def test_each_demand_is_one_sentence_that_stands_once() -> None:
    times = Counter((number, row.section, row.demand) for number, row in ROWS)
    assert [demand for demand, count in times.items() if count > 1] == []
    assert [(number, row) for number, row in ROWS if "\n" in row.demand or not row.demand.endswith(".")] == []


def test_each_departure_says_why() -> None:
    short = [
        (number, row) for number, row in ROWS if row.departs and not re.search(r"\bADR \d+\b|RFC \d+", row.departs)
    ]
    assert short == []


def test_rows_stand_in_the_order_of_the_rfc() -> None:
    def key(row: Row) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdigit() else (10_000, part) for part in row.section.split(".")]

    for rfc in RFCS:
        sections = [key(row) for row in rfc.rows]
        assert sections == sorted(sections), rfc.number


def test_the_page_is_what_the_command_prints() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "conformance.py")]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8") == printed, (
        "run scripts/conformance.py --write"
    )


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("tests/conformance/test_conformance.py::test_that_does_not_exist", "has not one test"),
        ("tests/conformance/test_conformance.py::problem", "has not one test"),
        ("tests/conformance/rows.py::Row", "is not a file of tests"),
        ("tests/conformance/test_missing.py::test_x", "is not a file of tests"),
        ("tests/test_vectors.py::test_wycheproof_signatures", "can be skipped"),
        ("tests/example/test_person_token.py::test_the_curl_line_of_the_page", "can be skipped"),
    ],
    ids=["no test", "no function of the module", "no tests", "no file", "a skip of the module", "a skip in the test"],
)
def test_what_is_no_running_test_is_told(test: str, words: str) -> None:
    assert words in (problem(test) or "")

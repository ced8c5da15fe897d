"""Tables that name a test for each demand: the test must exist, and the suite must run it."""

import ast
from functools import cache

from tests.processes import ROOT

# `lacking` skips too, but not in CI, where the services that it looks for must exist.
_SKIPS = {"skip", "skipif", "xfail", "importorskip"}


def problem(test: str) -> str | None:
    """Why `path::test_name` names no test that the suite always runs; None if it does. Ignores the id of a case.

    A test in a class is `path::TestClass::test_name`.
    """
    path, *classes, name = test.partition("[")[0].split("::")
    if not (path.startswith("tests/") and path.rpartition("/")[2].startswith("test_") and (ROOT / path).is_file()):
        return f"{path} is not a file of tests"
    body = _module(path).body
    around: list[ast.stmt] = []
    for each in classes:
        around += _beside_tests(body)
        body = [
            inner for found in body if isinstance(found, ast.ClassDef) and found.name == each for inner in found.body
        ]
    around += _beside_tests(body)
    functions = [
        each for each in body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name == name
    ]
    if len(functions) != 1 or not name.startswith("test_"):
        return f"{path} has not one test {name}"
    if any(map(_skips, [*functions, *around])):
        return f"{test} can be skipped"
    return None


@cache
def _module(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def _beside_tests(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that are no functions or classes, such as a `pytestmark`."""
    return [each for each in body if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]


def _skips(node: ast.AST) -> bool:
    names = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    return not _SKIPS.isdisjoint(names)

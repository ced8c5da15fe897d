"""Tables that name a test for each demand: the test must exist, and the suite must run it."""

import ast
from functools import cache

from tests.processes import ROOT

# `lacking` skips too, but not in CI, where the services that it looks for must exist.
_SKIPS = {"skip", "skipif", "xfail", "importorskip"}


def problem(test: str) -> str | None:
    """Why `path::test_name` names no test that the suite always runs; None if it does. Ignores the id of a case."""
    path, _, name = test.partition("::")
    name = name.partition("[")[0]
    if not (path.startswith("tests/") and path.rpartition("/")[2].startswith("test_") and (ROOT / path).is_file()):
        return f"{path} is not a file of tests"
    module = _module(path)
    found = [each for each in module.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    functions = [each for each in found if each.name == name]
    if len(functions) != 1 or not name.startswith("test_"):
        return f"{path} has not one test {name}"
    around = [
        each for each in module.body if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    if any(map(_skips, [*functions, *around])):
        return f"{test} can be skipped"
    return None


@cache
def _module(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def _skips(node: ast.AST) -> bool:
    names = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    return not _SKIPS.isdisjoint(names)

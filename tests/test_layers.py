"""The edges stay thin, and the import contracts know each of them."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EDGES = [
    path
    for name in ("channels", "decorators", "drf", "logout", "middleware", "ninja", "spectacular", "throttles")
    if (path := ROOT / "src" / "resource_server" / f"{name}.py").exists()
]


@pytest.mark.parametrize("path", EDGES, ids=lambda path: path.stem)
def test_an_edge_translates_in_at_most_150_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 150


def test_each_edge_is_kept_from_importing_another():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [modules] = [
        contract["modules"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "independence"
    ]
    assert modules == [f"resource_server.{path.stem}" for path in EDGES]

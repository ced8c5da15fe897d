"""The package's own names are imported when they are first read, so that what judges a token loads no Django."""

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import resource_server

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"


def without_django():
    """Each module of the import contract that forbids Django, and the fake issuer, which tests without Django may use."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = [
        contract
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "forbidden" and "django" in contract["forbidden_modules"]
    ]
    for name in contract["source_modules"]:
        package = SOURCE.joinpath(*name.split("."))
        yield name
        for path in sorted(package.rglob("*.py")) if package.is_dir() else ():
            if path.name != "__init__.py":
                yield ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    yield "resource_server.testing"


def run(program, directory):
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=directory,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


LOADED = "import sys; import {}; print(*sorted({{'django', 'rest_framework'}} & {{name.partition('.')[0] for name in sys.modules}}))"


@pytest.mark.parametrize("module", ["resource_server", *without_django()])
def test_a_module_that_judges_tokens_loads_no_django(module, tmp_path):
    assert run(LOADED.format(module), tmp_path) == []


def test_the_contract_names_what_the_design_keeps_free_of_django():
    assert {
        "resource_server.challenge",
        "resource_server.errors",
        "resource_server.flow",
        "resource_server.forks",
        "resource_server.keys",
        "resource_server.keys.issuer_keys",
        "resource_server.reasons",
        "resource_server.requirements",
        "resource_server.strict_json",
        "resource_server.tokens",
        "resource_server.tokens.verifier",
    } <= set(without_django())


def test_a_module_that_needs_django_is_seen_to_load_it(tmp_path):
    assert run(LOADED.format("resource_server.signals"), tmp_path) == ["django"]


@pytest.mark.parametrize("name", resource_server.__all__)
def test_a_public_name_is_found_in_a_fresh_interpreter(name, tmp_path):
    program = f"import resource_server; value = resource_server.{name}; print(value.__name__, '{name}' in vars(resource_server))"
    assert run(program, tmp_path) == [name, "True"]


def test_all_public_names_at_once(tmp_path):
    program = "from resource_server import *; print(*sorted(name for name in globals() if name[0] != '_'))"
    assert run(program, tmp_path) == sorted(resource_server.__all__)


PICKLED = """
import pickle, sys, resource_server
names = [pickle.loads(pickle.dumps(getattr(resource_server, name))).__name__ for name in resource_server.__all__]
print(*names)
"""


def test_all_public_names_pickle(tmp_path):
    assert run(PICKLED, tmp_path) == resource_server.__all__


def test_dir_lists_the_public_names_before_they_are_read(tmp_path):
    assert set(resource_server.__all__) <= set(run("import resource_server; print(*dir(resource_server))", tmp_path))


def test_a_name_that_does_not_exist():
    with pytest.raises(AttributeError, match="module 'resource_server' has no attribute 'authentify'") as raised:
        resource_server.authentify  # noqa: B018 - reading it is the test
    assert raised.value.name == "authentify"
    with pytest.raises(ImportError):
        from resource_server import authentify  # noqa: F401 - importing it is the test


def test_a_name_is_that_of_its_module():
    for name in resource_server.__all__:
        value = getattr(resource_server, name)
        assert getattr(importlib.import_module(value.__module__), name) is value

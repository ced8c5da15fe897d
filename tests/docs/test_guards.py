"""What exists is documented, and what is documented exists."""

import re
import runpy
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.utils.module_loading import import_string

import resource_server
from resource_server import channels, drf, errors, middleware, ninja, requirements, signals, testing, throttles
from resource_server.conf import project as conf
from resource_server.conf.problems import PROBLEMS
from resource_server.errors import reasons
from resource_server.management.commands.resource_server import Command

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
FOR_USERS = "\n".join([README, *DOCS.values()])
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def table_keys(text):
    return {
        name for row in re.findall(r"^\| (`[^|]+?) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }


def test_every_reason_and_every_check_is_documented_and_no_other():
    assert table_keys(DOCS["reasons.md"]) == {*reasons()}
    assert set(re.findall(r"^\| `([^`]+)` \|", DOCS["checks.md"], re.MULTILINE)) == {*PROBLEMS}


def test_the_pages_that_are_made_from_tables_are_those_of_the_script():
    script = runpy.run_path(str(ROOT / "scripts" / "reference.py"))
    pages = script["pages"]()

    assert set(pages) == {"checks.md", "reasons.md"}
    for name, text in pages.items():
        assert DOCS[name] == text, "run scripts/reference.py"


def section(page, heading):
    """The text below a heading, up to the next of the same level."""
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_every_setting_is_documented_and_no_other():
    assert table_keys(section(DOCS["settings.md"], "Every key")) == set(conf.KEYS)


@pytest.mark.parametrize(
    "name",
    [
        f"{module.__name__}.{name}"
        for module in (
            resource_server,
            channels,
            drf,
            errors,
            middleware,
            ninja,
            requirements,
            signals,
            testing,
            throttles,
        )
        for name in module.__all__
    ],
)
def test_every_public_name_is_documented(name):
    assert re.search(rf"\b{name.rpartition('.')[2]}\b", FOR_USERS)


def test_every_name_of_the_package_in_the_pages_exists():
    def exists(name):
        try:
            return bool(import_string(name) if "." in name else import_module(name))
        except ImportError:
            return find_spec(name) is not None

    found = set(re.findall(r"[`\"](resource_server(?:\.\w+)+)", FOR_USERS))
    # The ids of checks, and the log.
    names = {name for name in found if not re.fullmatch(r"resource_server(_accounts)?\.[EW]\d{3}", name)}

    assert len(names) > 10
    assert [name for name in sorted(names) if not exists(name)] == []


def test_every_attribute_of_a_token_is_documented_and_no_other():
    attributes = {name for name in dir(resource_server.AccessToken) if not name.startswith("_")}

    assert {
        name.removesuffix("()") for name in table_keys(section(DOCS["views.md"], "What a view reads"))
    } == attributes


def test_every_signal_is_documented_and_no_other():
    assert table_keys(DOCS["signals.md"]) == set(signals.__all__)


def test_every_command_is_documented_and_no_other():
    (topics,) = [
        set(action.choices)
        for action in Command().create_parser("manage.py", "resource_server")._actions
        if action.dest == "topic"
    ]

    assert set(re.findall(r"^## `manage.py resource_server (\w+)`", DOCS["commands.md"], re.MULTILINE)) == topics


def test_every_make_target_is_documented_and_no_other():
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE)) - {"help", "venv"}
    named = set(re.findall(r"`make (\w+)", "\n".join([FOR_USERS, CONTRIBUTING])))

    assert {target.removeprefix("make ") for target in table_keys(section(DOCS["commands.md"], "make"))} == targets
    assert named == targets
    assert {"demo", "test"} <= set(re.findall(r"`make (\w+)", README))


def anchors(document):
    """The anchors of the headings of a page, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_within_the_project_resolve(document):
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", document.read_text(encoding="utf-8"))

    broken = []
    for page, anchor in links:
        target = document.parent / page if page else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{page}#{anchor}")
    assert broken == []


def test_the_environment_of_the_readme_is_that_of_the_example():
    example = (ROOT / "example" / ".env.example").read_text(encoding="utf-8")
    names = set(re.findall(r"^([A-Z0-9_]+)=", example, re.MULTILINE))
    exported = re.findall(r"(\w+)=", re.search(r"export (.*)", README)[1])

    assert exported == ["DEBUG", "AUTH0_DOMAIN", "API_IDENTIFIER"]
    assert set(exported) <= names

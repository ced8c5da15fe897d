"""What exists is documented, and what is documented exists."""

import re
import runpy
from pathlib import Path

import pytest

import resource_server
from resource_server import drf, signals
from resource_server.conf import project as conf
from resource_server.conf.problems import PROBLEMS
from resource_server.errors import reasons

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REASONS = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
CHECKS = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def table_keys(text):
    return {
        name for row in re.findall(r"^\| (`[^|]+?) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }


def test_every_reason_and_every_check_is_documented_and_no_other():
    assert table_keys(REASONS) == {*reasons()}
    assert table_keys(CHECKS) == {*PROBLEMS}


def test_the_pages_that_are_made_from_tables_are_those_of_the_script():
    script = runpy.run_path(str(ROOT / "scripts" / "reference.py"))
    pages = script["pages"]()

    assert set(pages) == {"checks.md", "providers.md", "reasons.md"}
    for name, text in pages.items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, "run scripts/reference.py"


def test_every_setting_is_documented_and_no_other():
    section = README.partition("\n## Settings\n")[2].partition("\n## ")[0]

    assert table_keys(section) == set(conf.KEYS)


@pytest.mark.parametrize(
    "name", [*resource_server.__all__, *signals.__all__, "AccessTokenAuthentication", "FakeIssuer"]
)
def test_every_public_name_is_in_the_readme(name):
    assert name in README


@pytest.mark.parametrize("name", ["RequiresScope", "RequiresAnyScope"])
def test_the_permission_classes_are_in_the_readme(name):
    assert name in drf.__all__
    assert name in README


def test_every_make_target_of_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"`make (\w+)", README))

    assert {"demo", "test"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_within_the_project_resolve(document):
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text(encoding="utf-8"))

    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_environment_of_the_readme_is_that_of_the_example():
    names = set(
        re.findall(r"^([A-Z0-9_]+)=", (ROOT / "example" / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    )

    assert set(re.search(r"export (.*)", README)[1].replace("=", " ").split()) & {"DEBUG", "AUTH0_DOMAIN"} <= names
    assert {"API_IDENTIFIER", "AUTH0_DOMAIN", "DEBUG"} <= names

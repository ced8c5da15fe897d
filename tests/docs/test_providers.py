"""docs/providers.md and the README name every provider, and show settings that are valid."""

import re

import pytest
from tests.docs.pages import ROOT, provider_snippets

from resource_server.conf import project as conf
from resource_server.conf.providers import PROVIDERS

PAGE = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = provider_snippets()


def test_every_provider_has_settings_on_the_page_and_no_other() -> None:
    assert list(SNIPPETS) == list(PROVIDERS)


def test_every_provider_is_in_the_readme_and_no_other() -> None:
    rows = re.findall(r"^\| \[[^|]+ \| `([a-z0-9-]+)` \|", README, re.MULTILINE)

    assert ["auth0", *rows] == list(PROVIDERS)


@pytest.mark.parametrize("name", SNIPPETS)
def test_the_settings_are_valid_and_the_issuer_has_its_form(name: str) -> None:
    names: dict[str, dict[str, str]] = {}
    exec(SNIPPETS[name], names)  # noqa: S102 - our own text
    settings = names["RESOURCE_SERVER"]

    assert conf.parse(settings, debug=False)[1] == []
    assert conf.form_problems(settings) == []


@pytest.mark.parametrize("name", SNIPPETS)
def test_the_section_links_to_the_documentation(name: str) -> None:
    section = PAGE.partition(f'"PROVIDER": "{name}"')[2].partition("\n## ")[0]

    assert f"({PROVIDERS[name].documentation})" in section

"""The pages for users, and the snippets in them."""

import re
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def snippets() -> list[str]:
    return [text for page in PAGES for text in _SNIPPET.findall(page.read_text(encoding="utf-8"))]


def provider_snippets() -> dict[str, str]:
    """The settings of docs/providers.md, by the provider that they name."""
    page = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    named = [(re.search(r'"PROVIDER": "([^"]+)"', text), text) for text in _SNIPPET.findall(page)]
    return {match[1]: text for match, text in named if match}


@cache
def snippet(mark: str) -> str:
    """The one snippet that has this text in it."""
    found = [text for text in snippets() if mark in text]
    assert len(found) == 1, f"{len(found)} snippets have {mark!r}"
    return found[0]


def run(mark: str, **names: Any) -> dict[str, Any]:
    """The names that the snippet defines, where `names` are defined already."""
    namespace = {"__name__": "snippet", "INSTALLED_APPS": ["django.contrib.auth"], **names}
    exec(compile(snippet(mark), f"snippet ({mark})", "exec"), namespace)  # noqa: S102 - our own text
    return namespace

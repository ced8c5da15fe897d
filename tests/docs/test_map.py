"""docs/architecture.md names every file of the package once, and no other."""

import re
import subprocess
from collections import Counter

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "resource_server"


def mapped_files() -> list[str]:
    """The paths in the block below "The map": a folder ends with a slash, and what is indented below it is in it."""
    block = PAGE.partition("\n## The map\n")[2].partition("```text\nresource_server/\n")[2].partition("```")[0]
    folders: list[str] = []
    found = []
    for line in block.splitlines():
        text = line.strip()
        depth = (len(line) - len(text)) // 2 - 1
        names = re.split(r" {2,}", text)[0].split(" ")
        folders = folders[:depth]
        if names[0].endswith("/"):
            folders.append(names[0])
        else:
            found += ["".join([*folders, name]) for name in names]
    return found


def test_the_map_names_every_file_of_the_package_once() -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."]
    listing = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=True).stdout
    files = {name for name in listing.splitlines() if (PACKAGE / name).exists()}
    named = Counter(mapped_files())

    assert [name for name, times in named.items() if times > 1] == []
    assert (files - set(named), set(named) - files) == (set(), set())


def test_the_other_files_on_the_page_exist() -> None:
    names = {path.name for path in PACKAGE.rglob("*.py")} | {"manage.py"}
    paths = set(re.findall(r"(?<![\w/.])(?:[a-z_]+/)*[a-z_]+\.py\b", PAGE))
    missing = {path for path in paths if path not in names and not any((at / path).exists() for at in (PACKAGE, ROOT))}

    assert missing == set()

"""The files name no machine, registry or secret; the lock files are complete; the scripts are executable."""

import json
import re
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCK_FILES = sorted((ROOT / "requirements").glob("py*.txt"))
BENCH = ROOT / "requirements" / "bench.txt"
OLDEST = ROOT / "requirements" / "oldest.txt"
NPM = ROOT / "tests" / "interop"

# Patterns that match in no tracked file, each with an example that it must find.
FORBIDDEN = {
    "registry address": (
        r"(?i)\bpypi\.(?:org|python\.org)/simple|\bpythonhosted\.org/packages|--(?:extra-)?index-url[ =]\S|--find-links[ =]\S|\bregistry\.(?:npmjs|yarnpkg)\.|(?:^|\n)(?:@\S+:)?registry *=|fil[e]://\S*(?:simple|wheels|pypi)",
        "--index" + "-url https://example.com",
    ),
    "path of a machine": (r"(?<![\w.~/:-])/(?:root|home|Users|work|opt|tmp)/\w", "see /home/" + "ada/project"),
    "private key (PEM)": (
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\n?\s*[A-Za-z0-9+/=]{16}",
        "-----BEGIN PRIVATE" + " KEY-----\n" + "A" * 16,
    ),
    "private key (JWK)": (r"""["'](?:d|k)["']\s*:\s*["'][\w-]{20,}["']""", '{"d": "' + "A" * 43 + '"}'),
    "credential of a service": (
        r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{36}|xox[abp]-\w{10,}|pypi-AgEI\w+)",
        "AKIA" + "A" * 16,
    ),
}


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def requirements(lock_file: Path) -> Iterator[str]:
    """Give the logical lines of a requirements file."""
    for line in lock_file.read_text().replace("\\\n", " ").splitlines():
        if line.strip() and not line.strip().startswith("#"):
            yield line.strip()


def pins(lock_file: Path) -> dict[str, Version]:
    parsed = [Requirement(line.partition(" --hash=")[0].strip()) for line in requirements(lock_file)]
    return {canonicalize_name(pin.name): Version(next(iter(pin.specifier)).version) for pin in parsed}


def declared_dependencies() -> list[Requirement]:
    """Give the dependencies of the package and of all its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in chain(project["dependencies"], *project["optional-dependencies"].values())]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_holds_a(what: str) -> None:
    pattern, example = FORBIDDEN[what]
    assert re.search(pattern, example)
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" in content:  # a picture
            continue
        if match := re.search(pattern, content.decode()):
            found.append(f"{path.relative_to(ROOT)}: {match.group()}")
    assert found == []


def test_no_tracked_file_is_somebodys_own() -> None:
    names = {path.name for path in tracked_files()}
    assert not {name for name in names if name == ".env" or name.endswith((".sqlite3", ".pem", ".key", ".log", ".pyc"))}


def test_there_is_a_lock_file_for_each_supported_pair() -> None:
    assert [path.stem for path in LOCK_FILES] == [
        "py311-django52",
        "py312-django60",
        "py313-django61",
        "py314-django61",
    ]


@pytest.mark.parametrize("lock_file", [*LOCK_FILES, BENCH, OLDEST], ids=lambda path: path.stem)
def test_lock_file_pins_every_requirement_with_hashes(lock_file: Path) -> None:
    pinned = re.compile(r"[\w.-]+(?:\[[\w,-]+\])?==[\w.!+]+ *(?:;[^\\]*?)?(?: +--hash=sha256:[0-9a-f]{64})+(?: +#.*)?")
    lines = list(requirements(lock_file))
    assert [line for line in lines if not pinned.fullmatch(line)] == []
    assert len(lines) > 30


def test_the_lock_file_of_the_benchmarks_holds_all_that_they_ask_for() -> None:
    asked = {canonicalize_name(Requirement(line).name) for line in requirements(BENCH.with_suffix(".in"))}
    assert asked - set(pins(BENCH)) == set()
    assert "requirements/bench.txt" in (ROOT / "Makefile").read_text()


def test_the_oldest_versions_that_are_admitted_are_those_that_are_tested() -> None:
    pinned = pins(OLDEST)
    lowest = {
        canonicalize_name(dependency.name): Version(next(iter(dependency.specifier)).version)
        for dependency in declared_dependencies()
        if dependency.name != "authlib"  # only the development issuer needs it, and the session tests edges
    }
    assert {name: pinned[name] for name in lowest} == lowest
    for user in ("Makefile", "noxfile.py"):
        assert "requirements/oldest.txt" in (ROOT / user).read_text()


@pytest.mark.parametrize("lock_file", LOCK_FILES, ids=lambda path: path.stem)
class TestLockFile:
    def test_holds_the_django_of_its_name(self, lock_file: Path) -> None:
        major, minor = pins(lock_file)["django"].release[:2]
        assert lock_file.stem.endswith(f"django{major}{minor}")

    def test_satisfies_the_package_and_every_extra(self, lock_file: Path) -> None:
        pinned, wanted = pins(lock_file), declared_dependencies()
        assert len(wanted) > 3
        assert [str(each) for each in wanted if pinned[canonicalize_name(each.name)] not in each.specifier] == []

    def test_holds_all_that_development_asks_for(self, lock_file: Path) -> None:
        asked = {canonicalize_name(Requirement(line).name) for line in requirements(ROOT / "requirements" / "dev.in")}
        assert asked - set(pins(lock_file)) == set()

    @pytest.mark.parametrize("user", ["Makefile", "noxfile.py", "scripts/venv.sh"])
    def test_is_known_to(self, user: str, lock_file: Path) -> None:
        assert f"requirements/{lock_file.name}" in (ROOT / user).read_text()


def test_npms_lock_file_pins_every_package_by_its_hash_and_names_no_registry() -> None:
    lock = json.loads((NPM / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert "node_modules/oidc-provider" in packages
    assert '"resolved"' not in (NPM / "package-lock.json").read_text()
    assert {name for name, package in packages.items() if not package["integrity"].startswith("sha512-")} == set()


def test_npm_goes_on_writing_it_so_and_runs_nobodys_scripts() -> None:
    options = (NPM / ".npmrc").read_text().splitlines()
    assert {"omit-lockfile-registry-resolved=true", "ignore-scripts=true"} <= set(options)


def test_npms_lock_file_is_of_its_package_file() -> None:
    package = json.loads((NPM / "package.json").read_text())
    lock = json.loads((NPM / "package-lock.json").read_text())["packages"]
    assert package["private"] is True
    for group in ("dependencies", "engines"):
        assert lock[""][group] == package[group]
    for name, version in package["dependencies"].items():
        assert lock[f"node_modules/{name}"]["version"] == version


def test_documents_name_only_targets_that_the_makefile_has() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "lint", "bench", "lock", "clean"} <= targets
    unknown = []
    for path in tracked_files():
        if path.suffix == ".md":
            named = re.findall(r"(?:^|`|\$ )make ([a-z]+)", path.read_text(), re.MULTILINE)
            unknown += [f"{path.relative_to(ROOT)}: make {name}" for name in named if name not in targets]
    assert unknown == []


@pytest.mark.parametrize("script", [".ci/run", "scripts/venv.sh", "scripts/python314.sh"])
def test_scripts_are_executable(script: str) -> None:
    assert (ROOT / script).stat().st_mode & stat.S_IXUSR

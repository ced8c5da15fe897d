"""A machine without Node.js or a registry skips these tests and says why; CI does not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.interop.oidc_provider import HERE, install


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What npm reads, with nothing installed."""
    for name in (".npmrc", "package.json", "package-lock.json"):
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


@pytest.fixture(params=[False, True], ids=["elsewhere", "in CI"])
def outcome(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[BaseException]:
    if request.param:
        monkeypatch.setenv("CI", "true")
        return pytest.fail.Exception
    monkeypatch.delenv("CI", raising=False)
    return pytest.skip.Exception


@pytest.mark.parametrize("present", [[], ["node"], ["npm"]], ids=["neither", "node alone", "npm alone"])
def test_without_node_or_npm(
    folder: Path, monkeypatch: pytest.MonkeyPatch, outcome: type[BaseException], present: list[str]
) -> None:
    for name in present:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(outcome, match=r"^no Node\.js and npm on PATH"):
        install(folder)


@pytest.mark.usefixtures("node_modules")
class TestWithNpm:
    @pytest.fixture(autouse=True)
    def _no_registry(self, folder: Path, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]) -> None:
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{free_port()}/")
        monkeypatch.setenv("npm_config_cache", str(folder / "cache"))
        monkeypatch.setenv("npm_config_fetch_retries", "0")

    def test_without_a_registry(self, folder: Path, outcome: type[BaseException]) -> None:
        with pytest.raises(outcome, match="npm cannot reach its registry"):
            install(folder)

    def test_with_an_old_node(self, folder: Path, outcome: type[BaseException]) -> None:
        for name in ("package.json", "package-lock.json"):
            document = (folder / name).read_text()
            (folder / name).write_text(document.replace(">=20.12", ">=1000"))
        with pytest.raises(outcome, match=r"Node\.js is older than"):
            install(folder)

    def test_without_a_lock_file_it_is_a_fault_everywhere(self, folder: Path, outcome: type[BaseException]) -> None:
        (folder / "package-lock.json").unlink()
        with pytest.raises(pytest.fail.Exception, match=r"^npm ci failed"):
            install(folder)

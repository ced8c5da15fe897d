"""`scripts/venv.sh` reports each failure in one line, and makes an unfinished .venv anew."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Make a folder with the files that the script reads; its lock files name a package that does not exist."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "venv.sh", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "requirements").mkdir()
    for lock_file in (ROOT / "requirements").glob("*.txt"):
        (tmp_path / "requirements" / lock_file.name).write_text(f"pytest==0.0.1 --hash=sha256:{'0' * 64}\n")
    return tmp_path


def make_venv(clone: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    # No index and no configuration, so that pip finds nothing.
    nowhere = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    return subprocess.run(
        ["/bin/sh", "scripts/venv.sh"],
        cwd=clone,
        env={**kept, **nowhere, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def few_commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a PATH with the commands of the script and without Python."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("dirname", "cat", "cksum", "grep", "id", "tail", "sed"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return folder


def write_python(folder: Path, body: str) -> None:
    program = folder / "python3"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)


def test_a_failed_install_is_one_line_and_is_tried_again(clone: Path) -> None:
    for _ in range(2):
        done = make_venv(clone, PYTHON=sys.executable)
        assert done.returncode == 1
        assert done.stdout == "Installing into .venv (about a minute the first time) ...\n"
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: installing requirements/py3")
        assert "No matching distribution found for pytest==0.0.1" in line
        assert line.endswith("(all of it: .venv/install.log)")
        assert "pytest==0.0.1" in (clone / ".venv" / "install.log").read_text()


@pytest.mark.parametrize("too_old", [False, True], ids=["none", "too old"])
def test_no_python(clone: Path, few_commands: Path, too_old: bool) -> None:
    if too_old:  # it runs, but fails the check of its version
        write_python(few_commands, "exit 1")
    done = make_venv(clone, PATH=str(few_commands))
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: no Python 3.11 or newer found")


def test_a_chosen_python_that_does_not_work(clone: Path) -> None:
    done = make_venv(clone, PYTHON="/nowhere/python3")
    assert done.returncode == 1
    assert done.stderr == "error: PYTHON=/nowhere/python3 is not a working Python 3.11 or newer\n"


def test_a_debian_python_without_venv_is_told_what_to_install(clone: Path, few_commands: Path) -> None:
    write_python(
        few_commands,
        f'case "$2" in *ensurepip*) exit 1;; *_base_executable*) echo "$0";; *) exec {sys.executable} "$@";; esac',
    )
    (few_commands / "apt-get").symlink_to("/bin/true")
    (few_commands / "id").unlink()
    (few_commands / "id").write_text("#!/bin/sh\necho 1000\n")
    (few_commands / "id").chmod(0o755)
    done = make_venv(clone, PATH=str(few_commands))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("has no venv module; install it with: sudo apt install python3-venv")
    assert not (clone / ".venv").exists()

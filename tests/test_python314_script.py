"""`scripts/python314.sh` skips with a reason where it cannot run, and fails there in CI."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def write_command(folder: Path, name: str, body: str) -> None:
    command = folder / name
    command.write_text(f"#!/bin/sh\n{body}\n")
    command.chmod(0o755)


@pytest.fixture
def few_commands(tmp_path: Path) -> Path:
    """Make a PATH with the first commands of the script, without debootstrap; its user is root, who may do all."""
    for name in ("bash", "dirname"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    write_command(tmp_path, "id", "echo 0")
    write_command(tmp_path, "unshare", "exit 0")
    return tmp_path


def run(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "python314.sh"],
        env={"PATH": str(path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


LACKS = {
    "root": ("id", "echo 1000", "root, to install Debian in a folder"),
    "debootstrap": ("true", "exit 0", "debootstrap (Debian: apt install debootstrap)"),
    "namespaces": ("unshare", "exit 1", "the right to make namespaces (unshare)"),
}


@pytest.mark.parametrize(("command", "body", "need"), LACKS.values(), ids=LACKS)
def test_a_machine_that_lacks_something_skips_and_fails_in_ci(
    few_commands: Path, command: str, body: str, need: str
) -> None:
    if command == "unshare":
        write_command(few_commands, "debootstrap", "exit 0")
    write_command(few_commands, command, body)
    skipped, failed = run(few_commands), run(few_commands, CI="true")
    assert (skipped.returncode, skipped.stdout) == (0, f"skipped: the tests on Python 3.14 need {need}\n")
    assert (failed.returncode, failed.stderr) == (1, f"error: the tests on Python 3.14 need {need}\n")
    assert skipped.stderr == failed.stdout == ""


def test_a_failed_installation_is_reported_and_leaves_nothing(few_commands: Path, tmp_path: Path) -> None:
    for name in ("realpath", "mktemp", "chmod", "rm", "tail", "sed"):
        (few_commands / name).symlink_to(str(shutil.which(name)))
    # Without a namespace; the script calls itself in one.
    write_command(few_commands, "unshare", 'shift 4; [ "$1" = true ] || exec "$@"')
    write_command(few_commands, "debootstrap", "echo no such release; exit 1")
    place = tmp_path / "place"
    place.mkdir()
    done = run(few_commands, TMPDIR=str(place), MIRROR="http://mirror.test/debian")
    assert done.returncode == 1
    assert done.stderr == "no such release\nerror: debootstrap failed, from http://mirror.test/debian\n"
    assert list(place.iterdir()) == []

"""Sessions for the supported pairs of Python and Django, and for the oldest versions that pyproject.toml admits.

Each session installs its lock file.
"""

import os
import shutil
import subprocess

import nox

nox.needs_version = ">=2026.2"
nox.options.default_venv_backend = "venv"
nox.options.download_python = "never"
# A Python that this machine lacks is skipped with a line that says so; .ci/run asks for an error instead.
nox.options.error_on_missing_interpreters = False

LOCK_FILES = {
    "3.11": "requirements/py311-django52.txt",
    "3.12": "requirements/py312-django60.txt",
    "3.13": "requirements/py313-django61.txt",
    "3.14": "requirements/py314-django61.txt",
}
OLDEST = "requirements/oldest.txt"


def put_pyenv_pythons_on_path() -> None:
    """Put the Pythons of pyenv on PATH; its shims answer only for the versions that are switched on."""
    if shutil.which("pyenv") is None:
        return
    for version in LOCK_FILES:
        prefix = subprocess.run(["pyenv", "prefix", version], capture_output=True, text=True, check=False)
        if prefix.returncode == 0:
            os.environ["PATH"] = os.pathsep.join([f"{prefix.stdout.strip()}/bin", os.environ["PATH"]])


put_pyenv_pythons_on_path()


@nox.session(python=list(LOCK_FILES))
def tests(session: nox.Session) -> None:
    """Run the tests; arguments after -- go to pytest."""
    install(session, LOCK_FILES[str(session.python)])
    run_pytest(session, *session.posargs)


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """Run the tests of the edges on the oldest Django, REST framework and other dependencies."""
    install(session, OLDEST)
    run_pytest(session, *(session.posargs or ["tests/edges", "tests/stackings"]))


def install(session: nox.Session, lock_file: str) -> None:
    session.install("--quiet", "--require-hashes", "-r", lock_file)
    session.install("--quiet", "--no-deps", "--no-build-isolation", "-e", ".")


def run_pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest in JOBS processes, as `make test` does."""
    session.run("python", "-m", "pytest", "-n", os.environ.get("JOBS", "2"), "--dist", "loadfile", *arguments)

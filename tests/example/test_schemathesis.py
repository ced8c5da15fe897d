"""Schemathesis reads the example's OpenAPI document, calls each operation in many ways, and finds no fault in an answer."""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.example.conftest import Tokens
from tests.processes import environment

OPERATIONS = 3
# (headers of every request, whether Schemathesis invents credentials)
CALLERS: Mapping[str, tuple[Callable[[Tokens, Mapping[str, str]], dict[str, str]], bool]] = {
    "anonymous": (lambda tokens, session: {}, True),
    "bad token": (lambda tokens, session: {"Authorization": f"Bearer {tokens.none[:-8]}AAAAAAAA"}, True),
    # Beside a good token, invented credentials would be good too, and Schemathesis expects a refusal of them.
    "token": (lambda tokens, session: {"Authorization": f"Bearer {tokens.none}"}, False),
    "scope": (lambda tokens, session: {"Authorization": f"Bearer {tokens.scoped}"}, False),
    "session": (lambda tokens, session: {"Cookie": f"sessionid={session['sessionid']}"}, False),
}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the Schemathesis of this environment, with every check, in a folder of its own, which it writes into."""
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "run", *arguments, "--checks=all", "--generation-deterministic", "--no-color"]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("caller", CALLERS)
def test_it_finds_nothing(
    example: str, tokens: Tokens, session: Mapping[str, str], tmp_path: Path, caller: str
) -> None:
    make_headers, invents = CALLERS[caller]
    headers = [f"--header={name}: {value}" for name, value in make_headers(tokens, session).items()]
    security = f"--generation-with-security-parameters={str(invents).lower()}"
    done = run(tmp_path, f"{example}/docs/schema", security, *headers)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Tested: {OPERATIONS}\n" in done.stdout
    generated = re.search(r"(\d+) generated, \1 passed", done.stdout)
    assert generated is not None, done.stdout
    assert int(generated[1]) > OPERATIONS

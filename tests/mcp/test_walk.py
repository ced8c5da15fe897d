"""The official MCP client walks from a 401 to a tool, and steps up to another, by the development issuer."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.processes import ROOT, process

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(("mode", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
def test_from_a_401_to_each_tool(free_port: Callable[[], int], mode: str, version: str) -> None:
    port, issuer_port = free_port(), free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(ROOT / "examples" / "mcp" / "run.py")]
    with process(command, address, WELL_KNOWN, PORT=str(port), ISSUER_PORT=str(issuer_port)):
        program = [sys.executable, str(Path(__file__).with_name("walking_client.py")), f"{address}/mcp", mode]
        done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    walked = json.loads(done.stdout)
    assert walked["version"] == version
    # One sign-in for the first tool, a second for the other, and none after it: the step-up lost no scope.
    assert walked["seen"] == [["auth0|ada", 1], ["Everything is deleted.", 2], ["auth0|ada", 2]]
    scopes = [set(asked["scope"][0].split()) - {"offline_access"} for asked in walked["asked"]]
    assert scopes == [{"mcp:read"}, {"mcp:read", "mcp:write"}]
    assert [asked["resource"] for asked in walked["asked"]] == [[f"{address}/mcp"]] * 2

"""The official MCP client walks from a 401 to a tool, and steps up to another, by the development issuer."""

import json
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from tests.processes import ROOT, process

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(("mode", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
def test_from_a_401_to_each_tool(free_port: Callable[[], int], mode: str, version: str) -> None:
    port, issuer_port = free_port(), free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(ROOT / "examples" / "mcp" / "run.py")]
    with process(command, address, WELL_KNOWN, PORT=str(port), ISSUER_PORT=str(issuer_port)):
        program = [sys.executable, "-m", "tests.mcp.walking_client", f"{address}/mcp", mode]
        done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    walked = json.loads(done.stdout)
    assert walked["version"] == version
    # One sign-in for the first tool, a second for the other, and none after it: the step-up lost no scope.
    assert walked["seen"] == [["auth0|ada", 1], ["Everything is deleted.", 2], ["auth0|ada", 2]]
    scopes = [set(asked["scope"][0].split()) - {"offline_access"} for asked in walked["asked"]]
    assert scopes == [{"mcp:read"}, {"mcp:read", "mcp:write"}]
    assert [asked["resource"] for asked in walked["asked"]] == [[f"{address}/mcp"]] * 2
    assert [asked["code_challenge_method"] for asked in walked["asked"]] == [["S256"]] * 2
    first, second = (asked["state"] for asked in walked["asked"])
    assert first != second

    requests = [(method, urlsplit(url), *rest) for method, url, *rest in walked["requests"]]
    paths = [f"{method} {url.path}" for method, url, *_ in requests]
    # The 401, the document that it names, the issuer's own, a registration, and the tool again.
    assert paths[:5] == [
        "POST /mcp",
        f"GET {WELL_KNOWN}/mcp",
        "GET /.well-known/oauth-authorization-server",
        "POST /register",
        "POST /token",
    ]
    assert [resource for _, url, _, resource in requests if url.path == "/token"] == [[f"{address}/mcp"]] * 2
    # Each request to the tools after the first has a token, in the header and never in the address.
    assert [has_token for _, url, has_token, _ in requests if url.path == "/mcp"][1:].count(False) == 0
    assert {url.query for _, url, *_ in requests} == {""}

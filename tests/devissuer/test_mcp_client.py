"""The official MCP client, from the 401 of a server over this issuer's sign-in to a token, and on to more scopes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from tests.devissuer.conftest import running
from tests.devissuer.documents import document_server
from tests.processes import ROOT


class McpServer(ThreadingHTTPServer):
    """What an MCP server says to clients without a token, and with too small a one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), McpHandler)
        self.origin = f"http://127.0.0.1:{self.server_port}"
        self.resource = f"{self.origin}/mcp"
        self.issuer = None


class McpHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        metadata = "/.well-known/oauth-protected-resource/mcp"
        resource = self.server.resource
        if self.path == metadata:
            self.answer(200, {"resource": resource, "authorization_servers": [self.server.issuer.address]})
            return
        needs = self.headers["Needs"]
        challenge = f'scope="{needs}", resource_metadata="{self.server.origin}{metadata}"'
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if not token:
            self.answer(401, {}, f"Bearer {challenge}")
            return
        claims = self.server.issuer.verified(token).claims
        assert (scheme, claims["aud"]) == ("Bearer", resource)
        if needs not in claims["scope"].split():
            self.answer(403, {}, f'Bearer error="insufficient_scope", {challenge}')
            return
        self.answer(200, claims)

    def answer(self, status: int, document: object, challenge: str | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def mcp_server() -> Iterator[McpServer]:
    with McpServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _walk(*arguments: str) -> dict:
    command = [sys.executable, "-m", "tests.devissuer.mcp_client", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("document", [False, True], ids=["registered", "with a document"])
def test_it_signs_in_steps_up_and_refreshes(document, tmp_path, monkeypatch):
    with document_server(tmp_path) as documents, mcp_server() as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(documents.authority))
        url = documents.publish("/client.json", redirect_uris=["http://localhost/callback"])
        with running("--audience", server.resource, "--scope", "mcp:read", "mcp:write") as issuer:
            server.issuer = issuer
            walked = _walk(server.resource, *([url] if document else []))

    assert (walked["client_id"] == url) == document
    statuses, claims = zip(*walked["seen"], strict=True)
    assert statuses == (200, 200, 200)
    assert {(each["sub"], each["client_id"]) for each in claims} == {("auth0|ada", walked["client_id"])}
    # The client asks for a refresh token by `offline_access` where the issuer has it.
    read, write = {"mcp:read", "offline_access"}, {"mcp:read", "mcp:write", "offline_access"}
    assert [set(each["scope"].split()) for each in claims] == [read, write, write]
    assert claims[2]["jti"] != claims[1]["jti"]
    # Two sign-ins: for the 401 and for the step-up. The refresh needs none.
    assert [set(each["scope"][0].split()) for each in walked["asked"]] == [read, write]
    assert [each["resource"] for each in walked["asked"]] == [[server.resource]] * 2

"""The example and its issuers as they run for a reader: processes and sockets, on ports of this machine only."""

import http.client
import http.cookies
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from resource_server.devissuer.signing import SigningKeys

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "example"
AUDIENCE = "https://api.example.test"
START_SECONDS = 60

# Variables of the developer's shell must not decide what these tests test.
VARIABLES = [
    "ALGORITHMS",
    "ALLOWED_HOSTS",
    "API_IDENTIFIER",
    "AUTH0_DOMAIN",
    "DATABASE_URL",
    "DEBUG",
    "DJANGO_SETTINGS_MODULE",
    "ISSUER",
    "ISSUER_PORT",
    "JWKS_URI",
    "ONCE",
    "PORT",
    "REDIS_URL",
    "SECRET_KEY",
    "TOKEN_TYPE",
    "USERS",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def call(
    address: str,
    path: str,
    *,
    authorization: str | None = None,
    cookies: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request, with nothing added to it and no redirect followed."""
    sent = dict(headers or {})
    if authorization is not None:
        sent["Authorization"] = authorization
    if cookies:
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    body = None
    if form is not None:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(form)
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        connection.request(method or ("GET" if form is None else "POST"), path, body=body, headers=sent)
        response = connection.getresponse()
        jar: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
        for line in response.headers.get_all("Set-Cookie", []):
            jar.load(line)
        return Answer(
            status=response.status,
            headers=response.headers,
            cookies={name: morsel.value for name, morsel in jar.items()},
            text=response.read().decode(errors="replace"),
        )
    finally:
        connection.close()


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**inherited, "PYTHONUNBUFFERED": "1", **variables}


@contextmanager
def process(command: list[str], address: str, ready_path: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A server that has answered once; it is stopped at the end. Its output is shown where it does not start."""
    with tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen(
            command, cwd=EXAMPLE, env=environment(**variables), stdout=log, stderr=subprocess.STDOUT, text=True
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while True:
                if child.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise AssertionError(f"{' '.join(command)} did not start:\n{log.read()}")
                try:
                    call(address, ready_path)
                    break
                except OSError:
                    time.sleep(0.05)  # between two looks at a socket
            yield child
        finally:
            child.terminate()
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def development_issuer(port: int, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "resource_server.devissuer", "--port", str(port), *arguments]
    with process(command, address, "/.well-known/openid-configuration") as child:
        yield address, child


@contextmanager
def api(port: int, *, workers: int = 1, **variables: str) -> Iterator[str]:
    """The example under gunicorn, with the settings of a development machine unless `variables` say otherwise."""
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", "mysite.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "8"]
    command += ["--workers", str(workers), "--worker-class", "gthread", "--no-control-socket"]
    with process(command, address, "/api/public", **{"DEBUG": "1", "SECRET_KEY": "of the tests", **variables}):
        yield address


def manage(*arguments: str, directory: Path = EXAMPLE, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=directory,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def copy_of_example(directory: Path) -> Path:
    """The example elsewhere, so that its database is not in the working tree and its code can be broken."""
    ignored = shutil.ignore_patterns("__pycache__", "*.sqlite3", ".env")
    return shutil.copytree(EXAMPLE, directory / "example", ignore=ignored)


def request_token(issuer: str, scope: str = "", **parameters: str) -> str:
    """A token of a machine, by client credentials, from the development issuer."""
    form = {
        "grant_type": "client_credentials",
        "client_id": "demo-machine",
        "client_secret": "demo-machine-secret",
        "audience": AUDIENCE,
        **parameters,
    }
    answer = call(issuer, "/token", form={**form, "scope": scope} if scope else form)
    assert answer.status == 200, answer.text
    token = answer.json()["access_token"]
    assert isinstance(token, str)
    return token


class SigningIssuer:
    """An issuer with metadata and a key set, which signs whatever a test wants signed."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.keys = SigningKeys()
        documents: Mapping[str, Callable[[], Mapping[str, Any]]] = {
            "/.well-known/openid-configuration": self._metadata,
            "/.well-known/oauth-authorization-server": self._metadata,
            "/jwks.json": self.keys.jwks,
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document = documents.get(self.path)
                body = json.dumps(document() if document else {}).encode()
                self.send_response(200 if document else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def _metadata(self) -> dict[str, Any]:
        return {"issuer": self.address, "jwks_uri": f"{self.address}/jwks.json"}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Those of a good token, with changes; None removes a claim."""
        now = int(time.time())
        good = {
            "iss": self.address,
            "aud": AUDIENCE,
            "sub": "auth0|someone",
            "client_id": "a-client",
            "iat": now,
            "exp": now + 600,
            "jti": os.urandom(8).hex(),
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def token(self, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        return self.keys.sign(self.claims(**changes), header=header)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

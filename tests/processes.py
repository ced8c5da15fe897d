"""Processes of the tests: the example, the development issuer and any other server, on ports of this machine only."""

import http.client
import http.cookies
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "example"
AUDIENCE = "https://api.example.test"
START_SECONDS = 60

# Variables of the developer's shell that must not reach the processes of the tests.
VARIABLES = [
    "ALGORITHMS",
    "ALLOWED_HOSTS",
    "API_IDENTIFIER",
    "AUTH0_DOMAIN",
    "DATABASE_URL",
    "DEBUG",
    "DJANGO_SETTINGS_MODULE",
    "DPOP",
    "ISSUER",
    "ISSUER_PORT",
    "JWKS_URI",
    "ONCE",
    "PORT",
    "PUBLIC_ORIGIN",
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

    def refusal(self, remedy: str) -> Any:
        """The body of a refusal without its hint, which ends with the remedy while DEBUG is on."""
        body = self.json()
        assert body.pop("hint").endswith(remedy)
        return body


def call(
    address: str,
    path: str,
    *,
    authorization: str | None = None,
    cookies: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
) -> Answer:
    """The answer to one request. Adds no header and follows no redirect."""
    sent = dict(headers or {})
    if authorization is not None:
        sent["Authorization"] = authorization
    if cookies:
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    if form is not None:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(form)
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        content = body.encode() if body is not None else None
        connection.request(method or ("GET" if form is None else "POST"), path, body=content, headers=sent)
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


def run_pytest(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a folder with this project's fixtures and settings of pytest, outside CI unless `variables` say so."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml"), str(folder)]
    env = {**environment(), "CI": "", **variables}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def process(command: list[str], address: str, ready_path: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A server that has answered once; it is stopped at the end. If it does not start, the error shows its output."""
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
    """The example under gunicorn, in development mode unless `variables` say otherwise."""
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
    """A copy of the example, whose database and code a test may change."""
    ignored = shutil.ignore_patterns("__pycache__", "*.sqlite3", ".env")
    return shutil.copytree(EXAMPLE, directory / "example", ignore=ignored)


def request_token(issuer: str, scope: str = "", **parameters: str) -> str:
    """A machine's token from the development issuer, by client credentials."""
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

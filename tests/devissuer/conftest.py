"""A development issuer in a process of its own, and a client that talks to it over HTTP."""

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import urllib3
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import KeySet

REDIRECT_URI = "http://127.0.0.1:8000/callback"
VERIFIER = "a-code-verifier-of-at-least-forty-three-characters"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()

Answer = urllib3.BaseHTTPResponse


def basic(name: str, secret: str | None = None) -> dict[str, str]:
    """The credentials of a client in a header; those of the demonstration clients have one form."""
    return dict(urllib3.make_headers(basic_auth=f"{name}:{secret or f'{name}-secret'}"))


@dataclass(kw_only=True)
class SignInPage:
    """The sign-in page in a browser: its address, its form and its cookie."""

    url: str
    answer: Answer
    hidden: dict[str, str]
    cookie: str


@dataclass(kw_only=True)
class RunningIssuer:
    """An issuer's process and the requests that tests make to it."""

    address: str
    process: "subprocess.Popen[str]"
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(timeout=10, retries=False))

    def get(self, path: str, **headers: str) -> Answer:
        return self.http.request("GET", self.address + path, headers=headers, redirect=False)

    def post(self, path: str, fields: Any = (), headers: dict[str, str] | None = None) -> Answer:
        form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        body = fields if isinstance(fields, bytes) else urlencode(fields, doseq=True).encode()
        return self.http.request("POST", self.address + path, body=body, headers=form, redirect=False)

    def machine(self, name: str = "demo-machine", headers: dict[str, str] | None = None, **fields: Any) -> Answer:
        """Client credentials with the secret in the header (client_secret_basic)."""
        return self.post("/token", {"grant_type": "client_credentials", **fields}, {**basic(name), **(headers or {})})

    def register(self, **metadata: Any) -> dict[str, Any]:
        """The answer to a registration that succeeds."""
        answer = self.post("/register", json.dumps(metadata).encode(), {"Content-Type": "application/json"})
        assert answer.status == 201, answer.data
        registered: dict[str, Any] = answer.json()
        return registered

    def introspect(self, token: str, **headers: str) -> Answer:
        return self.post("/introspect", {"token": token}, {**basic("demo-api"), **headers})

    def authorize_url(self, **changes: str | None) -> str:
        query = {
            "response_type": "code",
            "client_id": "demo-browser",
            "redirect_uri": REDIRECT_URI,
            "scope": "openid example:scope",
            "state": "the state",
            "nonce": "the nonce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return "/authorize?" + urlencode({name: value for name, value in query.items() if value is not None})

    def sign_in_page(self, **changes: str | None) -> SignInPage:
        url = self.authorize_url(**changes)
        answer = self.get(url)
        text = answer.data.decode()
        hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', text)
        cookie = SimpleCookie(answer.headers.get("Set-Cookie", ""))
        return SignInPage(
            url=url,
            answer=answer,
            hidden={name: html.unescape(value) for name, value in hidden},
            cookie="; ".join(f"{name}={morsel.value}" for name, morsel in cookie.items()),
        )

    def decide(self, page: SignInPage, **fields: Any) -> Answer:
        sent = {"subject": "auth0|ada", "decision": "allow", **page.hidden, **fields}
        return self.post(page.url, sent, {"Cookie": page.cookie, "Origin": self.address})

    def redirected(self, answer: Answer) -> dict[str, str]:
        """The parameters of the redirect to the client."""
        assert answer.status == 303, answer.data
        location = urlsplit(answer.headers["Location"])
        assert f"{location.scheme}://{location.netloc}{location.path}" == REDIRECT_URI
        return {name: value for name, [value] in parse_qs(location.query).items()}

    def code(self, agreed: tuple[str, ...] = ("openid", "example:scope"), **changes: str | None) -> str:
        page = self.sign_in_page(**changes)
        return self.redirected(self.decide(page, agreed=agreed))["code"]

    def redeem(self, code: str, headers: dict[str, str] | None = None, **changes: str) -> Answer:
        fields = {
            "grant_type": "authorization_code",
            "client_id": "demo-browser",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
            **changes,
        }
        return self.post("/token", fields, headers)

    def refresh(self, refresh_token: str, headers: dict[str, str] | None = None, **changes: str) -> Answer:
        fields = {"grant_type": "refresh_token", "client_id": "demo-browser", "refresh_token": refresh_token}
        return self.post("/token", {**fields, **changes}, headers)

    def jwks(self) -> dict[str, Any]:
        keys: dict[str, Any] = self.get("/jwks.json").json()
        return keys

    def verified(self, token: str, algorithm: str = "RS256") -> jwt.Token:
        """The token, its signature verified with the key of the served set that its header names."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # joserfc's, of the name EdDSA (RFC 9864)
            return jwt.decode(token, KeySet.import_key_set(self.jwks()), algorithms=[algorithm])


def stopped(process: "subprocess.Popen[str]") -> str:
    """The error output of a process that is asked to end, up to three times, and then killed."""
    for _ in range(3):
        process.terminate()
        try:
            return process.communicate(timeout=30)[1]
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    return f"it did not end: {process.communicate()[1]}"


@contextmanager
def running(*arguments: str) -> Iterator[RunningIssuer]:
    command = [sys.executable, "-W", "error", "-m", "resource_server.devissuer", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline().strip()
        if not line:
            pytest.fail(f"the issuer did not start: {process.stderr.read()}")
        try:
            yield RunningIssuer(address=line.rpartition(" ")[2], process=process)
        finally:
            said = stopped(process)
    # The process reports its own failures here.
    assert said == ""


@pytest.fixture(scope="session")
def issuer() -> Iterator[RunningIssuer]:
    """The default issuer, shared by tests that do not change its keys."""
    with running() as started:
        yield started


@pytest.fixture
def run_issuer() -> Iterator[Callable[..., RunningIssuer]]:
    """Starts an issuer with these arguments; it is stopped after the test."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(running(*arguments))

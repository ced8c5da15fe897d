"""An introspection endpoint on a real socket that answers anything, and an API that asks it."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qsl

import pytest
from tests.policies import policy as make_policy
from tests.servers import Server

from resource_server.errors import AuthorizationError
from resource_server.flow import run
from resource_server.keys.answer import Post
from resource_server.keys.document import Fetch
from resource_server.keys.http import post
from resource_server.testing import FakeIssuer
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.client_authentication import ClientAuthentication
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.introspection_policy import IntrospectionPolicy
from resource_server.tokens.shared_answers import SharedAnswers
from resource_server.tokens.verifier import Verifier

NOW = 1_800_000_000
OPAQUE = "an-opaque.token"
SECRET_CLIENT = ClientAuthentication(client_id="api", method="client_secret_basic", secret="the secret")
ACTIVE: Mapping[str, Any] = {
    "active": True,
    "iss": "https://issuer.test/",
    "aud": "https://api.test/",
    "sub": "auth0|ada",
    "client_id": "client",
    "scope": "read write",
    "token_type": "Bearer",
    "iat": NOW,
    "exp": NOW + 600,
}

Body: TypeAlias = bytes | Callable[[Mapping[str, str]], bytes]


def answer(**changes: Any) -> bytes:
    """An answer about an active token, with changes; None removes a member."""
    return json.dumps({name: value for name, value in {**ACTIVE, **changes}.items() if value is not None}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request to the endpoint."""

    line: str
    headers: Mapping[str, str]
    form: Mapping[str, str]


def read_form(connection: socket.socket, request: bytes) -> tuple[str, dict[str, str], bytes]:
    """The first line, the headers and the body of a request, of which this much was read."""
    head, _, sent = request.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
    while len(sent) < int(headers.get("content-length", "0")):
        sent += connection.recv(65536)
    return line, headers, sent


class Endpoint:
    """An introspection endpoint. Each change of its attributes applies to the next request.

    `body` is the answer, or makes it from the form; `gate` holds answers back until it is set.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.status = "200 OK"
        self.fields: tuple[str, ...] = ("Content-Type: application/json",)
        self.body: Body = answer()
        self.asked: list[Question] = []
        self.gate = threading.Event()
        self.gate.set()
        self._server = Server(self._serve, context=context)
        self.url = self._server.url("/introspect")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.close()

    def _serve(self, connection: socket.socket, request: bytes) -> None:
        line, headers, sent = read_form(connection, request)
        form = dict(parse_qsl(sent.decode("ascii"), strict_parsing=True)) if sent else {}
        self.asked.append(Question(line=line, headers=headers, form=form))
        body = self.body if isinstance(self.body, bytes) else self.body(form)
        self.gate.wait(30)
        fields = "".join(f"{each}\r\n" for each in self.fields)
        connection.sendall(f"HTTP/1.1 {self.status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body)


class Api:
    """A resource server without Django that asks an endpoint. `now` and `clock` stand still until a test moves them."""

    def __init__(
        self,
        endpoint: str | None,
        *,
        client: ClientAuthentication = SECRET_CLIENT,
        shared: SharedAnswers | None = None,
        token_cache: int = 1000,
        issuer: FakeIssuer | None = None,
        fetch: Fetch | None = None,
        post: Post = post,
        others: tuple[Any, ...] = (),
        members: Mapping[str, Any] | None = None,
        **asked: Any,
    ) -> None:
        self.now: float = NOW
        self.clock = 5_000.0
        self.issuer = issuer or FakeIssuer(algorithm="ES256", now=lambda: self.now)
        introspection = IntrospectionPolicy(client=client, endpoint=endpoint, **asked)
        trusted = {"issuer": self.issuer.issuer, "audience": (self.issuer.audience,), **(members or {})}
        self.verifier = Verifier(
            [make_policy(introspection=introspection, **trusted), *others],
            fetch=fetch or self.issuer.fetch,
            post=post,
            now=lambda: self.now,
            clock=lambda: self.clock,
            later=lambda seconds, call: None,
            token_cache=token_cache,
            shared_answers=shared,
        )

    def token(self, token: str = OPAQUE) -> AccessToken:
        return run(self.verifier.verify(Credentials(unverified_token=token))).token

    def refusal(self, token: str = OPAQUE) -> str:
        """The status and the reason for which a token is refused."""
        with pytest.raises(AuthorizationError) as caught:
            self.token(token)
        assert token not in f"{caught.value!r} {caught.value} {getattr(caught.value, 'outcome', '')}"
        return f"{caught.value.status} {caught.value.reason}"

    def outcome(self, token: str = OPAQUE) -> str:
        try:
            self.token(token)
        except AuthorizationError as error:
            return f"{error.status} {error.reason}"
        return "200"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


@pytest.fixture
def api(endpoint: Endpoint) -> Api:
    return Api(endpoint.url)

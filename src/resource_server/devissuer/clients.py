"""The clients and the people that the development issuer starts with."""

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["IDENTITY_SCOPES", "PEOPLE", "Client", "Person", "demonstration_clients", "redirect_uri_problem"]

# OpenID Connect Core 1.0 sections 5.4 and 11. A machine has no such identity.
IDENTITY_SCOPES = ("openid", "profile", "email", "offline_access")

# RFC 8252 section 7.3: on loopback, any port. The pattern is narrower than a URL parser: parsers disagree about
# "http://127.0.0.1\@evil.example", and the browser decides where the code goes.
_LOOPBACK_REDIRECT = re.compile(
    r"(http://(?:127\.0\.0\.1|localhost|\[::1\]))(?::[0-9]{1,5})?"
    r"((?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)"
)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!$%-;=?-Z\[\]_a-z~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person that the sign-in page offers."""

    subject: str
    name: str
    email: str


PEOPLE = (
    Person(subject="auth0|ada", name="Ada Example", email="ada@example.test"),
    Person(subject="auth0|bo", name="Bo Example", email="bo@example.test"),
    Person(subject="google-oauth2|1070", name="Chidi Example", email="chidi@example.test"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A registered client, with the interface of Authlib's grants (`ClientMixin`; RFC 6749 section 2).

    The last two fields belong to the current request: the audience (RFC 8707), and the `cnf` of its tokens (RFC 7800).
    """

    client_id: str
    secret: str | None
    grant_types: frozenset[str]
    scopes: frozenset[str]
    name: str = ""
    redirect_uris: frozenset[str] = frozenset()
    any_loopback: bool = False  # every redirect URI on loopback is accepted
    opaque_tokens: bool = False
    dpop_bound: bool = False  # RFC 9449 section 5.2: no token without a proof
    certificate_bound: bool = False  # RFC 8705 section 3.4: no token without a certificate
    audience: str | None = None
    confirmation: Mapping[str, str] | None = None

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        return None  # RFC 9700 section 2.1: the request names the URI, which is then compared

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The requested scope without repetitions; None if the client may not request a part of it."""
        asked = dict.fromkeys((scope or "").split())
        return " ".join(asked) if self.scopes.issuperset(asked) else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether the URI is registered: compared exactly (RFC 9700 section 2.1), on loopback without the port."""
        if redirect_uri in self.redirect_uris:
            return True
        without_port = _loopback_without_port(redirect_uri)
        return without_port is not None and (
            self.any_loopback or without_port in map(_loopback_without_port, self.redirect_uris)
        )

    def is_on_loopback(self) -> bool:
        """Whether people are sent back to their own machine alone, where any program can pretend to be the client."""
        return all(_loopback_without_port(uri) is not None for uri in self.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        return self.secret is not None and secrets.compare_digest(self.secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return (method == "none") == (self.secret is None)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_types


def redirect_uri_problem(uri: str) -> str | None:
    """Return why a client cannot have this redirect URI; None if it can (RFC 6749 section 3.1.2)."""
    if not _ABSOLUTE.fullmatch(uri):
        return "a redirect URI is absolute and without a fragment"
    try:
        scheme = urlsplit(uri).scheme
    except ValueError:
        return "a redirect URI has a host that can be read"
    if scheme in ("javascript", "data", "vbscript"):
        return "a redirect URI must not be a script"
    return None


def demonstration_clients(scopes: Collection[str], redirect_uris: Collection[str]) -> dict[str, Client]:
    """The clients that exist from the start, by id. Their secrets stand in --help: they protect nothing."""
    machine = Client(
        client_id="demo-machine",
        secret="demo-machine-secret",
        grant_types=frozenset({"client_credentials"}),
        scopes=frozenset(scopes),
    )
    browser = Client(
        client_id="demo-browser",
        secret=None,
        grant_types=frozenset({"authorization_code", "refresh_token"}),
        scopes=frozenset({*scopes, *IDENTITY_SCOPES}),
        redirect_uris=frozenset(redirect_uris),
        any_loopback=True,
    )
    opaque = Client(
        client_id="demo-opaque",
        secret="demo-opaque-secret",
        grant_types=frozenset({"client_credentials"}),
        scopes=frozenset(scopes),
        opaque_tokens=True,
    )
    api = Client(client_id="demo-api", secret="demo-api-secret", grant_types=frozenset(), scopes=frozenset())
    return {client.client_id: client for client in (machine, browser, opaque, api)}


def _loopback_without_port(uri: str) -> str | None:
    found = _LOOPBACK_REDIRECT.fullmatch(uri)
    return found and found[1] + found[2]

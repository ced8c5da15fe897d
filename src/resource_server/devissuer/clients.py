"""The clients and the people that the development issuer knows from the start."""

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["IDENTITY_SCOPES", "PEOPLE", "Client", "Person", "registered_clients"]

# OpenID Connect Core 1.0, section 5.4 and 11. A machine has no identity to tell of.
IDENTITY_SCOPES = ("openid", "profile", "email", "offline_access")

# RFC 8252, section 7.3: on loopback, any port. The pattern is narrower than a URL parser, since
# parsers disagree on what "http://127.0.0.1\@evil.example" means and the browser has the last word.
_LOOPBACK_REDIRECT = re.compile(
    r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?"
    r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody whom the sign-in page offers."""

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
    """A registered client, as Authlib's grants ask for it (``ClientMixin``; RFC 6749, section 2)."""

    client_id: str
    secret: str | None
    grant_types: frozenset[str]
    scopes: frozenset[str]
    redirect_uris: frozenset[str] = frozenset()
    audience: str | None = None  # that of the request at hand (RFC 8707)

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        return None  # RFC 9700, section 2.1: the request names it, and it is compared

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The scope as asked for without repetitions; None where a part of it is not this client's."""
        asked = dict.fromkeys((scope or "").split())
        return " ".join(asked) if self.scopes.issuperset(asked) else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether it is registered, compared exactly (RFC 9700, section 2.1), or on loopback."""
        return redirect_uri in self.redirect_uris or bool(_LOOPBACK_REDIRECT.fullmatch(redirect_uri))

    def check_client_secret(self, client_secret: str) -> bool:
        return self.secret is not None and secrets.compare_digest(self.secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return (method == "none") == (self.secret is None)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_types


def registered_clients(scopes: Collection[str], redirect_uris: Collection[str]) -> dict[str, Client]:
    """One client of each kind: a machine with a secret, and a browser application without."""
    machine = Client(
        client_id="demo-machine",
        secret="demo-machine-secret",  # published in --help: it keeps nobody out
        grant_types=frozenset({"client_credentials"}),
        scopes=frozenset(scopes),
    )
    browser = Client(
        client_id="demo-browser",
        secret=None,
        grant_types=frozenset({"authorization_code", "refresh_token"}),
        scopes=frozenset({*scopes, *IDENTITY_SCOPES}),
        redirect_uris=frozenset(redirect_uris),
    )
    return {client.client_id: client for client in (machine, browser)}

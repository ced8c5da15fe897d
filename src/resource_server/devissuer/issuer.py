"""The issuer itself: its keys, and the claims of its tokens.

Access tokens: RFC 9068. ID tokens: OpenID Connect Core 1.0 section 2.
"""

import secrets
import time
from dataclasses import dataclass
from typing import Any

from resource_server.devissuer.clients import IDENTITY_SCOPES, PEOPLE, Client, demonstration_clients
from resource_server.devissuer.signing import SigningKeys
from resource_server.devissuer.storage import SignIn

__all__ = ["Issuer", "IssuerOptions"]

# The key that signs and its predecessors, so that a verifier with an older key set still knows one of them.
_PUBLISHED_KEYS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerOptions:
    """The options of the command line. `issuer` is a URL without a path; lifetimes are in seconds."""

    issuer: str
    audiences: tuple[str, ...] = ("https://api.example.test",)  # the first is the default
    scopes: tuple[str, ...] = ("example:scope",)
    algorithm: str = "RS256"
    token_seconds: int = 3600
    redirect_uris: tuple[str, ...] = ()
    acrs: tuple[str, ...] = ()  # none: whatever a client asks for
    opaque_tokens: bool = False
    dpop_nonces: bool = False


class Issuer:
    """The keys, the clients and the tokens of one issuer. May be used from several threads."""

    def __init__(self, options: IssuerOptions) -> None:
        self.options = options
        self.name = options.issuer
        self.base_url = options.issuer.rstrip("/")
        self.token_endpoint = f"{self.base_url}/token"
        self.scopes = frozenset({*options.scopes, *IDENTITY_SCOPES})
        self.clients = demonstration_clients(options.scopes, options.redirect_uris)
        self.keys = SigningKeys(options.algorithm)

    def acr_values(self, asked: str) -> tuple[str, ...]:
        """The authentication contexts of a request that this issuer offers, in the order of the request."""
        return tuple(acr for acr in dict.fromkeys(asked.split()) if not self.options.acrs or acr in self.options.acrs)

    def rotate(self, algorithm: str | None = None, *, withdraw_older: bool = False) -> str:
        """Sign with a new key and return its `kid`; keep the last few keys published, or only the new one."""
        kid = self.keys.rotate(algorithm)
        published = [key["kid"] for key in self.keys.jwks()["keys"]]
        for old in published[: -1 if withdraw_older else -_PUBLISHED_KEYS]:
            self.keys.withdraw(old)
        return kid

    def access_claims(self, client: Client, user: SignIn | None, scope: str) -> dict[str, Any]:
        """The claims of an access token (RFC 9068 section 2.2). Without a person, `sub` is `<id>@clients`.

        Auth0 spells the subject of a machine so. It never equals the subject of a person (RFC 9700 section 4.15).
        """
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.name,
            "aud": client.audience or self.options.audiences[0],
            "sub": user.subject if user else f"{client.client_id}@clients",
            "client_id": client.client_id,
            "iat": now,
            "exp": now + self.options.token_seconds,
            "jti": secrets.token_urlsafe(16),
        }
        if scope:
            claims["scope"] = scope
        if user:
            claims["auth_time"] = user.auth_time
        if user and user.acr:
            claims["acr"] = user.acr
        if client.confirmation:
            claims["cnf"] = dict(client.confirmation)
        return claims

    def id_token(self, client: Client, user: SignIn, scope: str, **claims: Any) -> str:
        """An ID token with these further claims. Only the three known people have a name and an address."""
        now = int(time.time())
        identity: dict[str, Any] = {}
        for person in PEOPLE:
            if person.subject == user.subject and "profile" in scope.split():
                identity["name"] = person.name
            if person.subject == user.subject and "email" in scope.split():
                identity |= {"email": person.email, "email_verified": True}
        required = {
            "iss": self.name,
            "aud": client.client_id,
            "sub": user.subject,
            "iat": now,
            "exp": now + self.options.token_seconds,
            "auth_time": user.auth_time,
        }
        if user.acr:
            required["acr"] = user.acr
        return self.keys.sign({**identity, **claims, **required}, header={"typ": "JWT"})

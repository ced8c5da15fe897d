"""The verified access token: what `request.auth` is, and all that a permission may read (RFC 9068 section 2.2)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["AccessToken", "access_token"]

# Who asked for the token: RFC 9068 section 2.2, OpenID Connect Core section 2, and the names of Okta and of Entra ID
# (version 1).
CLIENT_CLAIMS = ("client_id", "azp", "cid", "appid")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class AccessToken:
    """The claims of a token whose signature, issuer, audience, lifetime and type were verified. Only the verifier makes one.

    Dates are seconds since 1970 (RFC 7519 section 2, NumericDate). `claims` are all claims, read-only to any depth:
    lists are tuples. The token as it was sent is not kept, and the repr holds no claim of a person. Holding an
    AccessToken says nothing about scopes.
    """

    issuer: str
    subject: str
    audience: tuple[str, ...]
    scopes: frozenset[str]
    client_id: str | None
    issued_at: float | None
    expires_at: float
    claims: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """64 hexadecimal digits that stand for (issuer, subject), which is who a person is (OpenID Connect Core section 5.7).

        Short, without personal data, and told apart under any database collation.
        """
        return hashlib.sha256(f"{len(self.issuer)}:{self.issuer}{self.subject}".encode()).hexdigest()

    @property
    def is_machine(self) -> bool:
        """Whether a client got the token for itself, with no person behind it (RFC 6749 section 4.4, RFC 9068 section 2.2).

        True where the subject is the client, as RFC 9068 says, and for what issuers say in ways of their own: Auth0
        (`<id>@clients`, `gty`), Entra ID (`idtyp`), Keycloak (a service account). An issuer that names no client
        cannot be told apart, and counts as a person.
        """
        client, claims = self.client_id, self.claims
        if client is not None and self.subject in (client, f"{client}@clients"):
            return True
        return (
            claims.get("gty") == "client-credentials"
            or claims.get("idtyp") == "app"
            or (client is not None and claims.get("preferred_username") == f"service-account-{client.lower()}")
        )

    def __repr__(self) -> str:
        return f"<AccessToken of {self.issuer}>"


def access_token(claims: dict[str, Any], _names: Any = None) -> AccessToken:
    """The token that verified claims make. The claims must have passed `jwt.judge`, and their signature `jwt.verify_signature`."""
    audience = claims["aud"]
    return AccessToken(
        issuer=claims["iss"],
        subject=claims["sub"],
        audience=(audience,) if isinstance(audience, str) else tuple(audience),
        scopes=_scopes(claims.get("scope", claims.get("scp", ()))),
        client_id=next((claims[name] for name in CLIENT_CLAIMS if name in claims), None),
        issued_at=claims.get("iat"),
        expires_at=claims["exp"],
        claims=_read_only(claims),
    )


def _scopes(value: str | list[str]) -> frozenset[str]:
    # RFC 6749 section 3.3: separated by a space, and by nothing else. The members of a list are scopes as they stand.
    return frozenset(value.split(" ") if isinstance(value, str) else value) - {""}


def _read_only(value: Any) -> Any:
    # Views that share a token must not be able to change it for one another.
    if isinstance(value, dict):
        return MappingProxyType({name: _read_only(member) for name, member in value.items()})
    if isinstance(value, list):
        return tuple(_read_only(member) for member in value)
    return value

"""How an issuer is asked about its tokens (RFC 7662). Data only; `conf/introspection.py` makes it."""

from dataclasses import dataclass
from typing import Final

from resource_server.tokens.client_authentication import ClientAuthentication

__all__ = ["MAX_CACHE_SECONDS", "MAY_LACK", "IntrospectionPolicy"]

MAX_CACHE_SECONDS: Final = 60

# RFC 7662 section 2.2: each member but `active` is optional. An answer without one of these may be accepted.
MAY_LACK: Final = ("aud", "exp")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectionPolicy:
    """The endpoint and the client for questions about tokens.

    `endpoint` is None if the issuer's metadata name it. `for_all` sends every token of the issuer there, else opaque
    ones alone. With `signed` an answer counts only with the issuer's signature (RFC 9701). `may_lack` are the claims
    of MAY_LACK that an answer may be without: `aud` trusts the issuer to answer for this API alone, and without `exp`
    a token is good for a minute from the answer. An answer about an active token is remembered for `cache_seconds`, and
    never longer than the token is good.
    """

    client: ClientAuthentication
    endpoint: str | None = None
    for_all: bool = False
    signed: bool = False
    may_lack: frozenset[str] = frozenset()
    cache_seconds: int = MAX_CACHE_SECONDS

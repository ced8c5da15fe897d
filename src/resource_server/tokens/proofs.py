"""The proof that a token is held by the party that its `cnf` claim names (RFC 7800 section 3).

A bound token is worth nothing without its proof, so the proof is verified on each request, for a remembered token too.
No confirmation method is supported yet: each bound token is refused.
"""

from dataclasses import dataclass, field
from typing import Final

from resource_server.errors import InvalidToken
from resource_server.reasons import TokenReason
from resource_server.tokens.access_token import AccessToken

__all__ = ["CONFIRMATION_METHODS", "RequestFacts", "verify_proof"]

# The members of `cnf` whose proof can be verified.
CONFIRMATION_METHODS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """What a proof is verified against: facts of the request that an edge gathers.

    `url` is made of the configured origin, never of the Host header. `proofs` are the values of the DPoP header
    (RFC 9449 section 4.1), `certificate` is the client's in DER (RFC 8705 section 3).
    """

    method: str
    url: str
    proofs: tuple[str, ...] = field(default=(), repr=False)
    certificate: bytes | None = field(default=None, repr=False)


def verify_proof(token: AccessToken, facts: RequestFacts | None) -> None:
    """Verify that the sender of a bound token may use it; `facts` is None for a token outside a request.

    Raises InvalidToken (`proof_not_supported`) for every confirmation method (RFC 7800 section 3).
    """
    raise InvalidToken(TokenReason.PROOF_NOT_SUPPORTED)

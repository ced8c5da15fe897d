"""The proof of a bound token for a person to read: what it must prove, and what of it was given (RFC 7800 section 3)."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from resource_server.request_facts import RequestReader
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.proofs import RequestFacts

__all__ = ["ExplainedProof", "Sent", "explained_proof"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How a token was sent. `is_dpop` tells the scheme, None if it is not known.

    `proofs` are the values of the DPoP header, for a request of `method` at `path`, which is decoded and begins with the
    script name.
    """

    is_dpop: bool | None = None
    proofs: tuple[str, ...] = field(default=(), repr=False)
    method: str = "GET"
    path: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedProof:
    """What a token must prove (`detail`), and what is not judged of it (`note`); both empty for a bearer token.

    `judge` raises the error of the proof; it is None if no proof was given. `is_judged` is False if the token can only
    be called good for a request that brings what was not given.
    """

    judge: Callable[[], None] | None
    is_judged: bool
    note: str
    detail: str


def explained_proof(
    judge: Callable[[Credentials, RequestFacts], None],
    reader: RequestReader,
    token: AccessToken,
    credentials: Credentials,
    sent: Sent,
) -> ExplainedProof:
    """The proof of a token that was sent in this way; `judge` judges one, and `reader` knows the origin. Judges nothing."""
    confirmation: Mapping[str, str] = token.claims.get("cnf", {})
    certificate, needs_proof = confirmation.get("x5t#S256"), "jkt" in confirmation
    is_dpop = sent.is_dpop if sent.is_dpop is not None else bool(sent.proofs) or needs_proof
    is_given = bool(sent.proofs) or not (needs_proof and is_dpop)
    facts = RequestFacts(
        method=sent.method,
        url=reader.url(sent.path),
        proofs=sent.proofs,
        # A certificate cannot be given, so the right one is assumed.
        certificate=None if certificate is None else base64.urlsafe_b64decode(f"{certificate}="),
    )
    asked = Credentials(unverified_token=credentials.unverified_token, is_dpop=is_dpop)
    notes = []
    if needs_proof and is_given:
        notes.append("a request marks the proof as used; here it is not, so a replay is not seen")
    elif needs_proof:
        notes.append("a request brings a proof of this key: give it in a second line, with --path and --method")
    if certificate is not None:
        notes.append("a request brings this certificate; here it is assumed")
    return ExplainedProof(
        judge=partial(judge, asked, facts) if is_given else None,
        is_judged=is_given and (needs_proof or certificate is None),
        note="; ".join(notes),
        detail=_bound_to(confirmation),
    )


def _bound_to(confirmation: Mapping[str, str]) -> str:
    kinds = {"jkt": "the key with the thumbprint", "x5t#S256": "the certificate with the SHA-256 digest"}
    words = " and ".join(f"{kinds[name]} {value}" for name, value in confirmation.items())
    return f"the token is bound to {words}" if words else ""

"""The part of a hint that is read from the request: its scheme, its DPoP proof, its client's certificate.

Called where someone reads the hint: with DEBUG on, or with a log at level DEBUG. Shows no token and no query, each value
in printable ASCII and cut to 100 characters.
"""

from collections.abc import Callable, Mapping
from typing import Final

from django.http import HttpRequest

from resource_server.errors import AuthorizationError
from resource_server.keys.fetch_outcome import shown_address
from resource_server.reasons import CredentialsReason, ProofReason, Reason, TokenReason
from resource_server.server import current
from resource_server.tokens.credentials import is_dpop, parse_authorization
from resource_server.tokens.dpop import MAX_AGE_SECONDS, MAX_AHEAD_SECONDS
from resource_server.tokens.facts import dated, shown
from resource_server.tokens.jws import parse

__all__ = ["request_hint"]


def request_hint(error: AuthorizationError, request: HttpRequest) -> str:
    """What the request has beside what it needs, on one line; empty if the reason says it all. Raises nothing."""
    describe = _DESCRIPTIONS.get(error.reason)
    try:
        return "" if describe is None else describe(request)
    except (AuthorizationError, ValueError):  # the proof cannot be read
        return ""


def _scheme(request: HttpRequest) -> str:
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if not header.strip():
        return ""
    if is_dpop(header):
        return "" if current().takes_dpop else "the scheme is DPoP, and no issuer of this project has DPOP on"
    text = header.decode("latin-1") if isinstance(header, bytes) else header
    # Without the scheme: a header without one begins with the token.
    return "the Authorization header does not begin with the word Bearer" if parse_authorization(text) is None else ""


def _method(request: HttpRequest) -> str:
    found, method = _claim(request, "htm"), request.META.get("REQUEST_METHOD") or ""
    return f"this proof's htm is {found}; the request has the method {shown(method)}"


def _url(request: HttpRequest) -> str:
    htu = _claims(request).get("htu")
    found = "absent" if htu is None else "no text"
    if isinstance(htu, str):
        # Without a scheme it is no address, and can hold the same secrets.
        bare = htu.partition("#")[0].partition("?")[0].rpartition("@")[2]
        found = shown(shown_address(htu) if "://" in htu else bare)
    return f"this proof's htu is {found}; PUBLIC_ORIGIN and the path of the request are {shown(_facts_url(request))}"


def _date(request: HttpRequest) -> str:
    found = dated(_claims(request).get("iat"))
    return f"this proof's iat is {found}; it must be {MAX_AGE_SECONDS} s old at most and {MAX_AHEAD_SECONDS} s ahead at most"


def _certificate(request: HttpRequest) -> str:
    return current().reader.missing_certificate(request)


def _facts_url(request: HttpRequest) -> str:
    return current().reader.facts(request).url or ""


def _claims(request: HttpRequest) -> Mapping[str, object]:
    (proof,) = current().reader.facts(request).proofs
    return parse(proof).unverified_claims


def _claim(request: HttpRequest, name: str) -> str:
    claims = _claims(request)
    return shown(claims[name]) if name in claims else "absent"


_DESCRIPTIONS: Final[Mapping[Reason, Callable[[HttpRequest], str]]] = {
    CredentialsReason.CREDENTIALS_MISSING: _scheme,
    TokenReason.CERTIFICATE_MISSING: _certificate,
    ProofReason.PROOF_METHOD_DIFFERS: _method,
    ProofReason.PROOF_URL_DIFFERS: _url,
    ProofReason.PROOF_NOT_CURRENT: _date,
}

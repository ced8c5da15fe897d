"""A DPoP proof against a request and its access token: the checks of RFC 9449 section 4.3.

Whether the proof was used before is not judged here: `used_proofs.py` asks a store.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from resource_server.errors import InvalidProof, InvalidToken
from resource_server.keys.key_set import VerificationKey, parse_key
from resource_server.reasons import ProofReason, TokenReason
from resource_server.tokens.jws import MAX_KNOWN_HEADER_CHARACTERS, UnverifiedToken, header_segment, parse
from resource_server.tokens.policy import ALGORITHMS, media_type
from resource_server.tokens.target_uri import comparable

__all__ = ["DPOP_ALGORITHMS", "MAX_AGE_SECONDS", "MAX_AHEAD_SECONDS", "MAX_PROOF_CHARACTERS", "Proof", "ProofKeys"]

# Asymmetric alone, and those of the access tokens: EdDSA too.
DPOP_ALGORITHMS: Final = ALGORITHMS
MAX_PROOF_CHARACTERS: Final = 8 * 1024
MAX_AGE_SECONDS: Final = 60
MAX_AHEAD_SECONDS: Final = 5
# The end of the year 9999. A time in milliseconds is later.
MAX_DATE: Final = 253_402_300_799
MAX_JTI_CHARACTERS: Final = 512
# Beyond `d`, these are private or secret (RFC 7518 sections 6.2.2, 6.3.2 and 6.4).
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_MAX_KNOWN_KEYS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A verified proof: `thumbprint` is that of its key (RFC 7638), `nonce` the server's, or None.

    `is_current` says that its `iat` is a date of the last seconds.
    """

    thumbprint: str
    jti: str
    nonce: object
    is_current: bool


class ProofKeys:
    """Verifies proofs, and knows the keys of the last ones: a client signs all of its proofs with one key."""

    def __init__(self) -> None:
        # The header segment of a proof -> its header and its key. Only a proof that passed for a verified token adds one.
        self._headers: dict[bytes, Mapping[str, Any]] = {}
        self._keys: dict[bytes, VerificationKey] = {}

    def verify(
        self,
        proofs: tuple[str, ...],
        *,
        method: str,
        url: str,
        token_digest: bytes,
        thumbprint: str,
        now: float,
        is_dated: bool = True,
    ) -> Proof:
        """The one proof of a request for this method and URL, with this token, by the key with this thumbprint.

        `token_digest` is the SHA-256 of the token, `now` is in seconds since 1970. Without `is_dated` a proof of another
        time passes: its nonce must tell the time (RFC 9449 section 4.3 check 11). Raises InvalidProof, and InvalidToken
        for another key. Judges neither the nonce nor whether the proof was used.
        """
        unverified = _one(proofs, self._headers)
        header, claims = unverified.unverified_header, unverified.unverified_claims
        _judge_header(header)
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 1 <= len(jti) <= MAX_JTI_CHARACTERS:
            raise InvalidProof(ProofReason.PROOF_JTI_MALFORMED)
        if claims.get("htm") != method:
            raise InvalidProof(ProofReason.PROOF_METHOD_DIFFERS)
        if not _is_same(claims.get("htu"), url):
            raise InvalidProof(ProofReason.PROOF_URL_DIFFERS)
        is_current = _is_current(claims.get("iat"), now)
        if not is_current and (is_dated or not _is_date(claims.get("iat"))):
            raise InvalidProof(ProofReason.PROOF_NOT_CURRENT)
        # Section 4.2: `ath` is the base64url of the SHA-256 of the token.
        if claims.get("ath") != _base64url(token_digest):
            raise InvalidProof(ProofReason.PROOF_TOKEN_DIFFERS)
        self._check_signature(unverified, thumbprint)
        return Proof(thumbprint=thumbprint, jti=jti, nonce=claims.get("nonce"), is_current=is_current)

    def _check_signature(self, proof: UnverifiedToken, thumbprint: str) -> None:
        segment, algorithm = header_segment(proof), proof.unverified_header["alg"]
        key = self._keys.get(segment)
        is_new = key is None
        if key is None:
            key = _key(proof.unverified_header.get("jwk"), algorithm)
        if key.thumbprint != thumbprint:
            raise InvalidToken(TokenReason.PROOF_KEY_DIFFERS)  # as RFC 9449 section 7.1 answers it
        try:
            key.verify(algorithm, proof.signing_input, proof.signature)
        except InvalidToken:
            raise InvalidProof(ProofReason.PROOF_SIGNATURE_INVALID) from None
        if is_new:
            # All at once: to take out the oldest needs a lock.
            if len(self._keys) >= _MAX_KNOWN_KEYS:
                self._keys.clear()
                self._headers.clear()
            self._keys[segment] = key
            if len(segment) <= MAX_KNOWN_HEADER_CHARACTERS:
                self._headers[segment] = MappingProxyType(proof.unverified_header)


def _one(proofs: tuple[str, ...], known: Mapping[bytes, Mapping[str, Any]]) -> UnverifiedToken:
    if len(proofs) != 1:
        raise InvalidProof(ProofReason.PROOF_REPEATED if proofs else ProofReason.PROOF_MISSING)
    if len(proofs[0]) > MAX_PROOF_CHARACTERS:
        raise InvalidProof(ProofReason.PROOF_TOO_LARGE)
    try:
        return parse(proofs[0], known)
    except InvalidToken:
        raise InvalidProof(ProofReason.PROOF_MALFORMED) from None


def _judge_header(header: Mapping[str, Any]) -> None:
    typ = header.get("typ")
    if not isinstance(typ, str) or media_type(typ) != "dpop+jwt":
        raise InvalidProof(ProofReason.PROOF_TYPE_DIFFERS)
    if header.get("alg") not in DPOP_ALGORITHMS:
        raise InvalidProof(ProofReason.PROOF_ALG_NOT_ALLOWED)
    if "crit" in header or "b64" in header or "zip" in header:
        raise InvalidProof(ProofReason.PROOF_MALFORMED)


def _key(jwk: object, algorithm: str) -> VerificationKey:
    if not isinstance(jwk, dict) or not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise InvalidProof(ProofReason.PROOF_KEY_MALFORMED)
    try:
        key = parse_key(jwk)
    except ValueError:
        raise InvalidProof(ProofReason.PROOF_KEY_MALFORMED) from None
    if algorithm not in key.algorithms:
        raise InvalidProof(ProofReason.PROOF_KEY_MALFORMED)
    return key


def _is_current(issued_at: Any, now: float) -> bool:
    return _is_date(issued_at) and issued_at - MAX_AHEAD_SECONDS <= now <= issued_at + MAX_AGE_SECONDS


def _is_date(issued_at: object) -> bool:
    # Python counts with True, so the type is compared.
    return isinstance(issued_at, int | float) and type(issued_at) is not bool and 0 <= issued_at <= MAX_DATE


def _is_same(htu: object, url: str) -> bool:
    try:
        # Nearly all clients write the address as it is configured.
        return isinstance(htu, str) and (htu == url or comparable(htu) == comparable(url))
    except ValueError:
        return False


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

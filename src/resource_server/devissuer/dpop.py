"""DPoP proofs at the token endpoint, and the nonces that they hold (RFC 9449 sections 4, 5 and 8).

This is not the code that judges the proofs of API requests: the API is tested with proofs and tokens of other code.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import JWSRegistry

from resource_server.devissuer.signing import ALGORITHMS
from resource_server.devissuer.storage import OneTime
from resource_server.strict_json import parse_object

__all__ = ["DpopError", "ProofVerifier"]

_MAX_CHARACTERS = 8192
_MAX_AGE_SECONDS = 300
_RSA_2048_CHARACTERS = 342
_NONCE_SECONDS = 120


class DpopError(Exception):
    """A proof that is not accepted. `error` is a code of RFC 9449; the message is printable ASCII."""

    def __init__(self, description: str, error: str = "invalid_dpop_proof") -> None:
        super().__init__(description)
        self.error = error


class ProofVerifier:
    """Verifies the proofs of one address. With `nonces` a proof must hold a nonce of this process."""

    def __init__(self, url: str, used: OneTime[None], *, nonces: bool, clock: Callable[[], float] = time.time) -> None:
        self._url = url
        self._used = used
        self._secret = secrets.token_bytes(32) if nonces else None
        self._clock = clock

    def nonce(self) -> str | None:
        """The nonce for the next proof; None if proofs need none. It is good for 2 to 4 minutes."""
        return self._nonce(0) if self._secret else None

    def thumbprint(self, proof: str, method: str) -> str:
        """The thumbprint of the key that signed this proof (RFC 7638). Raises DpopError."""
        if len(proof) > _MAX_CHARACTERS:
            raise DpopError("the proof is too large")
        header, claims, signature = _parts(proof)
        key = _key(header)
        if not _is_signed(proof.rpartition(".")[0], signature, header["alg"], key):
            raise DpopError("the signature of the proof is wrong")
        self._check_claims(claims, method)
        thumbprint: str = key.thumbprint()
        if not self._used.add(f"{thumbprint} {claims['jti']}", None):
            raise DpopError("the proof has been used")
        return thumbprint

    def _check_claims(self, claims: Mapping[str, Any], method: str) -> None:
        if claims.get("htm") != method:
            raise DpopError("htm is not the method of the request")
        htu = claims.get("htu")
        if not isinstance(htu, str) or htu.partition("#")[0].partition("?")[0] != self._url:
            raise DpopError(f"htu is not {self._url}")
        issued_at = claims.get("iat")
        if isinstance(issued_at, bool) or not isinstance(issued_at, int | float) or not 0 <= issued_at < 2**53:
            raise DpopError("iat is not a time")
        if not abs(self._clock() - issued_at) <= _MAX_AGE_SECONDS:
            raise DpopError("the proof is too old, or from the future")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not jti:
            raise DpopError("jti is missing")
        if self._secret and claims.get("nonce") not in (self._nonce(0), self._nonce(-1)):
            raise DpopError("the proof needs the nonce of DPoP-Nonce", "use_dpop_nonce")

    def _nonce(self, offset: int) -> str:
        period = int(self._clock() // _NONCE_SECONDS) + offset
        digest = hmac.digest(self._secret or b"", str(period).encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:18]).decode()


def _parts(proof: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    try:
        header, payload, signature = (
            base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True) for part in proof.split(".")
        )
        return parse_object(header), parse_object(payload), signature
    except ValueError:
        raise DpopError("the proof is not a JWT") from None


def _key(header: Mapping[str, Any]) -> Key:
    if header.get("typ") != "dpop+jwt":
        raise DpopError("typ is not dpop+jwt")
    if header.get("alg") not in ALGORITHMS:
        raise DpopError("alg is not one of dpop_signing_alg_values_supported")
    if "crit" in header:
        raise DpopError("crit is not supported")
    jwk = header.get("jwk")
    if not isinstance(jwk, dict) or jwk.get("kty") not in ("EC", "OKP", "RSA"):
        raise DpopError("jwk is not a public key")
    # joserfc only warns of a short key.
    if jwk["kty"] == "RSA" and len(str(jwk.get("n"))) < _RSA_2048_CHARACTERS:
        raise DpopError("the key has less than 2048 bits")
    try:
        key = JWKRegistry.import_key(jwk)
    except Exception:  # noqa: BLE001 - joserfc and cryptography raise many kinds
        raise DpopError("jwk is not a public key") from None
    if key.is_private:
        raise DpopError("jwk is not a public key")
    return key


def _is_signed(signing_input: str, signature: bytes, algorithm: str, key: Key) -> bool:
    verifier = JWSRegistry.algorithms[algorithm]
    try:
        verifier.check_key(key)
        return verifier.verify(signing_input.encode("ascii"), signature, key)
    except Exception:  # noqa: BLE001 - the same; the key is of another type than the algorithm
        return False

"""A JWK Set -> the keys in it that may verify an access token (RFC 7517, RFC 7518 section 6, RFC 8037).

Keys are read one by one: a key that is private, symmetric, weak, broken, unknown or meant for encryption is skipped
alone, with a reason, and the good keys beside it serve. The algorithms of a key are fixed here, from its type, curve
and `alg`, before any token is seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.jwk import ECKey, OKPKey, RSAKey

__all__ = ["MAX_KEYS", "KeySet", "VerificationKey", "parse_key_set"]

MAX_KEYS = 100
MIN_RSA_BITS = 2048
# OpenSSL verifies with a modulus up to this; beyond it a key only costs time.
MAX_RSA_BITS = 16384
# A modulus of 16384 bits has 2731 characters; longer ones are not worth the arithmetic that reads them.
MAX_MEMBER_CHARACTERS = 4096

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    # RFC 8037 section 3.1 calls it EdDSA, RFC 9864 section 2.2 Ed25519.
    ("OKP", "Ed25519"): frozenset({"EdDSA", "Ed25519"}),
}
_PUBLIC_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}
_TYPES: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key, its name within the set, and the algorithms that it may verify."""

    kid: str | None
    kty: str
    algorithms: frozenset[str]
    thumbprint: str
    key: RSAKey | ECKey | OKPKey


class KeySet:
    """The usable keys of one issuer, and why the others are not. Immutable."""

    __slots__ = ("_by_kid", "keys", "skipped")
    any_kid = False

    def __init__(self, keys: tuple[VerificationKey, ...], skipped: tuple[str, ...] = ()) -> None:
        self.keys = keys
        self.skipped = skipped
        by_kid: dict[str | None, tuple[VerificationKey, ...]] = {}
        for key in keys:
            by_kid[key.kid] = (*by_kid.get(key.kid, ()), key)
        self._by_kid = by_kid

    def candidates(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        """The keys that a token with this `kid` and `alg` may be signed with; without a `kid`, all for that `alg`."""
        keys = self.keys if kid is None else self._by_kid.get(kid, ())
        return tuple(key for key in keys if algorithm in key.algorithms)


def parse_key_set(document: Mapping[str, Any]) -> KeySet:
    """The keys of a JWK Set (RFC 7517 section 5).

    Raises ValueError where there is no list of at most 100 keys. Does not check `x5c`, `x5t` or `x5u`: trust is in
    where the set was found.
    """
    members = document.get("keys")
    if not isinstance(members, list | tuple) or len(members) > MAX_KEYS:
        raise ValueError("keys is not a list of at most 100 keys")
    keys: dict[tuple[str | None, str], VerificationKey] = {}
    skipped: list[str] = []
    for position, member in enumerate(members):
        try:
            key = _parse_key(member)
        except ValueError as error:
            skipped.append(f"key {position}: {error}")
        else:
            keys.setdefault((key.kid, key.thumbprint), key)
    return KeySet(tuple(keys.values()), tuple(skipped))


def _parse_key(jwk: object) -> VerificationKey:
    if not isinstance(jwk, Mapping):
        raise ValueError("is not an object")  # noqa: TRY004 - one error for all that a member may be
    kty, kid, alg = jwk.get("kty"), jwk.get("kid"), jwk.get("alg")
    if not isinstance(kty, str) or kty not in _TYPES:
        raise ValueError("kty is not RSA, EC or OKP")
    # A private key that was published is known to everybody, so a signature by it proves nothing.
    if "d" in jwk:
        raise ValueError("is a private key")
    if jwk.get("use", "sig") != "sig":
        raise ValueError("use is not sig")
    operations = jwk.get("key_ops", ("verify",))
    if not isinstance(operations, list | tuple) or "verify" not in operations:
        raise ValueError("key_ops lack verify")
    if kid is not None and not isinstance(kid, str):
        raise ValueError("kid is not a string")
    algorithms = _RSA if kty == "RSA" else _curve_algorithms(kty, jwk.get("crv"))
    if alg is not None:
        if not isinstance(alg, str) or alg not in algorithms:
            raise ValueError("alg does not fit the key")
        # RFC 9864 section 2.2: EdDSA with this curve and Ed25519 are two names for one algorithm.
        algorithms = algorithms if kty == "OKP" else frozenset({alg})
    key = _import(kty, jwk)
    return VerificationKey(kid=kid, kty=kty, algorithms=algorithms, thumbprint=key.thumbprint(), key=key)


def _curve_algorithms(kty: str, crv: object) -> frozenset[str]:
    algorithms = _CURVES.get((kty, crv)) if isinstance(crv, str) else None
    if algorithms is None:
        raise ValueError("crv is not P-256, P-384, P-521 or Ed25519")
    return algorithms


def _import(kty: str, jwk: Mapping[str, Any]) -> RSAKey | ECKey | OKPKey:
    members: dict[str, Any] = {name: jwk.get(name) for name in _PUBLIC_MEMBERS[kty]}
    if not all(isinstance(value, str) and len(value) <= MAX_MEMBER_CHARACTERS for value in members.values()):
        raise ValueError("cannot be read")
    try:
        key = _TYPES[kty].import_key(members)
        public = key.public_key
    except Exception:  # noqa: BLE001 - the library raises many kinds for the many ways in which a key can be broken
        raise ValueError("cannot be read") from None
    # A modulus below 2048 bits is within reach of factoring (RFC 7518 section 3.3).
    if isinstance(public, RSAPublicKey) and not MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS:
        raise ValueError("RSA modulus is not of 2048 to 16384 bits")
    return key


def parse_pem(text: str) -> KeySet:
    raise ValueError("stub")


def parse_secret(secret: str | bytes) -> KeySet:
    raise ValueError("stub")

"""A JWK Set, PEM text or a secret -> the keys that may verify an access token (RFC 7517, RFC 7518 section 6, RFC 8037, RFC 7468).

Keys of a set are read one by one: a key that is private, symmetric, weak, broken, unknown or meant for encryption is
skipped alone, with a reason, and the good keys beside it serve. The algorithms of a key are fixed here, from its type,
curve and `alg`, before any token is read. `joserfc` takes long to import, so the first key imports it.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from resource_server.errors import InvalidToken
from resource_server.keys.signatures import Verification, mac_verification, verification
from resource_server.reasons import TokenReason
from resource_server.strict_json import parse_object

__all__ = ["MAX_KEYS", "KeySet", "VerificationKey", "parse_key", "parse_key_set", "parse_pem", "parse_secret"]

MAX_KEYS = 100
MIN_RSA_BITS = 2048
# OpenSSL verifies with a modulus up to this size.
MAX_RSA_BITS = 16384
# A modulus of 16384 bits has 2731 characters; parsing a longer one would only cost time.
MAX_MEMBER_CHARACTERS = 4096

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    # RFC 8037 section 3.1 calls it EdDSA, RFC 9864 section 2.2 Ed25519.
    ("OKP", "Ed25519"): frozenset({"EdDSA", "Ed25519"}),
}
# RFC 7518 section 3.2: a secret is at least as long as the hash's output, here in bytes.
_SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_PUBLIC_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}
_NUMBERS = frozenset({"n", "e", "x", "y"})
# RFC 8032 section 5.1: the prime of the field, and the y of the points whose order is 1, 2, 4 or 8.
_ED25519_PRIME = 2**255 - 19
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDERS = frozenset({0, 1, _ED25519_PRIME - 1, _ORDER_8, _ED25519_PRIME - _ORDER_8})
_TO_BASE64URL = str.maketrans("+/", "-_")
_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VerificationKey:
    """A key, its name within the set, and the algorithms that it may verify.

    `thumbprint` is that of RFC 7638; None for a secret, as its hash would help to guess it.
    """

    kid: str | None
    kty: str
    algorithms: frozenset[str]
    thumbprint: str | None
    # One for each algorithm. They hold the key itself, so no repr shows them.
    verifications: Mapping[str, Verification] = field(repr=False)

    def verify(self, algorithm: str, signing_input: bytes, signature: bytes) -> None:
        """Verify that this key has signed. Raises InvalidToken (`signature_invalid`), also for an algorithm that is not its own."""
        try:
            self.verifications[algorithm](signature, signing_input)
        except Exception:  # noqa: BLE001 - a forged signature can raise anything in the library; it is not valid
            raise InvalidToken(TokenReason.SIGNATURE_INVALID) from None


class KeySet:
    """The usable keys of one issuer, and the reasons why others are skipped. Immutable.

    `any_kid` means that the keys have no names and serve for a token with any `kid`.
    """

    __slots__ = ("_candidates", "any_kid", "keys", "skipped")

    def __init__(
        self, keys: Iterable[VerificationKey], skipped: tuple[str, ...] = (), *, any_kid: bool = False
    ) -> None:
        self.keys = tuple(keys)
        self.skipped = skipped
        self.any_kid = any_kid
        candidates: dict[tuple[str | None, str], tuple[VerificationKey, ...]] = {}
        for key in self.keys:
            for algorithm in key.algorithms:
                for kid in {None, key.kid}:
                    candidates[kid, algorithm] = (*candidates.get((kid, algorithm), ()), key)
        self._candidates = candidates

    def candidates(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        """Return the keys that may have signed a token with this `kid` and `alg`; without `kid`, all for that `alg`."""
        return self._candidates.get((None if self.any_kid else kid, algorithm), ())


def parse_key_set(document: Mapping[str, Any]) -> KeySet:
    """Return the keys of a JWK Set (RFC 7517 section 5).

    Raises ValueError if `keys` is not a list of at most 100 keys. Does not check `x5c`, `x5t` or `x5u`: the address of
    the set is what is trusted.
    """
    members = document.get("keys")
    if not isinstance(members, list | tuple) or len(members) > MAX_KEYS:
        raise ValueError("keys is not a list of at most 100 keys")
    keys: dict[tuple[str | None, str | None, frozenset[str]], VerificationKey] = {}
    skipped: list[str] = []
    for position, member in enumerate(members):
        try:
            key = parse_key(member)
        except ValueError as error:
            skipped.append(f"key {position}: {error}")
        else:
            # A key may be in the set several times, each with another `alg`.
            keys.setdefault((key.kid, key.thumbprint, key.algorithms), key)
    return KeySet(keys.values(), tuple(skipped))


def parse_pem(text: str) -> KeySet:
    """Return the public keys in PEM text (RFC 7468): PUBLIC KEY, RSA PUBLIC KEY and CERTIFICATE, at most 100.

    Text around the blocks is ignored. The keys have no `kid`, so they serve for any, and all for an `alg` are tried.
    Raises ValueError for a private key, for any other or broken block, and for a key that `parse_key_set` would skip;
    the message holds nothing of the input. Does not check dates, chain, names and usages of a certificate: only its
    public key counts.
    """
    if "PRIVATE KEY-----" in text:
        raise ValueError("PEM text holds a private key")
    blocks = list(_PEM_BLOCK.finditer(text))
    if not 1 <= len(blocks) <= MAX_KEYS or "-----" in _PEM_BLOCK.sub("", text):
        raise ValueError("PEM text is not 1 to 100 whole blocks")
    keys: dict[str | None, VerificationKey] = {}
    for position, block in enumerate(blocks):
        try:
            key = parse_key(_jwk_of_block(block[1], block[0]))
        except ValueError as error:
            raise ValueError(f"PEM block {position}: {error}") from None
        keys.setdefault(key.thumbprint, key)
    return KeySet(keys.values(), any_kid=True)


def parse_secret(secret: str | bytes) -> KeySet:
    """Return the key of a secret that the issuer shares with us, for the algorithms that it is long enough for (RFC 7518 section 3.2).

    A string stands for its UTF-8 bytes and is not decoded. The key has no `kid`, so it serves for any. Raises
    ValueError under 32 bytes, and for a public key in PEM, DER or JWK form: everybody has it and could sign with it
    (RFC 8725 section 2.1). A text that is repeated counts once: a password is not longer for being written four times
    (RFC 8725 section 3.5). The message holds nothing of the secret. Does not check that the secret is hard to guess.
    """
    raw = secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogatepass")
    if _is_key_document(raw):
        raise ValueError("secret is a key or a certificate in the form of PEM, DER or JWK")
    size = _repeated_bytes(raw) or len(raw)
    algorithms = frozenset(name for name, length in _SECRET_BYTES.items() if size >= length)
    if not algorithms:
        repeated = " if a repeated text counts once" if len(raw) >= min(_SECRET_BYTES.values()) else ""
        raise ValueError(f"secret is shorter than 32 bytes{repeated}")
    key = VerificationKey(
        kid=None,
        kty="oct",
        algorithms=algorithms,
        thumbprint=None,
        verifications={name: mac_verification(raw, name) for name in algorithms},
    )
    return KeySet((key,), any_kid=True)


def _repeated_bytes(secret: bytes) -> int:
    """The length of the text that the secret repeats, twice or more often; 0 if there is none of fewer than 64 bytes."""
    lengths = range(1, min(len(secret) // 2, 63) + 1)
    return next((length for length in lengths if secret[length:] == secret[:-length]), 0)


def parse_key(jwk: object) -> VerificationKey:
    if not isinstance(jwk, Mapping):
        raise ValueError("is not an object")  # noqa: TRY004 - one error for a member of any type
    kty, kid, alg = jwk.get("kty"), jwk.get("kid"), jwk.get("alg")
    if not isinstance(kty, str) or kty not in _PUBLIC_MEMBERS:
        raise ValueError("kty is not RSA, EC or OKP")
    # Everybody knows a private key that was published, so its signature proves nothing.
    if jwk.get("d") is not None:
        raise ValueError("is a private key")
    if jwk.get("use") not in (None, "sig"):
        raise ValueError("use is not sig")
    operations = jwk.get("key_ops")
    if operations is None:
        operations = ("verify",)
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
    public_key, thumbprint = _import(kty, jwk)
    return VerificationKey(
        kid=kid,
        kty=kty,
        algorithms=algorithms,
        thumbprint=thumbprint,
        verifications={name: verification(public_key, name) for name in algorithms},
    )


def _curve_algorithms(kty: str, crv: object) -> frozenset[str]:
    algorithms = _CURVES.get((kty, crv)) if isinstance(crv, str) else None
    if algorithms is None:
        raise ValueError("crv is not P-256, P-384, P-521 or Ed25519")
    return algorithms


def _import(kty: str, jwk: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the public key of `cryptography`, and its thumbprint."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    members: dict[str, Any] = {name: jwk.get(name) for name in _PUBLIC_MEMBERS[kty]}
    if not all(isinstance(value, str) and len(value) <= MAX_MEMBER_CHARACTERS for value in members.values()):
        raise ValueError("cannot be read")
    # Some issuers pad base64url or write base64 (RFC 4648 section 4). Both have one reading.
    for name in _NUMBERS.intersection(members):
        members[name] = members[name].translate(_TO_BASE64URL).rstrip("=")
    types: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    try:
        public_key: Any = types[kty].import_key(members).public_key
        # Of the key and not of the members, which may have zeros in front (RFC 7638 section 7).
        thumbprint = types[kty].import_key(public_key).thumbprint()
        if kty == "EC" and not _is_in_field(members, public_key.public_numbers()):
            raise ValueError("coordinates beyond the field")
        if kty == "OKP" and not _is_hard_to_sign_for(public_key.public_bytes_raw()):
            raise ValueError("point of small order")
    except Exception:  # noqa: BLE001 - the library raises many kinds of errors for broken keys
        raise ValueError("cannot be read") from None
    # A modulus below 2048 bits is within reach of factoring (RFC 7518 section 3.3).
    if isinstance(public_key, RSAPublicKey) and not MIN_RSA_BITS <= public_key.key_size <= MAX_RSA_BITS:
        raise ValueError("RSA modulus is not of 2048 to 16384 bits")
    return public_key, thumbprint


def _is_in_field(members: Mapping[str, str], point: Any) -> bool:
    # RFC 8725 section 3.4: a coordinate is below the prime of the field. OpenSSL reduces a larger one and takes the key.
    numbers = {name: base64.urlsafe_b64decode(members[name] + "==") for name in ("x", "y")}
    return all(int.from_bytes(number, "big") == getattr(point, name) for name, number in numbers.items())


def _is_hard_to_sign_for(point: bytes) -> bool:
    # Anyone can make a signature for a point of small order, and OpenSSL takes the key. The first bit is the sign of x.
    y = int.from_bytes(point, "little") & ((1 << 255) - 1)
    return y < _ED25519_PRIME and y not in _SMALL_ORDERS


def _jwk_of_block(label: str, block: str) -> dict[str, Any]:
    # PEM becomes a JWK first, so that one set of rules judges both forms.
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    if label not in ("PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"):
        raise ValueError("is not a public key or a certificate")
    try:
        pem = block.encode("ascii")
        key: Any = load_pem_x509_certificate(pem).public_key() if label == "CERTIFICATE" else load_pem_public_key(pem)
        if isinstance(key, rsa.RSAPublicKey):
            return dict(RSAKey.import_key(key).as_dict(private=False))
        if isinstance(key, ec.EllipticCurvePublicKey):
            return dict(ECKey.import_key(key).as_dict(private=False))
        if isinstance(key, ed25519.Ed25519PublicKey):
            return dict(OKPKey.import_key(key).as_dict(private=False))
    except Exception:  # noqa: BLE001 - as in _import
        raise ValueError("cannot be read") from None
    raise ValueError("is not RSA, EC or Ed25519")


def _is_key_document(secret: bytes) -> bool:
    text = secret.strip()
    if b"-----BEGIN " in text:
        return True
    if text.startswith(b"{"):
        try:
            return not {"kty", "keys"}.isdisjoint(parse_object(text))
        except ValueError:
            return False
    try:
        bare = base64.b64decode(text)  # Keycloak shows a key as PEM without its first and last line
    except ValueError:
        bare = b""
    return _is_der(secret) or _is_der(bare)


def _is_der(document: bytes) -> bool:
    if not document.startswith(b"\x30"):  # not an ASN.1 SEQUENCE: then the library need not be imported
        return False
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from cryptography.x509 import load_der_x509_certificate

    for load in (load_der_public_key, load_der_x509_certificate):
        try:
            load(document)
        except Exception:  # noqa: BLE001, S112 - as in _import
            continue
        return True
    return False

"""A key and an algorithm -> the check of a signature, made once per key (RFC 7518 section 3, RFC 8037 section 3.1).

The library does the cryptography; this module fixes what RFC 7518 fixes: hash, padding, salt length and the form of an
ECDSA signature. `cryptography` takes long to import, so the first key imports it.
"""

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

__all__ = ["Verification", "mac_verification", "verification"]

# Takes the signature and the signing input, and raises any exception if they do not match.
Verification: TypeAlias = Callable[[bytes, bytes], object]


# Any: the classes of public keys have no common type with `verify`.
def verification(public_key: Any, algorithm: str) -> Verification:
    """Return the check of one asymmetric algorithm, for a public key of `cryptography` with the type and curve for it.

    Raises KeyError for an unknown hash. Does not check that key and algorithm match: `key_set.py` binds them.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    if algorithm in ("EdDSA", "Ed25519"):
        ed25519: Verification = public_key.verify
        return ed25519
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[2:]]
    if algorithm.startswith("ES"):
        return _ecdsa(public_key, digest)
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if algorithm.startswith("PS"):
        # RFC 7518 section 3.5: the salt is as long as the digest, and MGF1 uses the same hash.
        scheme = padding.PSS(mgf=padding.MGF1(digest), salt_length=padding.PSS.DIGEST_LENGTH)
    return lambda signature, signing_input: public_key.verify(signature, signing_input, scheme, digest)


def mac_verification(secret: bytes, algorithm: str) -> Verification:
    """Return the check of HS256, HS384 or HS512 (RFC 7518 section 3.2). Does not check the length of the secret."""
    digest = f"sha{algorithm[2:]}"

    def check(signature: bytes, signing_input: bytes) -> None:
        if not hmac.compare_digest(hmac.digest(secret, signing_input, digest), signature):
            raise ValueError("not the MAC of this input")

    return check


def _ecdsa(public_key: "EllipticCurvePublicKey", digest: Any) -> Verification:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    verify, scheme, size = public_key.verify, ECDSA(digest), (public_key.key_size + 7) // 8

    def check(signature: bytes, signing_input: bytes) -> None:
        # RFC 7518 section 3.4: R and S side by side, each at full length. Another length would be a second spelling of
        # the same signature.
        if len(signature) != 2 * size:
            raise ValueError("not of the length of R and S")
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        verify(encode_dss_signature(r, s), signing_input, scheme)

    return check

"""A signature is checked as RFC 7518 lays down: hash, padding, salt and form are the algorithm's, never the signature's."""

import hmac
from typing import Any, TypeAlias

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jws import JWSRegistry

from resource_server.devissuer.signing import ALGORITHMS, SigningKeys
from resource_server.errors import InvalidToken
from resource_server.keys.key_set import VerificationKey, parse_key_set, parse_secret
from resource_server.tokens.policy import SYMMETRIC_ALGORITHMS

MESSAGE = b"header.payload"
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {"ES256": (ec.SECP256R1, 32), "ES384": (ec.SECP384R1, 48), "ES512": (ec.SECP521R1, 66)}

RSAPair: TypeAlias = tuple[rsa.RSAPrivateKey, VerificationKey]


def pair(algorithm: str) -> tuple[Any, VerificationKey]:
    """A private key and the key that verifies what it signs, for all algorithms of its type."""
    keys = SigningKeys(algorithm)
    (jwk,) = keys.jwks()["keys"]
    del jwk["alg"]
    return keys._find(None).private, parse_key_set({"keys": [jwk]}).keys[0]


@pytest.fixture(scope="module")
def rsa_pair() -> RSAPair:
    private, key = pair("RS256")
    return private.private_key, key


def accepted(key: VerificationKey, algorithm: str, signature: bytes, message: bytes = MESSAGE) -> bool:
    try:
        key.verify(algorithm, message, signature)
    except InvalidToken as error:
        reason = error.reason
    else:
        return True
    assert reason == "signature_invalid"
    return False


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_joserfc_signs_we_verify(algorithm: str) -> None:
    private, key = pair(algorithm)
    for own in key.algorithms:
        signature = JWSRegistry.algorithms[own].sign(MESSAGE, private)
        assert accepted(key, own, signature)
        assert not accepted(key, own, signature, MESSAGE + b"x")
        for other in {*ALGORITHMS, "none", "HS256", ""} - {own}:
            assert accepted(key, other, signature) == ({own, other} == {"EdDSA", "Ed25519"})


@pytest.mark.parametrize("salt", [0, 1, 20, 31, 33, 64, "maximum"])
def test_a_pss_salt_of_another_length_than_the_digest_is_refused(rsa_pair: RSAPair, salt: int | str) -> None:
    # RFC 7518 section 3.5.
    private, key = rsa_pair
    length = padding.PSS.MAX_LENGTH if salt == "maximum" else salt
    for bits, digest in HASHES.items():
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=length)
        signature = private.sign(MESSAGE, pss, digest)
        assert accepted(key, f"PS{bits}", signature) == (salt == digest.digest_size)


def test_pss_with_another_hash_for_its_mask_is_refused(rsa_pair: RSAPair) -> None:
    private, key = rsa_pair
    for bits, digest in HASHES.items():
        for mask in HASHES.values():
            pss = padding.PSS(mgf=padding.MGF1(mask), salt_length=digest.digest_size)
            assert accepted(key, f"PS{bits}", private.sign(MESSAGE, pss, digest)) == (mask is digest)


def test_pkcs1_and_pss_signatures_are_told_apart_and_so_are_the_hashes(rsa_pair: RSAPair) -> None:
    private, key = rsa_pair
    for bits, digest in HASHES.items():
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
        for kind, signature in (
            ("RS", private.sign(MESSAGE, padding.PKCS1v15(), digest)),
            ("PS", private.sign(MESSAGE, pss, digest)),
        ):
            passed = {alg for alg in key.algorithms if accepted(key, alg, signature)}
            assert passed == {f"{kind}{bits}"}


def test_a_pkcs1_signature_with_sha1_is_refused(rsa_pair: RSAPair) -> None:
    private, key = rsa_pair
    signature = private.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - to be refused
    assert not any(accepted(key, algorithm, signature) for algorithm in key.algorithms)


@pytest.mark.parametrize("algorithm", CURVES)
def test_an_ecdsa_signature_is_r_and_s_at_full_length(algorithm: str) -> None:
    curve, size = CURVES[algorithm]
    private, key = pair(algorithm)
    digest = HASHES[algorithm[2:]]
    order = curve().group_order
    while True:
        der = private.private_key.sign(MESSAGE, ec.ECDSA(digest))
        r, s = decode_dss_signature(der)
        if r.bit_length() <= 8 * (size - 1) or algorithm == "ES512":
            break  # with a zero in front, which a careless signer would leave out
    raw = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    assert accepted(key, algorithm, raw)
    short = r.to_bytes(size - 1, "big") if r.bit_length() <= 8 * (size - 1) else b""
    for other in (
        der,
        raw[1:],
        raw[:-1],
        raw + b"\x00",
        b"\x00" + raw,
        b"\x00" + raw[:size] + b"\x00" + raw[size:],
        short + raw[size:],
        raw[size:] + raw[:size],
        b"",
        bytes(2 * size),
        raw[:size] + bytes(size),
        bytes(size) + raw[size:],
    ):
        assert not accepted(key, algorithm, other)
    for number in (0, order, order + 1):
        for r_, s_ in ((number, s), (r, number), (number, number)):
            assert not accepted(key, algorithm, r_.to_bytes(size, "big") + s_.to_bytes(size, "big"))
    if r + order < 1 << 8 * size:
        assert not accepted(key, algorithm, (r + order).to_bytes(size, "big") + raw[size:])


@pytest.mark.parametrize("algorithm", SYMMETRIC_ALGORITHMS)
def test_a_mac_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch, algorithm: str) -> None:
    # RFC 7518 section 3.2. `compare_digest` is what takes the same time for each wrong MAC; it compares for real here.
    compared: list[tuple[bytes, bytes]] = []

    def compare(ours: bytes, theirs: bytes) -> bool:
        compared.append((ours, theirs))
        return compare_digest(ours, theirs)

    compare_digest = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    secret = bytes(range(64))
    mac = hmac.digest(secret, MESSAGE, f"sha{algorithm[2:]}")
    (key,) = parse_secret(secret).keys
    # Where they differ, and how much, must not decide how they are compared.
    wrong = [mac[:-1] + bytes([mac[-1] ^ 1]), bytes([mac[0] ^ 1]) + mac[1:], mac[:-1], b"", bytes(len(mac))]
    assert accepted(key, algorithm, mac)
    assert not any(accepted(key, algorithm, each) for each in wrong)
    assert compared == [(mac, each) for each in (mac, *wrong)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_type_of_signature_raises_anything_else(algorithm: str) -> None:
    _, key = pair(algorithm)
    odd: Any
    for odd in (b"", b"\x00", b"\xff" * 256, "text", None, 1):
        assert not accepted(key, algorithm, odd)

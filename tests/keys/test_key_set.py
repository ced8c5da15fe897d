"""Keys of a set are read one by one: the good ones serve for the algorithms they fit, each bad one is skipped alone."""

import base64
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from resource_server.devissuer.signing import ALGORITHMS, SigningKeys
from resource_server.errors import InvalidToken
from resource_server.keys.key_set import MAX_KEYS, KeySet, parse_key_set
from resource_server.tokens.jws import UnverifiedToken, verify_signature

RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1  # the field of the curve
GOOD = SigningKeys("ES256").jwks()["keys"][0]


def number(value: int, length: int | None = None) -> str:
    raw = value.to_bytes(length or (value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def integer(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


@pytest.fixture(scope="module")
def private_keys() -> dict[str, Any]:
    """One private key of each kind, for all algorithms that it fits."""
    pairs: dict[tuple[str, ...], Any] = {
        tuple(sorted(RSA)): RSAKey.generate_key(2048),
        ("ES256",): ECKey.generate_key("P-256"),
        ("ES384",): ECKey.generate_key("P-384"),
        ("ES512",): ECKey.generate_key("P-521"),
        ("EdDSA", "Ed25519"): OKPKey.generate_key("Ed25519"),
    }
    return {name: key for names, key in pairs.items() for name in names}


def public(key: Any, **members: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": "k", **members}


def verifies(keys: KeySet, key: Any, algorithm: str) -> bool:
    """Whether a real signature of the private key is accepted under the kid k."""
    signature = JWSRegistry.algorithms[algorithm].sign(b"header.payload", key)
    token = UnverifiedToken(
        unverified_header={"alg": algorithm},
        unverified_claims={},
        signing_input=b"header.payload",
        signature=signature,
    )
    candidates = keys.candidates("k", algorithm)
    if not candidates:
        return False
    verify_signature(token, candidates)
    return True


@pytest.mark.parametrize("pinned", [True, False], ids=["with alg", "without alg"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_key_of_each_algorithm_verifies(private_keys: dict[str, Any], algorithm: str, pinned: bool) -> None:
    key = private_keys[algorithm]
    keys = parse_key_set({"keys": [public(key, **({"alg": algorithm} if pinned else {}))]})
    assert keys.skipped == ()
    assert verifies(keys, key, algorithm)
    (found,) = keys.keys
    kin = {name for name, other in private_keys.items() if other is key}
    expected = {algorithm} if pinned and algorithm in RSA else kin
    assert found.algorithms == expected
    for other in set(ALGORITHMS) - expected:
        assert keys.candidates("k", other) == ()
    assert keys.candidates("k", "HS256") == keys.candidates("k", "none") == ()
    assert keys.candidates(None, algorithm) == (found,)
    assert keys.candidates("other", algorithm) == keys.candidates("", algorithm) == ()


@pytest.mark.parametrize(
    "members",
    [{"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}, {"key_ops": ("verify",)}, {"key_ops": ["verify", "verify"]}, {"x5c": ["not read"]},
     {"x5t": "?"}, {"x5u": "https://evil.test/"}, {"ext": True}, {"alg": None}, {"exp": 1}, {"use": "sig", "key_ops": ["verify"]},
     {"use": None}, {"key_ops": None}, {"d": None, "p": None, "k": None}, {"x5c": None}],
    ids=str,
)  # fmt: skip
def test_members_that_do_not_concern_us_do_no_harm(private_keys: dict[str, Any], members: dict[str, Any]) -> None:
    key = private_keys["ES256"]
    assert verifies(parse_key_set({"keys": [public(key, **members)]}), key, "ES256")


def skipped_with_good_ones(bad: object) -> str:
    """The reason why a member is skipped; the good keys before and after it are not."""
    first, last = {**GOOD, "kid": "first"}, {**GOOD, "kid": "last"}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # joserfc warns of a weak key too; here a warning would be an error of another kind
        keys = parse_key_set({"keys": [first, bad, last]})
    assert [key.kid for key in keys.keys] == ["first", "last"]
    (reason,) = keys.skipped
    position, _, text = reason.partition(": ")
    assert position == "key 1"
    return text


NO_OBJECTS: list[object] = [None, 1, "key", True, [], ["kty"], 1.5]


@pytest.mark.parametrize("member", NO_OBJECTS, ids=repr)
def test_a_member_that_is_no_object_is_skipped_alone(member: object) -> None:
    assert skipped_with_good_ones(member) == "is not an object"


def broken(private_keys: dict[str, Any]) -> dict[str, tuple[dict[str, Any], str]]:
    def of(algorithm: str, **members: Any) -> dict[str, Any]:
        jwk = public(private_keys[algorithm], **members)
        return {name: value for name, value in jwk.items() if value is not ...}

    n, x = of("RS256")["n"], of("ES256")["x"]
    point = of("ES256")
    unreadable = "cannot be read"
    return {
        "a symmetric key": (OctKey.generate_key(256).as_dict(private=True), "kty is not RSA, EC or OKP"),
        "no kty": (of("RS256", kty=...), "kty is not RSA, EC or OKP"),
        "an unknown kty": (of("RS256", kty="AKP"), "kty is not RSA, EC or OKP"),
        "kty in another case": (of("RS256", kty="rsa"), "kty is not RSA, EC or OKP"),
        "kty a list": (of("RS256", kty=["RSA"]), "kty is not RSA, EC or OKP"),
        "kty an object": (of("RS256", kty={}), "kty is not RSA, EC or OKP"),
        "a private RSA key": (private_keys["RS256"].as_dict(private=True), "is a private key"),
        "a private EC key": (private_keys["ES256"].as_dict(private=True), "is a private key"),
        "a private OKP key": (private_keys["EdDSA"].as_dict(private=True), "is a private key"),
        "use enc": (of("RS256", use="enc"), "use is not sig"),
        "use SIG": (of("RS256", use="SIG"), "use is not sig"),
        "use a list": (of("RS256", use=["sig"]), "use is not sig"),
        "key_ops sign alone": (of("RS256", key_ops=["sign"]), "key_ops lack verify"),
        "key_ops encrypt": (of("RS256", key_ops=["encrypt", "wrapKey"]), "key_ops lack verify"),
        "key_ops empty": (of("RS256", key_ops=[]), "key_ops lack verify"),
        "key_ops a string": (of("RS256", key_ops="verify"), "key_ops lack verify"),
        "key_ops an object": (of("RS256", key_ops={"verify": 1}), "key_ops lack verify"),
        "use enc beside key_ops verify": (of("RS256", use="enc", key_ops=["verify"]), "use is not sig"),
        "use sig beside key_ops encrypt": (of("RS256", use="sig", key_ops=["encrypt"]), "key_ops lack verify"),
        "kid a number": (of("RS256", kid=1), "kid is not a string"),
        "kid a list": (of("RS256", kid=[]), "kid is not a string"),
        "alg of an EC key on an RSA key": (of("RS256", alg="ES256"), "alg does not fit the key"),
        "alg of another curve": (of("ES256", alg="ES384"), "alg does not fit the key"),
        "alg HS256 on an RSA key": (of("RS256", alg="HS256"), "alg does not fit the key"),
        "alg none": (of("RS256", alg="none"), "alg does not fit the key"),
        "alg RSA-OAEP": (of("RS256", alg="RSA-OAEP"), "alg does not fit the key"),
        "alg in another case": (of("RS256", alg="rs256"), "alg does not fit the key"),
        "alg a list": (of("RS256", alg=["RS256"]), "alg does not fit the key"),
        "alg empty": (of("RS256", alg=""), "alg does not fit the key"),
        "no crv": (of("ES256", crv=...), "crv is not P-256, P-384, P-521 or Ed25519"),
        "secp256k1": (of("ES256", crv="secp256k1"), "crv is not P-256, P-384, P-521 or Ed25519"),
        "X25519": (OKPKey.generate_key("X25519").as_dict(private=False), "crv is not P-256, P-384, P-521 or Ed25519"),
        "Ed448": (OKPKey.generate_key("Ed448").as_dict(private=False), "crv is not P-256, P-384, P-521 or Ed25519"),
        "an OKP curve on an EC key": (of("ES256", crv="Ed25519"), "crv is not P-256, P-384, P-521 or Ed25519"),
        "an EC curve on an OKP key": (of("EdDSA", crv="P-256"), "crv is not P-256, P-384, P-521 or Ed25519"),
        "crv a list": (of("ES256", crv=["P-256"]), "crv is not P-256, P-384, P-521 or Ed25519"),
        "no n": (of("RS256", n=...), unreadable),
        "no e": (of("RS256", e=...), unreadable),
        "no x": (of("ES256", x=...), unreadable),
        "no y": (of("ES256", y=...), unreadable),
        "no OKP x": (of("EdDSA", x=...), unreadable),
        "n a number": (of("RS256", n=integer(n)), unreadable),
        "n null": (of("RS256", n=None), unreadable),
        "x a list": (of("ES256", x=[x]), unreadable),
        "n empty": (of("RS256", n=""), unreadable),
        "e empty": (of("RS256", e=""), unreadable),
        "n not base64": (of("RS256", n="*" * 342), unreadable),
        "n not ASCII": (of("RS256", n="\u00e9" * 342), unreadable),
        "n with a surrogate": (of("RS256", n="\ud800" * 342), unreadable),
        "padding within x": (of("ES256", x=x[:-4] + "=" + x[-4:]), unreadable),
        "x with a line break": (of("ES256", x=x[:9] + "\n" + x[9:]), unreadable),
        "n of a megabyte": (of("RS256", n="A" * 2**20), unreadable),
        "e of a megabyte": (of("RS256", e="A" * 2**20), unreadable),
        "a point that is not on the curve": (of("ES256", y=number(integer(point["y"]) ^ 1, 32)), unreadable),
        "the point of another curve": (of("ES384", crv="P-256"), unreadable),
        "a coordinate beyond the field": (of("ES256", x=number(integer(point["x"]) + P256, 33)), unreadable),
        "the point (0, 0)": (of("ES256", x=number(0, 32), y=number(0, 32)), unreadable),
        "an OKP key of 31 bytes": (of("EdDSA", x=number(1, 31)), unreadable),
        "an OKP key of 33 bytes": (of("EdDSA", x=number(1, 33)), unreadable),
        "exponent 0": (of("RS256", e="AA"), unreadable),
        "exponent 1: the message is its own signature": (of("RS256", e="AQ"), unreadable),
        "exponent 2": (of("RS256", e="Ag"), unreadable),
        "an even exponent": (of("RS256", e=number(65536)), unreadable),
        "an exponent beyond the modulus": (of("RS256", e=number(integer(n) + 2)), unreadable),
        "a modulus of 2047 bits": (of("RS256", n=number((1 << 2046) + 1)), "RSA modulus is not of 2048 to 16384 bits"),
        "a modulus of 2047 bits, with zeros in front": (
            of("RS256", n=number((1 << 2046) + 1, 400)),
            "RSA modulus is not of 2048 to 16384 bits",
        ),
        "a modulus of 16385 bits": (of("RS256", n=number((1 << 16384) + 1)), "RSA modulus is not of 2048 to 16384 bits"),
    }  # fmt: skip


BROKEN = list(broken({name: SigningKeys(name)._find(None).private for name in ("RS256", "ES256", "ES384", "EdDSA")}))


def padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


FORMS: dict[str, Callable[[str], str]] = {
    "with padding": padded,
    "in base64": lambda text: padded(text).replace("-", "+").replace("_", "/"),
    "in base64 without padding": lambda text: text.replace("-", "+").replace("_", "/"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES512", "EdDSA"])
def test_a_number_with_one_reading_is_read(
    private_keys: dict[str, Any], algorithm: str, form: Callable[[str], str]
) -> None:
    key = private_keys[algorithm]
    jwk = public(key)
    other = {name: form(value) if name in ("n", "e", "x", "y") else value for name, value in jwk.items()}
    keys = parse_key_set({"keys": [other]})
    assert verifies(keys, key, algorithm)
    assert keys.keys[0].thumbprint == parse_key_set({"keys": [jwk]}).keys[0].thumbprint


def test_zeros_in_front_of_a_number_do_not_make_another_key(private_keys: dict[str, Any]) -> None:
    jwk = public(private_keys["RS256"])
    other = parse_key_set({"keys": [{**jwk, "n": number(integer(jwk["n"]), 257)}]})
    assert verifies(other, private_keys["RS256"], "RS256")
    assert other.keys[0].thumbprint == parse_key_set({"keys": [jwk]}).keys[0].thumbprint


@pytest.mark.parametrize("case", BROKEN)
def test_a_bad_key_is_skipped_alone_and_with_its_reason(private_keys: dict[str, Any], case: str) -> None:
    jwk, reason = broken(private_keys)[case]
    assert skipped_with_good_ones(jwk) == reason


# The points of Ed25519 of order 1, 2, 4 and 8, and the spellings of y beyond the field, without the sign of x.
SMALL_ORDERS = {
    "order 1": "01" + "00" * 31,
    "order 2": "ec" + "ff" * 30 + "7f",
    "order 4": "00" * 32,
    "order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order 8, the other y": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "order 4, y is the prime": "ed" + "ff" * 30 + "7f",
    "order 1, y is the prime and 1": "ee" + "ff" * 30 + "7f",
    "y is the prime and 18": "ff" * 31 + "7f",
}


@pytest.mark.parametrize("sign", [0, 0x80], ids=["x is even", "x is odd"])
@pytest.mark.parametrize("point", SMALL_ORDERS.values(), ids=SMALL_ORDERS)
def test_a_point_of_small_order_is_skipped_alone(point: str, sign: int) -> None:
    raw = bytearray.fromhex(point)
    raw[31] |= sign
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    assert skipped_with_good_ones({"kty": "OKP", "crv": "Ed25519", "x": x}) == "cannot be read"


@pytest.mark.parametrize("bits", [512, 1024, 2040])
def test_a_weak_rsa_key_is_skipped_alone(bits: int) -> None:
    # What a generator of such a key would give: an odd modulus of exactly so many bits.
    jwk = {"kty": "RSA", "n": number((1 << bits) - 1), "e": "AQAB"}
    assert skipped_with_good_ones(jwk) == "RSA modulus is not of 2048 to 16384 bits"


def test_a_key_with_an_even_modulus_verifies_nothing(private_keys: dict[str, Any]) -> None:
    # cryptography reads it, and OpenSSL fails with it.
    even = integer(public(private_keys["RS256"])["n"]) - 1
    keys = parse_key_set({"keys": [public(private_keys["RS256"], n=number(even))]})
    for algorithm in RSA:
        with pytest.raises(InvalidToken, match="signature is not valid"):
            verifies(keys, private_keys["RS256"], algorithm)


def test_a_large_rsa_key_is_read() -> None:
    # 16384 bits is a limit, not an exponent of the time that it takes to read one.
    modulus = (1 << 16383) + 1
    keys = parse_key_set({"keys": [{"kty": "RSA", "n": number(modulus), "e": "AQAB"}]})
    assert len(keys.keys) == 1


@pytest.mark.parametrize("coordinate", ["x", "y"])
@pytest.mark.parametrize("length", [31, 32, 33], ids=["without its zero in front", "in full", "with one zero more"])
def test_a_coordinate_of_any_length_is_the_same_number(length: int, coordinate: str) -> None:
    # RFC 7518 section 6.2.1.2 demands the full length. Some issuers leave zeros out; the point is the same.
    key = ECKey.generate_key("P-256")
    while integer(public(key)[coordinate]).bit_length() > 248:
        key = ECKey.generate_key("P-256")
    jwk = public(key)
    (found,) = parse_key_set({"keys": [{**jwk, coordinate: number(integer(jwk[coordinate]), length)}]}).keys
    assert found.thumbprint == key.thumbprint()
    assert verifies(KeySet((found,)), key, "ES256")


def test_other_members_of_the_set_do_no_harm() -> None:
    keys = parse_key_set({"keys": [GOOD], "issuer": "https://evil.test/", "crit": ["keys"], "next": None})
    assert [key.kid for key in keys.keys] == [GOOD["kid"]]


@pytest.mark.parametrize(
    "document", [{}, {"keys": None}, {"keys": {}}, {"keys": "key"}, {"keys": 1}, {"Keys": []}, {"keys": [GOOD] * 101}]
)
def test_a_document_without_a_list_of_at_most_100_keys_is_no_key_set(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at most 100 keys"):
        parse_key_set(document)


def test_a_hundred_keys_are_read() -> None:
    keys = parse_key_set({"keys": [{**GOOD, "kid": str(position)} for position in range(MAX_KEYS)]})
    assert len(keys.keys) == 100
    assert [key.kid for key in keys.candidates("99", "ES256")] == ["99"]


def test_an_empty_set_is_a_set_without_keys() -> None:
    keys = parse_key_set({"keys": []})
    assert (keys.keys, keys.skipped) == ((), ())
    assert keys.candidates(None, "ES256") == ()


def test_the_same_key_twice_counts_once() -> None:
    # Else a token without kid would be ambiguous.
    assert len(parse_key_set({"keys": [GOOD, GOOD, {**GOOD, "x5t": "?"}]}).keys) == 1
    assert len(parse_key_set({"keys": [GOOD, {**GOOD, "kid": "another name"}]}).keys) == 2


def test_two_keys_with_one_kid_are_both_tried(private_keys: dict[str, Any]) -> None:
    first, second = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    keys = parse_key_set({"keys": [public(first), public(second), public(private_keys["RS256"])]})
    assert len(keys.candidates("k", "ES256")) == 2
    for key, algorithm in ((first, "ES256"), (second, "ES256"), (private_keys["RS256"], "RS256")):
        assert verifies(keys, key, algorithm)


def test_a_key_without_kid_serves_tokens_without_kid_only() -> None:
    keys = parse_key_set({"keys": [{name: value for name, value in GOOD.items() if name != "kid"}]})
    assert keys.keys[0].kid is None
    assert len(keys.candidates(None, "ES256")) == 1
    assert keys.candidates("k", "ES256") == ()


def test_a_key_shows_what_is_public_and_nothing_of_its_checks(private_keys: dict[str, Any]) -> None:
    (key,) = parse_key_set({"keys": [public(private_keys["RS256"], alg="RS256")]}).keys
    thumbprint = private_keys["RS256"].thumbprint()
    assert (key.kty, key.thumbprint) == ("RSA", thumbprint)
    assert repr(key) == (
        f"VerificationKey(kid='k', kty='RSA', algorithms=frozenset({{'RS256'}}), thumbprint='{thumbprint}')"
    )


def test_one_key_under_two_algs_serves_for_both() -> None:
    (member,) = SigningKeys("RS256").jwks()["keys"]
    keys = parse_key_set({"keys": [member, {**member, "alg": "PS256"}, member]})
    assert len(keys.keys) == 2
    assert len(keys.candidates(member["kid"], "RS256")) == len(keys.candidates(member["kid"], "PS256")) == 1

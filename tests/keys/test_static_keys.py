"""Keys from the settings: PEM text and secrets obey the rules of published keys, and neither is accepted as the other."""

import base64
import datetime
import hashlib
import hmac
import json
import warnings
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st
from tests.tokens.conftest import Api

from resource_server.devissuer.signing import ALGORITHMS, SigningKeys
from resource_server.keys.issuer_keys import IssuerKeys
from resource_server.keys.key_set import KeySet, parse_key_set, parse_pem, parse_secret
from resource_server.tokens.policy import SYMMETRIC_ALGORITHMS

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
SPKI, PKCS1 = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1
SECRET = "an issuer's secret of more than sixty-four bytes, as HS512 wants it to be"
RSA_PRIVATE = rsa.generate_private_key(65537, 2048)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def pem_of(key: Any) -> str:
    text: str = key.public_bytes(PEM, SPKI).decode()
    return text


def public_key(keys: SigningKeys) -> Any:
    return keys._find(None).private.public_key


def certificate(key: Any = RSA_PRIVATE) -> bytes:
    """A self-signed certificate that ended in 2001, as PEM: only its key is of use."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tenant.eu.auth0.com")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1).not_valid_before(datetime.datetime(2000, 1, 1))  # noqa: DTZ001
    signed = builder.not_valid_after(datetime.datetime(2001, 1, 1)).sign(key, hashes.SHA256())  # noqa: DTZ001
    return signed.public_bytes(PEM)


def mac_token(secret: bytes, claims: dict[str, Any], alg: str = "HS256", **header: Any) -> str:
    """A token signed with a secret; header members change a good one."""
    members = {"alg": alg, "typ": "at+jwt", **header}
    signing_input = f"{b64(json.dumps(members).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signing_input}.{b64(hmac.digest(secret, signing_input.encode(), f'sha{alg[2:]}'))}"


# PEM


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_public_key_in_pem_verifies_whatever_the_kid(new_api: type[Api], algorithm: str) -> None:
    api = new_api(algorithm)
    static = new_api(algorithm, key_set=parse_pem(pem_of(public_key(api.issuer.keys))))
    for kid in (api.issuer.keys.current_kid, "another", None):
        assert static.verify(static.token(header={"kid": kid})).subject == "auth0|ada"
    assert static.refusal(SigningKeys(algorithm).sign(static.issuer.claims())) == "signature_invalid"
    assert static.issuer.fetched == []


def test_a_certificate_gives_its_public_key_and_nothing_else(new_api: type[Api]) -> None:
    keys = parse_pem(certificate().decode())
    assert keys.keys[0].thumbprint == parse_pem(pem_of(RSA_PRIVATE.public_key())).keys[0].thumbprint
    assert keys.any_kid
    api = new_api("RS256")
    assert new_api("RS256", key_set=keys).refusal(api.token()) == "signature_invalid"


def test_all_keys_of_a_text_are_tried_also_without_a_kid(new_api: type[Api]) -> None:
    api = new_api("ES256")
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    text = f"the old one:\n{pem_of(other)}\nthe new one:\r\n{pem_of(public_key(api.issuer.keys))}".replace("\n", "\r\n")
    static = new_api("ES256", key_set=parse_pem(text))
    for kid in (None, "k"):
        static.verify(static.token(header={"kid": kid}))
        assert static.refusal(SigningKeys("ES256").sign(static.issuer.claims())) == "signature_invalid"


def test_a_key_that_stands_twice_counts_once() -> None:
    key = RSA_PRIVATE.public_key()
    pkcs1 = key.public_bytes(PEM, PKCS1).decode()
    assert pkcs1.startswith("-----BEGIN RSA PUBLIC KEY-----")
    assert len(parse_pem(pem_of(key) + pkcs1 + certificate().decode()).keys) == 1


PRIVATE = {
    "PKCS 8": RSA_PRIVATE.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    "PKCS 1": RSA_PRIVATE.private_bytes(
        PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ),
    "OpenSSH": RSA_PRIVATE.private_bytes(PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()),
    "encrypted": RSA_PRIVATE.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    ),
    "EC": ec.generate_private_key(ec.SECP256R1()).private_bytes(
        PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ),
}


@pytest.mark.parametrize("beside", ["", pem_of(RSA_PRIVATE.public_key())], ids=["alone", "beside a public one"])
@pytest.mark.parametrize("private", PRIVATE.values(), ids=PRIVATE)
def test_a_private_key_has_no_place_in_the_settings(private: bytes, beside: str) -> None:
    for text in (private.decode() + beside, beside + private.decode()):
        with pytest.raises(ValueError, match=r"^PEM text holds a private key$"):
            parse_pem(text)


GOOD_PEM = pem_of(ec.generate_private_key(ec.SECP256R1()).public_key())
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
NO_KEYS = {
    "nothing": ("", "PEM text is not 1 to 100 whole blocks"),
    "a word": ("secret", "PEM text is not 1 to 100 whole blocks"),
    "a JWK": (json.dumps(SigningKeys("ES256").jwks()["keys"][0]), "PEM text is not 1 to 100 whole blocks"),
    "no end": (GOOD_PEM.partition("-----END")[0], "PEM text is not 1 to 100 whole blocks"),
    "another end": (GOOD_PEM.replace("END PUBLIC KEY", "END CERTIFICATE"), "PEM text is not 1 to 100 whole blocks"),
    "a good one and half of one": (GOOD_PEM + "-----BEGIN PUBLIC KEY-----\n", "PEM text is not 1 to 100 whole blocks"),
    "101 blocks": (GOOD_PEM * 101, "PEM text is not 1 to 100 whole blocks"),
    "a request": (
        GOOD_PEM.replace("PUBLIC KEY", "CERTIFICATE REQUEST"),
        "PEM block 0: is not a public key or a certificate",
    ),
    "parameters": (
        GOOD_PEM.replace("PUBLIC KEY", "EC PARAMETERS"),
        "PEM block 0: is not a public key or a certificate",
    ),
    "a good one and an unknown one": (
        GOOD_PEM + GOOD_PEM.replace("PUBLIC KEY", "X509 CRL"),
        "PEM block 1: is not a public key or a certificate",
    ),
    "a key that says certificate": (GOOD_PEM.replace("PUBLIC KEY", "CERTIFICATE"), "PEM block 0: cannot be read"),
    "bytes lost": (GOOD_PEM[:40] + GOOD_PEM[44:], "PEM block 0: cannot be read"),
    "not base64": (GOOD_PEM[:40] + "!!!!" + GOOD_PEM[44:], "PEM block 0: cannot be read"),
    "not ASCII": (GOOD_PEM[:40] + "\u00e9" + GOOD_PEM[41:], "PEM block 0: cannot be read"),
    "an RSA key of 1024 bits": (pem_of(WEAK.public_key()), "PEM block 0: RSA modulus is not of 2048 to 16384 bits"),
    "its certificate": (certificate(WEAK).decode(), "PEM block 0: RSA modulus is not of 2048 to 16384 bits"),
    "secp256k1": (
        pem_of(ec.generate_private_key(ec.SECP256K1()).public_key()),
        "PEM block 0: crv is not P-256, P-384, P-521 or Ed25519",
    ),
    "brainpool": (pem_of(ec.generate_private_key(ec.BrainpoolP256R1()).public_key()), "PEM block 0: cannot be read"),
    "Ed448": (pem_of(ed448.Ed448PrivateKey.generate().public_key()), "PEM block 0: is not RSA, EC or Ed25519"),
    "X25519": (pem_of(x25519.X25519PrivateKey.generate().public_key()), "PEM block 0: is not RSA, EC or Ed25519"),
}


@pytest.mark.parametrize(("text", "message"), NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_strong_public_key_in_pem_is_refused_whole(text: str, message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc warns of a weak key too
        with pytest.raises(ValueError, match="PEM") as caught:
            parse_pem(text)
    assert str(caught.value) == message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_rsa_key_with_the_exponent_one_is_refused_in_pem_as_in_a_jwk() -> None:
    # Every message is its own signature under it; the library makes none, so 65537 is changed in the DER.
    der = RSA_PRIVATE.public_key().public_bytes(DER, SPKI)
    assert der.endswith(b"\x02\x03\x01\x00\x01")
    lame = base64.encodebytes(der.removesuffix(b"\x01\x00\x01") + b"\x00\x00\x01").decode()
    with pytest.raises(ValueError, match=r"^PEM block 0: cannot be read$"):
        parse_pem(f"-----BEGIN PUBLIC KEY-----\n{lame}-----END PUBLIC KEY-----\n")


PEM_MESSAGES = {
    "PEM text holds a private key",
    "PEM text is not 1 to 100 whole blocks",
    "PEM block 0: cannot be read",
    "PEM block 0: is not a public key or a certificate",
}


@given(
    st.text()
    | st.builds(lambda at, piece: GOOD_PEM[:at] + piece + GOOD_PEM[at:], st.integers(0, len(GOOD_PEM)), st.text())
)
@example("-----BEGIN PUBLIC KEY-----" * 1000)
@example("-----BEGIN " + "A " * 10_000)
def test_any_text_is_keys_or_a_value_error_without_the_text(text: str) -> None:
    try:
        keys = parse_pem(text)
    except ValueError as error:
        message = str(error)
    else:
        assert keys.any_kid
        assert keys.keys
        return
    assert message in PEM_MESSAGES


# Secrets


@pytest.mark.parametrize(
    ("length", "algorithms"),
    [
        (32, {"HS256"}),
        (47, {"HS256"}),
        (48, {"HS256", "HS384"}),
        (63, {"HS256", "HS384"}),
        (64, set(SYMMETRIC_ALGORITHMS)),
        (4096, set(SYMMETRIC_ALGORITHMS)),
    ],
)
def test_a_secret_serves_the_algorithms_that_it_is_long_enough_for(length: int, algorithms: set[str]) -> None:
    for secret in (hashlib.shake_256().hexdigest(length)[:length], hashlib.shake_256().digest(length)):
        keys = parse_secret(secret)
        (key,) = keys.keys
        assert key.algorithms == algorithms
        for algorithm in SYMMETRIC_ALGORITHMS:
            expected = (key,) if algorithm in algorithms else ()
            assert keys.candidates(None, algorithm) == keys.candidates("any", algorithm) == expected


@pytest.mark.parametrize("secret", ["", "secret", "s" * 31, b"\x00" * 31, "\u00e9" * 15])
def test_a_short_secret_is_refused(secret: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"^secret is shorter than 32 bytes$"):
        parse_secret(secret)


def test_the_length_is_counted_in_bytes() -> None:
    assert parse_secret("àáâãäåæçèéêëìíîï").keys[0].algorithms == {"HS256"}
    with pytest.raises(ValueError, match=r"^secret is shorter than 32 bytes$"):
        parse_secret("àáâãäåæçèéêëìíî")


REPEATED = {
    "one character": ("s" * 40, set()),
    "zeros": (bytes(64), set()),
    "a password, four times": ("changeme" * 4, set()),
    "a password, and a part of it": ("hunter2 " * 4 + "hunt", set()),
    "31 bytes, twice": (SECRET[:31] * 2, set()),
    "32 bytes, twice": (SECRET[:32] * 2, {"HS256"}),
    "48 bytes, twice": (SECRET[:48] * 2, {"HS256", "HS384"}),
    "63 bytes, twice": (SECRET[:63] * 2, {"HS256", "HS384"}),
    "64 bytes, twice": (SECRET[:64] * 2, set(SYMMETRIC_ALGORITHMS)),
    "the same end and beginning": (SECRET[:63] + SECRET[0], set(SYMMETRIC_ALGORITHMS)),
}


@pytest.mark.parametrize(("secret", "algorithms"), REPEATED.values(), ids=REPEATED)
def test_a_repeated_text_counts_once(secret: str | bytes, algorithms: set[str]) -> None:
    # RFC 8725 section 3.5: a password that a person remembers is no key, however often it is written.
    if algorithms:
        assert parse_secret(secret).keys[0].algorithms == algorithms
        return
    with pytest.raises(ValueError, match=r"^secret is shorter than 32 bytes if a repeated text counts once$"):
        parse_secret(secret)


def test_a_secret_is_never_shown() -> None:
    keys = parse_secret(SECRET)
    (key,) = keys.keys
    text = f"{keys!r}{key!r}{key.verifications!r}{vars(type(keys))!r}{keys.skipped!r}"
    assert SECRET[:8] not in text
    assert key.thumbprint is None


RSA_PUBLIC = RSA_PRIVATE.public_key()
JWK = SigningKeys("RS256").jwks()
PUBLIC: dict[str, str | bytes] = {
    "PEM": pem_of(RSA_PUBLIC),
    "PEM, bytes": pem_of(RSA_PUBLIC).encode(),
    "PEM after a line of text": f"key:\n{pem_of(RSA_PUBLIC)}",
    "PKCS 1": RSA_PUBLIC.public_bytes(PEM, PKCS1),
    "a certificate": certificate(),
    "a private key": PRIVATE["PKCS 8"],
    "DER": RSA_PUBLIC.public_bytes(DER, SPKI),
    "PKCS 1 DER": RSA_PUBLIC.public_bytes(DER, PKCS1),
    "DER of a certificate": x509.load_pem_x509_certificate(certificate()).public_bytes(DER),
    "base64 of DER, as Keycloak shows it": base64.b64encode(RSA_PUBLIC.public_bytes(DER, SPKI)),
    "base64 of DER, in lines": base64.encodebytes(RSA_PUBLIC.public_bytes(DER, SPKI)).decode(),
    "an elliptic key": pem_of(ec.generate_private_key(ec.SECP256R1()).public_key()),
    "an Ed25519 key in DER": ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(DER, SPKI),
    "a JWK": json.dumps(JWK["keys"][0]),
    "a JWK, bytes, with whitespace": f"\n  {json.dumps(JWK['keys'][0], indent=1)}\n".encode(),
    "a key set": json.dumps(JWK),
    "a symmetric JWK": json.dumps({"kty": "oct", "k": b64(SECRET.encode())}),
}


@pytest.mark.parametrize("public", PUBLIC.values(), ids=PUBLIC)
def test_a_public_key_is_no_secret(public: str | bytes) -> None:
    # A public key as secret: everybody has it and could sign with it.
    with pytest.raises(ValueError, match=r"^secret is a key or a certificate in the form of PEM, DER or JWK$"):
        parse_secret(public)


@pytest.mark.parametrize(
    "secret",
    ["{" + "s" * 40, '{"a": "' + "s" * 40 + '"}', "0123456789" * 3 + "9876543210", "MIIB" + "s" * 40, "MIIBIjANBgkq" * 4 + ".", b"\x30\x82" + b"s" * 40, "[" * 40 + "]"],
    ids=["a brace", "JSON", "digits", "MIIB", "more of it", "an ASN.1 tag", "brackets"],
)  # fmt: skip
def test_what_only_begins_like_a_key_is_a_secret(secret: str | bytes) -> None:
    assert parse_secret(secret).keys[0].algorithms >= {"HS256"}


@given(st.text() | st.binary() | st.text(min_size=32))
@example("\ud800" * 32)
def test_anything_is_a_secret_or_a_value_error(secret: str | bytes) -> None:
    try:
        keys = parse_secret(secret)
    except ValueError as error:
        message = str(error)
    else:
        assert keys.keys[0].kty == "oct"
        return
    assert message in (
        "secret is shorter than 32 bytes",
        "secret is shorter than 32 bytes if a repeated text counts once",
    )


# Neither is accepted as the other


@pytest.mark.parametrize("alg", SYMMETRIC_ALGORITHMS)
def test_a_token_with_the_secrets_mac_is_accepted(new_api: type[Api], alg: str) -> None:
    api = new_api("ES256", key_set=parse_secret(SECRET), algorithms=(alg,))
    claims = api.issuer.claims(scope="read")
    for header in ({}, {"kid": "any"}):
        assert api.verify(mac_token(SECRET.encode(), claims, alg, **header)).scopes == {"read"}
    assert api.refusal(mac_token(SECRET.encode() + b" ", claims, alg)) == "signature_invalid"
    assert api.refusal(mac_token(b"", claims, alg)) == "signature_invalid"
    good = mac_token(SECRET.encode(), claims, alg)
    signing_input, _, mac = good.rpartition(".")
    raw = base64.urlsafe_b64decode(mac + "==")
    for forged in (b"", raw[:-1], raw[: len(raw) // 2], raw + b"\x00", bytes(len(raw))):
        assert api.refusal(f"{signing_input}.{b64(forged)}") == "signature_invalid"
    for other in set(SYMMETRIC_ALGORITHMS) - {alg}:
        assert api.refusal(mac_token(SECRET.encode(), claims, other)) == "alg_not_allowed"


def test_a_secret_that_is_too_short_for_an_allowed_algorithm_does_not_serve_for_it(
    new_api: type[Api],
) -> None:
    secret = SECRET[:32]
    api = new_api("ES256", key_set=parse_secret(secret), algorithms=SYMMETRIC_ALGORITHMS)
    api.verify(mac_token(secret.encode(), api.issuer.claims()))
    for alg in ("HS384", "HS512"):
        assert api.refusal(mac_token(secret.encode(), api.issuer.claims(), alg)) == "key_unknown"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "Ed25519"])
@pytest.mark.parametrize("alg", SYMMETRIC_ALGORITHMS)
def test_an_asymmetric_key_never_verifies_a_mac(new_api: type[Api], algorithm: str, alg: str) -> None:
    # Even a policy that allows both, which the settings do not make: the key is bound to its algorithms.
    issuer = new_api(algorithm).issuer
    pem = pem_of(public_key(issuer.keys))
    both = ("RS256", "ES256", "Ed25519", *SYMMETRIC_ALGORITHMS)
    forms = [
        pem,
        pem.strip(),
        public_key(issuer.keys).public_bytes(DER, SPKI),
        json.dumps(issuer.keys.jwks()["keys"][0]),
    ]
    for key_set in (parse_pem(pem), parse_key_set(issuer.keys.jwks()), None):
        api = new_api(algorithm, key_set=key_set, algorithms=both)
        api.verify(api.token())
        for form in forms:
            secret = form if isinstance(form, bytes) else form.encode()
            for header in ({}, {"kid": issuer.keys.current_kid}):
                forged = mac_token(secret, api.issuer.claims(), alg, **header)
                assert api.refusal(forged) == "key_unknown"
                signing_input, _, mac = forged.rpartition(".")
                renamed = b64(json.dumps({"alg": algorithm, "typ": "at+jwt", **header}).encode())
                assert api.refusal(f"{renamed}.{signing_input.partition('.')[2]}.{mac}") == "signature_invalid"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_secret_never_verifies_a_signature(new_api: type[Api], algorithm: str) -> None:
    api = new_api(algorithm, key_set=parse_secret(SECRET), algorithms=(algorithm, *SYMMETRIC_ALGORITHMS))
    assert api.refusal(api.token()) == "key_unknown"
    api = new_api(algorithm, key_set=parse_secret(SECRET), algorithms=SYMMETRIC_ALGORITHMS)
    assert api.refusal(api.token()) == "alg_not_allowed"


def test_a_fetched_key_set_yields_no_secret(new_api: type[Api]) -> None:
    member = {"kty": "oct", "k": b64(SECRET.encode()), "kid": "k", "alg": "HS256", "use": "sig"}
    assert parse_key_set({"keys": [member]}).keys == ()
    api = new_api("ES256", algorithms=("ES256", "HS256"))
    members = [member, *api.issuer.keys.jwks()["keys"]]
    api.issuer.documents[api.issuer.jwks_uri] = json.dumps({"keys": members}).encode()
    api.verify(api.token())
    assert api.refusal(mac_token(SECRET.encode(), api.issuer.claims(), kid="k")) == "key_unknown"


def test_the_keys_of_a_set_with_names_are_found_by_name_alone() -> None:
    keys = parse_key_set(SigningKeys("ES256").jwks())
    assert not keys.any_kid
    assert keys.candidates("another", "ES256") == ()
    assert isinstance(KeySet(()), KeySet)
    assert KeySet((), any_kid=True).candidates("any", "HS256") == ()


def test_static_keys_are_what_an_issuer_trusts_from_the_start(new_api: type[Api]) -> None:
    keys = parse_secret(SECRET)
    issuer_keys: IssuerKeys = new_api("ES256", key_set=keys, algorithms=("HS256",)).keys
    assert issuer_keys.trusted is not None
    assert issuer_keys.trusted.keys is keys

"""The four ways in which this API proves to its issuer who it is, as a real server sees them."""

import base64
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jwt
from joserfc.jwk import ECKey, JWKRegistry, RSAKey
from tests.certificates import certificate
from tests.introspection.conftest import NOW, OPAQUE, Api, Endpoint

from resource_server.tokens.client_authentication import ClientAuthentication, client_key

KEYS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "RSA": (lambda: rsa.generate_private_key(65537, 2048), "RS256", "RSA"),
    "P-256": (lambda: ec.generate_private_key(ec.SECP256R1()), "ES256", "EC"),
    "P-384": (lambda: ec.generate_private_key(ec.SECP384R1()), "ES384", "EC"),
    "P-521": (lambda: ec.generate_private_key(ec.SECP521R1()), "ES512", "EC"),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, "EdDSA", "OKP"),
}


def pem(key: Any) -> str:
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode()


def test_the_secret_in_the_header_is_encoded_as_rfc_6749_says(endpoint: Endpoint) -> None:
    client = ClientAuthentication(client_id="an api", method="client_secret_basic", secret="a:b%ü +&=")
    Api(endpoint.url, client=client).token()
    sent = endpoint.asked[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent) == b"an+api:a%3Ab%25%C3%BC+%2B%26%3D"
    assert set(endpoint.asked[0].form) == {"token", "token_type_hint"}


def test_the_secret_in_the_form(endpoint: Endpoint) -> None:
    client = ClientAuthentication(client_id="an api", method="client_secret_post", secret="a:b%ü +&=")
    Api(endpoint.url, client=client).token()
    form = endpoint.asked[0].form
    assert (form["client_id"], form["client_secret"], form["token"]) == ("an api", "a:b%ü +&=", OPAQUE)
    assert "authorization" not in endpoint.asked[0].headers


@pytest.mark.parametrize(("make", "algorithm", "kind"), KEYS.values(), ids=KEYS)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_the_assertion_of_a_private_key(endpoint: Endpoint, make: Callable[[], Any], algorithm: str, kind: str) -> None:
    key = make()
    client = ClientAuthentication(client_id="api", method="private_key_jwt", key=client_key(pem(key)))
    api = Api(endpoint.url, client=client)
    api.token()
    api.token("another")
    forms = [question.form for question in endpoint.asked]
    assert forms[0]["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assertions = [
        jwt.decode(form["client_assertion"], JWKRegistry.import_key(public, kind), algorithms=[algorithm])
        for form in forms
    ]
    assert assertions[0].header == {"alg": algorithm, "typ": "JWT"}
    claims = assertions[0].claims
    assert {**claims, "jti": ""} == {
        "iss": "api",
        "sub": "api",
        "aud": "https://issuer.test/",
        "jti": "",
        "iat": NOW,
        "exp": NOW + 60,
    }
    assert claims["jti"] != assertions[1].claims["jti"], "each assertion is used once"


def test_a_jwk_says_its_kid_and_its_algorithm() -> None:
    key = RSAKey.generate_key(2048, parameters={"kid": "k1", "alg": "PS256"})
    found = client_key(key.as_dict(private=True))
    assert (found.kid, found.algorithm) == ("k1", "PS256")
    signed = found.sign({"a": 1})
    decoded = jwt.decode(signed, key, algorithms=["PS256"])
    assert (decoded.header["kid"], decoded.claims) == ("k1", {"a": 1})


NO_KEYS: dict[str, object] = {
    "nothing": None,
    "a number": 5,
    "empty": "",
    "no PEM": "no PEM",
    "an empty JWK": {},
    "a JWK without its members": {"kty": "RSA"},
    "a secret": {"kty": "oct", "k": "c2VjcmV0"},
    "a new kind": {"kty": "new"},
    "a public JWK": ECKey.generate_key("P-256").as_dict(private=False),
    "a curve without algorithm": ECKey.generate_key("secp256k1").as_dict(private=True),
    "the algorithm of another curve": {**ECKey.generate_key("P-256").as_dict(private=True), "alg": "ES384"},
    "an algorithm that is a list": {**ECKey.generate_key("P-256").as_dict(private=True), "alg": ["ES256"]},
    "a kid that is a number": {**ECKey.generate_key("P-256").as_dict(private=True), "kid": 5},
    "a weak key": pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - it must be refused
    "with a password": ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    .decode(),
    "a public key": ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode(),
}


@pytest.mark.parametrize("value", NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_private_key(value: object) -> None:
    with pytest.raises(ValueError, match=r"It|key") as caught:
        client_key(value)
    assert "c2VjcmV0" not in str(caught.value)


def test_no_credential_is_in_a_repr() -> None:
    text = pem(KEYS["P-256"][0]())
    shown = repr(
        ClientAuthentication(client_id="api", method="private_key_jwt", secret="the secret", key=client_key(text))
    )
    assert "the secret" not in shown
    assert "ECKey" not in shown


def test_a_certificate_is_shown_to_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, mine = tmp_path / "server.pem", tmp_path / "client.pem"
    context = certificate(server)
    certificate(mine, "api")
    context.load_verify_locations(mine)
    context.verify_mode = ssl.CERT_REQUIRED
    monkeypatch.setenv("SSL_CERT_FILE", str(server))
    with Endpoint(context) as endpoint:
        client = ClientAuthentication(client_id="api", method="tls_client_auth", certificate=str(mine))
        assert Api(endpoint.url, client=client).outcome() == "200"
        assert endpoint.asked[0].form["client_id"] == "api"  # RFC 8705 section 2
        assert Api(endpoint.url).outcome() == "503 fetch_failed", "the server refuses a client without a certificate"


def test_the_alias_for_clients_with_a_certificate(tmp_path: Path) -> None:
    """RFC 8705 section 5: such a client is expected at another address."""
    from tests.servers import LiveIssuer

    from resource_server.keys.http import fetch

    class Aliased(LiveIssuer):
        def metadata(self) -> dict[str, Any]:
            aliases = {"introspection_endpoint": plain.url}
            return {**super().metadata(), "introspection_endpoint": f"{plain.url}/x", "mtls_endpoint_aliases": aliases}

    certificate(tmp_path / "client.pem", "api")
    path = str(tmp_path / "client.pem")
    with Endpoint() as plain, Aliased() as issuer:
        plain.body = json.dumps({"active": False}).encode()
        for client in (
            ClientAuthentication(client_id="api", method="tls_client_auth", certificate=path),
            ClientAuthentication(client_id="api", method="client_secret_post", secret="x"),
        ):
            api = Api(None, issuer=issuer, fetch=fetch, client=client, members={"http_on_loopback": True})
            assert api.refusal() == "401 token_inactive"
        assert [question.line.split()[1] for question in plain.asked] == ["/introspect", "/introspect/x"]

"""Tokens bound to the certificate of a client (RFC 8705 section 3), which a header names (RFC 9440)."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.devissuer.documents import certificate
from tests.devissuer.proofs import KEY, proof

DER, OTHER = (certificate(name)[0].public_bytes(Encoding.DER) for name in ("a client", "another"))


def _header(der=DER):
    return {"Client-Cert": f":{base64.b64encode(der).decode()}:"}


def _proof(issuer):
    return {"DPoP": proof(f"{issuer.address}/token")}


def _thumbprint(der=DER):
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def _confirmation(issuer, answer):
    assert answer.status == 200, answer.data
    return issuer.verified(answer.json()["access_token"]).claims.get("cnf")


def test_a_certificate_binds_the_token(issuer):
    answer = issuer.machine(headers=_header())
    told = issuer.introspect(answer.json()["access_token"]).json()

    assert _confirmation(issuer, answer) == told["cnf"] == {"x5t#S256": _thumbprint()}
    assert answer.json()["token_type"] == told["token_type"] == "Bearer"


def test_without_one_there_is_no_confirmation(issuer):
    assert _confirmation(issuer, issuer.machine()) is None


def test_a_certificate_and_a_proof_bind_it_twice(issuer):
    answer = issuer.machine(headers={**_header(), **_proof(issuer)})

    assert _confirmation(issuer, answer) == {"jkt": KEY.thumbprint(), "x5t#S256": _thumbprint()}
    assert answer.json()["token_type"] == "DPoP"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "::",
        ":AAAA:",
        "AAAA",
        ":!!!!:",
        ":A:",
        f":{base64.b64encode(DER[:-1]).decode()}:",
        _header()["Client-Cert"][:-1],
    ],
)
def test_what_is_no_certificate_is_refused(issuer, value):
    answer = issuer.machine(headers={"Client-Cert": value})

    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


def test_two_certificates_are_refused(issuer):
    one = _header()["Client-Cert"]

    assert issuer.machine(headers={"Client-Cert": f"{one}, {one}"}).json()["error"] == "invalid_request"


def test_the_refresh_token_of_a_public_client_needs_the_same_certificate(issuer):
    token = issuer.redeem(issuer.code(), _header()).json()["refresh_token"]

    for headers in ({}, _header(OTHER), _proof(issuer)):
        assert issuer.refresh(token, headers).json()["error"] == "invalid_grant"
    assert _confirmation(issuer, issuer.refresh(token, _header())) == {"x5t#S256": _thumbprint()}


def test_a_client_can_register_for_bound_tokens_alone(issuer):
    client = issuer.register(grant_types=["client_credentials"], tls_client_certificate_bound_access_tokens=True)
    fields = {"grant_type": "client_credentials"}
    fields |= {name: client[name] for name in ("client_id", "client_secret")}

    assert client["tls_client_certificate_bound_access_tokens"] is True
    assert issuer.post("/token", fields).json()["error"] == "invalid_request"
    assert _confirmation(issuer, issuer.post("/token", fields, _header())) == {"x5t#S256": _thumbprint()}

"""Opaque tokens that are bound: the issuer's answer names the key or the certificate, and this API verifies the proof.

RFC 9449 section 6.2, RFC 8705 section 3.2.
"""

import json

import pytest
from tests.bound.test_certificates import OTHER, PROXY
from tests.bound.test_requests import CERTIFICATE, WITH_ONE, X5T, passed, pem_of, refused
from tests.introspection.conftest import OPAQUE, Endpoint, answer

from resource_server.testing import ProofKey


@pytest.fixture
def endpoint():
    with Endpoint() as running:
        yield running


@pytest.fixture
def opaque(api, configure, endpoint):
    """An API that asks about opaque tokens, at each edge; `answers` sets the answer."""
    asked = {"CLIENT_ID": "api", "CLIENT_SECRET": "secret", "ENDPOINT": endpoint.url}
    configure(INTROSPECTION=asked, CLIENT_CERTIFICATE=CERTIFICATE)

    def answers(**changes):
        members = json.loads(answer(scope="read", **changes))
        endpoint.body = json.dumps({**members, "iat": 1, "exp": 4_000_000_000}).encode()

    api.answers = answers
    return api


@pytest.mark.parametrize("kind", ["DPoP", "Bearer", None])
def test_a_token_that_is_bound_to_a_key_needs_its_proof_on_each_request(opaque, endpoint, kind):
    opaque.answers(cnf=opaque.key.confirmation, token_type=kind)
    for _ in range(2):  # the second is of a remembered answer
        headers = opaque.headers(OPAQUE)
        assert passed(opaque.get(headers))
        assert refused(opaque.get(headers), "proof_replayed")
        assert refused(opaque.get({"Authorization": f"DPoP {OPAQUE}"}), "proof_missing")
        assert refused(opaque.get({"Authorization": f"Bearer {OPAQUE}"}), "token_bound_to_key")
        assert refused(opaque.get(ProofKey().headers("GET", opaque.url, OPAQUE)), "proof_key_differs")
    assert len(endpoint.asked) == 1
    assert "DPoP" not in endpoint.asked[0].headers


def test_a_token_that_is_bound_to_a_certificate_needs_it_on_each_request(opaque, endpoint):
    opaque.answers(cnf={"x5t#S256": X5T})
    headers = {"Authorization": f"Bearer {OPAQUE}"}
    for _ in range(2):
        assert passed(opaque.get({**headers, **WITH_ONE}, remote=PROXY))
        assert refused(opaque.get(headers, remote=PROXY), "certificate_missing")
        response = opaque.get({**headers, "X-SSL-Client-Cert": pem_of(OTHER)}, remote=PROXY)
        assert refused(response, "certificate_differs")
        assert 'error="invalid_token"' in response["WWW-Authenticate"]
    assert len(endpoint.asked) == 1

"""Discovery in both forms and the key set, as the issuer serves them."""

import pytest

PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


def test_the_two_documents_are_one_and_name_the_issuer_exactly(issuer):
    openid = issuer.get("/.well-known/openid-configuration")
    oauth = issuer.get("/.well-known/oauth-authorization-server")

    assert openid.status == oauth.status == 200
    assert openid.headers["Content-Type"] == "application/json"
    assert openid.data == oauth.data
    assert openid.json()["issuer"] == issuer.address


def test_the_document_says_what_the_issuer_does_and_no_more(issuer):
    assert issuer.get("/.well-known/openid-configuration").json() == {
        "issuer": issuer.address,
        "authorization_endpoint": f"{issuer.address}/authorize",
        "token_endpoint": f"{issuer.address}/token",
        "jwks_uri": f"{issuer.address}/jwks.json",
        "registration_endpoint": f"{issuer.address}/register",
        "introspection_endpoint": f"{issuer.address}/introspect",
        "revocation_endpoint": f"{issuer.address}/revoke",
        "scopes_supported": ["openid", "profile", "email", "offline_access", "example:scope"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "introspection_signing_alg_values_supported": ["RS256"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
        "dpop_signing_alg_values_supported": [
            *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
        ],
        "tls_client_certificate_bound_access_tokens": True,
        "claims_supported": [
            *("iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "nonce", "at_hash"),
            *("name", "email", "email_verified"),
        ],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def test_an_issuer_name_with_a_slash_keeps_it_but_its_addresses_do_not_double_it(run_issuer, free_port):
    port = free_port()
    issuer = run_issuer("--port", str(port), "--issuer", f"http://localhost:{port}/")
    metadata = issuer.get(".well-known/openid-configuration").json()

    assert issuer.address == metadata["issuer"] == f"http://localhost:{port}/"
    assert metadata["jwks_uri"] == f"http://localhost:{port}/jwks.json"
    assert metadata["token_endpoint"] == f"http://localhost:{port}/token"


@pytest.mark.parametrize("path", ["/jwks.json", "/.well-known/openid-configuration"])
def test_what_is_public_may_be_kept_for_a_minute(issuer, path):
    assert issuer.get(path).headers["Cache-Control"] == "public, max-age=60"


def test_the_key_set_has_no_private_member(issuer):
    [key] = issuer.jwks()["keys"]

    assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}
    assert not PRIVATE_MEMBERS & set(key)
    assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")


@pytest.mark.parametrize("path", ["/token", "/register", "/introspect", "/revoke", "/rotate"])
def test_what_must_be_posted_cannot_be_fetched(issuer, path):
    answer = issuer.get(path)

    assert answer.status == 405
    assert "POST" in answer.headers["Allow"]


def test_an_unknown_address_is_not_found(issuer):
    assert issuer.get("/userinfo").status == 404


@pytest.mark.parametrize("path", ["/jwks.json", "/.well-known/openid-configuration", "/token", "/authorize", "/"])
def test_a_rebound_name_is_refused(issuer, path):
    assert issuer.get(path, Host="attacker.example").status == 400


def test_the_front_page_tells_how_to_get_a_token(issuer):
    page = issuer.get("/")

    assert page.status == 200
    assert f"scope=example%3Ascope {issuer.address}/token" in page.data.decode()

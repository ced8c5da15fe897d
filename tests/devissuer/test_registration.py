"""Dynamic client registration over HTTP (RFC 7591), and what the registered clients can do."""

import json
import time
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_server.devissuer.client_metadata import ClientMetadata, MetadataError

REDIRECT_URI = "http://127.0.0.1:8000/callback"


def _register(issuer, body=None, **metadata):
    sent = json.dumps(metadata).encode() if body is None else body
    return issuer.post("/register", sent, {"Content-Type": "application/json"})


def _registered(issuer, **metadata):
    """The answer to the registration of a public client, unless `metadata` say otherwise."""
    return issuer.register(**{"redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none", **metadata})


def test_a_public_client_is_registered(issuer):
    before = int(time.time())
    asked = {
        "client_name": "Ünser Client",
        "redirect_uris": [REDIRECT_URI, "com.example.app:/callback", "https://app.example/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    }
    answer = _register(issuer, **asked, response_types=["code"], scope="anything", jwks=None, software_id="x")
    body = answer.json()

    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    assert before <= body.pop("client_id_issued_at") <= time.time()
    assert len(body.pop("client_id")) >= 16
    assert body == {**asked, "response_types": ["code"], "access_token_format": "jwt"}


def test_without_a_method_a_client_gets_a_secret_and_must_use_it(issuer):
    client = _registered(issuer, token_endpoint_auth_method=None)
    named = {"client_id": client["client_id"]}
    code = issuer.code(**named)

    assert (client["token_endpoint_auth_method"], client["client_secret_expires_at"]) == ("client_secret_basic", 0)
    assert issuer.redeem(code, **named).json()["error"] == "invalid_client"
    assert issuer.redeem(code, **named, client_secret="wrong").json()["error"] == "invalid_client"
    assert issuer.redeem(code, **named, client_secret=client["client_secret"]).status == 200


def test_two_clients_are_two(issuer):
    one, two = (_registered(issuer)["client_id"] for _ in range(2))
    code = issuer.code(client_id=one)

    assert one != two
    assert issuer.redeem(code, client_id=two).json()["error"] == "invalid_grant"


def test_a_machine_gets_tokens_for_itself(issuer):
    client = _register(issuer, grant_types=["client_credentials"]).json()
    sent = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    sent["grant_type"] = "client_credentials"
    body = issuer.post("/token", {"scope": "example:scope", **sent}).json()

    for scope in ("openid", "example:scope offline_access", "other"):
        assert issuer.post("/token", {"scope": scope, **sent}).json()["error"] == "invalid_scope"
    assert issuer.verified(body["access_token"]).claims["sub"] == f"{client['client_id']}@clients"
    assert client["response_types"] == []


def test_a_client_can_request_more_than_it_registered_with(run_issuer):
    issuer = run_issuer("--scope", "read", "write")
    client_id = _registered(issuer, scope="read")["client_id"]
    first = issuer.redeem(issuer.code(client_id=client_id, scope="read", agreed=("read",)), client_id=client_id)
    more = issuer.code(client_id=client_id, scope="read write", agreed=("read", "write"))

    assert first.json()["scope"] == "read"
    assert issuer.redeem(more, client_id=client_id).json()["scope"] == "read write"


def test_only_a_client_that_registers_for_it_gets_a_refresh_token(issuer):
    without = _registered(issuer)["client_id"]
    with_it = _registered(issuer, grant_types=["authorization_code", "refresh_token"])["client_id"]

    assert "refresh_token" not in issuer.redeem(issuer.code(client_id=without), client_id=without).json()
    body = issuer.redeem(issuer.code(client_id=with_it), client_id=with_it).json()
    assert issuer.refresh(body["refresh_token"], client_id=with_it).status == 200


def test_grant_types_that_the_issuer_lacks_are_left_out(issuer):
    client = _registered(issuer, grant_types=["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"])

    assert client["grant_types"] == ["authorization_code"]


@pytest.mark.parametrize(
    ("registered", "used", "accepted"),
    [
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback", True),
        ("http://localhost:3030/callback", "http://localhost:8/callback", True),
        ("http://[::1]:1/callback?a=b", "http://[::1]/callback?a=b", True),
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004/other", False),
        ("http://127.0.0.1/callback", "http://localhost/callback", False),
        ("http://127.0.0.1/callback", "http://127.0.0.1:1@attacker.example/callback", False),
        ("http://127.0.0.1/callback", "https://127.0.0.1/callback", False),
        ("https://app.example/callback", "https://app.example/callback", True),
        ("https://app.example/callback", "https://app.example:444/callback", False),
        ("https://app.example/callback", "https://app.example/callback/", False),
        ("https://app.example/callback", "http://127.0.0.1/callback", False),
        ("com.example.app:/callback", "com.example.app:/callback", True),
    ],
)
def test_on_loopback_the_port_of_a_redirect_uri_is_free(issuer, registered, used, accepted):
    client_id = _registered(issuer, redirect_uris=[registered])["client_id"]
    page = issuer.sign_in_page(client_id=client_id, redirect_uri=used)

    assert page.answer.status == (200 if accepted else 400)
    if accepted:
        assert issuer.decide(page).headers["Location"].startswith(used)


def test_the_page_shows_the_name_and_the_id(issuer):
    client_id = _registered(issuer, client_name="<b>Bold</b>")["client_id"]
    text = issuer.sign_in_page(client_id=client_id).answer.data.decode()

    assert "Sign in to &lt;b&gt;Bold&lt;/b&gt;" in text
    assert client_id in text


REFUSED = {
    "no JSON": (b"client_name=x", "invalid_client_metadata"),
    "nothing": (b"", "invalid_client_metadata"),
    "a list": (b"[]", "invalid_client_metadata"),
    "a name twice": (b'{"client_name": "a", "client_name": "b"}', "invalid_client_metadata"),
    "nested deeply": (b'{"x": ' + b"[" * 5000 + b"]" * 5000 + b"}", "invalid_client_metadata"),
    "no redirect URI": ({"redirect_uris": None}, "invalid_redirect_uri"),
    "an empty list": ({"redirect_uris": []}, "invalid_redirect_uri"),
    "a relative redirect URI": ({"redirect_uris": ["/callback"]}, "invalid_redirect_uri"),
    "a script": ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
    "a script in capitals": ({"redirect_uris": ["JavaScript:alert(1)"]}, "invalid_redirect_uri"),
    "a fragment": ({"redirect_uris": [f"{REDIRECT_URI}#x"]}, "invalid_redirect_uri"),
    "http elsewhere": ({"redirect_uris": ["http://app.example/callback"]}, "invalid_redirect_uri"),
    "http that looks like loopback": ({"redirect_uris": ["http://127.0.0.1@app.example/"]}, "invalid_redirect_uri"),
    "an IPv6 address that does not end": ({"redirect_uris": ["https://[::1/"]}, "invalid_redirect_uri"),
    "one bad redirect URI": ({"redirect_uris": [REDIRECT_URI, "http://app.example/"]}, "invalid_redirect_uri"),
    "too many": ({"redirect_uris": [f"{REDIRECT_URI}/{n}" for n in range(21)]}, "invalid_redirect_uri"),
    "redirect URIs that are text": ({"redirect_uris": REDIRECT_URI}, "invalid_client_metadata"),
    "redirect URIs that are numbers": ({"redirect_uris": [1]}, "invalid_client_metadata"),
    "an unknown method": ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
    "a method that is a number": ({"token_endpoint_auth_method": 1}, "invalid_client_metadata"),
    "no grant type": ({"grant_types": []}, "invalid_client_metadata"),
    "refresh alone": ({"grant_types": ["refresh_token"]}, "invalid_client_metadata"),
    "a machine without a secret": ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
    "implicit": ({"response_types": ["token"]}, "invalid_client_metadata"),
    "a name that is too long": ({"client_name": "x" * 201}, "invalid_client_metadata"),
    "a name with a control character": ({"client_name": "a\u202eb"}, "invalid_client_metadata"),
    "a flag that is text": ({"dpop_bound_access_tokens": "true"}, "invalid_client_metadata"),
    "an unknown format": ({"access_token_format": "saml"}, "invalid_client_metadata"),
}


@pytest.mark.parametrize(("sent", "error"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_client_is_refused(issuer, sent, error):
    good = {"redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none"}
    answer = _register(issuer, sent) if isinstance(sent, bytes) else _register(issuer, **{**good, **sent})

    assert (answer.status, answer.json()["error"]) == (400, error)
    assert answer.json()["error_description"].isascii()
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_body_that_is_too_large_is_refused(issuer):
    assert _register(issuer, b"{" + b" " * 3_000_000 + b"}").status == 400


TEXTS = st.sampled_from(
    ["", "x", "\0", "ü", "\u202e", "none", "opaque", "code", "https://[::1/", "x:", "http://[::1]:x/"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=2),
)
NAMES = st.sampled_from([name.name for name in fields(ClientMetadata)] + ["response_types"])


@given(st.binary() | st.dictionaries(NAMES, JSON).map(lambda document: json.dumps(document).encode()))
def test_no_document_makes_it_raise_anything_but_its_own_error(body):
    try:
        client = ClientMetadata.parse(body).client("id", None, frozenset())
    except MetadataError as refused:
        assert str(refused).isascii()  # noqa: PT017 - a document may be good too
    else:
        assert client.grant_types <= {"authorization_code", "client_credentials", "refresh_token"}

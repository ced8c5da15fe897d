"""Every answer of an introspection endpoint, over real HTTP: what it makes of the token, and what of the request."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.introspection.conftest import ACTIVE, NOW, OPAQUE, Api, Endpoint, answer

from resource_server.errors import AuthorizationError
from resource_server.keys.answer import Answer
from resource_server.keys.document import MAX_DOCUMENT_BYTES
from resource_server.tokens.policy import ClaimNames

# {sentence: (changes to a good answer, the outcome)}
ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "a good one": ({}, "200"),
    "no issuer": ({"iss": None}, "200"),
    "another issuer": ({"iss": "https://other.test/"}, "401 issuer_not_trusted"),
    "the issuer without its slash": ({"iss": "https://issuer.test"}, "401 issuer_not_trusted"),
    "an issuer that is a list": ({"iss": ["https://issuer.test/"]}, "401 iss_malformed"),
    "dates with a fraction": ({"exp": NOW + 0.5, "iat": NOW - 0.25, "nbf": NOW - 1.5}, "200"),
    "dates as text": ({"exp": str(NOW + 600)}, "401 exp_malformed"),
    "expired by our clock": ({"exp": NOW - 31}, "401 token_expired"),
    "not valid yet": ({"nbf": NOW + 60}, "401 token_not_yet_valid"),
    "no expiry": ({"exp": None}, "401 exp_missing"),
    "no audience": ({"aud": None}, "401 aud_missing"),
    "an audience that is null": ({"aud": ...}, "401 aud_missing"),
    "another audience": ({"aud": ["https://other.test/"]}, "401 audience_not_accepted"),
    "our audience among others": ({"aud": ["https://other.test/", "https://api.test/"]}, "200"),
    "a type in lower case": ({"token_type": "bearer"}, "200"),
    "a type in upper case": ({"token_type": "BEARER"}, "200"),
    "no type": ({"token_type": None}, "200"),
    "the kind as its type": ({"token_type": "access_token"}, "200"),
    "a refresh token by its type": ({"token_type": "refresh_token"}, "401 not_an_access_token"),
    "a refresh token by its use": ({"token_use": "refresh_token"}, "401 not_an_access_token"),
    "an access token by its use": ({"token_use": "access_token"}, "200"),
    "a use that is a list": ({"token_use": ["access_token"]}, "401 not_an_access_token"),
    "a type that is a list": ({"token_type": ["Bearer"]}, "401 not_an_access_token"),
    "a MAC token": ({"token_type": "mac"}, "401 not_an_access_token"),
    "a type that is a number": ({"token_type": 5}, "401 not_an_access_token"),
    "DPoP without the key": ({"token_type": "DPoP"}, "401 proof_not_supported"),
    "an unknown confirmation": ({"cnf": {"osc": "x"}}, "401 proof_not_supported"),
    "an ID token's claims": ({"at_hash": "x"}, "401 not_an_access_token"),
    "a person without a subject": ({"sub": None, "username": "ada"}, "401 sub_missing"),
    "no subject and no client": ({"sub": None, "client_id": None}, "401 sub_missing"),
    "a subject that is a number": ({"sub": 5}, "401 sub_malformed"),
    "a client that is a list": ({"client_id": ["client"]}, "401 client_id_malformed"),
    "scopes as a list": ({"scope": ["read", "write"]}, "200"),
    "scopes as a number": ({"scope": 5}, "401 scope_malformed"),
    "an inactive token": ({"active": False}, "401 token_inactive"),
    "an active token that is inactive in words": ({"active": "false"}, "503 document_malformed"),
    "active as a number": ({"active": 1}, "503 document_malformed"),
    "active as text": ({"active": "true"}, "503 document_malformed"),
    "active missing": ({"active": None}, "503 document_malformed"),
    "active with a capital": ({"active": None, "Active": True}, "503 document_malformed"),
    "an expiry with a capital": ({"exp": None, "Exp": NOW + 600}, "401 exp_missing"),
}

# {sentence: (status, header fields, body, the outcome)}
FAULTS: dict[str, tuple[str, tuple[str, ...], bytes, str]] = {
    "wrong credentials": ("401 Unauthorized", (), b'{"error":"invalid_client"}', "503 introspection_refused"),
    "wrong credentials with 400": ("400 Bad Request", (), b'{"error":"invalid_client"}', "503 introspection_refused"),
    "wrong credentials with 200": ("200 OK", (), b'{"error":"unauthorized_client"}', "503 introspection_refused"),
    "forbidden": ("403 Forbidden", (), b"", "503 introspection_refused"),
    "forbidden with a page": ("403 Forbidden", (), b"<html>no</html>", "503 introspection_refused"),
    "an empty body": ("200 OK", (), b"", "503 introspection_refused"),
    "a blank body": ("200 OK", (), b" \r\n", "503 introspection_refused"),
    # django-oauth-toolkit before version 2 (#698, #1011).
    "an unknown token with 401": ("401 Unauthorized", (), b'{"active": false}', "401 token_inactive"),
    "an unknown token with 404": ("404 Not Found", (), b'{"active": false, "x": 1}', "401 token_inactive"),
    "an inactive token and an error": (
        "401 Unauthorized",
        (),
        b'{"active":false,"error":"x"}',
        "503 introspection_refused",
    ),
    "an inactive token of a broken server": ("500 Oops", (), b'{"active": false}', "503 fetch_status"),
    "an active token with 401": ("401 Unauthorized", (), answer(), "503 introspection_refused"),
    "inactive as a number with 401": ("401 Unauthorized", (), b'{"active": 0}', "503 introspection_refused"),
    "another error": ("400 Bad Request", (), b'{"error":"invalid_request"}', "503 fetch_status"),
    "no such page": ("404 Not Found", (), b"{}", "503 fetch_status"),
    "a redirect": ("302 Found", ("Location: /introspect?again",), b"", "503 fetch_status"),
    "not modified": ("304 Not Modified", (), b"", "503 fetch_status"),
    "too many requests": ("429 Too Many Requests", ("Retry-After: 7",), b"", "503 fetch_status"),
    "broken": ("500 Internal Server Error", (), answer(), "503 fetch_status"),
    "created": ("201 Created", (), answer(), "503 fetch_status"),
    "a page": ("200 OK", ("Content-Type: text/html",), b"<html>sign in</html>", "503 document_malformed"),
    "a list": ("200 OK", (), b"[" + answer() + b"]", "503 document_malformed"),
    "no JSON": ("200 OK", (), b"active=true", "503 document_malformed"),
    "active twice": ("200 OK", (), b'{"active":false,' + answer()[1:], "503 document_malformed"),
    "the subject twice": ("200 OK", (), b'{"sub":"eve",' + answer()[1:], "503 document_malformed"),
    "no number": ("200 OK", (), answer()[:-1] + b',"x":NaN}', "503 document_malformed"),
    "a number of 5000 digits": ("200 OK", (), answer()[:-1] + b',"x":' + b"1" * 5000 + b"}", "503 document_malformed"),
    "too deep": ("200 OK", (), answer()[:-1] + b',"x":' + b"[" * 40 + b"]" * 40 + b"}", "503 document_malformed"),
    "too large": ("200 OK", (), answer() + b" " * MAX_DOCUMENT_BYTES, "503 document_too_large"),
    "a signed answer that was not asked for": ("200 OK", (), b"e30.e30.c2ln", "503 document_malformed"),
    "after a byte order mark": ("200 OK", (), b"\xef\xbb\xbf" + answer(), "200"),
    "without a content type": ("200 OK", (), answer(), "200"),
}


@pytest.mark.parametrize(("changes", "outcome"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer(endpoint: Endpoint, api: Api, changes: dict[str, Any], outcome: str) -> None:
    body = json.dumps({
        name: None if value is ... else value for name, value in {**ACTIVE, **changes}.items() if value is not None
    })  # fmt: skip
    endpoint.body = body.encode()
    assert api.outcome() == outcome
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(("status", "fields", "body", "outcome"), FAULTS.values(), ids=FAULTS)
def test_a_fault(endpoint: Endpoint, api: Api, status: str, fields: tuple[str, ...], body: bytes, outcome: str) -> None:
    endpoint.status, endpoint.fields, endpoint.body = status, fields, body
    assert api.outcome() == outcome


def test_the_token_of_a_person(endpoint: Endpoint, api: Api) -> None:
    token = api.token()
    assert (token.issuer, token.subject, token.audience) == (ACTIVE["iss"], "auth0|ada", ("https://api.test/",))
    assert (token.scopes, token.client_id) == ({"read", "write"}, "client")
    assert (token.issued_at, token.expires_at, token.is_machine) == (NOW, NOW + 600, False)
    assert token.claims["token_type"] == "Bearer"


def test_the_claims_of_an_answer_without_issuer_are_those_of_the_issuer_that_was_asked(
    endpoint: Endpoint, api: Api
) -> None:
    endpoint.body = answer(iss=None)
    assert (api.token().issuer, api.token().claims["iss"]) == ("https://issuer.test/", "https://issuer.test/")


def test_a_machine_without_a_subject_is_its_client_and_no_person_of_that_name(endpoint: Endpoint, api: Api) -> None:
    endpoint.body = answer(sub=None)
    machine = api.token("of-a-machine")
    endpoint.body = answer(sub="client", username="client", client_id="another")
    person = api.token("of-a-person")
    assert (machine.subject, machine.client_id, machine.is_machine) == ("client", "client", True)
    assert (person.subject, person.is_machine) == ("client", False)
    assert machine.identity != person.identity


def test_a_person_who_chose_the_name_of_a_client_is_no_machine(endpoint: Endpoint) -> None:
    # The answers of django-oauth-toolkit, of which a person chooses the username.
    api = Api(endpoint.url, may_lack=frozenset({"aud"}), members={"claim_names": ClaimNames(subject="username")})
    toolkit = {"active": True, "scope": "read", "exp": NOW + 600, "client_id": "client"}
    endpoint.body = json.dumps(toolkit).encode()
    machine = api.token("of-a-machine")
    endpoint.body = json.dumps({**toolkit, "username": "client"}).encode()
    person = api.token("of-a-person")
    assert (machine.subject, machine.is_machine, person.subject, person.is_machine) == ("client", True, "client", False)
    assert machine.identity != person.identity


def test_what_may_be_lacking_is_named(endpoint: Endpoint) -> None:
    endpoint.body = answer(aud=None, exp=None)
    api = Api(endpoint.url, may_lack=frozenset({"aud", "exp"}))
    token = api.token()
    assert (token.audience, token.expires_at) == (("https://api.test/",), NOW + 60)


def test_what_may_be_lacking_is_judged_if_it_is_there(endpoint: Endpoint) -> None:
    api = Api(endpoint.url, may_lack=frozenset({"aud", "exp"}))
    endpoint.body = answer(aud="https://other.test/")
    assert api.refusal("one") == "401 audience_not_accepted"
    endpoint.body = answer(exp=NOW - 60)
    assert api.refusal("two") == "401 token_expired"


# Issuers that send each member of RFC 7662, empty where they do not know it. {sentence: (changes, outcome)}
EMPTY: dict[str, tuple[dict[str, Any], str]] = {
    "no audience, as Hydra says it": ({"aud": []}, "aud_missing"),
    "no audience in text": ({"aud": ""}, "aud_missing"),
    "no issuer": ({"iss": ""}, "auth0|ada"),
    "no client": ({"client_id": ""}, "auth0|ada"),
    "no type": ({"token_type": ""}, "auth0|ada"),
    "a machine, as oxAuth says it": ({"sub": "", "jti": "", "scope": ["read"]}, "client"),
    "a person without a subject": ({"sub": "", "username": "ada"}, "sub_missing"),
    "nobody": ({"sub": "", "client_id": ""}, "sub_missing"),
    "a person whose name is empty": ({"sub": "", "username": ""}, "sub_missing"),
    "a key that is empty": ({"cnf": {}}, "cnf_malformed"),
    "a use that is empty": ({"token_use": ""}, "not_an_access_token"),
}


@pytest.mark.parametrize(("changes", "expected"), EMPTY.values(), ids=EMPTY)
def test_an_empty_member_is_absent(endpoint: Endpoint, api: Api, changes: dict[str, Any], expected: str) -> None:
    """Reported to oxAuth as #1499: a machine's token has an empty `sub`."""
    endpoint.body = answer(**changes)
    try:
        found = api.token().subject
    except AuthorizationError as error:
        found = str(error.reason)
    assert found == expected


@pytest.mark.parametrize("audience", [[], "", None], ids=["a list", "a text", "null"])
def test_an_empty_audience_may_be_lacking(endpoint: Endpoint, audience: object) -> None:
    endpoint.body = json.dumps({**ACTIVE, "aud": audience}).encode()
    assert Api(endpoint.url, may_lack=frozenset({"aud"})).token().audience == ("https://api.test/",)


def test_an_empty_subject_that_a_person_chose_is_no_machine(endpoint: Endpoint) -> None:
    api = Api(endpoint.url, members={"claim_names": ClaimNames(subject="username")})
    endpoint.body = answer(sub=None, username="")
    assert api.refusal() == "401 sub_malformed"


@pytest.mark.parametrize(
    ("sent", "handed_on"),
    [("7", 7), ("99999999", 600), ("Fri, 31 Dec 9999 23:59:59 GMT", 600)],
    ids=["7", "long", "date"],
)
def test_retry_after_is_handed_on_within_reason(endpoint: Endpoint, api: Api, sent: str, handed_on: int) -> None:
    from resource_server.errors import Unavailable

    endpoint.status, endpoint.fields = "503 Service Unavailable", (f"Retry-After: {sent}",)
    with pytest.raises(Unavailable) as caught:
        api.token()
    assert caught.value.retry_after == handed_on
    assert caught.value.outcome == f"{endpoint.url}: answered 503"


@pytest.mark.parametrize(("status", "body"), [("401 Unauthorized", b"{}"), ("200 OK", b"")])
def test_the_operator_reads_once_a_minute_that_the_credentials_are_refused(
    endpoint: Endpoint, api: Api, caplog: pytest.LogCaptureFixture, status: str, body: bytes
) -> None:
    endpoint.status, endpoint.body = status, body
    with caplog.at_level(logging.ERROR, "resource_server"):
        for number in range(3):
            assert api.refusal(f"{OPAQUE}{number}") == "503 introspection_refused"
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        api.clock += 60
        api.refusal("another")
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    text = caplog.records[0].getMessage()
    assert "https://issuer.test/" in text
    assert endpoint.url in text
    assert "the secret" not in caplog.text
    assert OPAQUE not in caplog.text


def test_the_operator_reads_once_a_minute_why_the_endpoint_gives_no_answer(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    closed = Api("http://127.0.0.1:1/introspect?key=value")
    with caplog.at_level(logging.WARNING, "resource_server"):
        for number in range(3):
            assert closed.refusal(f"{OPAQUE}{number}") == "503 fetch_failed"
        closed.clock += 60
        closed.refusal("another")
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert caplog.records[0].getMessage() == (
        "issuer https://issuer.test/, INTROSPECTION: issuer cannot be reached (fetch_failed) "
        "http://127.0.0.1:1/introspect?...: connection refused"
    )
    assert OPAQUE not in caplog.text


def test_a_server_that_cannot_be_reached_is_no_verdict(api: Api, endpoint: Endpoint) -> None:
    closed = Api("http://127.0.0.1:1/introspect")
    assert closed.refusal() == "503 fetch_failed"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = [*ACTIVE, "nbf", "cnf", "token_use", "username", "typ", "scp", "azp", "jti", "acr", "idtyp", "gty", "nonce"]


@given(changes=st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=3), lacking=st.booleans())
@settings(deadline=None, max_examples=300)
def test_any_member_of_any_form_is_a_verdict_and_no_500(changes: dict[str, Any], lacking: bool) -> None:
    body = json.dumps({**ACTIVE, **changes}).encode()
    may_lack = frozenset({"aud", "exp"}) if lacking else frozenset()
    api = Api("https://issuer.test/introspect", may_lack=may_lack, post=lambda url, **_: Answer(status=200, body=body))
    assert api.outcome()[:3] in ("200", "401", "503")


@given(body=st.binary(max_size=200), status=st.integers(200, 599), signed=st.booleans())
@settings(deadline=None, max_examples=200)
def test_any_body_is_a_verdict_and_no_yes(body: bytes, status: int, signed: bool) -> None:
    sent = Answer(status=status, body=body)
    api = Api("https://issuer.test/introspect", signed=signed, post=lambda url, **_: sent)
    assert api.outcome()[:3] in ("401", "503")

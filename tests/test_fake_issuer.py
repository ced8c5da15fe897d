"""`FakeIssuer`: several of one test, also where the address of one is the beginning of another's, and introspection."""

from itertools import permutations

import pytest
from django.test import Client
from tests.bound.conftest import EDGES

from resource_server import verify
from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import InvalidToken, Unavailable
from resource_server.testing import FakeIssuer, ProofKey

KEYS = [SigningKeys("ES256") for _ in range(3)]
ADDRESSES = {
    "a host and a path": ("https://login.test", "https://login.test/a", "https://login.test/a/b"),
    "with slashes": ("https://login.test/", "https://login.test/a/", "https://login.test/a/b/"),
    "with some": ("https://login.test/", "https://login.test/a", "https://login.test/a/b/"),
    "names of realms": ("https://login.test/realms/staff", "https://login.test/realms/staff2", "https://login.test/r"),
    "names of hosts": ("https://login.test", "https://login.test.example.com", "https://login.test:8443"),
}
ORDERS = [
    pytest.param(order, id=f"{name}: {' '.join(str(addresses.index(each)) for each in order)}")
    for name, addresses in ADDRESSES.items()
    for order in permutations(addresses)
]


@pytest.fixture
def issuers(request, settings):
    """An issuer for each address, all trusted and served; each has keys of its own."""
    made = [FakeIssuer(address, algorithm="ES256") for address in request.param]
    for issuer, keys in zip(made, KEYS, strict=True):
        issuer.keys = keys
    settings.RESOURCE_SERVER = {"ISSUERS": [issuer.settings() for issuer in made]}
    first, *others = made
    with first.serving(*others):
        yield made


@pytest.mark.parametrize("issuers", ORDERS, indirect=True)
def test_each_issuer_serves_its_own_documents(issuers):
    for issuer in issuers:
        assert verify(issuer.token()).issuer == issuer.issuer
        assert len(issuer.fetched) == 2  # its metadata, and its keys
    for issuer in issuers:
        for other in issuers:
            if other is not issuer:
                with pytest.raises(InvalidToken) as refused:
                    verify(issuer.token(iss=other.issuer, kid=None))
                assert refused.value.reason == "key_unknown"


@pytest.mark.parametrize(("name", "meant"), {"audience": "aud", "subject": "sub", "issuer": "iss"}.items())
def test_a_claim_by_another_name_is_an_error(name, meant):
    issuer = FakeIssuer(algorithm="ES256")
    for make in (issuer.token, issuer.claims):
        with pytest.raises(TypeError, match=f"the claim is '{meant}', not '{name}'"):
            make(**{name: "x"})


@pytest.mark.parametrize("issuers", ORDERS, indirect=True)
def test_the_failure_of_one_issuer_is_no_other_issuers(issuers):
    for issuer in issuers:
        issuer.failure = "fetch_timeout"
        with pytest.raises(Unavailable) as failed:
            verify(issuer.token())
        assert failed.value.reason == "fetch_timeout"
        issuer.failure = None
    # The others were not asked for it.
    assert [len(issuer.fetched) for issuer in issuers] == [1, 1, 1]


@pytest.mark.parametrize("issuers", [ADDRESSES["a host and a path"]], indirect=True)
def test_documents_and_failures_at_other_addresses_are_the_issuers_that_have_them(issuers, settings):
    host, _path, deeper = issuers
    deeper.documents["https://login.test/keys"] = b"not JSON"
    settings.RESOURCE_SERVER = deeper.settings(JWKS_URI="https://login.test/keys")
    with pytest.raises(Unavailable) as failed:
        verify(deeper.token())
    assert failed.value.reason == "document_malformed"
    deeper.failures["https://login.test/elsewhere"] = "fetch_timeout"
    settings.RESOURCE_SERVER = deeper.settings(JWKS_URI="https://login.test/elsewhere")
    with pytest.raises(Unavailable) as failed:
        verify(deeper.token())
    assert failed.value.reason == "fetch_timeout"
    assert host.fetched == []


@pytest.mark.parametrize("issuers", [ADDRESSES["a host and a path"]], indirect=True)
def test_an_address_that_none_has_is_a_fetch_of_the_nearest(issuers, settings):
    *_others, deeper = issuers
    settings.RESOURCE_SERVER = deeper.settings(JWKS_URI="https://login.test/a/b/none")
    with pytest.raises(Unavailable) as failed:
        verify(deeper.token())
    assert failed.value.reason == "fetch_status"
    assert [issuer.fetched for issuer in issuers] == [[], [], ["https://login.test/a/b/none"]]


# Introspection


@pytest.fixture
def asked(settings):
    """An issuer that is asked about opaque tokens, at views that demand the scope `read`."""
    issuer = FakeIssuer(algorithm="ES256")
    settings.ROOT_URLCONF = "tests.bound.views"
    settings.RESOURCE_SERVER = issuer.settings(INTROSPECTION=issuer.introspection())
    with issuer.serving():
        yield issuer


def outcome(token, edge="plain", **headers):
    response = Client().get(f"/{edge}", headers={"Authorization": f"Bearer {token}", **headers})
    return response.status_code, response.json().get("reason")


@pytest.mark.parametrize("edge", EDGES)
def test_an_opaque_token_passes_until_it_is_revoked(asked, edge):
    token = asked.opaque_token(scope="read")
    assert [outcome(token, edge) for _ in range(2)] == [(200, None)] * 2
    assert asked.fetched == [asked.introspection_endpoint] * 2
    asked.revoke(token)
    assert outcome(token, edge) == (401, "token_inactive")
    assert outcome("unknown", edge) == (401, "token_inactive")


OPAQUE = {
    "a person": ({}, None),
    "another audience": ({"aud": "https://other.test/"}, "audience_not_accepted"),
    "expired": ({"exp": 1}, "token_inactive"),
    "without exp": ({"exp": None}, "exp_missing"),
    "of another issuer": ({"iss": "https://other.test/"}, "issuer_not_trusted"),
    "without sub": ({"sub": None}, None),
    "a refresh token": ({"token_type": "refresh_token"}, "not_an_access_token"),
    "bound, and DPoP is off": ({"cnf": {"jkt": "A" * 43}}, "proof_not_supported"),
}


@pytest.mark.parametrize(("claims", "reason"), OPAQUE.values(), ids=OPAQUE)
def test_the_claims_of_an_opaque_token_are_judged(asked, claims, reason):
    assert outcome(asked.opaque_token(scope="read", **claims))[1] == reason


def test_an_opaque_token_that_is_bound_to_a_key(asked, settings):
    more = {"DPOP": "allowed", "PUBLIC_ORIGIN": "https://api.test", "CACHE": "default"}
    settings.RESOURCE_SERVER = asked.settings(INTROSPECTION=asked.introspection(), **more)
    key = ProofKey()
    token = asked.opaque_token(scope="read", cnf=key.confirmation)
    headers = key.headers("GET", "https://api.test/plain", token)
    assert outcome(token, **headers) == (200, None)
    assert outcome(token, **headers) == (401, "proof_replayed")
    assert outcome(token) == (401, "token_bound_to_key")
    asked.revoke(token)
    assert outcome(token, **key.headers("GET", "https://api.test/plain", token)) == (401, "token_inactive")


@pytest.mark.parametrize("changes", [{}, {"AUTH": "client_secret_post"}, {"SIGNED": True}, {"ENDPOINT": None}])
def test_each_way_to_ask(asked, settings, changes):
    settings.RESOURCE_SERVER = asked.settings(INTROSPECTION=asked.introspection(**changes))
    token = asked.opaque_token(scope="read")
    assert outcome(token) == (200, None)
    asked.revoke(token)
    assert outcome(token) == (401, "token_inactive")


def test_a_jwt_is_asked_about_if_the_settings_say_so(asked, settings):
    token, forged = asked.token(scope="read"), FakeIssuer(algorithm="ES256").token(scope="read", kid=None)
    asked.revoke(token)
    assert outcome(token) == (200, None)
    settings.RESOURCE_SERVER = asked.settings(INTROSPECTION=asked.introspection(FOR="all"))
    assert outcome(token) == (401, "token_inactive")
    assert outcome(asked.token(scope="read", jti="another")) == (200, None)
    assert outcome(forged) == (401, "token_inactive")


@pytest.mark.parametrize("changes", [{"CLIENT_SECRET": "x"}, {"CLIENT_ID": "x", "AUTH": "client_secret_post"}])
def test_another_client_is_not_answered(asked, settings, changes):
    settings.RESOURCE_SERVER = asked.settings(INTROSPECTION=asked.introspection(**changes))
    assert outcome(asked.opaque_token(scope="read")) == (503, "introspection_refused")


def test_an_issuer_that_is_asked_can_be_down(asked, settings):
    asked.failures[asked.introspection_endpoint] = "fetch_timeout"
    assert outcome(asked.opaque_token(scope="read")) == (503, "fetch_timeout")
    assert outcome(asked.token(scope="read")) == (200, None)
    settings.RESOURCE_SERVER = asked.settings(INTROSPECTION=asked.introspection(ENDPOINT=asked.jwks_uri))
    assert outcome(asked.opaque_token(scope="read")) == (503, "fetch_status")


def test_an_answer_is_remembered_as_the_settings_say(asked, settings):
    settings.RESOURCE_SERVER = asked.settings(INTROSPECTION=asked.introspection(CACHE_SECONDS=60))
    token = asked.opaque_token(scope="read")
    assert outcome(token) == (200, None)
    asked.revoke(token)
    assert outcome(token) == (200, None)
    assert len(asked.fetched) == 1


def test_each_of_several_issuers_is_asked_about_its_own_tokens(settings):
    one, other = (FakeIssuer(f"https://login.test/{name}", algorithm="ES256") for name in ("a", "a/b"))
    entries = [each.settings(INTROSPECTION=each.introspection(FOR="all")) for each in (one, other)]
    settings.ROOT_URLCONF = "tests.bound.views"
    settings.RESOURCE_SERVER = {"ISSUERS": entries}
    with one.serving(other):
        tokens = [each.token(scope="read") for each in (one, other)]
        assert [outcome(token) for token in tokens] == [(200, None)] * 2
        other.revoke(tokens[1])
        assert outcome(tokens[0]) == (200, None)
        assert outcome(tokens[1]) == (401, "token_inactive")
    assert set(one.fetched) == {one.introspection_endpoint}
    assert set(other.fetched) == {other.introspection_endpoint}

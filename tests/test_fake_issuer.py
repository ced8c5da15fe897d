"""Several issuers of one test, also where the address of one is the beginning of another's."""

from itertools import permutations

import pytest

from resource_server import verify
from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import InvalidToken, Unavailable
from resource_server.testing import FakeIssuer

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

"""Answers of a broken or hostile server: none becomes a 500, costs a good key, or directs a fetch elsewhere."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.keys.simulation import DAY, HOUR, ISSUER, JWKS, MINUTE, OAUTH, OPENID, Fault, Simulation

from resource_server.devissuer.signing import SigningKeys
from resource_server.reasons import UnavailableReason

GOOD = SigningKeys("ES256")
(MEMBER,) = GOOD.jwks()["keys"]
RSA = {"kty": "RSA", "e": "AQAB", "kid": "rsa"}

# {sentence: (the answer at an address, reason)}. test_http.py tests status, size and time.
FAULTS = {
    "404": (Fault(reason="fetch_status"), "fetch_status"),
    "429 with Retry-After": (Fault(reason="fetch_status", retry_after=3), "fetch_status"),
    "500": (Fault(reason="fetch_status"), "fetch_status"),
    "a redirect": (Fault(reason="fetch_status"), "fetch_status"),
    "10 MB": (Fault(reason="document_too_large"), "document_too_large"),
    "one byte per second": (Fault(takes=DAY), "fetch_timeout"),
    "no connection": (Fault(reason="fetch_failed"), "fetch_failed"),
    "an address on this machine": (Fault(reason="address_not_allowed"), "address_not_allowed"),
    "HTML": (Fault(body=b"<html>sign in</html>"), "document_malformed"),
    "nothing": (Fault(body=b""), "document_malformed"),
    "half a document": (Fault(body=json.dumps({"keys": [MEMBER]}).encode()[:-9]), "document_malformed"),
    "two documents": (Fault(body=b"{}{}"), "document_malformed"),
    "a list": (Fault(body=b"[]"), "document_malformed"),
    "a string": (Fault(body=b'"keys"'), "document_malformed"),
    "null": (Fault(body=b"null"), "document_malformed"),
    "NaN": (Fault(body=b'{"issuer": NaN}'), "document_malformed"),
    "a number of 100,000 digits": (Fault(body=b'{"issuer": 1%s}' % (b"0" * 100_000)), "document_malformed"),
    "100,000 brackets": (Fault(body=b'{"keys": ' + b"[" * 100_000), "document_malformed"),
    "a deep tree": (Fault(body=b'{"keys": ' + b"[" * 1000 + b"]" * 1000 + b"}"), "document_malformed"),
    "a name twice": (
        Fault(body=b'{"issuer":"https://evil.test/","issuer":"https://issuer.test/","keys":[],"keys":[]}'),
        "document_malformed",
    ),
    "a member of a key twice": (
        Fault(body=json.dumps({"keys": [MEMBER]}).replace('"kty"', '"kty": "EC", "kty"').encode()),
        "document_malformed",
    ),
    "two byte order marks": (Fault(body=b"\xef\xbb\xbf\xef\xbb\xbf{}"), "document_malformed"),
    "a byte order mark within": (Fault(body=b"{\xef\xbb\xbf}"), "document_malformed"),
    "latin-1": (Fault(body=b'{"issuer":"\xe9"}'), "document_malformed"),
    "UTF-16": (Fault(body='{"keys": []}'.encode("utf-16")), "document_malformed"),
    "a lone surrogate": (Fault(body=b'{"issuer": "\\ud800", "keys": []}'), "document_malformed"),
    "a gzip bomb": (Fault(body=gzip.compress(b"0" * 10_000_000)), "document_malformed"),
}


@pytest.mark.parametrize("urls", [(OPENID, OAUTH), (JWKS,)], ids=["metadata", "key set"])
@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_the_issuers_and_costs_no_known_key(urls: tuple[str, ...], fault: Fault, reason: str) -> None:
    cold = Simulation()
    cold.faults = dict.fromkeys(urls, fault)
    error = cold.unavailable(cold.token())
    assert (error.reason, error.status) == (reason, 503)
    assert 1 <= error.retry_after <= 4
    cold.faults.clear()
    cold.advance(error.retry_after)
    assert cold.refusal(cold.token()) is None, "the first good fetch is used at once"

    warm = Simulation()
    token = warm.token()
    warm.verify(token)
    warm.faults = dict.fromkeys(urls, fault)
    assert set(warm.spend(3 * HOUR, token)) == {None}
    assert len(warm.fetched()) <= 3 * (3 * HOUR / 45 + 10)
    warm.faults.clear()
    warm.advance(80)
    assert warm.keys.failure is None


# {sentence: (members of the metadata, reason)}
METADATA = {
    "another issuer": ({"issuer": "https://evil.test/"}, "metadata_issuer_mismatch"),
    "the issuer without its slash": ({"issuer": "https://issuer.test"}, "metadata_issuer_mismatch"),
    "the issuer in capitals": ({"issuer": "https://ISSUER.test/"}, "metadata_issuer_mismatch"),
    "a letter that Unicode normalises to the right one": (
        {"issuer": "https://\uff49ssuer.test/"},
        "metadata_issuer_mismatch",
    ),
    "a list with the issuer": ({"issuer": ["https://issuer.test/"]}, "metadata_issuer_mismatch"),
    "no jwks_uri": ({"jwks_uri": None}, "address_not_allowed"),
    "an http jwks_uri": ({"jwks_uri": "http://issuer.test/jwks.json"}, "address_not_allowed"),
    "an http jwks_uri on loopback": ({"jwks_uri": "http://127.0.0.1/jwks.json"}, "address_not_allowed"),
    "an https jwks_uri on loopback": ({"jwks_uri": "https://127.0.0.1/jwks.json"}, "address_not_allowed"),
    "localhost": ({"jwks_uri": "https://localhost/jwks.json"}, "address_not_allowed"),
    "the metadata service of a cloud": ({"jwks_uri": "https://169.254.169.254/latest"}, "address_not_allowed"),
    "loopback of IPv6": ({"jwks_uri": "https://[::1]/jwks.json"}, "address_not_allowed"),
    "loopback of IPv4 in IPv6": ({"jwks_uri": "https://[::ffff:127.0.0.1]/jwks.json"}, "address_not_allowed"),
    "link-local of IPv6": ({"jwks_uri": "https://[fe80::1]/jwks.json"}, "address_not_allowed"),
    "no host at all": ({"jwks_uri": "https://0.0.0.0/jwks.json"}, "address_not_allowed"),
    "a file": ({"jwks_uri": "file:///etc/passwd"}, "address_not_allowed"),
    "data": ({"jwks_uri": "data:application/json,{}"}, "address_not_allowed"),
    "a relative jwks_uri": ({"jwks_uri": "/jwks.json"}, "address_not_allowed"),
    "userinfo": ({"jwks_uri": "https://issuer.test@evil.test/"}, "address_not_allowed"),
    "a jwks_uri that is a number": ({"jwks_uri": 1}, "address_not_allowed"),
    "a jwks_uri with a line break": ({"jwks_uri": "https://issuer.test/\r\nHost: evil"}, "address_not_allowed"),
    "a jwks_uri with a wrong port": ({"jwks_uri": "https://issuer.test:99999/"}, "address_not_allowed"),
    "a jwks_uri that is no address": ({"jwks_uri": "https://[::1"}, "address_not_allowed"),
}


@pytest.mark.parametrize(("change", "reason"), METADATA.values(), ids=METADATA)
def test_metadata_are_held_against_the_issuer(change: dict[str, Any], reason: str) -> None:
    simulation = Simulation()
    metadata = {name: value for name, value in {**simulation.issuer.metadata(), **change}.items() if value is not None}
    simulation.issuer.documents[OPENID] = json.dumps(metadata).encode()
    assert simulation.refusal(simulation.token()) == reason
    assert simulation.fetched() == [OPENID]


def test_keys_of_a_public_issuer_must_be_at_a_public_address() -> None:
    # The name in jwks_uri may be public and its address not: `public` has the fetcher check the connected address.
    simulation = Simulation()
    simulation.verify(simulation.token())
    assert [(fetch.url, fetch.public) for fetch in simulation.fetches] == [(OPENID, False), (JWKS, True)]

    at_home = Simulation()
    at_home.faults[OPENID] = Fault(body=json.dumps(at_home.issuer.metadata()).encode(), local=True)
    at_home.verify(at_home.token())
    assert [(fetch.url, fetch.public) for fetch in at_home.fetches] == [(OPENID, False), (JWKS, False)]


def test_the_other_metadata_are_held_against_the_issuer_too() -> None:
    simulation = Simulation()
    simulation.faults[OPENID] = Fault(reason="fetch_status")
    simulation.issuer.documents[OAUTH] = (
        b'{"issuer": "https://evil.test/", "jwks_uri": "https://issuer.test/jwks.json"}'
    )
    assert simulation.refusal(simulation.token()) == "metadata_issuer_mismatch"
    assert simulation.fetched() == [OPENID, OAUTH]


def test_a_server_that_wants_to_be_left_alone_is_not_asked_for_its_other_metadata() -> None:
    simulation = Simulation()
    simulation.faults[OPENID] = Fault(reason="fetch_status", retry_after=30)
    assert simulation.refusal(simulation.token()) == "fetch_status"
    assert simulation.fetched() == [OPENID]


# {sentence: a member of a key set that must not be used}
BAD_KEYS: dict[str, Any] = {
    "a number": 1,
    "null": None,
    "a list": [MEMBER],
    "a secret": {"kty": "oct", "k": "c2VjcmV0" * 8, "kid": "oct", "alg": "HS256"},
    "a private key": {**MEMBER, "kid": "private", "d": MEMBER["x"]},
    "a weak RSA key": {**RSA, "n": "v" * 171},
    "an unknown kty": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
    "broken base64": {**RSA, "n": "*" * 342},
    "a point off the curve": {**MEMBER, "x": MEMBER["y"], "kid": "off"},
    "a key for encryption": {**MEMBER, "use": "enc"},
    "a key that may only sign": {**MEMBER, "key_ops": ["sign"]},
    "a key for another algorithm": {**MEMBER, "alg": "HS256"},
    "a kid that is an object": {**MEMBER, "kid": {}},
    "a modulus of 200,000 digits": {**RSA, "n": "A" * 200_000},
}


@pytest.mark.parametrize("bad", BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_bad_key_is_skipped_alone_and_told_once(bad: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "resource_server")
    simulation = Simulation()
    simulation.issuer.documents[JWKS] = json.dumps({"keys": [bad, MEMBER]}).encode()
    token = simulation.token(GOOD)
    simulation.verify(token)
    assert set(simulation.spend(DAY, token, every=MINUTE)) == {None}
    lines = [line for line in caplog.messages if line.endswith("it is not used")]
    assert len(lines) == 1
    assert lines[0].startswith(f"issuer {ISSUER}: key 0: ")
    assert not any(str(value) in lines[0] for value in ("c2VjcmV0", "AAAA", "vvvv", "****"))


def test_a_bad_key_is_told_once_though_the_set_around_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "resource_server")
    simulation = Simulation()
    for keys in (GOOD, SigningKeys("ES256"), SigningKeys("ES256")):
        simulation.issuer.documents[JWKS] = json.dumps({"keys": [RSA, *keys.jwks()["keys"]]}).encode()
        simulation.advance(11 * MINUTE)
        simulation.verify(simulation.token(keys))
    assert sum("not used" in line for line in caplog.messages) == 1


# {sentence: key set without one usable key, reason}
NO_KEYS = {
    "no list": ({"keys": {}}, "document_malformed"),
    "no keys": ({}, "document_malformed"),
    "null": ({"keys": None}, "document_malformed"),
    "101 keys": ({"keys": [MEMBER] * 101}, "document_malformed"),
    "100,000 keys": ({"keys": [1] * 100_000}, "document_malformed"),
    "an empty list": ({"keys": []}, "key_set_without_keys"),
    "bad keys alone": ({"keys": list(BAD_KEYS.values())}, "key_set_without_keys"),
}


@pytest.mark.parametrize(("document", "reason"), NO_KEYS.values(), ids=NO_KEYS)
def test_a_set_without_usable_keys_replaces_nothing(document: Any, reason: str) -> None:
    simulation = Simulation()
    token = simulation.token()
    simulation.verify(token)
    simulation.issuer.documents[JWKS] = json.dumps(document).encode()
    assert set(simulation.spend(HOUR, token)) == {None}
    assert simulation.keys.failure == reason
    assert simulation.unavailable(simulation.token(GOOD)).reason == reason


def test_duplicate_kids_are_all_tried_and_duplicate_keys_count_once() -> None:
    other = SigningKeys("ES256")
    simulation = Simulation()
    same_name = {**other.jwks()["keys"][0], "kid": MEMBER["kid"]}
    simulation.issuer.documents[JWKS] = json.dumps({"keys": [MEMBER, MEMBER, same_name]}).encode()
    claims = simulation.issuer.claims()
    assert simulation.refusal(GOOD.sign(claims)) is None
    assert simulation.refusal(other.sign(claims, header={"kid": MEMBER["kid"]})) is None
    assert simulation.refusal(SigningKeys("ES256").sign(claims, header={"kid": MEMBER["kid"]})) == "signature_invalid"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
members = json_values | st.fixed_dictionaries(
    {},
    optional={
        "kty": st.sampled_from(["RSA", "EC", "OKP", "oct"]) | json_values,
        "crv": st.sampled_from(["P-256", "Ed25519"]) | json_values,
        "kid": st.text() | json_values,
        "x": st.text("AQab-_=", max_size=60) | json_values,
        "y": st.just(MEMBER["y"]) | json_values,
        "n": st.text("AQab-_", max_size=400) | json_values,
        "e": st.sampled_from(["AQAB", "AQ", ""]) | json_values,
        "use": st.sampled_from(["sig", "enc"]) | json_values,
        "alg": st.sampled_from(["ES256", "RS256"]) | json_values,
    },
)
documents = st.binary(max_size=60) | (
    json_values | st.fixed_dictionaries({"keys": st.lists(members, max_size=4), "issuer": st.just(ISSUER) | json_values, "jwks_uri": st.just(JWKS) | st.text() | json_values})
).map(lambda value: json.dumps(value).encode())  # fmt: skip


@settings(max_examples=300)
@given(openid=documents | st.none(), keys=documents, cache_control=st.text(max_size=30), age=st.integers(0, 10**9))
def test_no_answer_is_anything_but_an_error_of_ours(
    openid: bytes | None, keys: bytes, cache_control: str, age: int
) -> None:
    simulation = Simulation()
    if openid is not None:
        simulation.faults[OPENID] = Fault(body=openid, cache_control=cache_control, age_seconds=age)
    simulation.faults[JWKS] = Fault(body=keys, cache_control=cache_control, age_seconds=age)
    for _ in range(3):
        # The key of this token is not published.
        assert simulation.refusal(SIGNED) in {*UnavailableReason, "key_unknown", "signature_invalid"}
        simulation.advance(30)
    assert len(simulation.fetches) <= 10


SIGNED = Simulation().token()

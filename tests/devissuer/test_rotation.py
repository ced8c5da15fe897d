"""New keys on demand and by the clock, and each algorithm, as a verifier sees them over HTTP."""

import pytest

from resource_server.devissuer.issuer import Issuer, IssuerOptions
from resource_server.devissuer.server import _rotate
from resource_server.devissuer.signing import ALGORITHMS


def _kids(issuer):
    return [key["kid"] for key in issuer.jwks()["keys"]]


def _token(issuer):
    return issuer.machine().json()["access_token"]


def test_rotation_changes_the_key_and_keeps_the_old_one(run_issuer):
    issuer = run_issuer()
    [old] = _kids(issuer)
    before = _token(issuer)
    answer = issuer.post("/rotate")

    assert answer.status == 200
    new = answer.json()["kid"]
    assert answer.json() == {"kid": new, "algorithm": "RS256", "published": [old, new]}
    assert new != old
    assert _kids(issuer) == [old, new]
    assert issuer.verified(before).header["kid"] == old
    assert issuer.verified(_token(issuer)).header["kid"] == new


def test_older_keys_can_be_withdrawn(run_issuer):
    issuer = run_issuer("--algorithm", "ES256")
    issuer.post("/rotate")
    new = issuer.post("/rotate", {"withdraw": "older"}).json()["kid"]

    assert _kids(issuer) == [new]


def test_the_last_five_keys_are_published(run_issuer):
    issuer = run_issuer("--algorithm", "ES256")
    made = [issuer.post("/rotate").json()["kid"] for _ in range(7)]

    assert _kids(issuer) == made[-5:]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_can_be_asked_for(run_issuer, algorithm):
    issuer = run_issuer("--algorithm", "ES256")
    changed = issuer.post("/rotate", {"algorithm": algorithm, "withdraw": "older"}).json()
    token = issuer.verified(_token(issuer), algorithm)
    body = issuer.redeem(issuer.code()).json()
    identity = issuer.verified(body["id_token"], algorithm)

    assert changed["algorithm"] == algorithm
    assert token.header == {"alg": algorithm, "kid": changed["kid"], "typ": "at+jwt"}
    assert identity.header == {"alg": algorithm, "kid": changed["kid"], "typ": "JWT"}
    assert len(identity.claims["at_hash"]) == {"256": 22, "384": 32, "512": 43}.get(algorithm[2:], 43)
    metadata = issuer.get("/.well-known/openid-configuration").json()
    assert metadata["id_token_signing_alg_values_supported"] == [algorithm]


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA"])
def test_the_algorithm_is_an_option(run_issuer, algorithm):
    issuer = run_issuer("--algorithm", algorithm)

    assert issuer.verified(_token(issuer), algorithm).header["alg"] == algorithm


@pytest.mark.parametrize(
    "fields", [{"algorithm": "HS256"}, {"algorithm": "none"}, {"algorithm": ""}, {"withdraw": "all"}, {"withdraw": ""}]
)
def test_what_cannot_be_asked_for_is_refused(issuer, fields):
    before = _kids(issuer)
    answer = issuer.post("/rotate", fields)

    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")
    assert _kids(issuer) == before


def test_a_page_elsewhere_cannot_rotate(issuer):
    before = _kids(issuer)
    answer = issuer.post("/rotate", {}, {"Origin": "https://attacker.example"})

    assert (answer.status, answer.json()["error"]) == (403, "access_denied")
    assert _kids(issuer) == before


def test_the_clock_rotates_until_it_is_stopped():
    class Clock:
        waited: list[float] = []

        def wait(self, seconds: float) -> bool:
            self.waited.append(seconds)
            return len(self.waited) > 2

    issuer = Issuer(IssuerOptions(issuer="http://127.0.0.1", algorithm="ES256"))
    first = issuer.keys.current_kid
    _rotate(issuer, 30, Clock())

    published = [key["kid"] for key in issuer.keys.jwks()["keys"]]
    assert Clock.waited == [30, 30, 30]
    assert len(published) == 3
    assert published[0] == first

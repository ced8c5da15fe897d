"""Keys that change while the API runs: a new one serves at once, an old one as long as it is published."""

from tests.interop.conftest import Get, Trust
from tests.interop.oidc_provider import ALGORITHMS, OidcProvider, resource


def tokens(issuer: OidcProvider) -> list[str]:
    return [issuer.token(algorithm) for algorithm in ALGORITHMS]


def test_rotation(own_issuer: OidcProvider, trust: Trust, get: Get) -> None:
    all_pass = [200] * len(ALGORITHMS)
    trust(own_issuer, AUDIENCE=[resource(algorithm) for algorithm in ALGORITHMS])
    first = tokens(own_issuer)
    assert [get(token).status_code for token in first] == all_pass

    own_issuer.rotate()
    second = tokens(own_issuer)
    assert [get(token).status_code for token in second] == all_pass
    assert [get(token).status_code for token in first] == all_pass

    # The refresh that the newest kid causes brings a set without the first keys.
    own_issuer.withdraw()
    own_issuer.rotate()
    assert [get(token).status_code for token in tokens(own_issuer)] == all_pass
    assert [get(token).status_code for token in second] == all_pass
    for token in first:
        answer = get(token)
        assert answer.status_code == 401
        assert answer.json()["reason"] == "key_unknown"
        assert 'error="invalid_token"' in answer["WWW-Authenticate"]

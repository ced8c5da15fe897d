"""oidc-provider is killed: a known key goes on serving, and who knows none has no verdict."""

import pytest
from tests.interop.conftest import Get, Trust
from tests.interop.oidc_provider import ALGORITHMS, OidcProvider, resource

from resource_server import server


def test_outage(own_issuer: OidcProvider, trust: Trust, get: Get) -> None:
    trust(own_issuer, AUDIENCE=[resource(algorithm) for algorithm in ALGORITHMS])
    tokens = [own_issuer.token(algorithm) for algorithm in ALGORITHMS]
    unseen = [own_issuer.token(algorithm) for algorithm in ALGORITHMS]
    assert [get(token).status_code for token in tokens] == [200] * len(ALGORITHMS)

    own_issuer.stop()
    # Tokens that were verified before, and others under the same keys.
    assert [get(token).status_code for token in [*tokens, *unseen]] == [200] * 2 * len(ALGORITHMS)

    server.forget()  # as a process that starts now
    for token in tokens:
        answer = get(token)
        assert answer.status_code == 503
        assert answer.json()["reason"] == "fetch_failed"
        assert int(answer["Retry-After"]) >= 1
        assert "WWW-Authenticate" not in answer


@pytest.mark.parametrize("scope", ["write", ""], ids=["another scope", "no scope"])
def test_rights_are_still_judged(own_issuer: OidcProvider, trust: Trust, get: Get, scope: str) -> None:
    trust(own_issuer)
    good, poor = own_issuer.token("RS256"), own_issuer.token("RS256", scope)
    assert get(good).status_code == 200

    own_issuer.stop()
    assert get(poor).status_code == 403

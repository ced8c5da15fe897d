"""Issuers that a function knows, each with its own DPOP: who passes, and which schemes the challenge offers."""

import re

import pytest
from tests.bound.conftest import ORIGIN
from tests.bound.test_requests import passed, refused

from resource_server.server import current
from resource_server.testing import FakeIssuer

TENANTS = {rule: FakeIssuer(f"https://{rule}.test/", algorithm="ES256") for rule in ("off", "allowed", "required")}


def tenants(issuer):
    for rule, tenant in TENANTS.items():
        if issuer == tenant.issuer:
            return {"ISSUER": issuer, "JWKS": tenant.keys.jwks(), **({"DPOP": rule} if rule != "off" else {})}
    return None


@pytest.fixture
def trust(api, settings):
    """Trust the issuers of the function, with settings beside it."""

    def change(**changes):
        common = {"AUDIENCE": api.issuer.audience, "PUBLIC_ORIGIN": ORIGIN, "CACHE": "default", **changes}
        given = {name: value for name, value in common.items() if value is not None}
        settings.RESOURCE_SERVER = {"ISSUERS": f"{__name__}.tenants", **given}

    change()
    return change


def offered(response):
    return re.findall(r"(?:^|, )(Bearer|DPoP) realm=", response["WWW-Authenticate"])


def with_error(response):
    """The scheme whose challenge has the error."""
    (scheme,) = re.findall(r'(Bearer|DPoP) realm="api", error=', response["WWW-Authenticate"])
    return scheme


def test_each_issuer_has_its_own_rule(api, trust):
    for rule, tenant in TENANTS.items():
        bound, bearer = tenant.token(scope="read", cnf=api.key.confirmation), tenant.token(scope="read")
        response, plain = api.call(bound), api.get({"Authorization": f"Bearer {bearer}"})
        assert refused(response, "proof_not_supported") if rule == "off" else passed(response)
        assert refused(plain, "token_not_bound") if rule == "required" else passed(plain)
        for answer in (plain,) if rule == "required" else (response,) if rule == "off" else ():
            assert offered(answer) == (["DPoP", "Bearer"] if rule == "off" else ["Bearer", "DPoP"])


def test_the_challenge_offers_dpop_to_clients_of_issuers_that_want_it(api, trust):
    tenant = TENANTS["allowed"]
    bound = tenant.token(scope="read", cnf=api.key.confirmation)
    headers = api.headers(bound)
    assert passed(api.get(headers))
    replayed = api.get(headers)
    assert refused(replayed, "proof_replayed")
    assert (offered(replayed), with_error(replayed)) == (["DPoP", "Bearer"], "DPoP")
    stolen = api.get({"Authorization": f"Bearer {bound}"})
    assert refused(stolen, "token_bound_to_key")
    assert (offered(stolen), with_error(stolen)) == (["Bearer", "DPoP"], "Bearer")
    expired = api.get({"Authorization": f"Bearer {tenant.token(exp=1)}"})
    assert refused(expired, "token_expired")
    assert offered(expired) == ["Bearer"]


def test_a_nonce_is_demanded_under_dpop(api, trust):
    trust(DPOP_NONCE="required")
    token = TENANTS["required"].token(scope="read", cnf=api.key.confirmation)
    response = api.call(token)
    assert refused(response, "nonce_missing")
    assert with_error(response) == "DPoP"
    assert passed(api.call(token, nonce=response["DPoP-Nonce"]))


@pytest.mark.parametrize(("rule", "schemes"), [(None, ["Bearer"]), ("allowed", ["Bearer", "DPoP"])])
def test_without_a_token_the_setting_beside_the_function_decides(api, trust, rule, schemes):
    trust(DPOP=rule)
    if api.edge != "middleware":
        assert offered(api.get({})) == schemes


@pytest.mark.parametrize("lacking", ["PUBLIC_ORIGIN", "CACHE"])
def test_without_the_settings_of_dpop_its_scheme_is_that_of_someone_else(api, trust, lacking):
    trust(**{lacking: None})
    assert not current().takes_dpop
    answer = api.call(TENANTS["off"].token(scope="read"))
    assert answer.status_code == 401
    if api.edge != "middleware":
        assert refused(answer, "credentials_missing")
        assert offered(answer) == ["Bearer"]
    # An answer of the function that needs them is the project's fault.
    bound = TENANTS["required"].token(scope="read", cnf=api.key.confirmation)
    assert api.get({"Authorization": f"Bearer {bound}"}).status_code in (401, 503)

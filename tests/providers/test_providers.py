"""PROVIDER: the recorded tokens of each vendor pass with it and nothing else, and its other kinds of token do not."""

import json
import time

import pytest
from django.core.checks import run_checks
from tests.providers.shapes import JWT, SHAPES

from resource_server import verify
from resource_server.conf.providers import GENERIC, PROVIDERS
from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import InvalidToken
from resource_server.testing import FakeIssuer

# RS256, as the vendors sign; made once, because an RSA key takes long.
KEYS = SigningKeys("RS256")
GOOD = {"ISSUER": "https://issuer.test/", "AUDIENCE": "https://api.test/"}


def tokens(*kinds):
    """Each recorded token: its shape, and whether it is a machine's."""
    return [
        pytest.param(name, token, kind == "machines", id=f"{name}: {kind}: {title}")
        for name, shape in SHAPES.items()
        for kind in kinds
        for title, token in shape[kind].items()
    ]


@pytest.fixture
def serve(settings):
    """Serves the issuer of a shape and trusts it by its provider; returns what signs a header and claims."""
    serving = []

    def start(name, **changes):
        shape = SHAPES[name]
        issuer = FakeIssuer(shape["issuer"], shape["audience"], algorithm="ES256")
        issuer.keys = KEYS
        if "key_set" in shape:  # there, and not where metadata would say
            issuer.documents[shape["key_set"]] = json.dumps(KEYS.jwks()).encode()
        settings.RESOURCE_SERVER = {
            "PROVIDER": shape.get("provider", name),
            "ISSUER": shape["issuer"],
            "AUDIENCE": shape["audience"],
            **changes,
        }
        context = issuer.serving()
        context.__enter__()
        serving.append(context)

        def sign(header, claims):
            now = int(time.time())
            return KEYS.sign({"iss": issuer.issuer, "iat": now, "nbf": now, "exp": now + 600, **claims}, header=header)

        return sign

    yield start
    for context in serving:
        context.__exit__(None, None, None)


def warnings():
    return [message for message in run_checks() if message.id == "resource_server.W002"]


def test_every_provider_has_a_shape_and_its_documentation():
    assert {shape.get("provider", name) for name, shape in SHAPES.items()} == set(PROVIDERS)
    for name, provider in PROVIDERS.items():
        assert provider.name == name
        assert provider.documentation.startswith("https://")
        assert provider.issuer_problem(provider.issuer_form.example) is None


@pytest.mark.parametrize(("name", "token", "is_machine"), tokens("persons", "machines"))
def test_the_recorded_token_passes_with_the_provider_and_nothing_else(serve, name, token, is_machine):
    header, claims, scopes, client_id = token
    sign = serve(name)
    verified = verify(sign(header, claims))
    assert (verified.subject, verified.is_machine) == (claims["sub"], is_machine)
    assert (verified.scopes, verified.client_id) == (scopes, client_id)
    assert warnings() == []


# Each says something about a token that has it, to some rule of some provider.
OPTIONAL = (
    *("scope", "scp", "roles", "client_id", "azp", "cid", "appid", "jti", "nonce", "at_hash", "events", "token_use"),
    *(
        "typ",
        "gty",
        "idtyp",
        "uid",
        "username",
        "preferred_username",
        "clientHost",
        "clientAddress",
        "email",
        "picture",
    ),
    *("name", "hd", "oid", "amr", "auth_time", "sid", "repository", "project_path", "kubernetes.io"),
)


@pytest.mark.parametrize(("name", "token", "is_machine"), tokens("persons", "machines"))
def test_the_recorded_token_passes_with_every_other_claim_null(serve, name, token, is_machine):
    # Case 42.
    header, claims, scopes, client_id = token
    verified = verify(serve(name)(header, {**dict.fromkeys(OPTIONAL), **claims}))
    assert (verified.subject, verified.is_machine) == (claims["sub"], is_machine)
    assert (verified.scopes, verified.client_id) == (scopes, client_id)


@pytest.mark.parametrize(
    ("name", "token"),
    [
        pytest.param(name, token, id=f"{name}: {title}")
        for name, shape in SHAPES.items()
        for title, token in shape["others"].items()
    ],
)
# Cognito's audience is `client_id`, which is compulsory.
@pytest.mark.parametrize("nulls", [(), {*OPTIONAL} - {"client_id"}], ids=["", "with every other claim null"])
def test_another_kind_of_token_is_refused(serve, name, token, nulls):
    header, claims, reason = token
    with pytest.raises(InvalidToken) as refused:
        verify(serve(name)(header, {**dict.fromkeys(nulls), **claims}))
    assert refused.value.reason == reason


@pytest.mark.parametrize(("name", "token", "is_machine"), tokens("persons", "machines"))
def test_a_setting_wins_over_the_provider(serve, name, token, is_machine):
    header, claims, _scopes, _client_id = token
    sign = serve(name, CLAIMS={"scope": "rights", "subject": "alias", "client_id": "program"})
    verified = verify(sign(header, {**claims, "rights": ["a"], "alias": "b", "program": "c"}))
    assert (verified.scopes, verified.subject, verified.client_id) == ({"a"}, "b", "c")


@pytest.mark.parametrize("name", ["auth0", "keycloak", "entra", "okta", "cognito"])
def test_without_the_provider_the_refusal_names_the_setting(serve, name):
    # Case 45: these tokens have the type JWT or none.
    shape = SHAPES[name]
    header, claims, *_ = next(iter(shape["persons"].values()))
    sign = serve(name, PROVIDER=None)
    with pytest.raises(InvalidToken) as refused:
        verify(sign(header, claims))
    assert refused.value.reason == "typ_not_accepted"
    assert "`PROVIDER`" in refused.value.reason.remedy
    assert "`TOKEN_TYPE`" in refused.value.reason.remedy


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if shape["persons"] or shape["machines"]])
def test_the_type_of_the_settings_wins_over_the_providers(serve, name):
    shape = SHAPES[name]
    _header, claims, *_ = next(iter({**shape["persons"], **shape["machines"]}.values()))
    sign = serve(name, TOKEN_TYPE="at+jwt")
    assert verify(sign({"typ": "at+jwt"}, claims)).subject == claims["sub"]
    with pytest.raises(InvalidToken) as refused:
        verify(sign(JWT, claims))
    assert refused.value.reason == "typ_not_accepted"


def test_the_audience_of_the_settings_wins_over_the_providers(serve):
    sign = serve("cognito", CLAIMS={"audience": "aud"})
    claims = {"sub": "x", "token_use": "access", "client_id": "another", "aud": SHAPES["cognito"]["audience"]}
    assert verify(sign({"typ": None}, claims)).client_id == "another"


def test_a_key_set_of_the_settings_wins_over_the_providers(serve):
    sign = serve("adfs", JWKS=SigningKeys("ES256").jwks())
    header, claims, *_ = SHAPES["adfs"]["persons"]["with a claim rule for sub"]
    with pytest.raises(InvalidToken) as refused:
        verify(sign(header, claims))
    assert refused.value.reason == "key_unknown"


MACHINES_BY_A_NAME = {
    "auth0": {"sub": "auth0|ada", "azp": "client", "scope": "a", "gty": "client-credentials"},
    "okta": {"sub": "ada@example.com", "cid": "client", "uid": "00u0"},
    "entra": {"sub": "pairwise", "oid": "o", "azp": "client", "scp": "a"},
    "cognito": {"sub": "ada", "client_id": "6q0example2k3", "token_use": "access", "username": "ada"},
}


@pytest.mark.parametrize(("name", "claims"), MACHINES_BY_A_NAME.items(), ids=MACHINES_BY_A_NAME)
@pytest.mark.parametrize("nick", ["client", "client@clients", "6q0example2k3", "o"])
def test_no_name_that_a_person_chooses_makes_a_machine(serve, name, claims, nick):
    audience = {} if name == "cognito" else {"aud": SHAPES[name]["audience"]}
    sign = serve(name, CLAIMS={"subject": "nickname"})
    assert not verify(sign(JWT, {**claims, **audience, "nickname": nick})).is_machine


@pytest.mark.parametrize(
    ("name", "issuer", "correction"),
    [
        pytest.param(name, issuer, correction, id=f"{name}: {issuer}")
        for name, shape in SHAPES.items()
        for issuer, correction in shape["wrong_issuers"].items()
    ],
)
def test_an_issuer_without_the_providers_form_is_a_warning(settings, name, issuer, correction):
    settings.RESOURCE_SERVER = {**GOOD, "PROVIDER": name, "ISSUER": issuer}
    if correction is None:  # not even an address
        assert [message.id for message in run_checks()] == ["resource_server.E004"]
        return
    [warning] = warnings()
    assert f"ISSUER {issuer} " in warning.msg
    assert f"Write {correction}" in warning.hint
    assert PROVIDERS[name].documentation in warning.hint


@pytest.mark.parametrize(
    ("name", "issuer"), [(name, issuer) for name, shape in SHAPES.items() for issuer in shape["right_issuers"]]
)
def test_an_issuer_of_the_providers_form_is_not_warned_of(settings, name, issuer):
    settings.RESOURCE_SERVER = {**GOOD, "PROVIDER": name, "ISSUER": issuer}
    assert [message.id for message in run_checks()] == []


def test_without_a_provider_only_the_slash_of_auth0_is_known(settings):
    for issuer in ("https://login.example.com/realms/a/", "https://gitlab.com/", "https://accounts.google.com/"):
        settings.RESOURCE_SERVER = {**GOOD, "ISSUER": issuer}
        assert warnings() == []
    assert GENERIC.name not in PROVIDERS


def trusted_by(settings, configuration):
    settings.RESOURCE_SERVER = configuration
    issuers = [
        FakeIssuer(SHAPES[name]["issuer"], SHAPES[name]["audience"], algorithm="ES256") for name in ("auth0", "okta")
    ]
    for issuer in issuers:
        issuer.keys = KEYS
    now = int(time.time())
    found = []
    with issuers[0].serving(issuers[1]):
        for name in ("auth0", "okta"):
            header, claims, _scopes, client_id = next(iter(SHAPES[name]["persons"].values()))
            token = KEYS.sign({"iss": SHAPES[name]["issuer"], "exp": now + 600, **claims}, header=header)
            found.append(verify(token).client_id == client_id)
    return found


def entry(name, **changes):
    return {"ISSUER": SHAPES[name]["issuer"], "AUDIENCE": SHAPES[name]["audience"], **changes}


def test_each_of_several_issuers_has_its_own_provider(settings):
    entries = [entry("auth0", PROVIDER="auth0"), entry("okta", PROVIDER="okta")]
    assert trusted_by(settings, {"ISSUERS": entries}) == [True, True]
    entries = [entry("auth0"), entry("okta", PROVIDER="okta")]
    assert trusted_by(settings, {"PROVIDER": "auth0", "ISSUERS": entries}) == [True, True]


def settings_of(issuer):
    names = {SHAPES[name]["issuer"]: name for name in ("auth0", "okta")}
    return entry(names[issuer], PROVIDER=names[issuer])


def test_an_answer_of_the_function_names_its_provider(settings):
    assert trusted_by(settings, {"ISSUERS": "tests.providers.test_providers.settings_of"}) == [True, True]


def test_the_place_of_the_warning_is_the_entry(settings):
    entries = [entry("okta", PROVIDER="okta"), entry("auth0", ISSUER="https://login.example.com", PROVIDER="auth0")]
    settings.RESOURCE_SERVER = {"ISSUERS": entries}
    [warning] = warnings()
    assert warning.msg.startswith(
        "RESOURCE_SERVER: ISSUERS[1]: ISSUER https://login.example.com is an Auth0 tenant without"
    )

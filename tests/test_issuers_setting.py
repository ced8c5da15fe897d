"""The settings of several issuers, of static keys and of claim names: each problem, and what takes effect at a view."""

import hmac
import json
import logging
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.test import Client
from joserfc.jwk import OctKey
from tests.edges.views import url

from resource_server import TokenUser, server
from resource_server.conf import issuers_function
from resource_server.conf import project as conf
from resource_server.conf.problems import problem
from resource_server.devissuer.signing import SigningKeys, _base64url, _json
from resource_server.errors import Unavailable
from resource_server.testing import FakeIssuer
from resource_server.trusted import trusted_issuers

FIRST, SECOND = "https://first.test/", "https://second.test/"
GOOD = {"ISSUER": "https://issuer.test/", "AUDIENCE": "https://api.test/"}
SECRET = "the-secret-of-the-tests-which-nobody-knows"
KEYS = SigningKeys("ES256")
PEM = KEYS._find(None).private.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PRIVATE_PEM = KEYS._find(None).private.as_pem(private=True).decode()
HERE = "tests.test_issuers_setting"
NO_FUNCTION = "a text"

# What the function for issuers knows; each test fills it.
TENANTS = {}
ASKED = []


def tenant(issuer):
    ASKED.append(issuer)
    answer = TENANTS.get(issuer)
    if isinstance(answer, Exception):
        raise answer
    return answer


def tenant_whatever_the_case(issuer):
    """Finds as a database with a collation that ignores case and spaces at the end."""
    return next((answer for name, answer in TENANTS.items() if name.lower() == issuer.lower().rstrip(" /")), None)


async def async_tenant(issuer):
    return TENANTS.get(issuer)


class Employee(TokenUser):
    """What a function of the project makes of a token."""

    username = "an employee"


def employee(token):
    return Employee(token)


@pytest.fixture(autouse=True)
def _nobody_is_a_tenant():
    TENANTS.clear()
    ASKED.clear()


# Problems


def issuers(*entries, **common):
    return {"AUDIENCE": "https://api.test/", "ISSUERS": list(entries), **common}


# {sentence: (settings, id, the whole message, a piece of the hint)}
PROBLEMS = {
    "two sources of keys": (
        {**GOOD, "PUBLIC_KEY": PEM, "SECRET": SECRET},
        "E011", "RESOURCE_SERVER: PUBLIC_KEY and SECRET are both set", "Keep the one where the keys are",
    ),
    "a week and a second of stale keys": (
        {**GOOD, "STALE_SECONDS": 7 * 24 * 3600 + 1},
        "E017", "RESOURCE_SERVER: STALE_SECONDS is not a whole number from 0 to 604800", "86400 is the default",
    ),
    "a stale time that is True": ({**GOOD, "STALE_SECONDS": True}, "E017", "RESOURCE_SERVER: STALE_SECONDS is not a whole number from 0 to 604800", ""),
    "claims that are a list": ({**GOOD, "CLAIMS": ["scope"]}, "E018", "RESOURCE_SERVER: CLAIMS does not name claims", "subject, audience"),
    "a claim of no role": ({**GOOD, "CLAIMS": {"email": "mail"}}, "E018", "RESOURCE_SERVER: CLAIMS does not name claims", ""),
    "two subjects": ({**GOOD, "CLAIMS": {"subject": ["sub", "uid"]}}, "E018", "RESOURCE_SERVER: CLAIMS does not name claims", ""),
    "an address as the subject": ({**GOOD, "CLAIMS": {"subject": "email"}}, "E018", "RESOURCE_SERVER: CLAIMS does not name claims", "not an identity"),
    "an address within": ({**GOOD, "CLAIMS": {"subject": "/user/e-mail"}}, "E018", "RESOURCE_SERVER: CLAIMS does not name claims", "not an identity"),
    "no scope": ({**GOOD, "CLAIMS": {"scope": []}}, "E018", "RESOURCE_SERVER: CLAIMS does not name claims", ""),
    "a claim that is a number": ({**GOOD, "CLAIMS": {"scope": 1}}, "E018", "RESOURCE_SERVER: CLAIMS does not name claims", ""),
    "a key that is no PEM": ({**GOOD, "PUBLIC_KEY": "AAAA"}, "E019", "RESOURCE_SERVER: PUBLIC_KEY is not a public key or a certificate in PEM", "not 1 to 100 whole blocks"),
    "a private key": ({**GOOD, "PUBLIC_KEY": PRIVATE_PEM}, "E019", "RESOURCE_SERVER: PUBLIC_KEY is not a public key or a certificate in PEM", "private key"),
    "a key in bytes": ({**GOOD, "PUBLIC_KEY": PEM.encode()}, "E019", "RESOURCE_SERVER: PUBLIC_KEY is not a public key or a certificate in PEM", "It is not text"),
    "a file that is not there": ({**GOOD, "KEY_FILE": "/no/such/file"}, "E020", "RESOURCE_SERVER: KEY_FILE is not a file with a JWK Set or with public keys in PEM", "No such file"),
    "a file that is a directory": ({**GOOD, "KEY_FILE": "/"}, "E020", "RESOURCE_SERVER: KEY_FILE is not a file with a JWK Set or with public keys in PEM", "Is a directory"),
    "a file that is a number": ({**GOOD, "KEY_FILE": 1}, "E020", "RESOURCE_SERVER: KEY_FILE is not a file with a JWK Set or with public keys in PEM", "not a path"),
    "a file with NUL in its name": ({**GOOD, "KEY_FILE": "a\0b"}, "E020", "RESOURCE_SERVER: KEY_FILE is not a file with a JWK Set or with public keys in PEM", ""),
    "a short secret": ({**GOOD, "SECRET": "short"}, "E021", "RESOURCE_SERVER: SECRET cannot be used", "shorter than 32 bytes"),
    "a secret that is a password four times": ({**GOOD, "SECRET": "changeme" * 4}, "E021", "RESOURCE_SERVER: SECRET cannot be used", "a repeated text counts once"),
    "a secret that everybody has": ({**GOOD, "SECRET": PEM}, "E021", "RESOURCE_SERVER: SECRET cannot be used", "PEM, DER or JWK"),
    "a secret that is a number": ({**GOOD, "SECRET": 5}, "E021", "RESOURCE_SERVER: SECRET cannot be used", "not text or bytes"),
    "both kinds of algorithms": ({**GOOD, "SECRET": SECRET, "ALGORITHMS": ["HS256", "RS256"]}, "E007", "RESOURCE_SERVER: ALGORITHMS is not a list of algorithms that are supported", "nothing else beside them"),
    "an algorithm that the secret is too short for": ({**GOOD, "SECRET": SECRET, "ALGORITHMS": "HS512"}, "E007", "RESOURCE_SERVER: ALGORITHMS is not a list of algorithms that are supported", "64 bytes"),
    "no issuers": (issuers(), "E022", "RESOURCE_SERVER: ISSUERS is not a list of issuers or a dotted path", "dotted path of a function"),
    "issuers that are names": (issuers(FIRST), "E022", "RESOURCE_SERVER: ISSUERS is not a list of issuers or a dotted path", ""),
    "issuers behind no path": ({"ISSUERS": "tenant"}, "E022", "RESOURCE_SERVER: ISSUERS is not a list of issuers or a dotted path", ""),
    "issuers by name": ({"ISSUERS": {FIRST: {}}}, "E022", "RESOURCE_SERVER: ISSUERS is not a list of issuers or a dotted path", ""),
    "an issuer beside issuers": (issuers({"ISSUER": FIRST}, ISSUER=SECOND), "E023", "RESOURCE_SERVER: ISSUER stands beside ISSUERS", "never shared"),
    "a secret for all issuers": (issuers({"ISSUER": FIRST}, SECRET=SECRET), "E023", "RESOURCE_SERVER: SECRET stands beside ISSUERS", "never shared"),
    "a key for all tenants": ({"AUDIENCE": "a", "ISSUERS": f"{HERE}.tenant", "PUBLIC_KEY": PEM}, "E023", "RESOURCE_SERVER: PUBLIC_KEY stands beside ISSUERS", "never shared"),
    "an issuer twice": (issuers({"ISSUER": FIRST}, {"ISSUER": FIRST}), "E024", f"RESOURCE_SERVER: ISSUERS has {FIRST} twice", "in one entry"),
    "a function that is not there": ({"ISSUERS": f"{HERE}.nobody"}, "E025", "RESOURCE_SERVER: ISSUERS is a dotted path that cannot be used", "ImportError"),
    "a module that is not there": ({"ISSUERS": "no.such.module"}, "E025", "RESOURCE_SERVER: ISSUERS is a dotted path that cannot be used", "ModuleNotFoundError"),
    "a function that is none": ({"ISSUERS": f"{HERE}.NO_FUNCTION"}, "E025", "RESOURCE_SERVER: ISSUERS is a dotted path that cannot be used", "not a function"),
    "an async function": ({"ISSUERS": f"{HERE}.async_tenant"}, "E025", "RESOURCE_SERVER: ISSUERS is a dotted path that cannot be used", "async"),
    "a cache that is not there": ({**GOOD, "CACHE": "nowhere"}, "E026", "RESOURCE_SERVER: CACHE is not an alias in CACHES", "default"),
    "a cache that is a list": ({**GOOD, "CACHE": []}, "E026", "RESOURCE_SERVER: CACHE is not an alias in CACHES", ""),
    "a negative token cache": ({**GOOD, "TOKEN_CACHE": -1}, "E027", "RESOURCE_SERVER: TOKEN_CACHE is not a whole number from 0 to 10000000", "10000"),
    "a token cache that is True": ({**GOOD, "TOKEN_CACHE": True}, "E027", "RESOURCE_SERVER: TOKEN_CACHE is not a whole number from 0 to 10000000", ""),
    "users remembered for a minute": ({**GOOD, "USER_CACHE_SECONDS": 60}, "E028", "RESOURCE_SERVER: USER_CACHE_SECONDS is not a whole number from 0 to 30", "0 is the default"),
    "a provider that is not known": ({**GOOD, "PROVIDER": "auto0"}, "E031", "RESOURCE_SERVER: PROVIDER 'auto0' is not known", "Did you mean auth0?"),
    "a provider like none": ({**GOOD, "PROVIDER": "ZZZZ"}, "E031", "RESOURCE_SERVER: PROVIDER 'ZZZZ' is not known", "The providers are auth0, okta"),
    "a provider that is a list": ({**GOOD, "PROVIDER": ["auth0"]}, "E031", "RESOURCE_SERVER: PROVIDER ['auth0'] is not known", "auth0"),
    "a provider of one entry that is not known": (issuers({"ISSUER": FIRST, "PROVIDER": "auth0"}, {"ISSUER": SECOND, "PROVIDER": "Entra"}), "E031", "RESOURCE_SERVER: ISSUERS[1]: PROVIDER 'Entra' is not known", "Did you mean entra?"),
    "a typing error in an entry": (issuers({"ISSUER": FIRST, "ALGORITHM": "RS256"}), "E002", "RESOURCE_SERVER: ISSUERS[0]: 'ALGORITHM' is not a setting", "Did you mean ALGORITHMS?"),
    "a setting of all in an entry": (issuers({"ISSUER": FIRST, "REALM": "x"}), "E002", "RESOURCE_SERVER: ISSUERS[0]: 'REALM' is not a setting", ""),
    "an entry without an issuer": (issuers({"ISSUER": FIRST}, {}), "E003", "RESOURCE_SERVER: ISSUERS[1]: ISSUER is missing", ""),
    "an entry without an audience": ({"ISSUERS": [{"ISSUER": FIRST}]}, "E005", "RESOURCE_SERVER: ISSUERS[0]: AUDIENCE is missing", "any other API"),
    "an entry that undoes its audience": (issuers({"ISSUER": FIRST, "AUDIENCE": None}), "E005", "RESOURCE_SERVER: ISSUERS[0]: AUDIENCE is missing", ""),
}  # fmt: skip


def checks():
    return [message for message in run_checks() if message.id.startswith("resource_server.E")]


@pytest.mark.parametrize(("value", "id_", "message", "hint"), PROBLEMS.values(), ids=PROBLEMS)
def test_each_problem_has_an_id_a_place_and_a_hint(settings, value, id_, message, hint):
    settings.RESOURCE_SERVER = value
    found = [(check.id[-4:], check.msg, check.hint) for check in checks()]

    assert (id_, message) in [check[:2] for check in found]
    assert any(hint in check[2] for check in found if check[:2] == (id_, message))
    assert not any(text in repr(found) for text in (SECRET, PEM[30:60], PRIVATE_PEM[40:80]))


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"", "1 to 100 whole blocks"),
        (b"\x00\x01\xff", ""),
        (b'{"keys": [', ""),
        (b'{"keys": []}', "holds no key"),
        (json.dumps({"keys": [OctKey.import_key(SECRET).as_dict(private=True)]}).encode(), "kty is not RSA"),
        (b"x" * (256 * 1024 + 1), "larger than 256 KiB"),
        (PRIVATE_PEM.encode(), "private key"),
    ],
    ids=["nothing", "bytes", "half a document", "no keys", "a secret", "too much", "a private key"],
)
def test_a_file_without_public_keys_is_a_problem_that_repeats_nothing(settings, tmp_path, content, hint):
    path = tmp_path / "keys"
    path.write_bytes(content)
    settings.RESOURCE_SERVER = {**GOOD, "KEY_FILE": path}

    (check,) = checks()
    assert check.id == "resource_server.E020"
    assert hint in check.hint
    assert SECRET not in repr(check)
    assert PRIVATE_PEM[40:80] not in repr(check)


def test_a_file_that_may_not_be_read_is_a_problem(settings, tmp_path, monkeypatch):
    def refuse(self, mode):  # the tests may run as root, who may read everything
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    settings.RESOURCE_SERVER = {**GOOD, "KEY_FILE": str(tmp_path / "keys")}
    assert [(check.id, check.hint) for check in checks()] == [("resource_server.E020", "Permission denied.")]


def test_all_problems_of_all_issuers_are_told_at_once(settings):
    settings.RESOURCE_SERVER = {
        "ISSUERS": [{"ISSUER": "x\n", "SECRET": "x"}, {"ISSUER": FIRST, "CLAIMS": 1, "USERS": "?"}],
        "CACHE": 1,
        "TOKEN_CACHE": None,
        "JWKS_URI": "https://x/",
    }
    assert [check.id[-4:] for check in checks()] == [
        "E023", "E021", "E004", "E005", "E005", "E018", "E014", "E026", "E027",
    ]  # fmt: skip


# What takes effect


def call(token, view="rest function"):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Client(raise_request_exception=False).get(url(view), headers=headers)


def refused(token, caplog):
    """The reason in the log of a request that is refused."""
    caplog.clear()
    assert call(token).status_code in (401, 503)
    return next(record.reason for record in caplog.records if hasattr(record, "reason"))


@pytest.fixture
def views(settings, caplog):
    settings.ROOT_URLCONF = "tests.edges.views"
    caplog.set_level(logging.DEBUG, "resource_server")
    return settings


@pytest.fixture
def pair(views):
    """Two issuers that are served, and not yet trusted."""
    first, second = FakeIssuer(FIRST, algorithm="ES256"), FakeIssuer(SECOND, algorithm="ES256")
    with first.serving(second):
        yield first, second


def test_settings_at_the_top_are_those_of_every_issuer_that_has_no_other(views):
    views.RESOURCE_SERVER = {
        "AUDIENCE": "https://api.test/",
        "ALGORITHMS": "ES256",
        "TOKEN_TYPE": "JWT",
        "CLOCK_SKEW_SECONDS": 5,
        "STALE_SECONDS": 60,
        "CLAIMS": {"scope": "permissions"},
        "USERS": f"{HERE}.employee",
        "ISSUERS": [
            {"ISSUER": FIRST},
            {"ISSUER": SECOND, "AUDIENCE": "other", "ALGORITHMS": "HS256", "TOKEN_TYPE": "at+jwt", "SECRET": SECRET,
             "CLOCK_SKEW_SECONDS": 0, "STALE_SECONDS": 0, "CLAIMS": {}, "USERS": "token"},
        ],
    }  # fmt: skip
    first, second = (issuer.policy for issuer in server.current().verifier.issuers)
    assert (first.audience, first.algorithms, first.token_types) == (("https://api.test/",), ("ES256",), ("jwt",))
    assert (first.clock_skew_seconds, first.key_source.stale_seconds, first.users.find) == (5, 60, f"{HERE}.employee")
    assert first.claim_names.scope == ("permissions",)
    assert (second.audience, second.algorithms, second.token_types) == (("other",), ("HS256",), ("at+jwt",))
    assert (second.clock_skew_seconds, second.key_source.stale_seconds, second.users.find) == (0, 0, "token")
    assert second.claim_names.scope == ("scope", "scp")


@pytest.mark.parametrize("view", ["rest function", "function", "async function"])
def test_each_issuer_of_a_list_has_its_own_rules(pair, views, view):
    first, second = pair
    views.RESOURCE_SERVER = issuers(
        {"ISSUER": FIRST}, {"ISSUER": SECOND, "AUDIENCE": "other", "USERS": f"{HERE}.employee"}
    )
    assert call(first.token(scope="read"), view).json() == {"user": "auth0|ada", "token": "auth0|ada"}
    assert call(second.token(scope="read", aud="other"), view).json() == {"user": "an employee", "token": "auth0|ada"}
    assert call(second.token(scope="read"), view).status_code == 401
    assert call(first.token(scope="read", aud="other"), view).status_code == 401
    assert call(second.keys.sign(first.claims(scope="read")), view).status_code == 401


@pytest.mark.parametrize("view", ["rest function", "function", "async function"])
def test_a_function_says_which_issuers_there_are(pair, views, view):
    first, second = pair
    views.RESOURCE_SERVER = {"AUDIENCE": "https://api.test/", "ISSUERS": f"{HERE}.tenant"}
    TENANTS[FIRST] = {"ISSUER": FIRST}
    assert call(first.token(scope="read"), view).status_code == 200
    assert call(second.token(scope="read"), view).status_code == 401
    assert second.fetched == []
    with_more = {"ISSUER": SECOND, "AUDIENCE": "other", "USERS": f"{HERE}.employee", "CLAIMS": {"scope": "permissions"}}
    TENANTS[SECOND] = with_more
    server.forget()  # that there is no such tenant is believed for a minute
    token = second.token(aud="other", permissions=["read"])
    assert call(token, view).json() == {"user": "an employee", "token": "auth0|ada"}


# {sentence: (what the function answers or raises, reason, a piece of the log)}
ANSWERS = {
    "an error": (ZeroDivisionError("of the project"), "issuer_lookup_failed", "ZeroDivisionError: of the project"),
    "more than one row": (MultipleObjectsReturned("two"), "issuer_lookup_failed", "MultipleObjectsReturned: two"),
    "a list": ([], "settings_invalid", "answered neither a dict nor None"),
    "True": (True, "settings_invalid", "answered neither a dict nor None"),
    "a key that is no setting": ({"ISSUER": FIRST, "ALGORITHM": "ES256"}, "settings_invalid", "Did you mean ALGORITHMS?"),
    "an algorithm that there is not": ({"ISSUER": FIRST, "ALGORITHMS": "none"}, "settings_invalid", "E007"),
    "no audience": ({"ISSUER": FIRST, "AUDIENCE": ""}, "settings_invalid", "any other API"),
    "a provider that is not known": ({"ISSUER": FIRST, "PROVIDER": "x"}, "settings_invalid", "E031"),
    "users that there are not": ({"ISSUER": FIRST, "USERS": "no.such.function"}, "settings_invalid", "E016"),
    "a short secret": ({"ISSUER": FIRST, "SECRET": "short"}, "settings_invalid", "shorter than 32 bytes"),
    "another issuer": ({"ISSUER": SECOND}, "issuer_not_trusted", "another ISSUER"),
    "no issuer": ({}, "issuer_not_trusted", "without ISSUER"),
    "an issuer that is None": ({"ISSUER": None}, "issuer_not_trusted", "without ISSUER"),
    "an issuer that is bytes": ({"ISSUER": FIRST.encode()}, "issuer_not_trusted", "another ISSUER"),
    "an issuer in capitals": ({"ISSUER": FIRST.upper()}, "issuer_not_trusted", "another ISSUER"),
    "an issuer without its slash": ({"ISSUER": FIRST[:-1]}, "issuer_not_trusted", "another ISSUER"),
    "an issuer with a space": ({"ISSUER": f"{FIRST} "}, "issuer_not_trusted", "another ISSUER"),
    "another issuer, and settings that cannot be used": ({"ISSUER": SECOND, "X": 1}, "issuer_not_trusted", "another"),
    "that there is no row": (ObjectDoesNotExist(), "issuer_not_trusted", ""),
    "nothing": (None, "issuer_not_trusted", ""),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "reason", "line"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_cannot_be_used_is_no_fault_of_the_caller(pair, views, caplog, answer, reason, line):
    first, second = pair
    views.RESOURCE_SERVER = {"AUDIENCE": "https://api.test/", "ISSUERS": f"{HERE}.tenant"}
    TENANTS.update({FIRST: answer, SECOND: {"ISSUER": SECOND}})
    response = call(first.token(scope="read"))
    assert response.status_code == (401 if reason == "issuer_not_trusted" else 503)
    assert response.has_header("Retry-After") == (response.status_code == 503)
    assert line in caplog.text
    assert refused(first.token(), caplog) == reason
    assert call(second.token(scope="read")).status_code == 200, "the others go on"
    assert first.fetched == []


@pytest.mark.parametrize("named", [True, False], ids=["which names its issuer", "which does not"])
@pytest.mark.parametrize("spelling", ["https://FIRST.test", "https://first.test/", "https://First.Test"])
def test_a_database_that_ignores_case_finds_no_tenant_for_another_spelling(views, caplog, spelling, named):
    issuer = FakeIssuer("https://first.test", algorithm="ES256")
    views.RESOURCE_SERVER = {"AUDIENCE": "https://api.test/", "ISSUERS": f"{HERE}.tenant_whatever_the_case"}
    TENANTS[issuer.issuer] = {"JWKS": issuer.keys.jwks()} | ({"ISSUER": issuer.issuer} if named else {})
    assert refused(issuer.token(iss=spelling, scope="read"), caplog) == "issuer_not_trusted"
    assert call(issuer.token(scope="read")).status_code == (200 if named else 401)


def test_an_answer_without_its_issuer_is_an_error_in_the_log_once(pair, views, caplog):
    views.RESOURCE_SERVER = {"AUDIENCE": "https://api.test/", "ISSUERS": f"{HERE}.tenant"}
    names = [f"https://first.test/{number}" for number in range(20)]
    TENANTS.update({name: {} if number < 10 else {"ISSUER": FIRST} for number, name in enumerate(names)})
    for name in names:
        assert call(pair[0].token(iss=name)).status_code == 401
    errors = [
        record.getMessage()
        for record in caplog.records
        if record.name == "resource_server" and record.levelno >= logging.ERROR
    ]
    assert len(errors) == 2
    for error in errors:
        assert f"{HERE}.tenant answers with" in error
        assert "the ISSUER that the project has stored" in error
        assert not any(name in error for name in names)


def test_a_tenant_whose_row_is_gone_is_refused_when_its_minute_is_over(pair, views, monkeypatch, caplog):
    first, _second = pair
    views.RESOURCE_SERVER = {"AUDIENCE": "https://api.test/", "ISSUERS": f"{HERE}.tenant"}
    TENANTS[FIRST] = {"ISSUER": FIRST}
    token = first.token(scope="read")
    assert call(token).status_code == 200
    TENANTS[FIRST] = ZeroDivisionError()
    verifier = server.current().verifier
    for issuer in verifier.issuers:
        issuer.believed_until = 0.0  # a minute has passed
        issuer.keys.renew_stamp()
    assert call(token).status_code == 200, "an error is no answer"
    TENANTS[FIRST] = get_user_model().DoesNotExist()
    for issuer in verifier.issuers:
        issuer.believed_until = 0.0
        issuer.keys.renew_stamp()
    assert refused(token, caplog) == "issuer_not_trusted"
    assert verifier.issuers == ()


@pytest.mark.parametrize(
    "name", ["http://adfs.test/adfs/services/trust", "urn:example:sts", "sts", "https://sts.test/?a#b"]
)
def test_an_issuer_of_the_function_is_any_name_if_the_answer_gives_its_keys(views, caplog, name):
    issuer = FakeIssuer(name, algorithm="ES256")
    views.RESOURCE_SERVER = {"AUDIENCE": "https://api.test/", "ISSUERS": f"{HERE}.tenant"}
    assert refused(issuer.token(), caplog) == "issuer_not_trusted"
    server.forget()
    TENANTS[name] = {"ISSUER": name, "JWKS": issuer.keys.jwks()}
    assert call(issuer.token(scope="read")).status_code == 200
    server.forget()
    TENANTS[name] = {"ISSUER": name}
    assert call(issuer.token(scope="read")).status_code == 503
    assert "resource_server.E004" in caplog.text or "(E004)" in caplog.text


@pytest.mark.usefixtures("in_production")
def test_an_http_issuer_of_the_function_needs_development(views, caplog):
    issuer = FakeIssuer("http://keycloak:8080/", algorithm="ES256")
    common = {"AUDIENCE": "https://api.test/", "ISSUERS": f"{HERE}.tenant"}
    TENANTS[issuer.issuer] = {"ISSUER": issuer.issuer}
    views.RESOURCE_SERVER = common
    with issuer.serving():
        assert call(issuer.token(scope="read")).status_code == 503
        views.RESOURCE_SERVER = {**common, "DEVELOPMENT_HTTP": ["keycloak"]}
        assert call(issuer.token(scope="read")).status_code == 503
        views.DEBUG = True
        assert call(issuer.token(scope="read")).status_code == 200


# Claims


def test_cognito_names_the_audience_client_id(views):
    issuer = FakeIssuer(audience="the-app-client", algorithm="ES256")
    views.RESOURCE_SERVER = {
        "ISSUER": issuer.issuer,
        "AUDIENCE": "the-app-client",
        "TOKEN_TYPE": "JWT",
        "CLAIMS": {"audience": "client_id"},
    }
    claims = {"aud": None, "client_id": "the-app-client", "token_use": "access", "scope": "read"}
    with issuer.serving():
        assert call(issuer.token(header={"typ": None}, **claims)).status_code == 200
        assert call(issuer.token(header={"typ": None}, **{**claims, "client_id": "another"})).status_code == 401
        assert call(issuer.token(header={"typ": None}, **{**claims, "token_use": "id"})).status_code == 401
        assert call(issuer.token(header={"typ": None}, **{**claims, "client_id": None, "aud": "x"})).status_code == 401


def test_auth0_names_rights_permissions(views):
    issuer = FakeIssuer(algorithm="ES256")
    views.RESOURCE_SERVER = issuer.settings(CLAIMS={"scope": ["permissions", "scope"]})
    with issuer.serving():
        assert call(issuer.token(permissions=["read"], scope="openid")).status_code == 200
        assert call(issuer.token(permissions=[], scope="read")).status_code == 403, "the first that is there counts"
        assert call(issuer.token(scope="read")).status_code == 200
        assert call(issuer.token(permissions={"read": 1})).status_code == 401


# Static keys


def hs256(issuer, secret=SECRET, algorithm="HS256", **claims):
    header = _base64url(_json({"alg": algorithm, "typ": "at+jwt"}))
    signing_input = header + b"." + _base64url(_json(issuer.claims(scope="read", **claims)))
    signature = hmac.digest(secret.encode(), signing_input, f"sha{algorithm[2:]}")
    return (signing_input + b"." + _base64url(signature)).decode()


def test_a_secret_verifies_hs256_and_nothing_else(views, caplog):
    issuer = FakeIssuer(algorithm="ES256")
    views.RESOURCE_SERVER = issuer.settings(SECRET=SECRET)
    with issuer.serving():
        assert call(hs256(issuer)).json() == {"user": "auth0|ada", "token": "auth0|ada"}
        assert refused(hs256(issuer, "another-secret-of-more-than-32-bytes"), caplog) == "signature_invalid"
        assert refused(hs256(issuer, algorithm="HS384"), caplog) == "alg_not_allowed"
        assert refused(issuer.token(), caplog) == "alg_not_allowed"
        assert refused(issuer.token(header={"alg": "HS256"}), caplog) == "signature_invalid"
    assert issuer.fetched == []
    assert SECRET not in caplog.text


@pytest.mark.parametrize("source", ["metadata", "PUBLIC_KEY", "JWKS"])
def test_hs256_does_not_pass_at_an_issuer_with_public_keys(views, caplog, source):
    issuer = FakeIssuer(algorithm="ES256")
    issuer.keys = KEYS
    sources = {"metadata": {}, "PUBLIC_KEY": {"PUBLIC_KEY": PEM}, "JWKS": {"JWKS": KEYS.jwks()}}
    views.RESOURCE_SERVER = issuer.settings(**sources[source])
    with issuer.serving():
        # RFC 8725 section 2.1: "signed" with the public key, as if it were a secret.
        assert refused(hs256(issuer, PEM), caplog) == "alg_not_allowed"
        assert call(issuer.token(scope="read")).status_code == 200


def test_the_secret_of_one_issuer_is_none_of_another(pair, views, caplog):
    first, second = pair
    views.RESOURCE_SERVER = issuers({"ISSUER": FIRST, "SECRET": SECRET}, {"ISSUER": SECOND})
    assert call(hs256(first)).status_code == 200
    assert refused(hs256(second), caplog) == "alg_not_allowed"
    assert call(second.token(scope="read")).status_code == 200
    assert refused(second.keys.sign(first.claims(), header={"alg": "ES256"}), caplog) == "alg_not_allowed"


@pytest.mark.parametrize("form", ["PUBLIC_KEY", "PEM file", "JWKS file"])
def test_public_keys_from_the_settings_or_a_file_need_no_network(views, tmp_path, form, caplog):
    issuer = FakeIssuer(algorithm="ES256")
    issuer.keys = KEYS
    path = tmp_path / "keys"
    path.write_text(PEM if form == "PEM file" else json.dumps(KEYS.jwks()), encoding="utf-8")
    views.RESOURCE_SERVER = issuer.settings(**({"PUBLIC_KEY": PEM} if form == "PUBLIC_KEY" else {"KEY_FILE": path}))
    with issuer.serving():
        assert call(issuer.token(scope="read")).status_code == 200
        stranger = SigningKeys("ES256").sign(issuer.claims())
        assert refused(stranger, caplog) == ("key_unknown" if form == "JWKS file" else "signature_invalid")
    assert issuer.fetched == []


def test_nothing_secret_is_in_what_a_config_or_a_policy_shows(views):
    views.RESOURCE_SERVER = issuers({"ISSUER": FIRST, "SECRET": SECRET}, {"ISSUER": SECOND, "PUBLIC_KEY": PEM})
    config, _problems = conf.parse(views.RESOURCE_SERVER, debug=False)
    current = server.current()
    shown = [config, current, current.verifier, *current.verifier.issuers, *trusted_issuers()]
    shown += [key for issuer in current.verifier.issuers for key in issuer.keys.key_set.keys]
    assert not any(SECRET in text or SECRET.encode().hex() in text for text in map(repr, shown))


def test_what_is_trusted_of_tenants_is_shown_when_they_are_named(pair, views):
    views.RESOURCE_SERVER = {"AUDIENCE": "https://api.test/", "ISSUERS": f"{HERE}.tenant"}
    TENANTS.update({FIRST: {"ISSUER": FIRST}, SECOND: {"ISSUER": SECOND, "SECRET": SECRET}})
    assert trusted_issuers() == ()
    by_name = {trusted.issuer: trusted for trusted in trusted_issuers(FIRST, SECOND)}
    assert by_name[FIRST].keys[0].since is not None
    assert (by_name[SECOND].keys[0].since, by_name[SECOND].trusted_until) == (None, None)
    with pytest.raises(Exception, match="issuer is not trusted"):
        trusted_issuers("https://third.test/")
    TENANTS["https://fourth.test/"] = OSError()
    with pytest.raises(Unavailable):
        trusted_issuers("https://fourth.test/")


def errors_in(caplog):
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "resource_server" and record.levelno >= logging.ERROR
    ]


def test_invalid_settings_are_logged_once_and_again_after_a_change(pair, views, caplog):
    first, _second = pair
    for audience in ("", "", {}):
        views.RESOURCE_SERVER = {"ISSUER": FIRST, "AUDIENCE": audience}
        caplog.clear()
        for _ in range(3):
            assert call(first.token(scope="read")).status_code == 503
        assert len(errors_in(caplog)) == 1, errors_in(caplog)


@pytest.mark.parametrize("answer", [{"ISSUER": FIRST, "ALGORITHMS": "none"}, []], ids=["settings", "no settings"])
def test_an_answer_that_cannot_be_used_is_logged_once_a_minute(pair, views, caplog, monkeypatch, answer):
    first, _second = pair
    views.RESOURCE_SERVER = {"AUDIENCE": "https://api.test/", "ISSUERS": f"{HERE}.tenant"}
    TENANTS[FIRST] = answer
    for seconds in (0, 59, 61):
        monkeypatch.setattr(issuers_function, "steady", lambda later=seconds: 1000.0 + later)
        for _ in range(2):
            assert call(first.token(scope="read")).status_code == 503
    assert len(errors_in(caplog)) == 2


def test_the_lines_that_wait_are_limited(monkeypatch):
    monkeypatch.setattr(issuers_function, "_next_lines", {})
    for number in range(2500):
        issuers_function.invalid([problem("E024", place="x", issuer=f"https://{number}.test")])
    assert len(issuers_function._next_lines) <= 1000

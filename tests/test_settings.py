"""The settings: each problem by its id, and what takes effect when."""

import subprocess
import sys

import pytest
from django.core.checks import run_checks
from django.test import Client, override_settings
from hypothesis import given, strategies

from resource_server import auth0_issuer
from resource_server.conf import project as conf
from resource_server.testing import FakeIssuer

GOOD = {"ISSUER": "https://issuer.test/", "AUDIENCE": "https://api.test/"}
WEAK_KEY = {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}

# {sentence: (settings, id, a piece of the message, a piece of the hint)}
PROBLEMS = {
    "nothing is set": (None, "E001", "RESOURCE_SERVER is not set", "RESOURCE_SERVER = "),
    "no dict": ("https://issuer.test/", "E001", "not a dict", "RESOURCE_SERVER = "),
    "an unknown key": ({**GOOD, "AUDIENCES": "x"}, "E002", "'AUDIENCES'", "Did you mean AUDIENCE?"),
    "a key in lower case": ({**GOOD, "issuer": "x"}, "E002", "'issuer'", "Did you mean ISSUER?"),
    "a key like none": ({**GOOD, "ZZZ": "x"}, "E002", "'ZZZ'", "The keys are ISSUER"),
    "the key of the example": ({**GOOD, "AUTH0_DOMAIN": "x"}, "E002", "'AUTH0_DOMAIN'", "auth0_issuer("),
    "a key that is no text": ({**GOOD, 1: "x"}, "E002", "1 is not", "The keys are"),
    "no issuer": ({"AUDIENCE": "x"}, "E003", "ISSUER is missing", "auth0_issuer()"),
    "an empty issuer": ({**GOOD, "ISSUER": ""}, "E003", "ISSUER is missing", ""),
    "an issuer without scheme": (
        {**GOOD, "ISSUER": "tenant.eu.auth0.com"},
        "E004",
        "no scheme https",
        "auth0_issuer()",
    ),
    "an issuer over http": ({**GOOD, "ISSUER": "http://issuer.test/"}, "E004", "is http", ""),
    "an issuer over http on loopback": ({**GOOD, "ISSUER": "http://127.0.0.1:9000"}, "E004", "while DEBUG is on", ""),
    "an issuer over http at a host of development": (
        {**GOOD, "ISSUER": "http://keycloak/", "DEVELOPMENT_HTTP": ["keycloak"]},
        "E032",
        "set while DEBUG is off",
        "In production",
    ),
    "hosts that are no list": ({**GOOD, "DEVELOPMENT_HTTP": {"keycloak": 8080}}, "E032", "not a list", "keycloak"),
    "a host with a port": ({**GOOD, "DEVELOPMENT_HTTP": ["keycloak:8080"]}, "E032", "not a list", "keycloak"),
    "an address for a host": ({**GOOD, "DEVELOPMENT_HTTP": "http://keycloak"}, "E032", "not a list", "without scheme"),
    "every host": ({**GOOD, "DEVELOPMENT_HTTP": ["*"]}, "E032", "not a list", "keycloak"),
    "an empty host": ({**GOOD, "DEVELOPMENT_HTTP": [""]}, "E032", "not a list", "keycloak"),
    "a host that is a number": ({**GOOD, "DEVELOPMENT_HTTP": [5]}, "E032", "not a list", "keycloak"),
    "certificates in no file": ({**GOOD, "CA_FILE": "/nowhere/ca.pem"}, "E033", "CA_FILE", "No such file"),
    "certificates in a file of another kind": ({**GOOD, "CA_FILE": __file__}, "E033", "CA_FILE", "X509"),
    "certificates in a folder": ({**GOOD, "CA_FILE": "/"}, "E033", "CA_FILE", "."),
    "certificates that are no path": ({**GOOD, "CA_FILE": 5}, "E033", "CA_FILE", "not a path"),
    "certificates under a name with NUL": ({**GOOD, "CA_FILE": "a\0b"}, "E033", "CA_FILE", "null"),
    "an issuer in a file": ({**GOOD, "ISSUER": "file:///etc/passwd"}, "E004", "no scheme https", ""),
    "an issuer with a query": ({**GOOD, "ISSUER": "https://issuer.test/?a=1"}, "E004", "query", ""),
    "an issuer with a fragment": ({**GOOD, "ISSUER": "https://issuer.test/#a"}, "E004", "fragment", ""),
    "an issuer with a password": ({**GOOD, "ISSUER": "https://a:b@issuer.test/"}, "E004", "user name", ""),
    "an issuer that is a number": ({**GOOD, "ISSUER": 5}, "E004", "not a URL", ""),
    "no audience": ({"ISSUER": "https://issuer.test/"}, "E005", "AUDIENCE is missing", "any other API"),
    "an empty audience": ({**GOOD, "AUDIENCE": ""}, "E005", "AUDIENCE is missing", ""),
    "no audience in the list": ({**GOOD, "AUDIENCE": []}, "E005", "AUDIENCE is missing", ""),
    "an audience that is a number": ({**GOOD, "AUDIENCE": [5]}, "E006", "not a string or a list", ""),
    "HS256": ({**GOOD, "ALGORITHMS": ["HS256"]}, "E007", "ALGORITHMS", "RS256"),
    "none": ({**GOOD, "ALGORITHMS": ["RS256", "none"]}, "E007", "ALGORITHMS", "RS256"),
    "no algorithm": ({**GOOD, "ALGORITHMS": []}, "E007", "ALGORITHMS", "RS256"),
    "a type of another token": ({**GOOD, "TOKEN_TYPE": "dpop+jwt"}, "E008", "TOKEN_TYPE", "RFC 9068"),
    "no type": ({**GOOD, "TOKEN_TYPE": []}, "E008", "TOKEN_TYPE", "RFC 9068"),
    "a skew of an hour": ({**GOOD, "CLOCK_SKEW_SECONDS": 3600}, "E009", "CLOCK_SKEW_SECONDS", "30"),
    "a skew that is True": ({**GOOD, "CLOCK_SKEW_SECONDS": True}, "E009", "CLOCK_SKEW_SECONDS", "30"),
    "a key set over http": ({**GOOD, "JWKS_URI": "http://issuer.test/jwks"}, "E010", "JWKS_URI is http", "metadata"),
    "two places for keys": ({**GOOD, "JWKS_URI": "https://a/", "JWKS": WEAK_KEY}, "E011", "both set", "Keep the one"),
    "a symmetric key": ({**GOOD, "JWKS": WEAK_KEY}, "E012", "JWKS", "kty is not RSA"),
    "no keys": ({**GOOD, "JWKS": {"keys": []}}, "E012", "JWKS", "holds no key"),
    "a key set that is text": ({**GOOD, "JWKS": "{}"}, "E012", "JWKS", "not a dict"),
    "a realm with a quote": ({**GOOD, "REALM": 'a"b'}, "E013", "REALM", "WWW-Authenticate"),
    "users that are no word": ({**GOOD, "USERS": "magic users"}, "E014", "USERS", "docs/settings.md"),
    "users behind no path": ({**GOOD, "USERS": "no.such.module"}, "E016", "cannot be imported", "ModuleNotFoundError"),
    "users that are no function": ({**GOOD, "USERS": "os.sep"}, "E016", "not a function", "AccessToken"),
}


def server_checks():
    return [message for message in run_checks() if (message.id or "").startswith("resource_server.")]


@pytest.mark.usefixtures("in_production")
@pytest.mark.parametrize(("value", "id_", "message", "hint"), PROBLEMS.values(), ids=PROBLEMS)
def test_each_problem_has_an_id_and_a_hint(settings, value, id_, message, hint):
    settings.RESOURCE_SERVER = value
    found = {check.id: check for check in server_checks()}

    check = found[f"resource_server.{id_}"]
    assert message in check.msg
    assert hint in (check.hint or "")


def test_provision_needs_its_app(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "resource_server.accounts"]
    settings.RESOURCE_SERVER = {**GOOD, "USERS": "provision"}

    (check,) = server_checks()
    assert (check.id, "migrate" in check.hint) == ("resource_server.E015", True)


def test_all_problems_are_told_at_once(settings):
    settings.RESOURCE_SERVER = {"ISSUER": "x", "ALGORITHMS": "none", "REALM": "", "EXTRA": 1}

    assert {check.id[-4:] for check in server_checks()} == {"E002", "E004", "E005", "E007", "E013"}


def test_good_settings_have_no_problem_and_fetch_nothing(settings):
    settings.RESOURCE_SERVER = GOOD  # conftest fails the test if it reached for the network

    assert server_checks() == []


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9000", "http://localhost:9000/", "http://[::1]:9000"])
def test_http_is_for_loopback_while_debug_is_on(settings, issuer):
    settings.RESOURCE_SERVER = {**GOOD, "ISSUER": issuer}
    settings.DEBUG = True
    assert server_checks() == []
    settings.RESOURCE_SERVER = {**GOOD, "ISSUER": "http://issuer.test"}
    assert [check.id for check in server_checks()] == ["resource_server.E004"]


@pytest.mark.parametrize(
    "domain",
    ["tenant.eu.auth0.com", " Tenant.EU.auth0.com ", "https://tenant.eu.auth0.com", "https://tenant.eu.auth0.com/"],
)
def test_auth0_issuer_makes_the_issuer(domain):
    assert auth0_issuer(domain) == "https://tenant.eu.auth0.com/"


@pytest.mark.parametrize(
    "domain",
    ["", "http://tenant.auth0.com", "tenant.auth0.com/path", "a b", "user@tenant.auth0.com", "x?y", "//", "-a"],
)
def test_auth0_issuer_refuses_what_is_no_host(domain):
    with pytest.raises(ValueError, match="not an Auth0 domain"):
        auth0_issuer(domain)


values = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text()
    | strategies.binary(),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text() | strategies.integers(), inner),
    max_leaves=6,
)


@given(
    settings=values | strategies.dictionaries(strategies.sampled_from(conf.KEYS) | strategies.text(), values),
    debug=strategies.booleans(),
)
def test_no_settings_make_the_parser_raise(settings, debug):
    config, problems = conf.parse(settings, debug=debug)

    assert (config is None) == bool(problems)


def status(issuer, **claims):
    return (
        Client()
        .get("/function", headers={"Authorization": f"Bearer {issuer.token(scope='read', **claims)}"})
        .status_code
    )


@override_settings(ROOT_URLCONF="tests.edges.views")
def test_override_settings_takes_effect_at_once_and_ends():
    issuer = FakeIssuer()
    with issuer.serving(), override_settings(RESOURCE_SERVER=issuer.settings()):
        assert status(issuer) == 200
        with override_settings(RESOURCE_SERVER=issuer.settings(AUDIENCE="other", REALM="inner")):
            assert status(issuer) == 401
            assert status(issuer, aud="other") == 200
            assert Client().get("/function")["WWW-Authenticate"] == 'Bearer realm="inner", scope="read"'
        with override_settings(RESOURCE_SERVER=issuer.settings(ALGORITHMS=["ES256"])):
            assert status(issuer) == 401
        assert status(issuer) == 200
        assert Client().get("/function")["WWW-Authenticate"] == 'Bearer realm="api", scope="read"'


def test_a_static_key_set_is_never_fetched(settings):
    issuer = FakeIssuer()
    settings.ROOT_URLCONF = "tests.edges.views"
    settings.RESOURCE_SERVER = issuer.settings(JWKS=issuer.keys.jwks())
    with issuer.serving():
        assert status(issuer) == 200
        assert issuer.fetched == []


IMPORT = """
import sys

def refuse(event, arguments):
    if event.startswith("socket."):
        raise SystemExit(f"{event} at import")

sys.addaudithook(refuse)
import threading
from resource_server import *
auth0_issuer("tenant.eu.auth0.com")
print(sorted({"rest_framework", "urllib3", "authlib", "django.contrib.auth.models"} & set(sys.modules)), threading.active_count())
"""


def test_import_reads_no_settings_and_costs_no_network():
    said = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, timeout=60, check=False, env={"PATH": ""}
    )

    assert (said.stdout.strip(), said.stderr) == ("[] 1", "")

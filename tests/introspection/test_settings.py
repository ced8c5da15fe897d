"""INTROSPECTION in the settings: each fault by its words, and requests from the settings to the answer."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.checks import run_checks
from django.http import HttpResponse
from django.test import AsyncClient, Client
from joserfc.jwk import ECKey
from pytest_django import Settings
from tests.certificates import certificate
from tests.edges.views import url
from tests.introspection.conftest import OPAQUE, Endpoint, answer

from resource_server.conf import project as conf
from resource_server.explain import explain
from resource_server.testing import FakeIssuer

GOOD = {"CLIENT_ID": "api", "CLIENT_SECRET": "x"}
SERVER = {"ISSUER": "https://issuer.test/", "AUDIENCE": "https://api.test/"}
JWK = ECKey.generate_key("P-256").as_dict(private=True)

# {sentence: (INTROSPECTION, a piece of the message, a piece of the hint)}
PROBLEMS: dict[str, tuple[object, str, str]] = {
    "no dict": ("https://issuer.test/introspect", "is not a dict", "CLIENT_ID"),
    "an unknown key": ({**GOOD, "ENDPIONT": "https://a/"}, "has the key 'ENDPIONT'", "ENDPOINT"),
    "no client": ({"CLIENT_SECRET": "x"}, "lacks CLIENT_ID", "right to introspect"),
    "an empty client": ({**GOOD, "CLIENT_ID": ""}, "lacks CLIENT_ID", ""),
    "no credential": ({"CLIENT_ID": "api"}, "has 0 of", "registered"),
    "a secret that is None": ({"CLIENT_ID": "api", "CLIENT_SECRET": None}, "has 0 of", ""),
    "two credentials": ({**GOOD, "PRIVATE_KEY": JWK}, "has 2 of", "registered"),
    "an empty secret": ({**GOOD, "CLIENT_SECRET": ""}, "CLIENT_SECRET that is not text", "environment"),
    "a secret that is a number": ({**GOOD, "CLIENT_SECRET": 5}, "CLIENT_SECRET that is not text", ""),
    "no PEM": ({"CLIENT_ID": "api", "PRIVATE_KEY": "/etc/key.pem"}, "PRIVATE_KEY that cannot", "PEM"),
    "no certificate": ({"CLIENT_ID": "api", "CERTIFICATE": "/nowhere.pem"}, "CERTIFICATE that is not", "No such"),
    "a certificate that is no path": ({"CLIENT_ID": "api", "CERTIFICATE": 5}, "CERTIFICATE that is not", "path"),
    "a certificate in no PEM": ({"CLIENT_ID": "api", "CERTIFICATE": __file__}, "CERTIFICATE that is not", "."),
    "a certificate with NUL": ({"CLIENT_ID": "api", "CERTIFICATE": "a\0"}, "CERTIFICATE that is not", "."),
    "another method": ({**GOOD, "AUTH": "basic"}, "has another AUTH", "client_secret_basic"),
    "the method of another credential": ({**GOOD, "AUTH": "private_key_jwt"}, "has another AUTH", ""),
    "a method that is a list": ({**GOOD, "AUTH": ["client_secret_post"]}, "has another AUTH", ""),
    "another kind": ({**GOOD, "FOR": "jwt"}, "has another FOR than opaque or all", "opaque is the default"),
    "signed in words": ({**GOOD, "SIGNED": "yes"}, "has another SIGNED", "False"),
    "no such member to lack": ({**GOOD, "MAY_LACK": ["sub"]}, "has another MAY_LACK", "empty list"),
    "a member to lack that is a number": ({**GOOD, "MAY_LACK": 5}, "has another MAY_LACK", ""),
    "a longer memory": ({**GOOD, "CACHE_SECONDS": 61}, "not a whole number from 0 to 60", "60 is"),
    "a memory that is True": ({**GOOD, "CACHE_SECONDS": True}, "not a whole number", ""),
    "an endpoint over http": ({**GOOD, "ENDPOINT": "http://issuer.test/i"}, "ENDPOINT that is http", "metadata"),
    "an endpoint with a password": ({**GOOD, "ENDPOINT": "https://a:b@issuer.test/"}, "user name", ""),
    "an endpoint that is a number": ({**GOOD, "ENDPOINT": 5}, "is not a URL", ""),
}


def problems(introspection: object, **changes: Any) -> list[tuple[str, str, str]]:
    _, found = conf.parse({**SERVER, "INTROSPECTION": introspection, **changes}, debug=False)
    return [(each.id, each.message, each.hint) for each in found]


@pytest.mark.parametrize(("introspection", "message", "hint"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem(introspection: object, message: str, hint: str) -> None:
    ((id_, text, advice),) = problems(introspection)
    assert id_ == "E043"
    assert text.startswith("RESOURCE_SERVER: INTROSPECTION ")
    assert message in text
    assert hint in advice


def test_no_problem_repeats_a_secret() -> None:
    secrets = {"CLIENT_ID": "api", "CLIENT_SECRET": "hush", "PRIVATE_KEY": {**JWK, "d": "hush"}, "x": 1}
    assert "hush" not in json.dumps(problems(secrets))


def test_an_endpoint_is_needed_where_no_metadata_are_read() -> None:
    ((id_, text, _),) = problems(GOOD, JWKS_URI="https://issuer.test/keys")
    assert (id_, "lacks ENDPOINT" in text) == ("E043", True)
    assert problems({**GOOD, "ENDPOINT": "https://issuer.test/i"}, JWKS_URI="https://issuer.test/keys") == []


def test_every_way_in_the_settings(tmp_path: Path) -> None:
    certificate(tmp_path / "c.pem", "api")
    for credential, method in (
        ({"CLIENT_SECRET": "x"}, "client_secret_basic"),
        ({"CLIENT_SECRET": "x", "AUTH": "client_secret_post"}, "client_secret_post"),
        ({"PRIVATE_KEY": JWK}, "private_key_jwt"),
        ({"CERTIFICATE": tmp_path / "c.pem"}, "tls_client_auth"),
    ):
        config, found = conf.parse(
            {**SERVER, "INTROSPECTION": {"CLIENT_ID": "api", "FOR": "all", "MAY_LACK": "aud", **credential}},
            debug=False,
        )
        assert found == []
        assert config is not None
        asked = config.policies[0].introspection
        assert asked is not None
        assert (asked.client.method, asked.for_all, asked.may_lack) == (method, True, {"aud"})


def test_opaque_tokens_of_one_issuer_alone() -> None:
    two = [{**SERVER, "INTROSPECTION": GOOD}, {**SERVER, "ISSUER": "https://b.test/", "INTROSPECTION": GOOD}]
    assert [each.id for each in conf.parse({"ISSUERS": two}, debug=False)[1]] == ["E044"]
    for entry in two:
        entry["INTROSPECTION"] = {**GOOD, "FOR": "all"}
    assert conf.parse({"ISSUERS": two}, debug=False)[1] == []


def test_it_belongs_to_one_issuer() -> None:
    settings = {"ISSUERS": [SERVER], "INTROSPECTION": GOOD}
    assert [each.id for each in conf.parse(settings, debug=False)[1]] == ["E023"]


def introspecting_tenant(issuer: str) -> dict[str, Any]:
    return {**SERVER, "ISSUER": issuer, "INTROSPECTION": GOOD}


def test_not_in_an_answer_of_a_function(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.RESOURCE_SERVER = {"ISSUERS": f"{__name__}.introspecting_tenant"}
    settings.ROOT_URLCONF = "tests.edges.views"
    issuer = FakeIssuer(algorithm="ES256")
    with issuer.serving():
        refused = Client().get(url("function"), headers={"Authorization": f"Bearer {issuer.token()}"})
    assert (refused.status_code, refused.json()["reason"]) == (503, "settings_invalid")
    assert "INTROSPECTION is in an answer of a function" in caplog.text


# From the settings to the answer

Get = Callable[[str], HttpResponse]


@pytest.fixture
def trusted(settings: Settings, endpoint: Endpoint) -> Iterator[FakeIssuer]:
    endpoint.body = json.dumps({**json.loads(answer()), "exp": 4_000_000_000, "iat": 1}).encode()
    settings.ROOT_URLCONF = "tests.edges.views"
    issuer = FakeIssuer(algorithm="ES256")
    settings.RESOURCE_SERVER = issuer.settings(INTROSPECTION={**GOOD, "ENDPOINT": endpoint.url})
    with issuer.serving():
        yield issuer


def sync_get(token: str) -> HttpResponse:
    return Client().get(url("rest function"), headers={"Authorization": f"Bearer {token}"})


def async_get(token: str) -> HttpResponse:
    answered: HttpResponse = async_to_sync(AsyncClient().get)(
        url("async function"), headers={"Authorization": f"Bearer {token}"}
    )
    return answered


@pytest.mark.parametrize("get", [sync_get, async_get])
def test_a_request(trusted: FakeIssuer, endpoint: Endpoint, get: Get) -> None:
    assert [get(OPAQUE).status_code for _ in range(2)] == [200, 200]
    assert len(endpoint.asked) == 1
    assert [message.id for message in run_checks() if (message.id or "").startswith("resource_server.E")] == []


@pytest.mark.parametrize("get", [sync_get, async_get])
def test_an_inactive_token(trusted: FakeIssuer, endpoint: Endpoint, get: Get) -> None:
    endpoint.body = b'{"active": false}'
    for _ in range(2):
        refused = get(OPAQUE)
        assert (refused.status_code, refused.json()["reason"]) == (401, "token_inactive")
        assert 'error="invalid_token"' in refused["WWW-Authenticate"]
    assert len(endpoint.asked) == 1


def test_the_issuer_s_fault(trusted: FakeIssuer, endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    endpoint.status, endpoint.fields = "503 Service Unavailable", ("Retry-After: 9",)
    with caplog.at_level(logging.DEBUG):
        refused = sync_get(OPAQUE)
    assert (refused.status_code, refused["Retry-After"]) == (503, "9")
    assert "WWW-Authenticate" not in refused
    assert endpoint.url in caplog.text
    assert OPAQUE not in caplog.text


def test_a_scope_that_is_lacking(trusted: FakeIssuer, endpoint: Endpoint) -> None:
    endpoint.body = json.dumps({**json.loads(answer()), "exp": 4_000_000_000, "iat": 1, "scope": "other"}).encode()
    assert sync_get(OPAQUE).status_code == 403


def test_a_changed_setting_forgets_the_tokens(trusted: FakeIssuer, endpoint: Endpoint, settings: Settings) -> None:
    assert sync_get(OPAQUE).status_code == 200
    settings.RESOURCE_SERVER = {**settings.RESOURCE_SERVER, "AUDIENCE": "https://other.test/"}
    assert sync_get(OPAQUE).json()["reason"] == "audience_not_accepted"


def test_the_cache_is_shared_and_sealed_with_the_secret_key(
    trusted: FakeIssuer, endpoint: Endpoint, settings: Settings, redis_url: str
) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis_url}}
    for secret, questions in (("one", 1), ("one", 1), ("another", 2)):
        settings.SECRET_KEY = secret
        settings.RESOURCE_SERVER = {**settings.RESOURCE_SERVER, "CACHE": "default"}  # a process that starts
        assert sync_get(OPAQUE).status_code == 200
        assert len(endpoint.asked) == questions


# Explained


def steps(token: str) -> dict[str, str]:
    return {step.name: step.reason or step.outcome for step in explain(token).steps}


def test_each_step_of_an_introspected_token(trusted: FakeIssuer, endpoint: Endpoint) -> None:
    explanation = explain(OPAQUE)
    assert {step.outcome for step in explanation.steps} == {"ok"}
    names = [step.name for step in explanation.steps]
    assert names[:4] == ["bearer token", "settings", "introspection", "issuer"]
    assert names[-2:] == ["proof", "user"]
    assert {fact.name for fact in explanation.facts} == {"iss", "aud", "exp", "nbf", "iat"}


def test_the_step_that_refuses(trusted: FakeIssuer, endpoint: Endpoint) -> None:
    endpoint.body = answer(aud="https://other.test/", exp=4_000_000_000, iat=1)
    found = steps("one")
    assert (found["introspection"], found["audience"], found["proof"]) == ("ok", "audience_not_accepted", "not run")
    endpoint.body = b'{"active": false}'
    found = steps("two")
    assert (found["introspection"], found["issuer"]) == ("token_inactive", "not run")
    endpoint.status, endpoint.body = "401 Unauthorized", b'{"error": "invalid_client"}'
    explanation = explain("three")
    assert explanation.refusal is not None
    assert (explanation.refusal.reason, explanation.refusal.outcome) == ("introspection_refused", "unavailable")
    assert "signed JWT" not in steps("three")
    assert "introspection" not in steps(trusted.token())

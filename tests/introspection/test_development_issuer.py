"""Opaque tokens of the development issuer: issued, introspected and revoked over HTTP, its metadata included."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import RequestFactory
from pytest_django import Settings
from tests.processes import AUDIENCE, call, development_issuer

from resource_server import verify
from resource_server.authentication import authenticate
from resource_server.errors import AuthorizationError
from resource_server.explain import explain

Trust = Callable[..., None]


@pytest.fixture(scope="module")
def issuer(free_port: Callable[[], int]) -> Iterator[str]:
    with development_issuer(free_port()) as (address, _):
        yield address


@pytest.fixture
def trust(settings: Settings, issuer: str) -> Trust:
    def configure(**changes: Any) -> None:
        client = {"CLIENT_ID": "demo-api", "CLIENT_SECRET": "demo-api-secret", "CACHE_SECONDS": 0}
        settings.RESOURCE_SERVER = {"ISSUER": issuer, "AUDIENCE": AUDIENCE, "INTROSPECTION": {**client, **changes}}

    return configure


def new_token(issuer: str, client: str = "demo-opaque") -> str:
    form = {"grant_type": "client_credentials", "audience": AUDIENCE, "scope": "example:scope"}
    answer = call(issuer, "/token", form={**form, "client_id": client, "client_secret": f"{client}-secret"})
    assert answer.status == 200, answer.text
    return str(answer.json()["access_token"])


def revoke(issuer: str, token: str, client: str = "demo-opaque") -> None:
    form = {"token": token, "client_id": client, "client_secret": f"{client}-secret"}
    assert call(issuer, "/revoke", form=form).status == 200


def refusal(token: str) -> str:
    with pytest.raises(AuthorizationError) as caught:
        verify(token)
    return caught.value.reason


WAYS: dict[str, dict[str, Any]] = {
    "client_secret_basic": {},
    "client_secret_post": {"AUTH": "client_secret_post"},
    "signed": {"SIGNED": True},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_opaque_token_until_it_is_revoked(issuer: str, trust: Trust, way: dict[str, Any]) -> None:
    trust(**way)
    value = new_token(issuer)
    token = verify(value)
    assert (token.issuer, token.subject, token.is_machine) == (issuer, "demo-opaque@clients", True)
    assert (token.audience, token.scopes) == ((AUDIENCE,), {"example:scope"})
    assert explain(value).refusal is None
    revoke(issuer, value)
    assert refusal(value) == "token_inactive"


def test_a_revoked_jwt_is_refused_if_the_issuer_is_asked_about_all(issuer: str, trust: Trust) -> None:
    trust(FOR="all")
    value = new_token(issuer, "demo-machine")
    assert verify(value).subject == "demo-machine@clients"
    revoke(issuer, value, "demo-machine")
    assert refusal(value) == "token_inactive"
    trust(FOR="opaque")
    assert verify(value).subject == "demo-machine@clients"


def test_an_answer_is_remembered_as_a_jwt_is(issuer: str, trust: Trust) -> None:
    trust(CACHE_SECONDS=60)
    value = new_token(issuer)
    verify(value)
    revoke(issuer, value)
    assert verify(value).subject == "demo-opaque@clients"


def test_a_remembered_answer_costs_what_a_remembered_jwt_costs(issuer: str, trust: Trust) -> None:
    trust(CACHE_SECONDS=60)
    counts = []
    for client in ("demo-machine", "demo-opaque"):
        request = RequestFactory().get("/", headers={"Authorization": f"Bearer {new_token(issuer, client)}"})
        authenticate(request)
        counts.append(calls_of(lambda request=request: authenticate(request)))  # type: ignore[misc] # a lambda's default
    assert counts[0] == counts[1] > 0


def calls_of(call: Callable[[], object]) -> int:
    """How many functions a call enters, those of C too."""
    number = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal number
        number += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(before)
    return number


def test_wrong_credentials(issuer: str, trust: Trust) -> None:
    trust(CLIENT_SECRET="another")
    assert refusal(new_token(issuer)) == "introspection_refused"

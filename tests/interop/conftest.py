"""An issuer of another project, an API that trusts it over real HTTP, and a call to any edge of that API."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.test import AsyncClient, Client
from pytest_django import Settings
from tests.interop.oidc_provider import OidcProvider, install, resource, running
from tests.interop.views import EDGES

Get: TypeAlias = Callable[[str], HttpResponse]
Trust: TypeAlias = Callable[..., None]


@pytest.fixture(scope="session")
def node_modules() -> None:
    install()


@pytest.fixture(scope="session")
def issuer(node_modules: None, free_port: Callable[[], int]) -> Iterator[OidcProvider]:
    """An issuer that keeps its keys."""
    with running(free_port()) as provider:
        yield provider


@pytest.fixture
def own_issuer(node_modules: None, free_port: Callable[[], int]) -> Iterator[OidcProvider]:
    """An issuer for this test alone, which may rotate its keys and stop."""
    with running(free_port()) as provider:
        yield provider


@pytest.fixture
def trust(settings: Settings) -> Trust:
    """Trust an issuer for the API of one algorithm, with default settings except for `changes`."""

    def configure(issuer: OidcProvider, algorithm: str = "RS256", **changes: Any) -> None:
        settings.ROOT_URLCONF = "tests.interop.views"
        settings.DEBUG = True  # which admits http on loopback
        settings.RESOURCE_SERVER = {"ISSUER": issuer.address, "AUDIENCE": resource(algorithm), **changes}

    return configure


@pytest.fixture(params=EDGES)
def get(request: pytest.FixtureRequest) -> Get:
    """GET the endpoint at one edge with a bearer token, the async view under ASGI."""

    def call(token: str) -> HttpResponse:
        headers = {"Authorization": f"Bearer {token}"}
        if request.param == "async":
            answer: HttpResponse = async_to_sync(AsyncClient().get)("/async", headers=headers)
            return answer
        return Client().get(f"/{request.param}", headers=headers)

    return call

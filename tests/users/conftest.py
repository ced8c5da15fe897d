"""An issuer that signs, and a client that calls one plain view with its tokens."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from resource_server.testing import FakeIssuer


@pytest.fixture
def issuer(settings: Any) -> Iterator[FakeIssuer]:
    """The issuer that the project trusts and fetches from."""
    issuer = FakeIssuer(algorithm="ES256")
    settings.ROOT_URLCONF = "tests.users.views"
    settings.RESOURCE_SERVER = issuer.settings()
    with issuer.serving():
        yield issuer


@pytest.fixture
def users_are(issuer: FakeIssuer, settings: Any) -> Callable[[str], None]:
    """Sets USERS."""

    def change(users: str) -> None:
        settings.RESOURCE_SERVER = issuer.settings(USERS=users)

    return change


@pytest.fixture
def call(issuer: FakeIssuer) -> Callable[..., Any]:
    """The response to a request with a token of these claims."""

    def request(**claims: Any) -> Any:
        token = issuer.token(**{"scope": "read", **claims})
        return Client().get("/me", headers={"Authorization": f"Bearer {token}"})

    return request

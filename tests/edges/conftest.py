"""An issuer that is trusted, and a call to any of the views."""

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from resource_server.testing import FakeIssuer


@pytest.fixture
def issuer(settings):
    issuer = FakeIssuer(algorithm="ES256")  # an RSA key takes longer to make than most tests
    settings.ROOT_URLCONF = "tests.edges.views"
    settings.RESOURCE_SERVER = issuer.settings()
    with issuer.serving():
        yield issuer


@pytest.fixture(params=["sync", "async"])
def get(request, issuer):
    """GET an address with an Authorization header, under WSGI and under ASGI."""

    def call(url, authorization=None, *, user=None):
        headers = {} if authorization is None else {"Authorization": authorization}
        client = Client(raise_request_exception=False)
        if request.param == "sync":
            if user is not None:
                client.force_login(user)
            return client.get(url, headers=headers)
        client = AsyncClient(raise_request_exception=False)
        if user is not None:
            client.force_login(user)
        return async_to_sync(client.get)(url, headers=headers)

    return call

"""An API that trusts an issuer of bound tokens, and a call to any of its edges with a proof."""

from itertools import count

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import caches
from django.test import AsyncClient, Client

from resource_server.testing import FakeIssuer, ProofKey

ORIGIN = "https://api.test"
EDGES = ("rest", "plain", "async", "middleware", "twice")
_names = count()


@pytest.fixture
def issuer(settings):
    issuer = FakeIssuer(algorithm="ES256")
    settings.ROOT_URLCONF = "tests.bound.views"
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": f"bound-{next(_names)}"}
    }
    with issuer.serving():
        yield issuer
    caches["default"].clear()


@pytest.fixture
def configure(settings, issuer):
    """Set the settings, as `DPOP` = `allowed` with what it needs, and changes."""

    def change(**changes):
        given = {"DPOP": "allowed", "PUBLIC_ORIGIN": ORIGIN, "CACHE": "default", **changes}
        settings.RESOURCE_SERVER = issuer.settings(**{name: each for name, each in given.items() if each is not None})

    change()
    return change


@pytest.fixture(scope="session")
def key():
    return ProofKey()


class Api:
    """Calls one edge, under WSGI or under ASGI."""

    def __init__(self, issuer, key, client, edge):
        self.issuer, self.key, self.client, self.edge = issuer, key, client, edge
        self.path = f"/{edge}"
        self.url = f"{ORIGIN}{self.path}"

    def token(self, **claims):
        """A token that is bound to the key, unless `cnf` is given."""
        return self.issuer.token(**{"scope": "read", "cnf": self.key.confirmation, **claims})

    def headers(self, token, **claims):
        return self.key.headers("GET", self.url, token, **claims)

    def get(self, headers, *, remote="127.0.0.1"):
        if isinstance(self.client, AsyncClient):
            self.client.remote = remote
            return async_to_sync(self.client.get)(self.path, headers=headers)
        return self.client.get(self.path, headers=headers, REMOTE_ADDR=remote)

    def call(self, token=None, **claims):
        """GET with a proof; `claims` change it."""
        token = token or self.token()
        return self.get(self.headers(token, **claims))


class RemoteClient(AsyncClient):
    """Under ASGI, from the address `remote`."""

    remote = "127.0.0.1"

    def _base_scope(self, **request):
        return {**super()._base_scope(**request), "client": [self.remote, 1]}


@pytest.fixture(params=["WSGI", "ASGI"])
def client(request):
    return (Client if request.param == "WSGI" else RemoteClient)(raise_request_exception=False)


@pytest.fixture(params=EDGES)
def api(request, issuer, configure, key, client):
    """An API with `DPOP` allowed, at each edge."""
    return Api(issuer, key, client, request.param)


@pytest.fixture
def plain(issuer, configure, key):
    """The same at one edge."""
    return Api(issuer, key, Client(raise_request_exception=False), "plain")

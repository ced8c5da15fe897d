"""The snippets of docs/requirements.md run, and do what the page says."""

import asyncio
import sys
import time
from types import ModuleType

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from tests.docs.pages import run
from tests.verified import token_of

from resource_server import requirements, requires_token
from resource_server.conf import project as conf
from resource_server.drf import AccessTokenAuthentication
from resource_server.requirements import Operation
from resource_server.testing import FakeIssuer


class Routes:
    """A URLconf."""

    def __init__(self, *patterns):
        self.urlpatterns = patterns


@pytest.fixture
def issuer():
    issuer = FakeIssuer(algorithm="ES256")
    with issuer.serving(), override_settings(RESOURCE_SERVER=issuer.settings()):
        yield issuer


def test_the_rights_of_one_endpoint():
    names, acme = run("# the rights of one endpoint"), Operation(arguments={"org": "acme"})
    now = {"acr": "urn:example:gold", "auth_time": time.time()}

    for claims, pay, pay_now in (
        ({"roles": ["treasurer"], "org_id": "acme"}, True, None),
        ({"scope": "payments:write", "org_id": "acme", **now}, True, True),
        ({"scope": "payments:write", "org_id": "other", **now}, False, False),
        ({"roles": ["clerk"], "org_id": "acme"}, False, False),
    ):
        assert names["PAY"].holds(token_of(**claims), acme) is pay
        assert names["PAY_NOW"].holds(token_of(**claims), acme) is pay_now


@pytest.mark.parametrize(("method", "scope", "status"), [("get", "orders:read", 200), ("post", "orders:read", 403)])
def test_the_guard_per_method(issuer, method, scope, status):
    headers = {"Authorization": f"Bearer {issuer.token(scope=scope)}"}
    request = getattr(RequestFactory(), method)("/", headers=headers)

    assert run('@requires({"GET"')["orders"](request).status_code == status


@pytest.mark.django_db
def test_the_viewset_with_owners(issuer):
    class Serializer(ModelSerializer):
        class Meta:
            model = User
            fields = ["username"]

    documents = run("class Documents")["Documents"]
    members = {"serializer_class": Serializer, "authentication_classes": [AccessTokenAuthentication]}
    # Any model will do: its usernames are the owners.
    requirement = eval(repr(documents.requirement).replace("'owner'", "'username'"), vars(requirements))  # noqa: S307 - ours
    view = type(
        "Here", (documents,), {**members, "queryset": User.objects.order_by("username"), "requirement": requirement}
    )
    router = SimpleRouter()
    router.register("documents", view, basename="documents")
    own, other = (User.objects.create(username=name) for name in ("ada", "eve"))
    headers = {"Authorization": f"Bearer {issuer.token(sub='ada', scope='documents:read')}"}
    with override_settings(ROOT_URLCONF=Routes(*router.urls)):
        assert Client().get("/documents/", headers=headers).json() == [{"username": "ada"}]
        assert Client().get(f"/documents/{own.pk}/", headers=headers).status_code == 200
        assert Client().get(f"/documents/{other.pk}/", headers=headers).status_code == 404
        assert Client().post("/documents/", {"username": "x"}, headers=headers).status_code == 403
        assert Client().delete(f"/documents/{own.pk}/", headers=headers).status_code == 403
        assert Client().options("/documents/", headers=headers).status_code == 200


def test_the_api_of_django_ninja(issuer):
    api = run("AccessTokenAPI(")["api"]
    reader = {"Authorization": f"Bearer {issuer.token(scope='orders:read')}"}
    manager = {"Authorization": f"Bearer {issuer.token(scope='orders:write', roles=['manager'])}"}

    with override_settings(ROOT_URLCONF=Routes(path("", api.urls))):
        assert Client().get("/orders", headers=reader).json() == {"subject": "auth0|ada"}
        assert Client().delete("/orders", headers=reader).json()["reason"] == "right_missing"
        assert Client().delete("/orders", headers=manager).status_code == 200
        assert Client().get("/orders")["WWW-Authenticate"] == 'Bearer realm="api", scope="orders:read"'


def test_the_consumer(issuer):
    application = run("# routing.py")["websockets"]

    async def first_message(**claims):
        headers = [(b"authorization", f"Bearer {issuer.token(**claims)}".encode())]
        scope = {"type": "websocket", "path": "/chat", "headers": headers, "subprotocols": []}
        connection = ApplicationCommunicator(application, scope)
        await connection.send_input({"type": "websocket.connect"})
        first = await connection.receive_output(timeout=10)
        if first["type"] != "websocket.accept":
            return first["code"]
        text = (await connection.receive_output(timeout=10))["text"]
        await connection.send_input({"type": "websocket.disconnect", "code": 1000})
        await connection.wait(timeout=10)
        return text

    assert asyncio.run(first_message(scope="chat:read")) == "auth0|ada"
    assert asyncio.run(first_message()) == 4403


@pytest.mark.parametrize("mark", ["# rates by the token", "# permissions of Django by the token"])
def test_the_settings_are_valid(mark):
    config, problems = conf.parse(run(mark)["RESOURCE_SERVER"], debug=False)

    assert problems == []
    assert bool(config.throttle_rates) is (mark == "# rates by the token")
    assert bool(config.policies[0].rights.django_permissions) is (mark != "# rates by the token")


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_the_fields_of_graphql(issuer, is_async, monkeypatch):
    pytest.importorskip("strawberry", reason="Strawberry is not among the oldest versions")
    from strawberry.django.views import AsyncGraphQLView

    monkeypatch.setitem(sys.modules, "snippet", ModuleType("snippet"))  # Strawberry looks for the annotations there
    [pattern] = run("# graphql.py")["urlpatterns"]
    if is_async:
        schema = pattern.callback.view_initkwargs["schema"]
        pattern = path("graphql", requires_token(AsyncGraphQLView.as_view(schema=schema)))

    def ask(**claims):
        headers = {"Authorization": f"Bearer {issuer.token(**claims)}"} if claims else {}
        client = AsyncClient() if is_async else Client()
        call = async_to_sync(client.post) if is_async else client.post
        with override_settings(ROOT_URLCONF=Routes(pattern)):
            return call("/graphql", {"query": "{subject orders}"}, content_type="application/json", headers=headers)

    assert ask()["WWW-Authenticate"] == 'Bearer realm="api"'
    assert ask(scope="orders:read").json() == {"data": {"subject": "auth0|ada", "orders": ["first"]}}
    partly = ask(scope="other").json()
    assert partly["data"] == {"subject": "auth0|ada", "orders": None}
    assert [error["message"] for error in partly["errors"]] == ["access token lacks a scope: orders:read"]

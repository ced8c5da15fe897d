"""One table of requirements and tokens through every edge: the same status, challenge and reason."""

import asyncio
import json
import time

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.test import AsyncClient, Client
from tests.edges.parity_views import EDGES, REQUIREMENTS, websocket

from resource_server import revoke
from resource_server.revocation import begin_deny_list
from resource_server.testing import FakeIssuer

BARE = 'Bearer realm="api"'
NUMBERS = {name: number for number, name in enumerate(REQUIREMENTS)}
HTTP_EDGES = [*EDGES, "ninja", "ninja/async"]


def lacks(words, scope=None):
    named = "" if scope is None else f', scope="{scope}"'
    return 403, f'{BARE}, error="insufficient_scope", error_description="access token lacks {words}"{named}'


def step_up(words):
    parameters = 'acr_values="gold", max_age="1000000"'
    return 401, f'{BARE}, error="insufficient_user_authentication", error_description="{words}", {parameters}'


GOOD = (200, None)
CONTEXT = "sign-in of the person was not in a required authentication context"
PAYMENT = {"type": "pay", "actions": ["send", "read"]}
# (requirement, claims beside those of a person's token, answer)
TABLE = [
    ("any token", {}, GOOD),
    ("scopes", {"scope": "b a"}, GOOD),
    ("scopes", {"scope": "a"}, lacks("a scope: b", "a b")),
    ("scopes", {}, lacks("a scope: a b", "a b")),
    ("text", {"scope": "a"}, lacks("a scope: b", "a b")),
    ("any scope", {"scope": "b"}, GOOD),
    ("either scope", {"scope": "b"}, GOOD),
    ("either scope", {"scope": "c"}, lacks("a scope: a", "a")),
    ("not a scope", {"scope": "b"}, GOOD),
    ("not a scope", {"scope": "a"}, lacks("a right: not (scope `a`)")),
    ("role", {"scope": "a", "roles": ["r"]}, GOOD),
    ("role", {"roles": ["r"]}, lacks("a scope: a", "a")),
    ("role", {"scope": "a"}, lacks("a right: role `r`")),
    ("role", {"scope": "a", "roles": {"r": 1}}, lacks("a right: role `r`")),
    ("not a role", {"roles": ["x"]}, GOOD),
    ("not a role", {}, lacks("a right: not (role `r`)")),
    ("permission or group", {"groups": ["g"]}, GOOD),
    ("permission or group", {"permissions": ["x"]}, lacks("a right: permission `p`")),
    ("claim", {"deep": {"er": 1}}, GOOD),
    ("claim", {"deep": {"er": True}}, lacks("a right: claim `/deep/er` with an accepted value")),
    ("function", {"name": "xy"}, GOOD),
    ("function", {"name": 5}, lacks("a right: claim `name` with an accepted value")),
    ("step-up", {"acr": "gold", "auth_time": time.time()}, GOOD),
    ("step-up", {"acr": "silver", "auth_time": time.time()}, step_up(CONTEXT)),
    ("step-up", {"acr": "gold", "auth_time": 1}, step_up("sign-in of the person is too old")),
    ("detail", {"authorization_details": [PAYMENT]}, GOOD),
    (
        "detail",
        {"authorization_details": [{"type": "pay"}]},
        lacks("a right: authorization detail `pay` with actions `send`"),
    ),
    ("actor", {}, GOOD),
    ("actor", {"act": {"sub": "other"}}, lacks("a right: not (an actor)")),
    ("actor", {"act": 5}, lacks("a right: not (an actor)")),
    ("client", {"client_id": "app"}, GOOD),
    ("client", {"client_id": "other"}, lacks("a right: an accepted client")),
    ("organisation", {"org_id": "acme"}, GOOD),
    ("organisation", {"org_id": "other"}, lacks("a right: the organisation of `org` in the address")),
    ("organisation", {}, lacks("a right: the organisation of `org` in the address")),
    ("machine", {"sub": "app", "client_id": "app"}, GOOD),
    ("machine", {}, lacks("a right: a machine")),
    ("owner", {"scope": "admin"}, GOOD),
    ("owner", {}, lacks("a scope: admin", "admin")),
    ("least", {"scope": "admin"}, GOOD),
    ("least", {}, lacks("a scope: read", "read")),
    ("least", {"scope": "read"}, lacks("a scope: admin", "admin")),
    ("fewest", {}, lacks("a scope: c", "c")),
    ("overlapping", {}, lacks("a scope: b", "b")),
    ("method", {"scope": "a"}, GOOD),
    ("method", {"scope": "b"}, lacks("a scope: a", "a")),
    ("other method", {"scope": "a"}, lacks("a right: a declared method (`GET` is not named)")),
]
rows = pytest.mark.parametrize(("name", "claims", "expected"), TABLE, ids=range(len(TABLE)))


@pytest.fixture
def issuer(settings):
    issuer = FakeIssuer(algorithm="ES256")
    settings.ROOT_URLCONF = "tests.edges.parity_views"
    settings.RESOURCE_SERVER = issuer.settings()
    with issuer.serving():
        yield issuer


def over_http(edge, client, name, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    url = f"/{edge}/{NUMBERS[name]}/acme"
    response = (
        Client().get(url, headers=headers)
        if client == "sync"
        else async_to_sync(AsyncClient().get)(url, headers=headers)
    )
    assert "Authorization" in response["Vary"]
    return response.status_code, response.headers, response.json()


def over_websocket(name, authorization):
    async def call():
        headers = [] if authorization is None else [(b"authorization", authorization.encode())]
        scope = {
            "type": "websocket",
            "path": f"/ws/{NUMBERS[name]}/acme",
            "headers": headers,
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        connection = ApplicationCommunicator(websocket, scope)
        await connection.send_input({"type": "websocket.connect"})
        first = await connection.receive_output(timeout=10)
        if first["type"] == "websocket.accept":
            await connection.send_input({"type": "websocket.receive", "text": "hello"})
            subject, user, _ = (await connection.receive_output(timeout=10))["text"].split(" ")
            await connection.send_input({"type": "websocket.disconnect", "code": 1000})
            await connection.wait(timeout=10)
            return 200, {}, {"subject": subject, "user": user}
        assert first["type"] == "websocket.http.response.start"
        body = (await connection.receive_output(timeout=10))["body"]
        headers = {key.decode().title().replace("Www", "WWW"): value.decode() for key, value in first["headers"]}
        return first["status"], headers, json.loads(body)

    return asyncio.run(call())


@pytest.fixture(params=[*(f"{edge} {client}" for edge in HTTP_EDGES for client in ("sync", "async")), "websocket"])
def ask(request, issuer):
    """The answer of one edge to one token: status, headers and body."""
    if request.param == "websocket":
        return over_websocket
    edge, client = request.param.split(" ")
    return lambda name, authorization: over_http(edge, client, name, authorization)


@rows
def test_every_edge_gives_this_answer(ask, issuer, name, claims, expected):
    status, headers, body = ask(name, f"Bearer {issuer.token(**claims)}")

    assert (status, headers.get("WWW-Authenticate")) == expected
    if status == 200:
        subject = claims.get("sub", "auth0|ada")
        assert body == {"subject": subject, "user": subject}
    else:
        assert set(body) == {"detail", "error", "reason"}
        assert f'error="{body["error"]}", error_description="{body["detail"]}"' in headers["WWW-Authenticate"]


# The scopes of the challenge to a request without a token, where scopes alone would do.
ASKED = {
    "scopes": "a b",
    "text": "a b",
    "any scope": "a b",
    "either scope": "a",
    "role": "a",
    "least": "read",
    "fewest": "c",
    "overlapping": "b",
    "method": "a",
}


def anonymous(name, parameters=""):
    return f'{BARE}{parameters}, scope="{ASKED[name]}"' if name in ASKED else f"{BARE}{parameters}"


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_without_a_token_every_requirement_is_401(ask, name):
    status, headers, body = ask(name, None)

    assert (status, headers["WWW-Authenticate"]) == (401, anonymous(name))
    # REST framework words the answer to a request without credentials itself, if one of its permissions refuses.
    assert body.get("reason", "credentials_missing") == "credentials_missing"
    assert "error" not in body


@pytest.mark.parametrize("origin", [None, "https://api.test"])
@pytest.mark.parametrize("name", ASKED)
def test_without_a_token_and_without_scopes_the_challenge_names_the_same(ask, issuer, settings, name, origin):
    settings.RESOURCE_SERVER = issuer.settings(PUBLIC_ORIGIN=origin)
    metadata = f', resource_metadata="{origin}/.well-known/oauth-protected-resource"' if origin else ""
    status, headers, _ = ask(name, None)
    assert (status, headers["WWW-Authenticate"]) == (401, anonymous(name, metadata))

    status, headers, _ = ask(name, f"Bearer {issuer.token(roles=['r'])}")
    assert (status, headers["WWW-Authenticate"].partition(", scope=")[2]) == (403, f'"{ASKED[name]}"')


@pytest.mark.parametrize("name", ["any token", "not a scope", "owner"])
def test_a_token_that_fails_is_refused(ask, issuer, name):
    stranger = FakeIssuer(algorithm="ES256")
    forged = stranger.token(scope="a admin", header={"kid": issuer.keys.current_kid})
    status, headers, body = ask(name, f"Bearer {forged}")
    assert (status, body["reason"]) == (401, "signature_invalid")

    status, headers, body = ask(name, f"Bearer {issuer.token()}, Bearer {issuer.token()}")
    assert (status, body["reason"]) == (400, "credentials_repeated")

    status, headers, body = ask(name, "Basic abc")
    assert (status, headers["WWW-Authenticate"]) == (401, anonymous(name))


def test_an_issuer_that_is_down_is_503_everywhere(ask, issuer):
    issuer.failure = "fetch_failed"
    status, headers, body = ask("not a scope", f"Bearer {issuer.token()}")

    assert (status, body["reason"]) == (503, "fetch_failed")
    assert int(headers["Retry-After"]) >= 1


def test_a_revoked_token_is_401_everywhere(ask, issuer, settings):
    settings.RESOURCE_SERVER = issuer.settings(REVOCATION="default")
    begin_deny_list()
    first, second = issuer.token(jti=f"{time.monotonic_ns()}"), issuer.token(jti=(jti := f"{time.monotonic_ns()}"))
    for token in (first, second, second):
        assert ask("any token", f"Bearer {token}")[0] == 200
    revoke(issuer.issuer, jti=jti)
    status, headers, body = ask("any token", f"Bearer {second}")

    assert (status, body["reason"]) == (401, "token_revoked")
    assert headers["WWW-Authenticate"].startswith(f'{BARE}, error="invalid_token"')
    assert ask("any token", f"Bearer {first}")[0] == 200

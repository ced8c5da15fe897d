"""WebSockets by a real client, through uvicorn and Channels: header, subprotocol, refusals, and the end of the token."""

import asyncio
import gc
import json
import time

import pytest
from asgiref.testing import ApplicationCommunicator
from tests.edges.websocket_server import websocket_server
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from resource_server import channels
from resource_server.channels import AccessTokenWebSocketMiddleware
from resource_server.errors import NoCredentials
from resource_server.reasons import CredentialsReason
from resource_server.testing import FakeIssuer


@pytest.fixture(scope="module")
def issuer():
    return FakeIssuer(algorithm="ES256")


@pytest.fixture(scope="module")
def address(issuer, tmp_path_factory):
    """The address of the server, which has the issuer's keys in its settings."""
    settings = issuer.settings(JWKS=issuer.keys.jwks(), CLOCK_SKEW_SECONDS=0)
    with websocket_server(tmp_path_factory.mktemp("uvicorn"), settings) as served:
        yield served


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def refused(address, **options):
    with pytest.raises(InvalidStatus) as raised, connect(f"{address}/echo", **options):
        raise AssertionError("connected")
    response = raised.value.response
    return response.status_code, response.headers.get("WWW-Authenticate"), json.loads(response.body)["reason"]


def test_the_token_in_the_header(address, issuer):
    with connect(f"{address}/echo", additional_headers=bearer(issuer.token(scope="chat:read"))) as websocket:
        seen = json.loads(websocket.recv(10))
        websocket.send("hello")

        assert seen == {"subject": "auth0|ada", "user": "auth0|ada", "subprotocols": [], "shows_token": False}
        assert websocket.recv(10) == "hello"
        assert websocket.subprotocol is None


@pytest.mark.parametrize(
    ("others", "answered"), [(["chat"], "chat"), (["bearer"], "bearer"), (["bearer", "chat"], "chat"), ([], None)]
)
def test_the_token_in_a_subprotocol_is_never_answered(address, issuer, others, answered):
    token = issuer.token(scope="chat:read")
    with connect(f"{address}/echo", subprotocols=[f"bearer.{token}", *others]) as websocket:
        seen = json.loads(websocket.recv(10))

        assert websocket.subprotocol == answered
        assert seen["subprotocols"] == [name for name in others if name != "bearer"]
        assert seen["shows_token"] is False
        assert token not in str(websocket.response.headers)


def test_refusals_are_those_of_http(address, issuer):
    bare = 'Bearer realm="api"'
    token, stranger = issuer.token(scope="chat:read"), FakeIssuer(algorithm="ES256")

    assert refused(address) == (401, f'{bare}, scope="chat:read"', "credentials_missing")
    lacks = f'{bare}, error="insufficient_scope", error_description="access token lacks a scope: chat:read", scope="chat:read"'
    assert refused(address, additional_headers=bearer(issuer.token())) == (403, lacks, "scope_missing")
    assert refused(address, additional_headers=bearer(stranger.token()))[0] == 401
    assert refused(address, subprotocols=["bearer.x"])[2] == "token_malformed"
    assert refused(address, subprotocols=["bearer."])[0] == 401
    twice = {"additional_headers": bearer(token), "subprotocols": [f"bearer.{token}"]}
    assert refused(address, **twice) == (400, refused(address, **twice)[1], "credentials_repeated")
    assert refused(address, subprotocols=[f"bearer.{token}", f"bearer.{issuer.token(scope='chat:read')}"])[0] == 400
    with pytest.raises(InvalidStatus) as raised, connect(f"{address}/echo?access_token={token}"):
        raise AssertionError("connected")
    assert raised.value.response.status_code == 401


@pytest.mark.parametrize("path", ["echo", "talkative"])
def test_the_connection_ends_with_the_token(address, issuer, path):
    ends = int(time.time()) + 2
    token = issuer.token(scope="chat:read", exp=ends)
    with connect(f"{address}/{path}", additional_headers=bearer(token)) as websocket:  # noqa: SIM117 - is open when it ends
        with pytest.raises(ConnectionClosed) as raised:
            [websocket.recv(10) for _ in range(1000)]

    assert (raised.value.rcvd.code, raised.value.rcvd.reason) == (4401, "access token has expired")
    assert -0.1 <= time.time() - ends < 2


async def talkative(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        await send({"type": "websocket.send", "text": "secret"})
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("close", ["returns", "blocks", "raises"])
@pytest.mark.parametrize("swallows", [False, True], ids=["stops", "goes on"])
def test_nothing_is_sent_after_the_end_whatever_the_close_does(settings, issuer, close, swallows):
    settings.RESOURCE_SERVER = issuer.settings(JWKS=issuer.keys.jwks(), CLOCK_SKEW_SECONDS=0)
    ends = time.time() + 0.4
    headers = [(b"authorization", f"Bearer {issuer.token(exp=ends)}".encode())]
    sent, closing, closed = [], [], []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        if message["type"] != "websocket.close":
            sent.append((bool(closing), message["type"]))
            return
        closing.append(message["code"])
        if close == "raises":
            raise OSError("the client has left")
        await asyncio.sleep(0.3 if close == "blocks" else 0)
        closed.append(message["code"])

    async def application(scope, receive, send):
        for _ in range(3 if swallows else 1):  # a loop of the project that logs errors of its connection
            try:
                await talkative(scope, receive, send)
            except OSError:
                if not swallows:
                    raise
        await asyncio.sleep(0.5 if swallows else 0)

    async def connects():
        failures = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))
        guarded = AccessTokenWebSocketMiddleware(application)
        scope = {"type": "websocket", "path": "/", "headers": headers}
        await asyncio.wait_for(guarded(scope, receive, send), 5)
        gc.collect()  # a task whose error is not read says so when it goes
        return failures

    assert asyncio.run(connects()) == []
    assert sent.count((False, "websocket.send")) > 3
    assert [message for message in sent if message[0]] == []
    assert closing == [4401]
    assert closed == ([] if close == "raises" else [4401])


def test_a_token_within_the_clock_skew_is_good_as_on_other_edges(settings, issuer):
    settings.RESOURCE_SERVER = issuer.settings(JWKS=issuer.keys.jwks(), CLOCK_SKEW_SECONDS=30)
    headers = [(b"authorization", f"Bearer {issuer.token(exp=time.time() - 10)}".encode())]
    scope = {"type": "websocket", "path": "/", "headers": headers}

    async def application(scope, receive, send):
        await receive()
        await asyncio.sleep(0.05)
        await send({"type": "websocket.accept"})

    async def connects():
        communicator = ApplicationCommunicator(AccessTokenWebSocketMiddleware(application), scope)
        await communicator.send_input({"type": "websocket.connect"})
        return await communicator.receive_output(5)

    assert asyncio.run(connects())["type"] == "websocket.accept"


@pytest.mark.parametrize(("authorization", "code"), [(None, 4401), ("Bearer x", 4401), ("Bearer x,Bearer y", 4400)])
def test_a_server_without_http_answers_closes_with_the_status(settings, issuer, authorization, code):
    settings.RESOURCE_SERVER = issuer.settings(JWKS=issuer.keys.jwks())

    async def refused():
        headers = [] if authorization is None else [(b"authorization", authorization.encode())]
        connection = ApplicationCommunicator(
            AccessTokenWebSocketMiddleware(unreachable), {"type": "websocket", "path": "/", "headers": headers}
        )
        await connection.send_input({"type": "websocket.connect"})
        return await connection.receive_output(timeout=10)

    assert asyncio.run(refused())["code"] == code


async def unreachable(scope, receive, send):
    raise AssertionError("a refused connection reaches no application")


def test_other_kinds_of_connections_pass_unchanged():
    passed = []

    async def application(scope, receive, send):
        passed.append((scope, receive, send))

    for kind in ("http", "lifespan"):
        given = ({"type": kind}, object(), object())
        asyncio.run(AccessTokenWebSocketMiddleware(application)(*given))
        assert passed.pop() == given


def test_a_client_may_leave_before(address, issuer):
    with connect(f"{address}/echo", additional_headers=bearer(issuer.token(scope="chat:read"))) as websocket:
        websocket.recv(10)
    assert websocket.close_code == 1000


def test_connections_of_the_database_are_looked_after_around_the_look_up(monkeypatch):
    # As Django does around a request: one that the server has ended would fail.
    steps = []

    async def close():
        steps.append("close")

    async def find(*_arguments, **_named):
        steps.append("find")
        raise NoCredentials(CredentialsReason.CREDENTIALS_MISSING)

    async def connects():
        guarded = AccessTokenWebSocketMiddleware(None)
        connection = ApplicationCommunicator(guarded, {"type": "websocket", "path": "/", "headers": []})
        await connection.send_input({"type": "websocket.connect"})
        await connection.receive_output(timeout=10)

    monkeypatch.setattr(channels, "_close_old_connections", close)
    monkeypatch.setattr(channels, "aauthorize", find)
    asyncio.run(connects())
    assert steps == ["close", "find", "close"]

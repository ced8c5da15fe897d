"""Revoked tokens at every door, through a real Redis: guards, REST framework, middleware, sync and async, calls."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.urls import path
from pytest_django import Settings
from rest_framework.response import Response
from rest_framework.views import APIView
from tests.introspection.conftest import OPAQUE, Endpoint, answer
from tests.revocation.conftest import forget_copies, redis_cache
from tests.servers import serving, until_shut

from resource_server import arevoke, authentication, averify, requires_token, revoke, server, verify
from resource_server.errors import AuthorizationError, InvalidToken, Unavailable
from resource_server.explain import explain
from resource_server.signals import token_accepted, token_rejected
from resource_server.testing import FakeIssuer


class Rest(APIView):
    def get(self, request: Any) -> Response:
        return Response({})


@requires_token
def plain(request: HttpRequest) -> HttpResponse:
    return JsonResponse({})


@requires_token
async def plain_async(request: HttpRequest) -> HttpResponse:
    return JsonResponse({})


def unguarded(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"authenticated": request.user.is_authenticated})


urlpatterns = [
    path("rest", Rest.as_view()),
    path("plain", plain),
    path("async", plain_async),
    path("unguarded", unguarded),
]
DOORS = ["rest", "plain", "async", "unguarded"]


@pytest.fixture
def site(issuer: FakeIssuer, settings: Settings) -> Iterator[FakeIssuer]:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "resource_server.middleware.AccessTokenMiddleware"]
    return issuer


def asked(door: str, token: str) -> Any:
    return Client().get(f"/{door}", headers={"Authorization": f"Bearer {token}"})


def asked_async(door: str, token: str) -> Any:
    async def ask() -> Any:
        return await AsyncClient().get(f"/{door}", headers={"Authorization": f"Bearer {token}"})

    return async_to_sync(ask)()


def reason_of(token: str, ask: Callable[[str], Any] = verify) -> str:
    try:
        ask(token)
    except AuthorizationError as error:
        return error.reason
    return "accepted"


@pytest.mark.django_db
@pytest.mark.parametrize("ask", [asked, asked_async])
@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("door", DOORS)
def test_a_revoked_token_is_401_at_each_door(
    site: FakeIssuer, settings: Settings, door: str, remembered: bool, ask: Callable[[str, str], Any]
) -> None:
    if not remembered:
        settings.RESOURCE_SERVER = {**settings.RESOURCE_SERVER, "TOKEN_CACHE": 0}
    if door == "rest":
        settings.MIDDLEWARE = settings.MIDDLEWARE[:-1]
    token, other = site.token(), site.token(jti="id-2")
    for _ in range(2):
        assert ask(door, token).status_code == 200
    revoke(site.issuer, jti="id-1")
    answer = ask(door, token)
    assert (answer.status_code, answer.json()["reason"]) == (401, "token_revoked")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert ask(door, other).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("ask", [asked, asked_async])
@pytest.mark.parametrize("door", DOORS)
def test_without_redis_the_answer_is_503_or_as_the_setting_says(
    site: FakeIssuer, settings: Settings, door: str, ask: Callable[[str, str], Any], free_port: Callable[[], int]
) -> None:
    token = site.token()
    assert ask(door, token).status_code == 200
    settings.CACHES = {"default": redis_cache(f"redis://127.0.0.1:{free_port()}/1")}
    answer = ask(door, token)
    assert (answer.status_code, answer.json()["reason"]) == (503, "revocation_store_failed")
    assert answer.headers["Retry-After"]
    settings.RESOURCE_SERVER = {**settings.RESOURCE_SERVER, "REVOCATION_FAILS": "open"}
    assert ask(door, token).status_code == 200


def test_redis_that_accepts_and_says_nothing(issuer: FakeIssuer, settings: Settings) -> None:
    with serving(until_shut) as there:
        settings.CACHES = {"default": redis_cache(f"redis://127.0.0.1:{there.port}/1", OPTIONS={"socket_timeout": 0.2})}
        started = time.monotonic()
        assert reason_of(issuer.token()) == "revocation_store_failed"
        assert time.monotonic() - started < 10
    caches["default"].close()


def test_calls_outside_of_requests(issuer: FakeIssuer) -> None:
    token = issuer.token()

    async def both() -> None:
        await averify(token)
        await arevoke(issuer.issuer, subject="auth0|ada")
        with pytest.raises(InvalidToken) as refused:
            await averify(token)
        assert refused.value.reason == "token_revoked"
        # A plain call inside an event loop.
        with pytest.raises(InvalidToken):
            verify(token)

    asyncio.run(both())
    assert reason_of(token) == "token_revoked"


def test_async_callers_never_ask_in_the_event_loop(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    deny_list = server.current().revocations
    assert deny_list is not None
    ask = deny_list._ask
    monkeypatch.setattr(deny_list, "_ask", lambda facts: (threads.append(threading.get_ident()), ask(facts)))

    async def verified() -> int:
        await averify(issuer.token())
        return threading.get_ident()

    loop_thread = asyncio.run(verified())
    assert len(threads) == 1
    assert threads[0] != loop_thread


def commands(url: str, call: Callable[[], object]) -> list[str]:
    """The commands that Redis gets during a call."""
    with redis.Redis.from_url(url) as database, database.monitor() as monitor:
        call()
        database.echo("end")
        found = []
        for command in monitor.listen():
            if command["command"] == "ECHO end":
                return found
            name = command["command"].split()[0]
            # What a client says to open a connection is left out.
            if command["db"] == int(url.rpartition("/")[2]) and name not in {"SELECT", "CLIENT", "HELLO"}:
                found.append(name)
    return found


def test_one_round_trip_for_a_token_and_none_within_two_seconds(issuer: FakeIssuer, redis_url: str) -> None:
    token, other = issuer.token(sid="s1"), issuer.token(jti="id-2", sid="s1")
    verify(token)
    assert commands(redis_url, lambda: [verify(token) for _ in range(10)]) == []
    assert commands(redis_url, lambda: verify(other)) == ["MGET"]
    forget_copies()
    assert commands(redis_url, lambda: verify(token)) == ["MGET"]


def test_without_the_setting_nothing_is_asked(issuer: FakeIssuer, settings: Settings, redis_url: str) -> None:
    revoke(issuer.issuer, jti="id-1")
    settings.RESOURCE_SERVER = issuer.settings()
    assert commands(redis_url, lambda: verify(issuer.token())) == []
    assert type(server.current().verifier).__name__ == "Verifier"


def test_nothing_personal_is_in_redis(issuer: FakeIssuer, redis_url: str) -> None:
    revoke(issuer.issuer, subject="auth0|ada")
    revoke(issuer.issuer, jti="id-1")
    with redis.Redis.from_url(redis_url) as database:
        contents = repr([(key, database.get(key), database.ttl(key)) for key in database.scan_iter()])
    assert "resource_server:revocation:" in contents
    assert not any(word in contents for word in ("ada", "id-1", "issuer.test"))


def test_another_secret_key_has_another_list(issuer: FakeIssuer, settings: Settings) -> None:
    settings.SECRET_KEY = "another"
    assert reason_of(issuer.token()) == "token_before_deny_list"


def test_a_flushed_redis_passes_no_older_token(issuer: FakeIssuer, redis_url: str) -> None:
    token = issuer.token()
    revoke(issuer.issuer, jti="id-1")
    with redis.Redis.from_url(redis_url) as database:
        database.flushdb()
    assert reason_of(token) == "token_before_deny_list"
    assert reason_of(issuer.token(iat=int(time.time()) + 5)) == "accepted"


def test_the_database_as_cache(issuer: FakeIssuer, settings: Settings, transactional_db: None) -> None:
    from django.core.management import call_command

    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "deny_list"}}
    assert reason_of(issuer.token()) == "revocation_store_failed"  # without its table
    call_command("createcachetable")
    try:
        call_command("resource_server", "revoke", "--begin")
        assert reason_of(issuer.token()) == "accepted"
        revoke(issuer.issuer, jti="id-1")
        assert reason_of(issuer.token()) == "token_revoked"
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE deny_list")


def test_signals_and_a_user_are_as_for_any_refusal(site: FakeIssuer) -> None:
    accepted, rejected = [], []
    on_accepted, on_rejected = (
        (lambda **sent: accepted.append(sent)),
        (lambda **sent: rejected.append(sent["error"].reason)),
    )
    token_accepted.connect(on_accepted)
    token_rejected.connect(on_rejected)
    try:
        token = site.token()
        assert asked("plain", token).status_code == 200
        revoke(site.issuer, client_id="client")
        assert asked("plain", token).status_code == 401
    finally:
        token_accepted.disconnect(on_accepted)
        token_rejected.disconnect(on_rejected)
    assert (len(accepted), rejected) == (1, ["token_revoked"])


def test_a_bound_token_is_no_way_around_it(issuer: FakeIssuer) -> None:
    revoke(issuer.issuer, jti="id-1")
    assert reason_of(issuer.token(cnf={"jkt": "x"})) != "accepted"


def test_an_opaque_token_is_looked_up_too(issuer: FakeIssuer, settings: Settings) -> None:
    settings.DEBUG = True  # http on loopback
    now = int(time.time())
    with Endpoint() as endpoint:
        endpoint.body = answer(iat=now, exp=now + 600, jti="id-1")
        settings.RESOURCE_SERVER = issuer.settings(
            REVOCATION="default",
            INTROSPECTION={"ENDPOINT": endpoint.url, "CLIENT_ID": "api", "CLIENT_SECRET": "s" * 32},
        )
        assert (reason_of(OPAQUE), reason_of(OPAQUE)) == ("accepted", "accepted")
        revoke(issuer.issuer, jti="id-1")
        assert reason_of(OPAQUE) == "token_revoked"
        refusal = explain(OPAQUE).refusal
        assert refusal is not None
        assert (refusal.name, refusal.reason) == ("deny list", "token_revoked")


def test_explain_has_a_step_for_it_if_there_is_a_list(issuer: FakeIssuer, settings: Settings) -> None:
    token = issuer.token()
    assert explain(token).refusal is None
    revoke(issuer.issuer, jti="id-1")
    refusal = explain(token).refusal
    assert refusal is not None
    assert (refusal.name, refusal.reason, refusal.status) == ("deny list", "token_revoked", 401)
    settings.RESOURCE_SERVER = issuer.settings()
    assert "deny list" not in [step.name for step in explain(token).steps]


def test_a_time_may_be_a_datetime(issuer: FakeIssuer) -> None:
    token = issuer.token()
    revoke(issuer.issuer, subject="auth0|ada", issued_before=datetime.now(UTC))
    assert reason_of(token) == "token_revoked"
    assert reason_of(issuer.token(iat=int(time.time()) + 5)) == "accepted"


# {sentence: (arguments of `revoke`, a piece of the error)}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "give one of"),
    "two": ({"jti": "a", "subject": "b"}, "give one of"),
    "an empty name": ({"jti": ""}, "not empty"),
    "a number": ({"subject": 5}, "texts"),
    "a time for a jti": ({"jti": "a", "issued_before": 5}, "does not go with"),
    "a time for a session": ({"session": "a", "issued_before": 5}, "does not go with"),
    "an expiry of a subject": ({"subject": "a", "expires_at": 5}, "does not go with"),
    "a time that is True": ({"subject": "a", "issued_before": True}, "seconds since 1970"),
    "a time that is a text": ({"subject": "a", "issued_before": "now"}, "seconds since 1970"),
    "a time that is no number": ({"subject": "a", "issued_before": float("nan")}, "seconds since 1970"),
    "a time in milliseconds": ({"subject": "a", "issued_before": 1.7e12}, "seconds since 1970"),
    "a time without a zone": ({"subject": "a", "issued_before": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001
    "an issuer that is not trusted": ({"issuer": "https://issuer.test", "jti": "a"}, "not trusted"),
}


@pytest.mark.parametrize(("arguments", "piece"), WRONG.values(), ids=WRONG)
def test_arguments_that_would_revoke_nothing_or_too_much(
    issuer: FakeIssuer, arguments: dict[str, Any], piece: str
) -> None:
    arguments = {"issuer": issuer.issuer, **arguments}
    with pytest.raises(ValueError, match=piece):
        revoke(**arguments)
    with pytest.raises(ValueError, match=piece):
        asyncio.run(arevoke(**arguments))
    assert reason_of(issuer.token()) == "accepted"


def test_without_the_setting_or_redis_revoke_raises(
    issuer: FakeIssuer, settings: Settings, free_port: Callable[[], int]
) -> None:
    settings.CACHES = {"default": redis_cache(f"redis://127.0.0.1:{free_port()}/1")}
    with pytest.raises(Unavailable):
        revoke(issuer.issuer, jti="id-1")
    settings.RESOURCE_SERVER = issuer.settings()
    with pytest.raises(ImproperlyConfigured, match="REVOCATION is not set"):
        revoke(issuer.issuer, jti="id-1")


def test_a_request_with_a_user_that_was_authenticated_is_not_asked_twice(site: FakeIssuer, redis_url: str) -> None:
    request = HttpRequest()
    request.META["HTTP_AUTHORIZATION"] = f"Bearer {site.token()}"
    assert commands(redis_url, lambda: [authentication.authenticate(request) for _ in range(3)]) == ["MGET"]

"""How many commands a request with a seen token sends to the cache, as a real Redis counts them.

Redis itself reports the commands (MONITOR), so nothing of Django or of its client is replaced.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from asgiref.sync import async_to_sync
from django.core.cache import caches
from django.test import AsyncClient, Client
from pytest_django import Settings
from tests.introspection.conftest import OPAQUE, Endpoint, answer
from tests.revocation.conftest import forget_copies, redis_cache

from resource_server import server
from resource_server.revocation import begin_deny_list
from resource_server.testing import FakeIssuer, ProofKey
from resource_server.tokens.credentials import Credentials

ORIGIN = "https://api.test"
KEY = ProofKey()
# A new connection says who it is.
GREETINGS = {"AUTH", "CLIENT", "HELLO", "SELECT"}
DPOP = {"DPOP": "allowed", "PUBLIC_ORIGIN": ORIGIN}
LISTED = {"REVOCATION": "default"}


def nothing() -> None:
    """The next request follows at once."""


def forget_questions() -> None:
    """As after a second: an answer that was just given serves for that long, whatever is remembered."""
    authority = server.current().verifier.introspection_of(Credentials(unverified_token=OPAQUE))
    assert authority is not None
    authority._flights._reset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Settings beside CACHE, the kind of the token, what happens between two requests, and the commands of the second."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    sends: str = "bearer"
    between: Callable[[], None] = nothing
    commands: tuple[str, ...] = ()


CASES = {
    "a bearer token": Case(),
    "a DPoP token": Case(settings=DPOP, sends="proof", commands=("SET",)),
    "a DPoP token, with nonces": Case(settings={**DPOP, "DPOP_NONCE": "optional"}, sends="proof", commands=("SET",)),
    "a bearer token, where DPoP is allowed": Case(settings=DPOP),
    "an opaque token": Case(sends="opaque", between=forget_questions),
    "an opaque token that another process has asked about": Case(
        sends="opaque", between=server.forget, commands=("GET",)
    ),
    "a token that is not on the deny list": Case(settings=LISTED),
    "a token that was looked up 2 s ago": Case(settings=LISTED, between=forget_copies, commands=("MGET",)),
    "an opaque token that was looked up 2 s ago": Case(
        settings=LISTED, sends="opaque", between=forget_copies, commands=("MGET",)
    ),
    "a DPoP token that is not on the deny list": Case(settings={**DPOP, **LISTED}, sends="proof", commands=("SET",)),
    "a DPoP token that was looked up 2 s ago": Case(
        settings={**DPOP, **LISTED}, sends="proof", between=forget_copies, commands=("SET", "MGET")
    ),
}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        now = int(time.time())
        endpoint.body = answer(iat=now, exp=now + 600)
        yield endpoint


@pytest.fixture
def issuer(settings: Settings, redis_url: str) -> Iterator[FakeIssuer]:
    issuer = FakeIssuer(algorithm="ES256")
    with redis.Redis.from_url(redis_url) as database:
        database.flushdb()
    settings.ROOT_URLCONF = "tests.bound.views"
    settings.CACHES = {"default": redis_cache(redis_url)}
    with issuer.serving():
        yield issuer
    caches["default"].close()


def get(path: str, headers: dict[str, str]) -> None:
    if path == "/async":
        response = async_to_sync(AsyncClient().get)(path, headers=headers)
    else:
        response = Client().get(path, headers=headers)
    assert response.status_code == 200, response.content


def commands_of(action: Callable[[], None], url: str) -> tuple[str, ...]:
    """The commands that the database at this URL gets meanwhile, without those that open a connection."""
    end = uuid.uuid4().hex
    number = int(urlsplit(url).path[1:])
    found = []
    with redis.Redis.from_url(url) as other, other.monitor() as monitor:
        action()
        other.echo(end)
        for seen in monitor.listen():
            name, *arguments = seen["command"].split(" ")
            if arguments == [end]:
                return tuple(found)
            if seen["db"] == number and name.upper() not in GREETINGS:
                found.append(name.upper())
    raise AssertionError("Redis does not report its own command")


@pytest.mark.parametrize("door", ["rest", "plain", "async", "middleware", "twice"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_seen_token_costs_so_many_commands(
    issuer: FakeIssuer, endpoint: Endpoint, settings: Settings, redis_url: str, case: Case, door: str
) -> None:
    asked = {"ENDPOINT": endpoint.url, "CLIENT_ID": "api", "CLIENT_SECRET": "s" * 32}
    settings.RESOURCE_SERVER = issuer.settings(
        CACHE="default", **case.settings, **({"INTROSPECTION": asked} if case.sends == "opaque" else {})
    )
    if "REVOCATION" in case.settings:
        begin_deny_list()
    path = f"/{door}"
    token = issuer.token(scope="read", cnf=KEY.confirmation if case.sends == "proof" else None)

    def call() -> None:
        if case.sends == "proof":
            return get(path, KEY.headers("GET", f"{ORIGIN}{path}", token))
        return get(path, {"Authorization": f"Bearer {OPAQUE if case.sends == 'opaque' else token}"})

    for _ in range(2):
        call()
    case.between()
    assert commands_of(call, redis_url) == case.commands
    assert len(endpoint.asked) == (case.sends == "opaque")


def test_a_command_that_is_sent_is_seen(issuer: FakeIssuer, redis_url: str) -> None:
    cache = caches["default"]
    assert commands_of(lambda: cache.set("a", 1), redis_url) == ("SET",)
    assert commands_of(lambda: cache.get_many(["a", "b"]), redis_url) == ("MGET",)

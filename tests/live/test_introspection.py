"""Introspection by four processes of gunicorn: few questions, revoked everywhere in time, and a Redis that dies."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from tests.introspection.conftest import Endpoint
from tests.live.conftest import at_once, until
from tests.live.test_bound_tokens import redis_server
from tests.live.test_gunicorn import WORKERS, Site, gunicorn
from tests.servers import AUDIENCE, LiveIssuer

CALLS = 200
THREADS = 4  # of each process, as `gunicorn` starts it
CACHE_SECONDS = 3
# From the moment at which the issuer revokes to the one at which it answers so, and between the clocks.
SLACK_SECONDS = 0.5


class Tokens:
    """The tokens that an endpoint knows as active, and how often it was asked about each."""

    def __init__(self, endpoint: Endpoint, issuer: str) -> None:
        self._endpoint = endpoint
        self._issuer = issuer
        self._active: set[str] = set()
        endpoint.body = self._answer

    def new(self) -> str:
        token = f"opaque-{os.urandom(8).hex()}"
        self._active.add(token)
        return token

    def revoke(self, token: str) -> None:
        self._active.remove(token)

    def questions(self, token: str) -> int:
        return [each.form["token"] for each in list(self._endpoint.asked)].count(token)

    def _answer(self, form: Mapping[str, str]) -> bytes:
        if form["token"] not in self._active:
            return b'{"active": false}'
        now = int(time.time())
        claims = {"iss": self._issuer, "aud": AUDIENCE, "sub": "ada", "client_id": "client", "scope": "read"}
        return json.dumps({"active": True, **claims, "iat": now, "exp": now + 600}).encode()


@pytest.fixture
def tokens(endpoint: Endpoint, issuer: LiveIssuer) -> Tokens:
    return Tokens(endpoint, issuer.issuer)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


@contextmanager
def site(port: int, issuer: LiveIssuer, endpoint: Endpoint, redis_url: str, **changes: object) -> Iterator[Site]:
    introspection = {"ENDPOINT": endpoint.url, "CLIENT_ID": "api", "CLIENT_SECRET": "of the tests", **changes}
    settings = json.dumps({"INTROSPECTION": introspection})
    with gunicorn(port, issuer, REDIS_URL=redis_url, MORE_SETTINGS=settings) as running:
        yield running


def flood(running: Site, token: str) -> tuple[Counter[tuple[int, str | None]], set[str]]:
    """The outcomes of many requests, more at once than the processes have threads, and who answered them."""
    with ThreadPoolExecutor(2 * WORKERS * THREADS) as pool:
        replies = list(pool.map(lambda _: running.ask(token, "/private?nap=0.02"), range(CALLS)))
    outcomes = Counter((reply.answer.status, reply.answer.json().get("reason")) for reply in replies)
    return outcomes, {reply.worker for reply in replies}


def test_a_flood_of_requests_with_a_new_token_is_one_question(
    free_port: Callable[[], int], issuer: LiveIssuer, endpoint: Endpoint, tokens: Tokens, redis_url: str
) -> None:
    with site(free_port(), issuer, endpoint, redis_url) as running:
        running.statuses(tokens.new())  # imports what a first question needs
        for token, outcome in ((tokens.new(), (200, None)), ("unknown", (401, "token_inactive"))):
            endpoint.gate.clear()
            # All processes have requests before the first answer.
            threading.Timer(0.3, endpoint.gate.set).start()
            outcomes, workers = flood(running, token)
            assert (outcomes, len(workers)) == ({outcome: CALLS}, WORKERS)
            # Also a refusal is one for all processes.
            assert tokens.questions(token) == 1
            assert running.statuses(token) == {outcome[0]}
            assert tokens.questions(token) == 1


def test_a_revoked_token_is_refused_everywhere_after_the_time_of_the_cache(
    free_port: Callable[[], int], issuer: LiveIssuer, endpoint: Endpoint, tokens: Tokens, redis_url: str
) -> None:
    token = tokens.new()
    with site(free_port(), issuer, endpoint, redis_url, CACHE_SECONDS=CACHE_SECONDS) as running:
        passed_at: list[float] = []

        def ask(_: int) -> None:
            while time.monotonic() < ends:
                asked_at = time.monotonic()
                if running.ask(token, "/private").answer.status == 200:
                    passed_at.append(asked_at)

        # Through several lives of an answer, so that each process has one that another one has asked for.
        ends = time.monotonic() + 2 * CACHE_SECONDS
        at_once(8, ask)
        assert passed_at
        # About one question in each life, and never one of each process.
        assert tokens.questions(token) <= 4
        revoked_at = time.monotonic()
        tokens.revoke(token)
        ends = revoked_at + 2 * CACHE_SECONDS
        at_once(8, ask)
        assert max(passed_at) - revoked_at < CACHE_SECONDS + SLACK_SECONDS
        assert running.statuses(token) == {401}


def test_a_redis_that_dies_opens_nothing(
    free_port: Callable[[], int], issuer: LiveIssuer, endpoint: Endpoint, tokens: Tokens
) -> None:
    token, revoked, port = tokens.new(), tokens.new(), free_port()
    tokens.revoke(revoked)
    with redis_server(port) as url:
        running = site(free_port(), issuer, endpoint, url, CACHE_SECONDS=1)
        api = running.__enter__()
        assert api.statuses(token) == {200}
        assert api.statuses(revoked) == {401}
    try:
        # Each process asks for itself, and believes the issuer alone.
        later = tokens.new()
        assert api.statuses(later) == api.statuses(token) == {200}
        assert api.statuses(revoked) == api.statuses("unknown") == {401}
        tokens.revoke(token)
        until(lambda: api.statuses(token) == {401}, what="the refusal of a revoked token by all processes")
        # Neither the store nor the issuer can tell.
        endpoint.status = "500 Internal Server Error"
        assert api.statuses(tokens.new()) == {503}
        endpoint.status = "200 OK"
        with redis_server(port):
            assert api.statuses(later) == {200}
            assert api.statuses(revoked) == {401}
    finally:
        running.__exit__(None, None, None)

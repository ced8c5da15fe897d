"""The summary of refusals: one line at once, then one a minute for each reason, with all of them counted."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from resource_server.errors import AuthorizationError, InvalidToken, NoCredentials, Unavailable, reasons
from resource_server.keys.background import Background
from resource_server.reasons import CredentialsReason, TokenReason, UnavailableReason
from resource_server.refusal_summary import WINDOW_SECONDS, RefusalSummary

EXPIRED = InvalidToken(TokenReason.TOKEN_EXPIRED)
TYPE = InvalidToken(TokenReason.TYP_NOT_ACCEPTED)


class World:
    """A summary with a clock, and a background that calls when it is due, or never."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 1000.0
        self.calls: list[tuple[float, Callable[[], None]]] = []
        self.caplog = caplog
        self.summary = RefusalSummary(clock=lambda: self.now, later=self.later)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.calls.append((self.now + seconds, call))

    def advance(self, seconds: float, *, background: bool = True) -> None:
        end = self.now + seconds
        while background and (due := [planned for planned in self.calls if planned[0] <= end]):
            self.calls.remove(due[0])
            self.now = due[0][0]
            due[0][1]()
        self.now = end

    def count(self, error: AuthorizationError, times: int = 1) -> None:
        for _ in range(times):
            self.summary.count(error)

    def lines(self) -> list[tuple[object, object]]:
        """Reason and count of each line since the last call of this."""
        found = [(vars(record)["reason"], vars(record)["count"]) for record in self.caplog.records]
        self.caplog.clear()
        return found


@pytest.fixture
def world(caplog: pytest.LogCaptureFixture) -> World:
    return World(caplog)


def test_the_first_is_logged_at_once_and_the_others_once_a_minute_with_their_number(world: World) -> None:
    world.count(EXPIRED, 40)
    assert world.lines() == [("token_expired", 1)]
    world.advance(WINDOW_SECONDS - 1)
    world.count(EXPIRED, 2)
    assert world.lines() == []
    world.advance(1)
    assert world.lines() == [("token_expired", 41)]
    world.count(EXPIRED)
    world.advance(WINDOW_SECONDS - 1)
    assert world.lines() == []
    world.advance(1)
    assert world.lines() == [("token_expired", 1)]


def test_after_a_quiet_minute_the_next_is_logged_at_once(world: World) -> None:
    world.count(EXPIRED)
    world.advance(WINDOW_SECONDS)
    assert world.lines() == [("token_expired", 1)]
    assert world.calls == []
    world.count(EXPIRED)
    assert world.lines() == [("token_expired", 1)]


def test_each_reason_has_its_own_minute(world: World) -> None:
    world.count(EXPIRED, 3)
    world.advance(30)
    world.count(TYPE, 5)
    assert world.lines() == [("token_expired", 1), ("typ_not_accepted", 1)]
    world.advance(30)
    assert world.lines() == [("token_expired", 2)]
    world.advance(30)
    assert world.lines() == [("typ_not_accepted", 4)]


def test_without_a_background_the_next_refusal_brings_the_number(world: World) -> None:
    world.count(EXPIRED, 10)
    world.advance(WINDOW_SECONDS, background=False)
    world.count(EXPIRED)
    assert world.lines() == [("token_expired", 1), ("token_expired", 10)]


def test_the_background_of_a_process_brings_the_number(world: World) -> None:
    background = Background()
    world.summary = RefusalSummary(clock=lambda: world.now, later=lambda _seconds, call: background.later(0.3, call))
    world.count(EXPIRED, 10)
    world.now += WINDOW_SECONDS
    deadline = time.monotonic() + 10
    while len(world.caplog.records) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)  # between two looks at the log
    assert world.lines() == [("token_expired", 1), ("token_expired", 9)]


def test_an_hour_of_flood_is_one_line_a_minute_and_nothing_is_lost(world: World) -> None:
    flood = 0
    for _ in range(3600):
        world.count(EXPIRED, 3)
        flood += 3
        world.advance(1)
    world.advance(WINDOW_SECONDS)
    numbers = [int(str(count)) for _reason, count in world.lines()]
    assert len(numbers) <= 3600 / WINDOW_SECONDS + 2
    assert sum(numbers) == flood


def test_the_line_names_status_reason_and_remedy(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.count(TYPE, 3)
    world.count(Unavailable(UnavailableReason.FETCH_FAILED, outcome="internal.test refused"))
    world.count(NoCredentials(CredentialsReason.CREDENTIALS_MISSING))
    world.advance(WINDOW_SECONDS)
    first, second, third, more = caplog.records
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert {record.name for record in caplog.records} == {"resource_server.refusal_summary"}
    assert first.getMessage() == f"1 request answered 401, typ_not_accepted: {TYPE.reason.remedy}"
    assert "TOKEN_TYPE" in first.getMessage()
    assert second.getMessage().startswith("1 request answered 503, fetch_failed: ")
    assert third.getMessage().startswith("1 request answered 401, credentials_missing: ")
    assert more.getMessage().startswith("2 requests answered 401, typ_not_accepted: ")


def test_memory_is_bounded_by_the_reasons(world: World) -> None:
    for _ in range(3):
        for reason, leaf in reasons().items():
            error = leaf.__new__(leaf)
            error.reason = reason
            world.count(error, 50)
    assert len(world.summary._counted) == len(reasons())
    assert len(world.calls) == len(reasons())


def test_threads_lose_no_refusal(world: World) -> None:
    threads = [threading.Thread(target=world.count, args=(EXPIRED, 2000)) for _ in range(8)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    world.advance(WINDOW_SECONDS)
    assert sum(int(str(count)) for _reason, count in world.lines()) == 16_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_neither_the_lock_nor_the_counts_of_its_parent(world: World) -> None:
    world.count(EXPIRED, 5)
    with world.summary._lock:
        child = os.fork()
        if child == 0:
            status = 1
            signal.alarm(10)  # a child that waits for the lock of its parent would wait for ever
            try:
                world.caplog.clear()
                world.count(EXPIRED)
                status = 0 if world.lines() == [("token_expired", 1)] else 2
            finally:
                os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    world.advance(WINDOW_SECONDS)
    assert world.lines() == [("token_expired", 1), ("token_expired", 4)]


PROJECT = """
import os, sys
from django.conf import settings
settings.configure(
    DEBUG=sys.argv[1] == "debug",
    ALLOWED_HOSTS=["testserver"],
    SECRET_KEY="of the tests, and guards nothing",
    ROOT_URLCONF="__main__",
    INSTALLED_APPS=["resource_server"],
    RESOURCE_SERVER={"ISSUER": "https://issuer.test/", "AUDIENCE": "https://api.test/"},
    **({"LOGGING": {"version": 1, "disable_existing_loggers": False, "handlers": {"console": {"class": "logging.StreamHandler"}},
        "loggers": {"resource_server": {"handlers": ["console"], "level": "INFO"},
        "resource_server.refusal_summary": {"level": "ERROR"}}}} if "logging" in sys.argv else {}),
)
import django
django.setup()
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from resource_server import requires_token
from resource_server.testing import FakeIssuer

urlpatterns = [path("", requires_token(lambda request: HttpResponse()))]
issuer = FakeIssuer(algorithm="ES256")
with issuer.serving():
    for _ in range(5):
        token = issuer.token(header={"typ": "JWT"})
        print(Client().get("/", headers={"Authorization": f"Bearer {token}"}).status_code)
    issuer.failure = "fetch_timeout"
    print(Client().get("/", headers={"Authorization": f"Bearer {issuer.token()}"}).status_code)
"""


def default_project(tmp_path: Path, *arguments: str) -> list[str]:
    """The lines that a project without LOGGING writes to standard error, without those of Django's own loggers."""
    done = subprocess.run(
        [sys.executable, "-c", PROJECT, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["401"] * 5 + ["503"]
    return [
        line for line in done.stderr.splitlines() if not line.startswith(("Unauthorized: /", "Service Unavailable: /"))
    ]


@pytest.mark.parametrize("mode", ["debug", "production"])
def test_a_project_without_logging_shows_refusals_and_causes(tmp_path: Path, mode: str) -> None:
    refusals, fetch, outage = default_project(tmp_path, mode)
    assert refusals.endswith(f"1 request answered 401, typ_not_accepted: {TYPE.reason.remedy}")
    assert "https://issuer.test/.well-known/openid-configuration: issuer did not answer in time; no key" in fetch
    assert "1 request answered 503, fetch_timeout: " in outage


def test_with_the_logging_of_the_docs_each_refusal_is_one_line(tmp_path: Path) -> None:
    lines = default_project(tmp_path, "production", "logging")
    assert sum("typ_not_accepted" in line for line in lines) == 5
    assert sum("fetch_timeout" in line for line in lines) == 2
    assert len(lines) == 7

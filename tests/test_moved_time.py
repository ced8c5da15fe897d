"""Tests of users move the time with freezegun or time-machine, and tokens are judged by that time (case 40)."""

import datetime
import threading
import time
from contextlib import contextmanager

import freezegun
import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.http import JsonResponse
from django.test import Client
from django.urls import path

from resource_server import requires_token, verify
from resource_server.clocks import steady
from resource_server.errors import InvalidToken, Unavailable
from resource_server.explain import explain
from resource_server.server import current
from resource_server.testing import FakeIssuer

HOUR = 3600
urlpatterns = [path("", requires_token(lambda request: JsonResponse({"user": str(request.user)})))]


@contextmanager
def frozen(seconds):
    moment = datetime.datetime.fromtimestamp(time.time() + seconds, datetime.UTC)
    with freezegun.freeze_time(moment) as clock:
        yield lambda more: clock.tick(datetime.timedelta(seconds=more))


@contextmanager
def travelled(seconds):
    with time_machine.travel(time.time() + seconds, tick=False) as traveller:
        yield traveller.shift


@pytest.fixture(params=[frozen, travelled], ids=["freezegun", "time-machine"])
def moved(request):
    """Moves the time by so many seconds; gives a function that moves it on."""
    return request.param


@pytest.fixture
def issuer(settings):
    settings.ROOT_URLCONF = __name__
    issuer = FakeIssuer(algorithm="ES256")
    settings.RESOURCE_SERVER = issuer.settings()
    with issuer.serving():
        yield issuer


def refusal(token):
    with pytest.raises(InvalidToken) as refused:
        verify(token)
    return refused.value.reason


def answer(token):
    response = Client().get("/", headers={"Authorization": f"Bearer {token}"})
    return response.status_code, response.json().get("reason")


@pytest.mark.parametrize("seen", [False, True], ids=["first sight", "seen"])
def test_a_token_expires_when_the_time_moves_on(issuer, moved, seen):
    token = issuer.token()
    if seen:
        assert answer(token) == (200, None)
    with moved(HOUR):
        assert answer(token) == (401, "token_expired")
        assert refusal(token) == "token_expired"
        assert explain(token).refusal.reason == "token_expired"
    assert answer(token) == (200, None)


@pytest.mark.parametrize("seen", [False, True], ids=["first sight", "seen"])
def test_a_token_of_now_is_not_yet_good_before(issuer, moved, seen):
    token = issuer.token()
    if seen:
        assert answer(token) == (200, None)
    with moved(-HOUR):
        assert answer(token) == (401, "token_issued_in_future")
        assert explain(token).refusal.reason == "token_issued_in_future"
    assert answer(token) == (200, None)


@pytest.mark.parametrize("seconds", [-HOUR, HOUR])
def test_the_issuer_of_the_tests_signs_at_the_moved_time(issuer, moved, seconds):
    with moved(seconds) as move_on:
        token = issuer.token()
        assert answer(token) == (200, None)
        move_on(700)
        assert answer(token) == (401, "token_expired")
        assert answer(issuer.token()) == (200, None)
        move_on(-700)
        assert answer(token) == (200, None)
    # Outside it is expired, or not yet good.
    assert answer(token)[0] == 401


@pytest.mark.parametrize("days", [-10_000, -1, 0, 1, 10_000])
def test_known_keys_go_on_when_the_time_is_frozen_and_afterwards(issuer, moved, days):
    assert answer(issuer.token()) == (200, None)
    issuer.failure = "fetch_failed"
    with moved(days * 24 * HOUR):
        assert answer(issuer.token()) == (200, None)
    assert answer(issuer.token()) == (200, None)


def test_the_life_of_keys_goes_by_the_frozen_time(issuer):
    with frozen(0) as move_on:
        old = issuer.token()
        assert verify(old)
        kid = issuer.keys.current_kid
        issuer.keys.rotate()
        issuer.keys.withdraw(kid)
        move_on(590)
        assert verify(old)
        move_on(15)
        # The background is late, so this request asks the issuer.
        assert refusal(old) == "key_unknown"


def test_an_outage_is_outlasted_by_the_frozen_time(issuer):
    with frozen(0) as move_on:
        assert verify(issuer.token())
        issuer.failure = "fetch_failed"
        move_on(23 * HOUR)
        assert verify(issuer.token())
        move_on(2 * HOUR)
        with pytest.raises(Unavailable):
            verify(issuer.token())


def test_what_was_planned_in_frozen_time_holds_up_nothing_afterwards(issuer):
    assert verify(issuer.token())
    with frozen(10_000 * 24 * HOUR) as move_on:
        move_on(HOUR)
        # Uses up what unknown kids may cause, and leaves the pauses of a failure behind.
        for kid in ("a", "b", "c"):
            assert refusal(issuer.token(header={"kid": kid})) == "key_unknown"
        move_on(-2 * HOUR)
        assert verify(issuer.token())
        move_on(100)
        issuer.failure, issuer.retry_after = "fetch_failed", 600
        issuer.keys.rotate()
        with pytest.raises(Unavailable):
            verify(issuer.token())
    issuer.failure = None
    with frozen(0) as move_on:
        # As after any failure: the next attempt comes when the pauses of the failure and of unknown kids are over.
        with pytest.raises(Unavailable):
            verify(issuer.token())
        move_on(60)
        assert verify(issuer.token())
    keys = current().verifier.issuers[0].keys
    assert 0 < keys.ends_at - steady() < 25 * HOUR


@pytest.mark.django_db(transaction=True)
def test_rows_of_users_are_kept_for_seconds_of_the_frozen_time(issuer, settings):
    settings.RESOURCE_SERVER = issuer.settings(USERS="lookup", USER_CACHE_SECONDS=30)
    get_user_model().objects.create_user("auth0|ada")
    with frozen(0) as move_on:
        token = issuer.token()
        assert answer(token) == (200, None)
        get_user_model().objects.update(is_active=False)
        assert answer(token) == (200, None)
        move_on(31)
        assert answer(token) == (401, "user_inactive")


def test_the_steady_clock_stands_still_when_a_test_moves_it_and_then_goes_on():
    before = steady()
    with frozen(10_000 * 24 * HOUR) as move_on:
        assert 0 <= steady() - before < 1
        move_on(100)
        assert 99.9 <= (inside := steady()) - before < 101
        move_on(-50)
        assert steady() == inside
        move_on(10)
        assert 9.9 < steady() - inside < 10.1
        with freezegun.freeze_time("2001-01-01"):
            assert 9.9 < steady() - inside < 10.1
        # freezegun shows the real clock to functions that stand directly above `threading`.
        thread = threading.Thread(target=steady)
        thread.start()
        thread.join()
        assert 9.9 < steady() - inside < 10.1
    assert 9.9 <= (after := steady()) - inside < 11
    assert after <= steady() < after + 1


def test_the_steady_clock_keeps_the_pace_of_the_monotonic_one_with_many_threads():
    ahead = steady() - time.monotonic()

    def read():
        for _ in range(20_000):
            steady()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert steady() - time.monotonic() == pytest.approx(ahead, abs=0.001)

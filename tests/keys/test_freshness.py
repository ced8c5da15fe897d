"""A key set is renewed ahead of its end, beside the requests: none of them waits for a key that is known."""

import json
import threading
from collections.abc import Callable

import pytest
from tests.keys.simulation import DAY, HOUR, JWKS, MINUTE, OPENID, START, Fault, Simulation

from resource_server.keys import issuer_keys
from resource_server.stamp import Stamp


def refreshed_at(simulation: Simulation) -> list[float]:
    """When the key set was asked for, in seconds since the start."""
    return [fetch.at - START for fetch in simulation.fetches if fetch.url == JWKS]


# {Cache-Control: how long the set lives}
LIVES = {
    "": 10 * MINUTE,
    "max-age=0": MINUTE,
    "no-store": MINUTE,
    "no-cache, max-age=7200": MINUTE,
    "max-age=300": 300,
    "max-age=3600": HOUR,
    "max-age=99999999": DAY,
}


@pytest.mark.parametrize(("cache_control", "life"), LIVES.items(), ids=[life or "nothing" for life in LIVES])
def test_a_set_is_renewed_when_four_fifths_of_its_life_are_over(cache_control: str, life: int) -> None:
    simulation = Simulation()
    simulation.issuer.cache_control = cache_control
    token = simulation.token()
    simulation.verify(token)

    assert set(simulation.spend(3 * life, token, every=min(life / 8, 30))) == {None}
    first, *later = refreshed_at(simulation)
    gaps = [after - before for before, after in zip([first, *later], later, strict=False)]
    assert len(gaps) == 3
    assert all(0.75 * life <= gap <= 0.85 * life for gap in gaps)


def test_what_a_cache_on_the_way_has_had_of_it_counts_as_life() -> None:
    simulation = Simulation()
    body = simulation.issuer.fetch(JWKS, seconds=5).body
    simulation.faults[JWKS] = Fault(body=body, cache_control="max-age=600", age_seconds=400)
    token = simulation.token()
    simulation.verify(token)
    simulation.spend(200, token)
    assert 0.75 * 200 <= refreshed_at(simulation)[1] <= 0.85 * 200


def test_an_unchanged_set_is_answered_by_its_etag_and_stays_what_it_is() -> None:
    simulation = Simulation()
    token = simulation.token()
    simulation.verify(token)
    keys = simulation.keys.key_set
    simulation.spend(HOUR, token)
    assert [fetch.revalidates for fetch in simulation.fetches][:2] == [False, False]
    assert all(fetch.revalidates for fetch in simulation.fetches[2:])
    assert simulation.keys.key_set is keys, "verdicts of the cache live on"

    kid = simulation.issuer.keys.rotate()
    simulation.spend(10 * MINUTE, token)
    assert simulation.at_once(simulation.token(kid=kid)) is None


def test_a_document_that_was_no_good_is_never_asked_for_by_its_etag() -> None:
    simulation = Simulation()
    simulation.issuer.documents[JWKS] = b"<html>"
    assert simulation.refusal(simulation.token()) == "document_malformed"
    simulation.advance(2)
    assert simulation.refusal(simulation.token()) == "document_malformed"
    assert [fetch.revalidates for fetch in simulation.fetches if fetch.url == JWKS] == [False, False]


def test_no_request_waits_for_a_set_that_takes_five_seconds() -> None:
    simulation = Simulation()
    token = simulation.token()
    simulation.verify(token)
    simulation.fetched()
    simulation.faults[JWKS] = Fault(takes=4.9)
    answers: list[str | None] = []

    def requests() -> None:
        # A token that was verified before, and one that is seen for the first time.
        answers.extend(simulation.at_once(each) for each in (token, simulation.token(jti=str(len(answers)))))

    simulation.meanwhile = requests
    simulation.spend(HOUR, token)
    assert set(answers) == {None}
    assert len(answers) >= 7 * 9 * 2
    assert 7 <= len(refreshed_at(simulation)) <= 8, "one refresh, not one more for each request beside it"
    assert simulation.keys.failure is None


def test_no_request_waits_for_a_set_that_never_comes() -> None:
    simulation = Simulation()
    token = simulation.token()
    simulation.verify(token)
    simulation.faults[JWKS] = Fault(takes=DAY)
    simulation.meanwhile = lambda: simulation.at_once(simulation.token(jti=str(simulation.clock)))
    assert set(simulation.spend(HOUR, token)) == {None}
    assert simulation.keys.failure == "fetch_timeout"


def test_a_set_of_a_minute_is_renewed_in_time_though_the_last_one_had_a_day() -> None:
    # The refresh that is planned for the long set comes most of a day too late for the short one.
    simulation = Simulation()
    simulation.issuer.cache_control = "max-age=86400"
    token = simulation.token()
    simulation.verify(token)
    simulation.issuer.cache_control = "max-age=60"
    simulation.issuer.keys.rotate()
    simulation.verify(simulation.token())
    simulation.fetched()

    assert set(simulation.spend(HOUR, token, every=5)) == {None}
    assert 3600 / 51 - 1 <= len(refreshed_at(simulation)) <= 3600 / 45 + 1
    simulation.issuer.cache_control = "max-age=86400"
    simulation.spend(2 * DAY, token, every=HOUR / 2)
    assert simulation.planned == 1, "plans that were overtaken do not gather"


def test_a_failure_while_the_set_is_current_is_tried_again_at_once() -> None:
    # Else a key made during the failure is not found before the set has aged.
    simulation = Simulation()
    simulation.issuer.cache_control = "max-age=86400"
    simulation.verify(simulation.token())
    simulation.issuer.failure = "fetch_failed"
    simulation.issuer.keys.rotate()
    token = simulation.token()
    assert simulation.refusal(token) == "fetch_failed"
    simulation.issuer.failure = None
    simulation.advance(2)
    assert simulation.at_once(token) is None


def test_processes_do_not_ask_in_step() -> None:
    times = []
    for _ in range(40):
        simulation = Simulation()
        token = simulation.issuer.token()
        simulation.verify(token)
        simulation.spend(9 * MINUTE, token, every=MINUTE)
        times.append(refreshed_at(simulation)[1])
    assert 450 <= min(times) < 465
    assert 495 < max(times) <= 510
    assert len({int(time) for time in times}) > 15


def test_an_unused_issuer_is_not_asked_and_the_next_request_waits_once() -> None:
    simulation = Simulation()
    token = simulation.token()
    simulation.verify(token)
    simulation.advance(3 * DAY)
    attempts = len(refreshed_at(simulation))
    assert 6 <= attempts <= 9, "an hour's worth"
    assert simulation.planned == 0

    old = simulation.issuer.keys.current_kid
    simulation.issuer.keys.rotate()
    simulation.issuer.keys.withdraw(old)
    assert simulation.refusal(token) == "key_unknown", "keys of days ago are not used before an attempt"
    assert len(refreshed_at(simulation)) == attempts + 2, "one for their age, and one for the kid"
    assert set(simulation.spend(HOUR, simulation.token())) == {None}


def test_an_issuer_that_comes_back_to_use_before_its_set_ends_is_renewed_in_the_background() -> None:
    # At four fifths of a day the keys were unused for an hour. The next request must not wait when the day is over.
    simulation = Simulation()
    simulation.issuer.cache_control = "max-age=86400"
    token = simulation.token()
    simulation.verify(token)
    simulation.advance(21 * HOUR)
    assert len(refreshed_at(simulation)) == 1
    assert set(simulation.spend(5 * HOUR, token)) == {None}
    assert len(refreshed_at(simulation)) == 2


def test_keys_that_ended_long_ago_are_used_only_after_an_attempt_that_failed() -> None:
    simulation = Simulation()
    token = simulation.token()
    simulation.verify(token)
    simulation.advance(20 * HOUR)
    simulation.fetched()
    simulation.issuer.failure = "fetch_failed"
    assert simulation.refusal(token) is None
    assert simulation.fetched() == [OPENID, JWKS]
    simulation.advance(6 * HOUR)
    assert simulation.refusal(token) == "fetch_failed"


def test_without_a_background_one_request_in_a_life_does_its_work() -> None:
    simulation = Simulation()
    simulation.verify(simulation.token())
    for _ in range(60):
        simulation.lose_background()  # as where no thread can be started any more
        simulation.advance(MINUTE)
        simulation.verify(simulation.token())
    assert refreshed_at(simulation) == [600.0 * number for number in range(7)]
    # Once threads can be started again, the background works again.
    assert set(simulation.spend(HOUR, simulation.token())) == {None}


def test_a_call_that_was_lost_is_planned_again() -> None:
    simulation = Simulation()
    token = simulation.token()
    simulation.verify(token)
    simulation.lose_background()
    simulation.advance(10 * MINUTE)
    simulation.verify(token)  # waits, for the background has not
    assert set(simulation.spend(HOUR, token)) == {None}


def test_a_forked_child_plans_its_own_refresh_and_loses_no_key(fork: Callable[[], None]) -> None:
    simulation = Simulation()
    token = simulation.token()
    simulation.verify(token)
    simulation.lose_background()
    fork()
    simulation.fetched()
    assert set(simulation.spend(HOUR, token)) == {None}
    assert 7 <= len(refreshed_at(simulation)) <= 8


def test_a_forked_child_inherits_no_lock_and_no_flight(fork: Callable[[], None]) -> None:
    simulation = Simulation(token_cache=0)
    token = simulation.token()
    simulation.verify(token)
    simulation.advance(7 * MINUTE)
    # As if another thread of the parent held the lock in the middle of a refresh.
    simulation.faults[JWKS] = Fault(takes=4)
    answers = []

    def beside() -> None:
        simulation.keys._flights._lock.acquire()
        fork()
        simulation.lose_background()
        answers.append(simulation.at_once(token))
        simulation.issuer.keys.rotate()
        answers.append(simulation.refusal(simulation.token()))
        simulation.meanwhile = None

    simulation.meanwhile = beside
    simulation.advance(3 * MINUTE)
    assert answers[:2] == [None, None]
    simulation.faults.clear()
    assert set(simulation.spend(HOUR, token)) == {None}


def test_metadata_that_cannot_be_had_do_not_hold_up_the_keys() -> None:
    simulation = Simulation()
    old = simulation.issuer.keys.current_kid
    token = simulation.token()
    simulation.verify(token)
    simulation.issuer.keys.rotate()
    simulation.issuer.keys.withdraw(old)
    simulation.faults[OPENID] = Fault(takes=DAY)
    simulation.advance(20 * MINUTE)
    assert simulation.refusal(token) == "key_unknown"
    assert simulation.keys.failure is None
    late = [fetch.seconds for fetch in simulation.fetches if fetch.url == OPENID][1:]
    assert late
    assert set(late) == {2.5}, "half of the time is left for the keys"


def test_metadata_that_become_the_page_of_a_gateway_do_not_hold_up_the_keys() -> None:
    simulation = Simulation()
    old = simulation.issuer.keys.current_kid
    token = simulation.token()
    simulation.verify(token)
    simulation.issuer.keys.rotate()
    simulation.issuer.keys.withdraw(old)
    simulation.faults[OPENID] = Fault(body=b"<html>sign in</html>")
    simulation.advance(20 * MINUTE)
    assert simulation.refusal(token) == "key_unknown"
    assert simulation.keys.failure is None


def test_metadata_that_become_those_of_another_issuer_fail_the_refresh() -> None:
    simulation = Simulation()
    simulation.verify(simulation.token())
    metadata = {**simulation.issuer.metadata(), "issuer": "https://evil.test/"}
    simulation.faults[OPENID] = Fault(body=json.dumps(metadata).encode())
    simulation.advance(20 * MINUTE)
    simulation.verify(simulation.token())
    assert simulation.keys.failure == "metadata_issuer_mismatch"


def test_keys_that_have_moved_are_found_through_the_metadata() -> None:
    simulation = Simulation()
    simulation.issuer.cache_control = "max-age=86400"
    token = simulation.token()
    simulation.verify(token)
    kid = simulation.issuer.keys.rotate()
    moved = "https://issuer.test/new/jwks.json"
    simulation.issuer.documents[moved] = simulation.issuer.fetch(JWKS, seconds=5).body
    simulation.issuer.documents[OPENID] = b'{"issuer": "https://issuer.test/", "jwks_uri": "%s"}' % moved.encode()
    simulation.issuer.failures[JWKS] = "fetch_status"
    simulation.fetched()
    assert simulation.refusal(simulation.token(kid=kid)) == "fetch_status"
    simulation.advance(2)
    assert simulation.at_once(simulation.token(kid=kid)) is None
    assert simulation.fetched() == [JWKS, OPENID, moved]


def test_an_issuer_that_moves_its_keys_every_hour_leaves_no_trail() -> None:
    simulation = Simulation()
    for number in range(20):
        moved = f"https://issuer.test/{number}/jwks.json"
        simulation.issuer.documents[moved] = simulation.issuer.fetch(JWKS, seconds=5).body
        simulation.issuer.documents[OPENID] = b'{"issuer": "https://issuer.test/", "jwks_uri": "%s"}' % moved.encode()
        simulation.advance(HOUR)
        assert simulation.refusal(simulation.token()) is None
        assert len(simulation.keys._discovery._known) <= 5


def test_no_stamp_is_left_behind_that_nothing_voids(monkeypatch: pytest.MonkeyPatch) -> None:
    # A policy changes while a refresh brings another set: both renew the stamp.
    simulation = Simulation()
    simulation.verify(simulation.token())
    made: list[Stamp] = []
    other: list[threading.Thread] = []

    class Watched(Stamp):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)
            if len(made) == 1:
                other.append(threading.Thread(target=simulation.keys.renew_stamp))
                other[0].start()
                other[0].join(0.2)  # it waits for the first, unless nothing holds it

    before = simulation.keys.stamp
    monkeypatch.setattr(issuer_keys, "Stamp", Watched)
    simulation.keys.renew_stamp()
    other[0].join(20)
    assert before.is_void
    assert [stamp.is_void for stamp in made] == [stamp is not simulation.keys.stamp for stamp in made]

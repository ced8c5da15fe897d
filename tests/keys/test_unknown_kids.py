"""Unknown kids: a rotation is found at its first token, and a flood of forged ones costs two fetches a minute."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from tests.keys.simulation import DAY, HOUR, JWKS, MINUTE, OPENID, Fault, Simulation

from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import run
from resource_server.keys.document import Document
from resource_server.keys.unknown_kids import JOIN_SECONDS, UnknownKids

BUCKET_SECONDS = 30


@pytest.fixture
def simulation() -> Simulation:
    """A process that knows its issuer's key."""
    simulation = Simulation()
    simulation.verify(simulation.token())
    simulation.fetched()
    return simulation


def flood(simulation: Simulation, number: int, start: int = 0) -> set[str | None]:
    """The reasons for `number` tokens, each with a made-up kid."""
    answers = set()
    for forged in range(start, start + number):
        try:
            run(simulation.keys.find(f"forged-{forged}", "ES256"))
        except InvalidToken as error:
            answers.add(error.reason)
    return answers


def test_ten_thousand_forged_kids_cause_two_fetches(simulation: Simulation) -> None:
    assert flood(simulation, 10_000) == {"key_unknown"}
    assert simulation.fetched() == [JWKS, JWKS]
    assert len(simulation.keys._unknown_kids._missed_at) <= 2


def test_a_flood_that_lasts_costs_two_fetches_a_minute_and_remembers_a_handful(simulation: Simulation) -> None:
    token = simulation.token()
    for second in range(HOUR):
        simulation.advance(1)
        assert flood(simulation, 10, start=10 * second) == {"key_unknown"}
        if second % 30 == 0:
            assert simulation.at_once(token) is None
    assert len(simulation.fetched()) <= 2 + HOUR / BUCKET_SECONDS + HOUR / 480 + 3
    assert len(simulation.keys._unknown_kids._missed_at) <= 5


def test_no_good_request_waits_during_a_flood(simulation: Simulation) -> None:
    token = simulation.token()
    simulation.faults[JWKS] = Fault(takes=4.9)
    simulation.meanwhile = lambda: simulation.at_once(token)
    for minute in range(30):
        assert flood(simulation, 100, start=100 * minute) == {"key_unknown"}
        assert simulation.at_once(token) is None
        assert simulation.at_once(simulation.token(jti=f"new-{minute}")) is None
        simulation.advance(MINUTE)


@pytest.mark.parametrize("at", ["during the flood", "right after the flood"])
def test_a_real_rotation_is_picked_up_within_the_time_of_the_bucket(simulation: Simulation, at: str) -> None:
    flood(simulation, 1000)
    simulation.issuer.keys.rotate()
    token = simulation.token()
    waited = 0
    while simulation.refusal(token) is not None:
        simulation.advance(1)
        waited += 1
        if at == "during the flood":
            flood(simulation, 100, start=1000 + 100 * waited)
        assert waited <= BUCKET_SECONDS


def test_a_rotation_is_found_at_its_first_token(simulation: Simulation) -> None:
    for _ in range(2):
        simulation.issuer.keys.rotate()
        assert simulation.refusal(simulation.token()) is None
    assert simulation.fetched() == [JWKS, JWKS]


def test_a_kid_that_was_asked_for_in_vain_is_not_asked_for_again_for_a_minute(simulation: Simulation) -> None:
    for _ in range(59):
        assert simulation.refusal(simulation.forged(1)) == "key_unknown"
        simulation.advance(1)
    assert simulation.fetched() == [JWKS]
    simulation.advance(1)
    assert simulation.refusal(simulation.forged(1)) == "key_unknown"
    assert simulation.fetched() == [JWKS]


def test_a_key_published_a_moment_after_its_first_token_is_found_in_a_minute(simulation: Simulation) -> None:
    served = simulation.issuer.fetch(JWKS, seconds=5)
    simulation.issuer.documents[JWKS] = served.body
    simulation.issuer.keys.rotate()
    token = simulation.token()
    assert simulation.refusal(token) == "key_unknown"
    del simulation.issuer.documents[JWKS]
    simulation.advance(MINUTE)
    assert simulation.refusal(token) is None


def test_attempts_that_fail_are_counted_like_others(simulation: Simulation) -> None:
    simulation.issuer.failure = "fetch_failed"
    attempts = 0
    for second in range(10 * MINUTE):
        assert simulation.refusal(simulation.forged(second)) in ("fetch_failed", "key_unknown")
        simulation.advance(1)
        attempts += sum(url == JWKS for url in simulation.fetched())
    # Each failed attempt starts the pause between retries anew; in the first minute that pause is shorter than the
    # bucket's.
    assert 10 * MINUTE / BUCKET_SECONDS <= attempts <= 10 * MINUTE / BUCKET_SECONDS + 2 + 6


# {sentence: claims or header of a token that is hopeless unsigned}
HOPELESS = {
    "another issuer": ({"iss": "https://evil.test/"}, {}, "issuer_not_trusted"),
    "another type": ({}, {"typ": "dpop+jwt"}, "typ_not_accepted"),
    "another algorithm": ({}, {"alg": "HS256"}, "alg_not_allowed"),
    "no algorithm": ({}, {"alg": "none"}, "alg_not_allowed"),
    "expired": ({"exp": 1}, {}, "token_expired"),
    "not yet valid": ({"nbf": 2_000_000_000}, {}, "token_not_yet_valid"),
    "another audience": ({"aud": "other"}, {}, "audience_not_accepted"),
    "no subject": ({"sub": None}, {}, "sub_missing"),
    "a critical extension": ({}, {"crit": ["exp"]}, "header_not_supported"),
    "a kid of a kilobyte": ({}, {"kid": "k" * 1024}, "kid_malformed"),
}


@pytest.mark.parametrize(("claims", "header", "reason"), HOPELESS.values(), ids=HOPELESS)
def test_a_hopeless_token_costs_no_fetch(claims: dict[str, object], header: dict[str, object], reason: str) -> None:
    simulation = Simulation()
    token = simulation.issuer.token(header={"kid": "forged", **header}, **claims)
    assert simulation.at_once(token) == reason
    assert simulation.fetched() == []


def test_a_cold_start_with_a_forged_token_costs_what_a_good_one_does_and_a_little(simulation: Simulation) -> None:
    simulation = Simulation()
    assert flood(simulation, 1000) == {"key_unknown"}
    assert simulation.fetched() == [OPENID, JWKS, JWKS, JWKS]


def test_a_flood_does_not_wait_for_an_issuer_that_hangs() -> None:
    # Else forged tokens would hold all threads of a server for as long as a fetch may take.
    simulation = Simulation()
    simulation.verify(simulation.token())
    simulation.faults[JWKS] = Fault(takes=DAY)
    answers = []

    def beside() -> None:
        if simulation.clock - simulation.fetches[-1].at >= JOIN_SECONDS:
            # Before that they wait, in real time here, while the simulated clock stands still.
            answers.append(simulation.refusal(simulation.forged(len(answers))))

    simulation.meanwhile = beside
    assert simulation.refusal(simulation.forged(10_000)) == "fetch_timeout"
    assert len(answers) > 3
    assert set(answers) == {"fetch_timeout"}
    assert sum(fetch.url == JWKS for fetch in simulation.fetches) == 2


def test_a_kid_is_unknown_for_its_own_algorithm(simulation: Simulation) -> None:
    kid = simulation.issuer.keys.current_kid
    for algorithm in ("ES384", "RS256", "EdDSA"):
        with pytest.raises(InvalidToken) as caught:
            run(simulation.keys.find(kid, algorithm))
        assert caught.value.reason == "key_unknown"
    assert simulation.fetched() == [JWKS, JWKS]


def test_the_bucket_holds_two_and_gets_one_each_half_minute(simulation: Simulation) -> None:
    assert flood(simulation, 50) == {"key_unknown"}
    assert len(simulation.fetched()) == 2
    for seconds, attempts in ((29, 0), (1, 1), (29, 0), (1, 1), (300, 2), (0, 0)):
        simulation.clock += seconds  # without the background
        assert flood(simulation, 50) == {"key_unknown"}
        assert len(simulation.fetched()) == attempts


def test_what_another_process_has_fetched_may_be_older_than_the_key(simulation: Simulation) -> None:
    # From the shared cache, half a minute old: the kid may be newer.
    before = simulation.issuer.fetch(JWKS, seconds=5)
    simulation.issuer.keys.rotate()
    shared = [replace(before, held_seconds=30.0)]

    def fetch(url: str, /, **options: Any) -> Document:
        return shared.pop() if shared else simulation.fetch(url, **options)

    simulation.keys._discovery._fetch = fetch
    assert simulation.refusal(simulation.token()) is None
    assert simulation.fetched() == [JWKS]

    shared[:] = [replace(before, held_seconds=30.0)] * 2
    simulation.issuer.keys.rotate()
    assert simulation.refusal(simulation.token()) == "key_unknown", "twice is enough for one request"
    assert simulation.refusal(simulation.token()) is None, "and nothing of it was an attempt"


def test_two_looks_at_a_cache_of_other_processes_are_all_that_a_forged_kid_gets(simulation: Simulation) -> None:
    looks = []

    def fetch(url: str, /, **options: Any) -> Document:
        looks.append(url)
        return replace(simulation.issuer.fetch(JWKS, seconds=5), held_seconds=0.0)

    simulation.keys._discovery._fetch = fetch
    assert flood(simulation, 1000) == {"key_unknown"}
    assert looks == [JWKS, JWKS]


# {how the issuer fails}
OUTAGES = {
    "no connection": Fault(reason="fetch_failed"),
    "a status": Fault(reason="fetch_status"),
    "a status that takes its time": Fault(reason="fetch_status", takes=4.9),
    "no answer": Fault(takes=DAY),
    "Retry-After of ten minutes": Fault(reason="fetch_status", retry_after=600),
    "Retry-After of a year, slowly": Fault(reason="fetch_status", retry_after=31_536_000, takes=4.9),
    "the page of a gateway": Fault(body=b"<html>"),
}


@pytest.mark.parametrize("forged_each_second", [0, 3], ids=["alone", "in a flood"])
@pytest.mark.parametrize("fault", OUTAGES.values(), ids=OUTAGES)
def test_a_rotation_during_an_outage_is_found_within_half_a_minute_of_its_end(
    fault: Fault, forged_each_second: int
) -> None:
    # Different ends of the outage, as the pause between retries grows beyond a minute.
    for outage in range(3 * MINUTE, 3 * MINUTE + 75, 7):
        simulation = Simulation()
        known = simulation.token()
        simulation.verify(known)
        simulation.faults[""] = simulation.faults[JWKS] = fault
        simulation.issuer.keys.rotate()
        token = simulation.token()
        ends_at = simulation.clock + outage
        while simulation.clock < ends_at:
            simulation.advance(1)
            flood_during_outage(simulation, forged_each_second)
            assert simulation.refusal(token) != "key_unknown", "the key may be new"
            assert simulation.at_once(known) is None
        simulation.faults.clear()
        recovered_at = simulation.clock
        flood_during_outage(simulation, forged_each_second)
        while simulation.refusal(token) is not None:
            simulation.advance(1)
            assert simulation.clock - recovered_at <= BUCKET_SECONDS
            flood_during_outage(simulation, forged_each_second)


def flood_during_outage(simulation: Simulation, number: int) -> None:
    for forged in range(number):
        with pytest.raises((InvalidToken, Unavailable)):
            run(simulation.keys.find(f"forged-{simulation.clock}-{forged}", "ES256"))


@pytest.mark.parametrize(("retry_after", "pause"), [(1, 1), (20, 20), (600, 25), (31_536_000, 25)])
def test_an_issuer_that_fails_is_asked_for_unknown_kids_at_the_pace_of_the_bucket(
    simulation: Simulation, retry_after: int, pause: int
) -> None:
    simulation.faults[JWKS] = Fault(reason="fetch_status", retry_after=retry_after)
    for _ in range(10 * MINUTE):
        flood_during_outage(simulation, 5)
        simulation.clock += 1  # without the background
    times = [fetch.at for fetch in simulation.fetches if fetch.url == JWKS]
    assert all(pause <= after - before <= BUCKET_SECONDS for before, after in itertools.pairwise(times))
    assert len(times) <= 2 + 10 * MINUTE / BUCKET_SECONDS


def test_a_request_with_an_unknown_kid_is_asked_to_come_back_when_the_bucket_has_an_attempt(
    simulation: Simulation,
) -> None:
    simulation.faults[JWKS] = Fault(reason="fetch_status", retry_after=600)
    for number in range(3):
        assert simulation.unavailable(simulation.forged(number)).retry_after == BUCKET_SECONDS


# The bucket by itself


def test_the_bucket_counts_two_attempts_and_one_more_in_half_a_minute() -> None:
    kids = UnknownKids()
    taken = [now for now in range(200) if kids.take(f"kid-{now}", "ES256", now)]
    assert taken == [0, 1, 30, 60, 90, 120, 150, 180]


def test_the_bucket_is_full_with_two_however_long_it_rests() -> None:
    kids = UnknownKids()
    for now in (0, DAY):
        assert [kids.take("kid", "ES256", now) for _ in range(4)] == [True, True, False, False]


def test_an_attempt_that_was_given_back_may_be_taken_again() -> None:
    kids = UnknownKids()
    assert [kids.take("kid", "ES256", 0) for _ in range(3)] == [True, True, False]
    kids.give_back()
    assert [kids.take("kid", "ES256", 0) for _ in range(2)] == [True, False]


def test_giving_back_makes_the_bucket_no_larger() -> None:
    kids = UnknownKids()
    for _ in range(5):
        kids.give_back()
    assert [kids.take("kid", "ES256", 0) for _ in range(3)] == [True, True, False]


def test_a_missed_kid_takes_nothing_for_a_minute_and_stands_in_no_others_way() -> None:
    kids = UnknownKids()
    kids.miss("kid", "ES256", 0)
    assert not kids.take("kid", "ES256", 59.9)
    assert kids.take("kid", "ES384", 59.9), "it is missed for its algorithm alone"
    assert kids.take("other", "ES256", 59.9)
    assert not kids.take("other", "ES256", 59.9), "the bucket is empty"
    assert kids.take("kid", "ES256", 90), "the miss is over"


def test_misses_of_more_than_a_minute_ago_are_forgotten() -> None:
    kids = UnknownKids()
    for now in range(0, HOUR, 20):
        kids.miss(f"kid-{now}", "ES256", now)
        assert len(kids._missed_at) <= 3

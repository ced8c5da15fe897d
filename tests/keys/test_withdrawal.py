"""A withdrawn key is refused, with all tokens that were verified with it before; other keys are kept."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.keys.simulation import DAY, HOUR, JWKS, MINUTE, Fault, Simulation

from resource_server.devissuer.signing import SigningKeys


@pytest.fixture
def simulation() -> Simulation:
    return Simulation()


def document(*members: Any) -> bytes:
    return json.dumps({"keys": members}).encode()


def named(keys: SigningKeys, kid: str | None) -> dict[str, Any]:
    """The public key under another name, or under none."""
    (member,) = keys.jwks()["keys"]
    return {name: value for name, value in {**member, "kid": kid}.items() if value is not None}


def replace_key(simulation: Simulation) -> tuple[str, str]:
    """Let the issuer rotate and withdraw the old key. Returns the kids of both."""
    old = simulation.issuer.keys.current_kid
    new = simulation.issuer.keys.rotate()
    simulation.issuer.keys.withdraw(old)
    return old, new


def test_a_withdrawn_key_is_refused_within_the_refresh_age_and_its_verdicts_die(simulation: Simulation) -> None:
    token = simulation.token()
    simulation.verify(token)
    simulation.spend(HOUR, token)
    replace_key(simulation)
    withdrawn_at = simulation.clock
    while simulation.refusal(token) is None:
        simulation.advance(1)
    assert simulation.clock - withdrawn_at <= 10 * MINUTE * 0.85
    assert simulation.refusal(token) == "key_unknown"


@pytest.mark.parametrize("cache_control", ["no-store", "max-age=3600"])
def test_the_refresh_age_is_what_the_issuer_says(simulation: Simulation, cache_control: str) -> None:
    simulation.issuer.cache_control = cache_control
    life = MINUTE if cache_control == "no-store" else HOUR
    token = simulation.token()
    simulation.verify(token)
    replace_key(simulation)
    answers = simulation.spend(life * 0.74, token, every=5)
    assert set(answers) == {None}, "the set is not refreshed yet"
    simulation.advance(life * 0.12)
    assert simulation.refusal(token) == "key_unknown"


def test_a_refresh_for_a_new_kid_ends_the_old_key_at_once(simulation: Simulation) -> None:
    token = simulation.token()
    simulation.verify(token)
    old, new = replace_key(simulation)
    simulation.reported()
    simulation.verify(simulation.token())
    assert simulation.refusal(token) == "key_unknown"
    assert [(event.kind, event.kids) for event in simulation.events if event.kind != "started"] == [
        ("added", (new,)),
        ("withdrawn", (old,)),
        ("refreshed", (new,)),
        ("refreshed", (new,)),  # the old kid is unknown now, and asked for
    ]


def test_the_same_kid_with_a_new_key_replaces_the_old_one(simulation: Simulation) -> None:
    first, second = SigningKeys("ES256"), SigningKeys("ES256")

    def token(keys: SigningKeys) -> str:
        return keys.sign(simulation.issuer.claims(exp=int(simulation.now) + DAY), header={"kid": "the name"})

    old, new = token(first), token(second)
    simulation.issuer.documents[JWKS] = document(named(first, "the name"))
    assert (simulation.refusal(old), simulation.refusal(new)) == (None, "signature_invalid")
    simulation.issuer.documents[JWKS] = document(named(second, "the name"))
    simulation.reported()
    simulation.spend(9 * MINUTE, old)
    assert (simulation.at_once(old), simulation.at_once(new)) == ("signature_invalid", None)
    assert [(event.kind, event.kids) for event in simulation.events if event.kind in ("added", "withdrawn")] == [
        ("added", ("the name",)),
        ("withdrawn", ("the name",)),
    ]
    simulation.issuer.documents[JWKS] = document(named(first, "the name"), named(second, "the name"))
    simulation.spend(9 * MINUTE, new)
    assert (simulation.at_once(old), simulation.at_once(new)) == (None, None), "two keys may share a name"


def test_a_key_without_a_kid_is_replaced_too(simulation: Simulation) -> None:
    first, second = SigningKeys("ES256"), SigningKeys("ES256")
    old, new = (
        keys.sign(simulation.issuer.claims(exp=2_000_000_000), header={"kid": None}) for keys in (first, second)
    )
    simulation.issuer.documents[JWKS] = document(named(first, None))
    assert (simulation.refusal(old), simulation.refusal(new)) == (None, "signature_invalid")
    simulation.issuer.documents[JWKS] = document(named(second, None))
    simulation.spend(9 * MINUTE, old)
    assert (simulation.at_once(old), simulation.at_once(new)) == ("signature_invalid", None)


# {the answer in place of a key set: fault}
NO_KEY_SETS = {
    "no answer": Fault(reason="fetch_failed"),
    "another status": Fault(reason="fetch_status", retry_after=2),
    "a redirect or 404": Fault(reason="fetch_status"),
    "too much": Fault(reason="document_too_large"),
    "an answer that never ends": Fault(takes=DAY),
    "HTML": Fault(body=b"<html>"),
    "a list": Fault(body=b"[]"),
    "no keys": Fault(body=b'{"keys": []}'),
    "unusable keys alone": Fault(body=b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}'),
}


@pytest.mark.parametrize("fault", NO_KEY_SETS.values(), ids=NO_KEY_SETS)
def test_only_a_successful_refresh_withdraws_a_key(simulation: Simulation, fault: Fault) -> None:
    token = simulation.token()
    simulation.verify(token)
    replace_key(simulation)
    simulation.faults[JWKS] = fault
    simulation.reported()
    assert set(simulation.spend(HOUR, token)) == {None}
    assert {event.kind for event in simulation.events} == {"started", "failed", "stale"}
    simulation.faults.clear()
    simulation.advance(80)
    assert simulation.refusal(token) == "key_unknown"


def test_a_key_that_comes_back_is_accepted_again(simulation: Simulation) -> None:
    token = simulation.token()
    simulation.verify(token)
    served = simulation.issuer.fetch(JWKS, seconds=5).body
    replace_key(simulation)
    simulation.verify(simulation.token())
    assert simulation.refusal(token) == "key_unknown"
    simulation.issuer.documents[JWKS] = served
    simulation.reported()
    simulation.advance(9 * MINUTE)
    assert simulation.at_once(token) is None
    assert [event.kind for event in simulation.events if event.kind in ("added", "withdrawn")] == ["added", "withdrawn"]


def test_a_verdict_of_the_cache_outlives_no_refresh_that_was_in_flight_when_it_was_made(
    simulation: Simulation,
) -> None:
    old = simulation.token()
    simulation.verify(old)
    simulation.advance(7 * MINUTE)
    replace_key(simulation)
    simulation.faults[JWKS] = Fault(takes=4)
    verdicts = []
    # Verified with the old set and remembered while the new set is being fetched.
    simulation.meanwhile = lambda: verdicts.append(simulation.at_once(old))
    simulation.advance(100)
    assert verdicts
    assert set(verdicts) == {None}
    simulation.faults.clear()
    assert simulation.refusal(old) == "key_unknown"


def test_an_outage_after_a_withdrawal_brings_no_key_back(simulation: Simulation) -> None:
    token = simulation.token()
    simulation.verify(token)
    replace_key(simulation)
    fresh = simulation.token()
    simulation.verify(fresh)
    simulation.issuer.failure = "fetch_failed"
    assert set(simulation.spend(20 * HOUR, fresh, every=MINUTE)) == {None}
    assert simulation.refusal(token) == "fetch_failed", "no verdict: it might be published again"
    simulation.issuer.failure = None
    simulation.spend(2 * MINUTE, fresh)
    assert simulation.refusal(token) == "key_unknown"


def test_threads_beside_refreshes_never_accept_a_withdrawn_key_and_never_lose_a_good_one() -> None:
    simulation = Simulation()
    kept = simulation.token()
    simulation.verify(kept)
    withdrawn: list[str] = []
    ended = threading.Event()

    def requests() -> set[tuple[str, str | None]]:
        answers = set()
        while not ended.is_set():
            answers.add(("kept", simulation.at_once(kept)))
            if withdrawn:
                answers.add(("withdrawn", simulation.refusal(withdrawn[-1])))
        return answers

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(requests) for _ in range(4)]
        for _ in range(20):
            kid = simulation.issuer.keys.rotate()
            simulation.keys._attempt(simulation.keys._flights.ended, join_seconds=5)
            simulation.keys._attempt(
                simulation.keys._flights.ended, join_seconds=5
            )  # the first may have joined an older one
            token = simulation.token(kid=kid)
            simulation.verify(token)
            simulation.issuer.keys.withdraw(kid)
            simulation.keys._attempt(simulation.keys._flights.ended, join_seconds=5)
            simulation.keys._attempt(simulation.keys._flights.ended, join_seconds=5)
            withdrawn.append(token)
        ended.set()
        answers = set().union(*(future.result(20) for future in futures))
    assert answers == {("kept", None), ("withdrawn", "key_unknown")}

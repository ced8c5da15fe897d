"""An issuer that is down: known keys serve, an unknown one gets no verdict, and each change is reported once."""

import itertools
import math
import random
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from tests.keys.simulation import DAY, HOUR, JWKS, MINUTE, OAUTH, OPENID, Fault, Simulation

from resource_server import signals
from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import run
from resource_server.key_events import report
from resource_server.keys.document import Document
from resource_server.keys.events import KeyEvent
from resource_server.server import ResourceServer

WORST_RETRY_SECONDS = 60 * 1.25


@pytest.fixture
def simulation() -> Simulation:
    return Simulation()


def test_keys_serve_for_a_day_and_each_change_is_reported_once(simulation: Simulation) -> None:
    token = simulation.token()
    simulation.verify(token)
    assert simulation.reported() == ["added", "refreshed"]

    simulation.issuer.failure = "fetch_failed"
    simulation.fetched()
    assert set(simulation.spend(DAY, token)) == {None}
    failed = [event for event in simulation.events if event.kind == "failed"]
    assert [event.repeated for event in failed] == [False] + [True] * (len(failed) - 1)
    assert [event.kind for event in simulation.events if event.kind not in ("failed", "started")] == ["stale"]
    # Each attempt asks for the metadata, and then for the keys at their old address; in the first the metadata are
    # still current.
    assert DAY / WORST_RETRY_SECONDS <= len(failed) <= DAY / 45 + 10
    assert len(simulation.fetched()) == 2 * len(failed) - 1

    simulation.events.clear()
    simulation.issuer.failure = None
    simulation.spend(2 * MINUTE, token)
    assert simulation.reported() == ["refreshed"]
    assert set(simulation.spend(HOUR, token)) == {None}
    assert set(simulation.reported()) == {"refreshed"}


def test_the_log_has_one_line_for_each_change(simulation: Simulation, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "resource_server")
    simulation.verifier._issuers._listed[simulation.issuer.issuer].keys._reporter._on_event = partial(
        report, ResourceServer
    )
    token = simulation.token()
    simulation.verify(token)
    simulation.issuer.failure = "fetch_timeout"
    simulation.spend(20 * HOUR, token)
    simulation.issuer.failure = None
    simulation.spend(2 * MINUTE, token)
    kid = simulation.issuer.keys.current_kid
    issuer = simulation.issuer.issuer
    in_time, stays = "issuer did not answer in time", "the known address of its keys stays in use"
    first = [re.sub(r"until .*", "until ...", message) for message in caplog.messages]
    assert first == [
        f"issuer {issuer} has a new key: {kid!r}",
        f"keys of issuer {issuer} refreshed: 1",
        f"keys of issuer {issuer} not refreshed (fetch_timeout): {JWKS}: {in_time}; the known keys serve until ...",
        f"metadata of issuer {issuer} not refreshed (fetch_timeout): {OPENID}: {in_time}; {stays}",
        f"issuer {issuer} is down (fetch_timeout): the keys known of it go on serving",
        f"keys of issuer {issuer} refreshed: 1",
    ]


def failures(simulation: Simulation) -> list[KeyEvent]:
    found = [event for event in simulation.events if event.kind == "failed"]
    simulation.events.clear()
    return found


def test_a_failure_says_where_why_and_what_goes_on_meanwhile(simulation: Simulation) -> None:
    simulation.issuer.failure = "fetch_failed"
    assert simulation.refusal(simulation.token()) == "fetch_failed"
    (without_keys,) = failures(simulation)
    assert without_keys.outcome == f"{OPENID}: issuer cannot be reached"
    assert without_keys.serve_seconds is None
    assert 0.75 <= without_keys.retry_seconds <= 1.25
    assert simulation.keys.outcome == without_keys.outcome

    simulation.issuer.failure = None
    simulation.advance(2)
    simulation.verify(simulation.token())
    assert simulation.keys.outcome == ""
    simulation.events.clear()
    simulation.issuer.failures[JWKS] = "fetch_status"
    simulation.advance(9 * MINUTE)
    with_keys = failures(simulation)[0]
    assert with_keys.outcome == f"{JWKS}: issuer answered with another status than 200"
    assert with_keys.serve_seconds is not None
    # Fetched at 0, asked again at 80 % of 10 minutes, give or take 5 %; they serve a day beyond their life.
    assert DAY + 90 - 1 <= with_keys.serve_seconds <= DAY + 150 + 1


def test_what_a_fetch_says_is_escaped_and_cut(simulation: Simulation) -> None:
    def hostile(url: str, /, **_: Any) -> Document:
        raise Unavailable("fetch_failed", outcome="\x1b[2J\r\nforged: line" * 100)

    simulation.keys._discovery._fetch = hostile
    simulation.refusal(simulation.token())
    assert simulation.keys.outcome.startswith(rf"{OPENID}: \x1b[2J\r\nforged: line")
    assert simulation.keys.outcome.isprintable()
    assert len(simulation.keys.outcome) < 300


def test_both_addresses_of_metadata_are_named(simulation: Simulation) -> None:
    simulation.issuer.failures = {OPENID: "fetch_status", OAUTH: "document_too_large"}
    simulation.refusal(simulation.token())
    status, size = "issuer answered with another status than 200", "a document of the issuer is too large"
    assert simulation.keys.outcome == f"{OPENID}: {status}; {OAUTH}: {size}"


@pytest.mark.parametrize(
    ("body", "outcome", "reason"),
    [
        (b"<html>", "not a JSON object", "document_malformed"),
        (b"{}", "names no issuer", "metadata_issuer_mismatch"),
    ],
    ids=["a login page", "no issuer"],
)
def test_one_page_at_both_addresses_of_metadata_is_refused(
    simulation: Simulation, body: bytes, outcome: str, reason: str
) -> None:
    simulation.issuer.documents |= {OPENID: body, OAUTH: body}
    error = simulation.unavailable(simulation.token())
    assert (error.reason, error.outcome) == (reason, f"{OPENID}: {outcome}; {OAUTH}: {outcome}")


# An address, its document, and the outcome.
DOCUMENTS = {
    "another issuer": (OPENID, b'{"issuer": "https://\\u00e9\\n.test"}', r"names the issuer https://\xe9\n.test"),
    "no issuer": (OPENID, b'{"issuer": 1}', "names no issuer"),
    "no address of keys": (OPENID, b'{"issuer": "https://issuer.test/"}', "its jwks_uri is absent or not text"),
    "an address with a password": (
        OPENID,
        b'{"issuer": "https://issuer.test/", "jwks_uri": "http://ada:hunter2@evil.test/k?key=hunter3#hunter4"}',
        "its jwks_uri is http://evil.test/k?...",
    ),
    "an address that is none": (
        OPENID,
        b'{"issuer": "https://issuer.test/", "jwks_uri": "https://[hunter2"}',
        "its jwks_uri is an address that cannot be read",
    ),
    "no key set": (JWKS, b"[]", "not a JWK Set"),
    "an empty key set": (JWKS, b'{"keys": []}', "no key can be used: there is none"),
    "a bad key": (JWKS, b'{"keys": [{"kty": "x"}]}', "no key can be used: key 0: kty is not RSA, EC or OKP"),
}


@pytest.mark.parametrize(("url", "body", "outcome"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_that_is_refused_is_named_with_its_fault(
    simulation: Simulation, url: str, body: bytes, outcome: str
) -> None:
    simulation.issuer.documents[url] = body
    error = simulation.unavailable(simulation.token())
    assert simulation.keys.outcome == error.outcome == f"{url}: {outcome}"
    assert "hunter" not in error.outcome


def test_another_cause_for_the_same_reason_is_news(simulation: Simulation) -> None:
    simulation.verify(simulation.token())
    simulation.events.clear()
    for address in (JWKS, OPENID):
        simulation.issuer.failures[address] = "fetch_status"
    simulation.spend(HOUR, simulation.token())
    first = failures(simulation)
    assert [event.repeated for event in first] == [False] + [True] * (len(first) - 1)
    simulation.issuer.failures.clear()
    simulation.issuer.documents[JWKS] = b"{}"
    simulation.spend(10 * MINUTE, simulation.token())
    simulation.issuer.documents[JWKS] = b"[]"
    simulation.spend(10 * MINUTE, simulation.token())
    assert sum(not event.repeated for event in failures(simulation)) == 1, "a list and no list are one outcome"
    simulation.issuer.documents[JWKS] = b'{"keys": []}'
    simulation.spend(10 * MINUTE, simulation.token())
    simulation.issuer.documents[JWKS] = b'{"keys": [1]}'
    simulation.spend(10 * MINUTE, simulation.token())
    fresh = [event.outcome for event in failures(simulation) if not event.repeated]
    assert fresh == [
        f"{JWKS}: no key can be used: there is none",
        f"{JWKS}: no key can be used: key 0: is not an object",
    ]


def test_the_line_of_a_failure_has_the_time_until_which_keys_serve(caplog: pytest.LogCaptureFixture) -> None:
    event = KeyEvent(kind="failed", issuer=OPENID, reason="fetch_failed", outcome="refused")
    before = int(time.time())
    report(ResourceServer, replace(event, serve_seconds=2 * HOUR, retry_seconds=12.3))
    report(ResourceServer, event)
    with_keys, without_keys = caplog.messages
    found = re.fullmatch(
        rf"keys of issuer {OPENID} not refreshed \(fetch_failed\): refused; the known keys serve until (.* UTC); "
        "the next attempt is in 12 s",
        with_keys,
    )
    assert found is not None
    until = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC).timestamp()
    assert before <= until - 2 * HOUR <= time.time()
    assert without_keys.endswith(
        "refused; no key is known, so a token is answered 503; the first request after 1 s asks again"
    )


def test_an_outage_with_two_reasons_reports_each_once(simulation: Simulation) -> None:
    # A load balancer in front of a dead issuer answers 502 and nothing in turn, all night.
    token = simulation.token()
    simulation.verify(token)
    simulation.reported()
    for reason in itertools.islice(itertools.cycle(["fetch_status", "fetch_timeout", "fetch_timeout"]), 120):
        simulation.issuer.failure = reason
        simulation.spend(30, token)
    fresh = [event.reason for event in simulation.events if event.kind == "failed" and not event.repeated]
    assert sorted(map(str, fresh)) == ["fetch_status", "fetch_timeout"]


def test_the_next_outage_is_reported_anew(simulation: Simulation) -> None:
    token = simulation.token()
    simulation.verify(token)
    for _ in range(3):
        simulation.reported()
        simulation.issuer.failure = "fetch_failed"
        simulation.spend(HOUR, token)
        simulation.issuer.failure = None
        simulation.spend(2 * MINUTE, token)
        fresh = [event.kind for event in simulation.events if event.kind in ("failed", "stale") and not event.repeated]
        assert fresh == ["failed", "stale"]


def test_receivers_hear_what_happens_to_keys() -> None:
    heard: list[tuple[str, dict[str, Any]]] = []

    def receiver(name: str) -> Callable[..., None]:
        def receive(sender: object, signal: object, **arguments: Any) -> None:
            assert sender is ResourceServer
            heard.append((name, arguments))

        return receive

    def broken(sender: object, **_: Any) -> None:
        raise RuntimeError("a receiver's mistake")

    names = [
        "key_fetch_started", "keys_refreshed", "key_fetch_failed", "keys_served_stale", "key_added", "key_withdrawn",
    ]  # fmt: skip
    receivers = {name: receiver(name) for name in names}
    for name in names:
        getattr(signals, name).connect(broken)
        getattr(signals, name).connect(receivers[name])
    issuer = "https://issuer.test/"
    try:
        for event in (
            KeyEvent(kind="started", issuer=issuer),
            KeyEvent(kind="added", issuer=issuer, kids=("a", None)),
            KeyEvent(kind="withdrawn", issuer=issuer, kids=("b",)),
            KeyEvent(kind="refreshed", issuer=issuer, kids=("a", None)),
            KeyEvent(kind="failed", issuer=issuer, reason="fetch_failed", repeated=True, outcome="refused"),
            KeyEvent(kind="stale", issuer=issuer, reason="fetch_failed", kids=("a", None)),
        ):
            report(ResourceServer, event)
    finally:
        for name in names:
            getattr(signals, name).disconnect(broken)
            getattr(signals, name).disconnect(receivers[name])
    assert heard == [
        ("key_fetch_started", {"issuer": issuer}),
        ("key_added", {"issuer": issuer, "kid": "a"}),
        ("key_added", {"issuer": issuer, "kid": None}),
        ("key_withdrawn", {"issuer": issuer, "kid": "b"}),
        ("keys_refreshed", {"issuer": issuer, "kids": ("a", None)}),
        ("key_fetch_failed", {"issuer": issuer, "reason": "fetch_failed", "repeated": True, "outcome": "refused"}),
        ("keys_served_stale", {"issuer": issuer, "kids": ("a", None), "reason": "fetch_failed"}),
    ]


@pytest.mark.parametrize("stale_seconds", [0, 1, HOUR, 7 * DAY])
def test_keys_serve_as_long_as_the_policy_says(stale_seconds: int) -> None:
    simulation = Simulation(stale_seconds=stale_seconds)
    token = simulation.token()
    simulation.verify(token)
    simulation.issuer.failure = "fetch_failed"
    simulation.advance(10 * MINUTE + stale_seconds - 0.5)
    assert simulation.refusal(token) is None
    simulation.advance(0.5)
    assert simulation.refusal(token) == "fetch_failed", "the verdict of the cache ends with the key"


def test_a_recovery_after_the_keys_have_ended_is_found_by_the_first_request_that_may_ask(
    simulation: Simulation,
) -> None:
    token = simulation.token()
    simulation.verify(token)
    simulation.issuer.failure = "fetch_failed"
    simulation.advance(3 * DAY)
    error = simulation.unavailable(token)
    assert 1 <= error.retry_after <= WORST_RETRY_SECONDS
    assert simulation.planned == 0, "keys that have ended are not refreshed"
    simulation.issuer.failure = None
    simulation.advance(error.retry_after)
    simulation.verify(token)
    assert set(simulation.spend(HOUR, token)) == {None}


def test_the_background_finds_the_end_of_an_outage_before_any_request(simulation: Simulation) -> None:
    token = simulation.token()
    simulation.verify(token)
    simulation.issuer.failure = "fetch_failed"
    simulation.spend(HOUR, token)
    kid = simulation.issuer.keys.rotate()
    simulation.issuer.failure = None
    simulation.advance(WORST_RETRY_SECONDS)
    assert simulation.at_once(simulation.token(kid=kid)) is None


def test_the_first_good_fetch_forgets_all_failures(simulation: Simulation) -> None:
    simulation.issuer.failure = "fetch_failed"
    for _ in range(8):
        error = simulation.unavailable(simulation.token())
        simulation.advance(error.retry_after)
    assert error.retry_after >= 45
    simulation.issuer.failure = None
    simulation.verify(simulation.token())
    simulation.issuer.failure = "fetch_failed"
    kid = simulation.issuer.keys.rotate()
    assert simulation.unavailable(simulation.token(kid=kid)).retry_after <= 2


# {what the server asks for: how long it is not asked}
RETRY_AFTER = {"a second": (1, 1), "half a minute": (30, 30), "ten minutes": (600, 600), "a year": (31_536_000, 600)}


@pytest.mark.parametrize(("asked", "kept"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_retry_after_of_the_issuer_is_kept_and_handed_on(simulation: Simulation, asked: int, kept: int) -> None:
    simulation.issuer.failure = "fetch_status"
    simulation.issuer.retry_after = asked
    error = simulation.unavailable(simulation.token())
    assert kept <= error.retry_after <= kept + 1
    attempts = len(simulation.fetched())
    simulation.issuer.failure = None
    simulation.advance(kept - 0.5)
    if kept > 1:
        assert simulation.unavailable(simulation.token()).retry_after == 1
        assert simulation.fetched() == []
    simulation.advance(1)
    simulation.verify(simulation.token())
    assert attempts == 1 if asked > 1 else 2


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.5002, 0.5007, 0.75, 1.0])
def test_a_caller_that_waits_as_it_is_asked_to_is_not_early(
    simulation: Simulation, chance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.SystemRandom.random", lambda _self: chance)
    simulation.faults[""] = Fault(reason="fetch_failed")
    error = simulation.unavailable(simulation.token())
    simulation.faults.clear()
    simulation.advance(error.retry_after)
    assert simulation.refusal(simulation.token()) is None


def test_a_fetch_moves_no_random_numbers_that_a_project_has_seeded(simulation: Simulation) -> None:
    before = random.getstate()
    simulation.verify(simulation.token())
    simulation.faults[""] = Fault(reason="fetch_failed")
    simulation.advance(10**5)
    simulation.unavailable(simulation.token())
    assert random.getstate() == before


def test_retry_after_holds_in_the_background_too(simulation: Simulation) -> None:
    token = simulation.token()
    simulation.verify(token)
    simulation.issuer.failure = "fetch_status"
    simulation.issuer.retry_after = 300
    simulation.fetched()
    assert set(simulation.spend(HOUR, token)) == {None}
    times = sorted({fetch.at for fetch in simulation.fetches})
    assert all(after - before > 299.9 for before, after in itertools.pairwise(times))
    assert 9 <= len(times) <= 11


def test_requests_without_a_key_share_one_attempt_and_are_answered_at_once_between_attempts(
    simulation: Simulation,
) -> None:
    simulation.issuer.failure = "fetch_failed"
    errors = [simulation.unavailable(simulation.token(jti=str(number))) for number in range(500)]
    assert simulation.fetched() == [OPENID]
    assert {error.reason for error in errors} == {"fetch_failed"}
    assert all(error.retry_after >= 1 for error in errors)
    simulation.fetched()
    for _ in range(HOUR):
        simulation.advance(1)
        assert simulation.refusal(simulation.issuer.token()) == "fetch_failed"
    assert len(simulation.fetched()) <= HOUR / 45 + 10


def test_fifty_requests_beside_an_issuer_that_hangs_wait_together_and_not_in_a_queue(simulation: Simulation) -> None:
    started, ended = threading.Event(), threading.Event()
    calls = []

    def hang(url: str, /, **_: Any) -> Document:
        calls.append(url)
        started.set()
        assert ended.wait(20)
        raise Unavailable("fetch_timeout")

    keys = simulation.keys
    keys._discovery._fetch = hang

    def request() -> str:
        try:
            run(keys.find("kid", "ES256"))
        except Unavailable as error:
            return error.reason
        return "a key"

    with ThreadPoolExecutor(51) as pool:
        first = pool.submit(request)
        assert started.wait(20)
        others = [pool.submit(request) for _ in range(49)]
        simulation.clock += 6.5  # a request after the longest fetch does not wait at all
        late = pool.submit(request)
        assert late.result(5) == "fetch_timeout"
        ended.set()
        assert {future.result(5) for future in [first, *others]} == {"fetch_timeout"}
    assert calls == [OPENID]


def test_a_key_made_during_the_outage_is_no_fault_of_its_bearer(simulation: Simulation) -> None:
    simulation.verify(simulation.token())
    simulation.issuer.failure = "fetch_failed"
    simulation.spend(HOUR, simulation.token())
    kid = simulation.issuer.keys.rotate()
    simulation.fetched()
    for _ in range(100):
        assert simulation.unavailable(simulation.token(kid=kid)).retry_after <= math.ceil(WORST_RETRY_SECONDS)
    assert len(simulation.fetched()) <= 2


def test_a_fetcher_that_breaks_its_word_is_an_outage_like_any_other(
    simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(url: str, /, **_: Any) -> Document:
        raise RuntimeError("a defect of a fetcher")

    simulation.keys._discovery._fetch = broken
    assert simulation.refusal(simulation.token()) == "fetch_failed"
    assert "a defect of a fetcher" in caplog.text
    simulation.keys._discovery._fetch = simulation.fetch
    assert simulation.refusal(simulation.token()) == "fetch_failed"
    simulation.advance(2)
    simulation.verify(simulation.token())


def test_an_observer_that_fails_harms_no_state(simulation: Simulation) -> None:
    def broken(event: KeyEvent) -> None:
        raise RuntimeError(event.kind)

    token = simulation.token()
    simulation.keys._reporter._on_event = broken
    with pytest.raises(RuntimeError, match="started"):
        simulation.verify(token)
    simulation.keys._reporter._on_event = lambda event: broken(event) if event.kind == "added" else None
    with pytest.raises(RuntimeError, match="added"):
        simulation.verify(token)
    simulation.fetched()
    assert simulation.at_once(token) is None
    assert simulation.planned == 1
    assert simulation.fetched() == []


def test_a_shared_document_of_before_the_outage_brings_keys_and_the_failure(simulation: Simulation) -> None:
    # Another process of this project has stored it; see shared_documents.py.
    found = simulation.issuer.fetch(JWKS, seconds=5)
    metadata = simulation.issuer.fetch(OPENID, seconds=5)

    def shared(url: str, /, **_: Any) -> Document:
        known = found if url == JWKS else metadata
        return Document(body=known.body, held_seconds=2 * HOUR, failure="fetch_failed")

    simulation.keys._discovery._fetch = shared
    token = simulation.token()
    assert simulation.refusal(token) is None
    assert simulation.keys.failure == "fetch_failed"
    assert simulation.reported() == ["added", "failed", "stale"]
    with pytest.raises(Unavailable):
        run(simulation.keys.find("new", "ES256"))
    simulation.keys._discovery._fetch = simulation.fetch
    simulation.advance(2)
    with pytest.raises(InvalidToken):
        run(simulation.keys.find("forged", "ES256"))
    assert set(simulation.reported()) == {"refreshed"}

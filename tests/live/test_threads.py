"""Real threads and real sockets: many first requests are one fetch, and nobody queues behind an issuer that is slow, hangs or lies."""

import base64
import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from tests.live.conftest import Api, Verdict, at_once, until
from tests.servers import FAST_FAULTS, FAULTS, HANGING_FAULTS, HTML, KEYS, METADATA, Fault, LiveIssuer

from resource_server.keys import discovery, document, refresh_schedule
from resource_server.keys import issuer_keys as issuer_module
from resource_server.keys.document import Document
from resource_server.keys.http import fetch

# As the issue counts: a handful is what a flood of forged tokens may cause.
HANDFUL = 5
DEADLINE_SECONDS = 6.0
# What a machine that is busy with other things may add.
SLACK_SECONDS = 4.0


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents that live less than a second, and attempts that follow each other quickly."""
    monkeypatch.setattr(document, "MIN_LIFE_SECONDS", 0.2)
    monkeypatch.setattr(refresh_schedule, "MAX_BACKOFF_SECONDS", 0.05)
    monkeypatch.setattr(refresh_schedule, "MAX_RETRY_AFTER_SECONDS", 0.05)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second for a fetch in place of five, so that a test of something that hangs is short."""
    monkeypatch.setattr(discovery, "FETCH_SECONDS", 0.5)
    monkeypatch.setattr(issuer_module, "FETCH_SECONDS", 0.5)


def test_fifty_first_requests_cause_one_fetch(issuer: LiveIssuer, new_api: type[Api]) -> None:
    issuer.delay_seconds = 0.3
    api = new_api(issuer)
    tokens = [issuer.token() for _ in range(50)]
    verdicts = at_once(50, lambda position: api.verdict(tokens[position]))
    assert {verdict.reason for verdict in verdicts} == {"accepted"}
    assert issuer.counts == {METADATA: 1, KEYS: 1}


def test_fifty_requests_after_a_rotation_cause_one_fetch(issuer: LiveIssuer, new_api: type[Api]) -> None:
    api = new_api(issuer)
    assert api.verdict(issuer.token()).reason == "accepted"
    issuer.forget()
    issuer.keys.rotate()
    issuer.delay_seconds = 0.3
    tokens = [issuer.token() for _ in range(50)]
    verdicts = at_once(50, lambda position: api.verdict(tokens[position]))
    assert {verdict.reason for verdict in verdicts} == {"accepted"}
    assert issuer.counts == {KEYS: 1}


def test_a_known_key_never_waits_for_a_key_set_that_takes_long(
    issuer: LiveIssuer, new_api: type[Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "MIN_LIFE_SECONDS", 2)
    issuer.fields = ("Cache-Control: max-age=2",)
    api = new_api(issuer)
    assert api.verdict(issuer.token()).reason == "accepted"
    issuer.forget()
    issuer.delay_seconds = 3
    worst, ended = [0.0] * 4, threading.Event()

    def requests(position: int) -> None:
        while not ended.is_set():
            verdict = api.verdict(issuer.token())
            assert verdict.reason == "accepted"
            worst[position] = max(worst[position], verdict.seconds)
            time.sleep(0.01)  # a pause between two requests of one client

    threads = [threading.Thread(target=requests, args=(position,)) for position in range(4)]
    for thread in threads:
        thread.start()
    try:
        # The life of the set ends while the new one is on its way.
        fetched_at = api.keys.trusted.fetched_at if api.keys.trusted else 0.0
        until(lambda: api.keys.trusted and api.keys.trusted.fetched_at > fetched_at, 15, what="a refresh")
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert issuer.counts in ({KEYS: 1}, {METADATA: 1, KEYS: 1})
    assert max(worst) < 0.6, "a request waited for the issuer"


def test_fifty_requests_at_an_issuer_that_hangs_are_answered_within_the_deadline(
    issuer: LiveIssuer, new_api: type[Api]
) -> None:
    issuer.fault = FAULTS["hangs before the headers"][0]
    api = new_api(issuer)
    tokens = [issuer.token() for _ in range(50)]
    verdicts = at_once(50, lambda position: api.verdict(tokens[position]))
    assert {verdict.reason for verdict in verdicts} == {"fetch_timeout"}
    assert all((verdict.retry_after or 0) >= 1 for verdict in verdicts)
    assert max(verdict.seconds for verdict in verdicts) < DEADLINE_SECONDS + SLACK_SECONDS
    assert issuer.counts == {METADATA: 1}
    # Those who come now do not wait again.
    again = at_once(50, lambda position: api.verdict(tokens[position]))
    assert {verdict.reason for verdict in again} == {"fetch_timeout"}
    assert max(verdict.seconds for verdict in again) < 1
    assert issuer.counts == {METADATA: 1}


def test_ten_thousand_forged_kids_cost_a_handful_of_fetches_and_slow_nobody(
    issuer: LiveIssuer, new_api: type[Api]
) -> None:
    api = new_api(issuer)
    good = issuer.token()
    assert api.verdict(good).reason == "accepted"
    issuer.forget()
    issuer.delay_seconds = 0.5
    # Signed once; a flood costs its sender nothing.
    signed = issuer.token()

    def flood(position: int) -> set[str]:
        return {api.verdict(_with_kid(signed, f"kid-{position}-{number}")).reason for number in range(1250)}

    good_verdicts: list[Verdict] = []
    ended = threading.Event()

    def good_requests() -> None:
        while not ended.is_set():
            good_verdicts.append(api.verdict(issuer.token()))
            time.sleep(0.005)  # a pause between two requests of one client

    thread = threading.Thread(target=good_requests)
    thread.start()
    try:
        reasons = set().union(*at_once(8, flood))
    finally:
        ended.set()
        thread.join()
    assert reasons <= {"key_unknown", "fetch_timeout"}
    assert {verdict.reason for verdict in good_verdicts} == {"accepted"}
    # A tenth of a second is the share of nine threads in one interpreter, half a second would be the issuer's.
    assert sorted(verdict.seconds for verdict in good_verdicts)[len(good_verdicts) // 2] < 0.25
    assert sum(issuer.counts.values()) <= HANDFUL


def _with_kid(token: str, kid: str) -> str:
    header, _, rest = token.partition(".")
    members = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    packed = json.dumps({**members, "kid": kid}, separators=(",", ":")).encode()
    return f"{base64.urlsafe_b64encode(packed).rstrip(b'=').decode()}.{rest}"


@pytest.mark.parametrize(("fault", "reason"), FAST_FAULTS.values(), ids=FAST_FAULTS)
@pytest.mark.parametrize("path", [METADATA, KEYS], ids=["metadata", "keys"])
@pytest.mark.usefixtures("brisk")
def test_a_fault_at_the_start_is_nobodys_fault_and_over_as_soon_as_it_is_mended(
    issuer: LiveIssuer, new_api: type[Api], fault: Fault, reason: str, path: str
) -> None:
    issuer.fault, issuer.faulty = fault, (path,)
    api = new_api(issuer)
    tokens = [issuer.token() for _ in range(10)]
    verdicts = at_once(10, lambda position: api.verdict(tokens[position]))
    assert {verdict.reason for verdict in verdicts} == {reason}
    assert all((verdict.retry_after or 0) >= 1 for verdict in verdicts)
    assert issuer.counts[path] == 1
    issuer.fault = None
    until(lambda: api.verdict(tokens[0]).reason == "accepted", what="the recovery")
    assert issuer.counts[KEYS] == (2 if path == KEYS else 1)


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
@pytest.mark.usefixtures("brisk", "impatient")
def test_a_fault_leaves_known_keys_in_service(
    issuer: LiveIssuer, new_api: type[Api], fault: Fault, reason: str
) -> None:
    issuer.fields = ("Cache-Control: no-store",)
    api = new_api(issuer)
    tokens = [issuer.token() for _ in range(4)]
    assert api.verdict(tokens[0]).reason == "accepted"
    issuer.fault, issuer.faulty = fault, (KEYS,)
    issuer.forget()
    until(lambda: api.keys.failure is not None, what="an attempt")
    verdicts = at_once(4, lambda position: api.verdict(tokens[position]))
    assert {verdict.reason for verdict in verdicts} == {"accepted"}
    assert api.keys.failure == reason
    # In the background, with nobody asking; and the first good answer is the end of it.
    issuer.keys.rotate()
    issuer.fault = None
    until(lambda: api.keys.failure is None, what="the recovery")
    assert api.verdict(issuer.token()).reason == "accepted"


@pytest.mark.parametrize(("fault", "reason"), HANGING_FAULTS.values(), ids=HANGING_FAULTS)
@pytest.mark.usefixtures("impatient")
def test_what_hangs_leaves_no_thread_behind(issuer: LiveIssuer, new_api: type[Api], fault: Fault, reason: str) -> None:
    issuer.fault = fault
    api = new_api(issuer)
    assert api.verdict(issuer.token()).reason == reason
    until(lambda: not any(thread.name == "resource-server-fetch" for thread in threading.enumerate()), 5)


def test_retry_after_is_heeded_and_told(issuer: LiveIssuer, new_api: type[Api]) -> None:
    issuer.fault = lambda exchange: exchange.send("429 Slow Down", "Retry-After: 120", "Content-Length: 0")
    api = new_api(issuer)
    assert api.verdict(issuer.token()).retry_after in range(115, 121)
    issuer.fault = None
    assert api.verdict(issuer.token()).reason == "fetch_status"
    assert issuer.counts == {METADATA: 1}


def test_keys_on_this_machine_are_not_asked_for_by_an_issuer_elsewhere(issuer: LiveIssuer, new_api: type[Api]) -> None:
    def from_elsewhere(url: str, /, **options: Any) -> Document:
        document = fetch(url, **options)
        return replace(document, local=False) if url.endswith(METADATA) else document

    api = new_api(issuer, fetch=from_elsewhere)
    assert api.verdict(issuer.token()).reason == "address_not_allowed"
    assert issuer.counts == {METADATA: 1}


def test_a_lie_is_not_taken_at_its_word_later(issuer: LiveIssuer, new_api: type[Api]) -> None:
    """A page with an ETag, then "not modified": the ETag of what was no key set is never sent back."""
    api = new_api(issuer)
    issuer.fields = ('ETag: "good"',)
    assert api.verdict(issuer.token()).reason == "accepted"
    issuer.faulty = (KEYS,)
    issuer.fault = lambda exchange: exchange.send("200 OK", 'ETag: "page"', f"Content-Length: {len(HTML)}", body=HTML)
    issuer.keys.rotate()
    assert api.verdict(issuer.token()).reason == "document_malformed"
    assert issuer.conditions == ['"good"']

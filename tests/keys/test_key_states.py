"""After any sequence of fetches, the keys of the last successful document are accepted and others are refused."""

import json
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.keys.simulation import DAY, HOUR, JWKS, MINUTE, NOW, OAUTH, OPENID, Fault, Simulation

from resource_server.devissuer.signing import SigningKeys
from resource_server.keys.document import Document
from resource_server.keys.events import KeyEvent
from resource_server.reasons import UnavailableReason

# Three names for six keys, so that a key may be replaced under its name.
POOL = [SigningKeys("ES256") for _ in range(6)]
KIDS = ("a", "b", "c", "a", "b", "c")
MEMBERS = [{**keys.jwks()["keys"][0], "kid": kid} for keys, kid in zip(POOL, KIDS, strict=True)]
NUMBERS = st.integers(0, len(POOL) - 1)
# Tokens are signed once, so that the same one comes again and the cache of verified tokens takes part.
CLAIMS = {
    "iss": "https://issuer.test/", "aud": "https://api.test/", "sub": "ada", "client_id": "c", "iat": NOW, "jti": "1",
    "exp": NOW + 5000 * DAY,
}  # fmt: skip
TOKENS = [keys.sign(CLAIMS, header={"kid": kid}) for keys, kid in zip(POOL, KIDS, strict=True)]
STRANGE = SigningKeys("ES256").sign(CLAIMS)

FAULTS = [
    Fault(reason="fetch_failed"),
    Fault(reason="fetch_status"),
    Fault(reason="fetch_status", retry_after=120),
    Fault(reason="fetch_status", retry_after=31_536_000),
    Fault(reason="document_too_large"),
    Fault(body=b"<html>"),
    Fault(body=b'{"keys": []}'),
    Fault(body=b'{"issuer": "https://evil.test/", "jwks_uri": "https://issuer.test/jwks.json", "keys": 0}'),
    Fault(takes=1),
    Fault(takes=4.9),
    Fault(takes=DAY),
]
LIVES = {"": 600, "no-store": 60, "max-age=7200": 7200, "max-age=86400": 86400}
STALE_SECONDS = DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """A key set that arrived: which keys of the pool it had, when, and until when it is current."""

    numbers: frozenset[int]
    at: float
    life: float


class KeyStates(RuleBasedStateMachine):
    """The model is the last key set that has arrived. All answers follow from it and from the time."""

    @initialize(numbers=st.frozensets(NUMBERS, min_size=1))
    def start(self, numbers: frozenset[int]) -> None:
        self.simulation = Simulation()
        self.published = numbers
        self.last: Success | None = None
        self.failed = False  # the last attempt
        self.attempted_at = -DAY
        self.attempts_now = 0
        self.simulation.keys._discovery._fetch = self.fetch
        self.simulation.keys._reporter._on_event = self.observe
        self.publish_now()

    # The events

    def fetch(self, url: str, /, **options: Any) -> Document:
        document = self.simulation.fetch(url, **options)
        if url == JWKS and document.body.startswith(b'{"keys": [{'):
            kids = [json.dumps(member) for member in json.loads(document.body)["keys"]]
            numbers = frozenset(number for number, member in enumerate(MEMBERS) if json.dumps(member) in kids)
            self.last = Success(numbers=numbers, at=self.simulation.clock, life=LIVES[document.cache_control])
        return document

    def observe(self, event: KeyEvent) -> None:
        if event.kind == "started":
            self.attempts_now = self.attempts_now + 1 if self.attempted_at == self.simulation.clock else 1
            self.attempted_at = self.simulation.clock
        elif event.kind in ("refreshed", "failed"):
            self.failed = event.kind == "failed"

    # The issuer

    def publish_now(self) -> None:
        members = [MEMBERS[number] for number in sorted(self.published)]
        self.simulation.issuer.documents[JWKS] = json.dumps({"keys": members}).encode()

    @rule(number=NUMBERS)
    def publish(self, number: int) -> None:
        self.published |= {number}
        self.publish_now()

    @precondition(lambda self: len(self.published) > 1)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        self.published -= {data.draw(st.sampled_from(sorted(self.published)))}
        self.publish_now()

    @rule(data=st.data())
    def replace_under_the_same_name(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.published)))
        self.published = self.published - {number} | {(number + 3) % 6}
        self.publish_now()

    @rule(number=NUMBERS)
    def rotate(self, number: int) -> None:
        self.published = frozenset({number})
        self.publish_now()

    @rule(life=st.sampled_from(sorted(LIVES)))
    def live(self, life: str) -> None:
        self.simulation.issuer.cache_control = life

    @rule(fault=st.sampled_from(FAULTS), urls=st.sampled_from([(OPENID, OAUTH), (JWKS,), (OPENID, OAUTH, JWKS)]))
    def break_down(self, fault: Fault, urls: tuple[str, ...]) -> None:
        self.simulation.faults.update(dict.fromkeys(urls, replace(fault)))

    @rule()
    def mend(self) -> None:
        self.simulation.faults.clear()

    @rule(seconds=st.sampled_from([0.001, 1, 3, 30, 61, 500, 700]) | st.floats(0, 30 * HOUR))
    def advance(self, seconds: float) -> None:
        self.simulation.advance(seconds)

    @rule(minutes=st.integers(1, 90), number=NUMBERS)
    def advance_under_traffic(self, minutes: int, number: int) -> None:
        before = len(self.simulation.fetches)
        for _ in range(minutes):
            self.simulation.advance(MINUTE)
            self.present(number)
        # Two for a set of a minute, two for unknown kids, and failures, which begin again after each success.
        assert len(self.simulation.fetches) - before <= 3 * 10 * minutes + 20

    @precondition(lambda self: self.last is not None)
    @rule(seconds=st.sampled_from([-1, 0, 1, HOUR]))
    def fail_until_the_keys_end(self, seconds: float) -> None:
        self.simulation.faults[""] = self.simulation.faults[JWKS] = Fault(reason="fetch_failed")
        self.simulation.advance(MINUTE)
        ends_at = self.last.at + self.last.life + STALE_SECONDS if self.last is not None else 0
        self.simulation.advance(max(ends_at + seconds - self.simulation.clock, 0))

    @rule()
    def lose_background(self) -> None:
        self.simulation.lose_background()

    # The assertions

    @rule(numbers=st.lists(NUMBERS, min_size=1, max_size=3, unique=True))
    def present_some(self, numbers: list[int]) -> None:
        for number in numbers:
            self.present(number)

    @rule(number=NUMBERS, other=NUMBERS)
    def rotate_between_two_tokens(self, number: int, other: int) -> None:
        self.present(number)
        self.rotate(other)
        self.present(other)
        self.present(number)

    def present(self, number: int) -> None:
        reason = self.simulation.refusal(TOKENS[number])
        last, now = self.last, self.simulation.clock
        if last is None or now >= last.at + last.life + STALE_SECONDS:
            assert reason in set(UnavailableReason), reason
        elif number in last.numbers:
            assert reason is None, "a key that the last document had"
            self.assert_fresh(last, now)
        elif (number + 3) % 6 in last.numbers:
            assert reason == "signature_invalid", "another key of that name"
            self.assert_fresh(last, now)
        elif self.failed:
            assert reason in set(UnavailableReason), "no verdict"
        else:
            assert reason == "key_unknown", "a key that the last document lacked"

    @rule()
    def present_a_forged_kid(self) -> None:
        reason = self.simulation.refusal(STRANGE)
        assert reason == "key_unknown" or reason in set(UnavailableReason)

    def assert_fresh(self, last: Success, now: float) -> None:
        if now >= last.at + last.life + 60:  # for so long a remembered verdict needs no key
            assert self.failed, "keys whose life is over serve only while the issuer is down"
            assert now - self.attempted_at <= 600 + 60 + 10, "and it is asked again and again"

    @invariant()
    def attempts_are_few(self) -> None:
        # One because keys are missing or old, and two for unknown kids.
        assert getattr(self, "attempts_now", 0) <= 3
        assert len(self.simulation.keys._unknown_kids._missed_at) <= 5
        assert len(self.simulation._calls) <= 50


KeyStates.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestKeyStates = KeyStates.TestCase

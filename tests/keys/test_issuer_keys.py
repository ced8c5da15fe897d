"""One issuer's keys over time: found lazily, fetched once, never lost by a failure, gone when they are withdrawn."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tokens.conftest import Api

from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import run
from resource_server.keys.document import Document
from resource_server.keys.issuer_keys import IssuerKeys
from resource_server.keys.key_set import parse_key_set
from resource_server.keys.key_source import KeySource
from resource_server.keys.metadata import metadata_urls, parse_metadata
from resource_server.testing import FakeIssuer

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
OPENID, OAUTH = metadata_urls("https://issuer.test/")
JWKS = "https://issuer.test/jwks.json"


@pytest.fixture
def api(new_api: type[Api]) -> Api:
    """An API whose issuer has a key of its own, which may be rotated and withdrawn."""
    return new_api("ES256", own_keys=True)


class Gate:
    """A fetch that blocks until a test opens it, so that the test controls what happens beside it."""

    def __init__(self, fetch: Callable[..., Document]) -> None:
        self.fetch = fetch
        self.closed = False
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.calls: list[str] = []

    def __call__(self, url: str, /, *, seconds: float, **_: Any) -> Document:
        self.calls.append(url)
        if self.closed:
            self.reached.set()
            assert self.opened.wait(20), "the test never opened the gate"
        return self.fetch(url, seconds=seconds)


@contextmanager
def threads(number: int) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(number) as pool:
        yield pool


def keys_of(
    issuer: FakeIssuer, fetch: Callable[..., Document], clock: Callable[[], float], **policy: Any
) -> IssuerKeys:
    return IssuerKeys(
        KeySource(issuer=issuer.issuer, **policy),
        fetch=fetch,
        clock=clock,
        later=lambda _seconds, _call: None,  # without a background requests do its work
        on_event=lambda _event: None,
    )


def forget(issuer: FakeIssuer) -> list[str]:
    fetched = list(issuer.fetched)
    issuer.fetched.clear()
    return fetched


# Where the keys are found


def test_nothing_is_fetched_before_the_first_token(api: Api) -> None:
    assert api.issuer.fetched == []
    api.verify(api.token())
    assert api.issuer.fetched == [OPENID, JWKS]


def test_a_known_key_is_not_fetched_again(api: Api) -> None:
    for _ in range(100):
        api.verify(api.token())
    assert api.issuer.fetched == [OPENID, JWKS]


def test_metadata_addresses_of_an_issuer_with_a_path() -> None:
    # OpenID Connect Discovery section 4 appends, RFC 8414 section 3.1 inserts.
    assert metadata_urls("https://issuer.test/realms/a/") == (
        "https://issuer.test/realms/a/.well-known/openid-configuration",
        "https://issuer.test/.well-known/oauth-authorization-server/realms/a",
    )


def test_rfc_8414_metadata_are_asked_for_where_openid_answers_another_status(api: Api) -> None:
    def fetch(url: str, /, *, seconds: float, **_: Any) -> Document:
        document = api.issuer.fetch(url, seconds=seconds)
        if url == OPENID:
            raise Unavailable("fetch_status")
        return document

    keys = keys_of(api.issuer, fetch, lambda: 0.0)
    assert run(keys.find(None, "ES256"))
    assert api.issuer.fetched == [OPENID, OAUTH, JWKS]


@pytest.mark.parametrize("body", [b"<!doctype html>", b"{}", b'{"error": "not_found"}'])
def test_rfc_8414_metadata_are_asked_for_where_openid_answers_something_else(api: Api, body: bytes) -> None:
    # A host that answers every address with a page of its own (RFC 8414 section 3.2: metadata are a JSON object).
    api.issuer.documents[OPENID] = body
    api.verify(api.token())
    assert api.issuer.fetched == [OPENID, OAUTH, JWKS]


@pytest.mark.parametrize("reason", ["fetch_failed", "fetch_timeout", "document_too_large"])
def test_rfc_8414_metadata_are_not_asked_of_a_server_that_does_not_answer(api: Api, reason: str) -> None:
    api.issuer.failure = reason
    assert api.refusal(api.token()) == reason
    assert api.issuer.fetched == [OPENID]


def test_an_explicit_jwks_uri_is_the_only_address(new_api: type[Api]) -> None:
    api = new_api("ES256", jwks_uri=JWKS)
    api.verify(api.token())
    assert api.issuer.fetched == [JWKS]
    assert api.keys.trusted.metadata is None


def test_a_static_key_set_is_never_fetched_and_never_grows_old(new_api: type[Api]) -> None:
    keys = SigningKeys("ES256")
    api = new_api("ES256", key_set=parse_key_set(keys.jwks()))
    api.issuer.keys = keys
    api.clock += 1000 * DAY
    api.verify(api.token())
    keys.rotate()
    assert api.refusal(api.token()) == "key_unknown"
    assert api.issuer.fetched == []


def test_an_empty_static_key_set_accepts_no_token(new_api: type[Api]) -> None:
    api = new_api("ES256", key_set=parse_key_set({"keys": []}))
    assert api.refusal(api.token()) == "key_unknown"
    assert api.issuer.fetched == []


def test_the_issuer_is_compared_without_the_escapes_of_json() -> None:
    # RFC 8414 section 4, step 1: code points are compared, and not the text of the document.
    body = b'{"\\u0069ssuer": "https:\\/\\/\\u0069ssuer.test\\/", "jwks_uri": "https:\\/\\/issuer.test\\/jwks.json"}'
    found = parse_metadata(Document(body=body), KeySource(issuer="https://issuer.test/"))
    assert found == {"issuer": "https://issuer.test/", "jwks_uri": JWKS}


def test_parse_metadata_gives_the_whole_document() -> None:
    source = KeySource(issuer="https://issuer.test/")
    document = {"issuer": source.issuer, "jwks_uri": JWKS, "token_endpoint": 7}
    assert parse_metadata(Document(body=json.dumps(document).encode()), source) == document


# When they are asked for again


@pytest.mark.parametrize(
    ("cache_control", "life"),
    [
        ("", 10 * MINUTE),
        ("public", 10 * MINUTE),
        ("max-age=300", 300),
        ("public, MAX-AGE=300", 300),
        ('max-age="300"', 300),
        ("max-age=0", MINUTE),
        ("max-age=59", MINUTE),
        ("max-age=61", 61),
        ("max-age=999999", DAY),
        ("max-age=99999999999999999999", DAY),
        ("s-maxage=7200", 10 * MINUTE),
        ("max-age=-1", 10 * MINUTE),
        ("max-age=soon", 10 * MINUTE),
        ("no-store", MINUTE),
        ("No-Cache, max-age=7200", MINUTE),
        ("max-age=7200, no-store", MINUTE),
    ],
)
def test_a_key_set_lives_as_long_as_the_issuer_says_within_bounds(api: Api, cache_control: str, life: int) -> None:
    def fetch(url: str, /, *, seconds: float, **_: Any) -> Document:
        return Document(body=api.issuer.fetch(url, seconds=seconds).body, cache_control=cache_control)

    keys = keys_of(api.issuer, fetch, lambda: api.clock)
    kid = api.issuer.keys.current_kid
    run(keys.find(kid, "ES256"))
    forget(api.issuer)
    api.clock += life - 1
    run(keys.find(kid, "ES256"))
    assert api.issuer.fetched == []
    api.clock += 1
    run(keys.find(kid, "ES256"))
    assert api.issuer.fetched == [OPENID, JWKS]


@given(cache_control=st.text(st.characters(max_codepoint=255)) | st.from_regex(r"max-age=\d+", fullmatch=True))
def test_any_cache_control_gives_a_life_within_bounds(cache_control: str) -> None:
    issuer = FakeIssuer()
    issuer.keys = KEYS
    moment = [0.0]

    def fetch(url: str, /, *, seconds: float, **_: Any) -> Document:
        return Document(body=issuer.fetch(url, seconds=seconds).body, cache_control=cache_control)

    keys = keys_of(issuer, fetch, lambda: moment[0], jwks_uri=issuer.jwks_uri)
    run(keys.find(None, "ES256"))
    moment[0] = MINUTE - 1
    run(keys.find(None, "ES256"))
    assert len(issuer.fetched) == 1, "younger than the floor"
    moment[0] = DAY
    run(keys.find(None, "ES256"))
    assert len(issuer.fetched) == 2, "older than the ceiling"


KEYS = SigningKeys("ES256")


def test_a_new_key_is_found_at_its_first_token(api: Api) -> None:
    api.verify(api.token())
    old, new = api.issuer.keys.current_kid, api.issuer.keys.rotate()
    assert api.issuer.keys.current_kid == new
    api.verify(api.token())
    assert api.issuer.fetched == [OPENID, JWKS, JWKS], "the metadata are current still"
    api.verify(api.token(kid=old))


# While the issuer is down


def test_an_unknown_kid_while_the_issuer_is_down_is_no_verdict(api: Api) -> None:
    api.verify(api.token())
    api.issuer.failure = "fetch_failed"
    api.issuer.keys.rotate()
    for _ in range(5):
        with pytest.raises(Unavailable) as caught:
            api.verify(api.token())
        assert caught.value.retry_after in (1, 2)
    assert api.issuer.fetched == [OPENID, JWKS, JWKS]


def test_attempts_at_an_issuer_that_is_down_back_off(api: Api) -> None:
    api.issuer.failure = "fetch_failed"
    pauses = []
    for _ in range(12):
        attempts = len(api.issuer.fetched)
        with pytest.raises(Unavailable) as caught:
            api.verify(api.token())
        assert len(api.issuer.fetched) == attempts + 1
        pause = caught.value.retry_after
        assert isinstance(pause, int)
        # No attempt before the time that the caller was given, except for the rounding.
        api.clock += pause - 1.001
        with pytest.raises(Unavailable) as caught:
            api.verify(api.token())
        assert caught.value.reason == "fetch_failed"
        assert caught.value.retry_after in (1, 2)
        assert len(api.issuer.fetched) == attempts + 1
        api.clock += 1.001
        pauses.append(pause)
    for number, pause in enumerate(pauses):
        steady = min(2**number, 60)
        assert math.ceil(steady * 0.75) <= pause <= math.ceil(steady * 1.25)


def test_the_pauses_of_processes_differ() -> None:
    def pause() -> float:
        issuer = FakeIssuer()
        issuer.failure = "fetch_failed"
        moment = [0.0]
        keys = keys_of(issuer, issuer.fetch, lambda: moment[0])
        for _ in range(6):
            moment[0] += 100
            with pytest.raises(Unavailable):
                run(keys.current())
        return keys._schedule.retry_at - moment[0]

    assert len({pause() for _ in range(5)}) > 1


def test_all_fetches_of_a_refresh_share_one_deadline(api: Api) -> None:
    budgets = []

    def fetch(url: str, /, *, seconds: float, **_: Any) -> Document:
        budgets.append(seconds)
        api.clock += 2
        return api.issuer.fetch(url, seconds=seconds)

    run(keys_of(api.issuer, fetch, lambda: api.clock).current())
    assert budgets == [5, 3]


def test_current_is_fetched_once_and_says_why_it_cannot_be(api: Api) -> None:
    assert len(run(api.keys.current()).keys.keys) == 1
    run(api.keys.current())
    assert api.issuer.fetched == [OPENID, JWKS]
    api.clock += 3 * DAY
    api.issuer.failure = "fetch_status"
    with pytest.raises(Unavailable) as caught:
        run(api.keys.current())
    assert caught.value.reason == "fetch_status"


# Many at once


def stepped(flow: Any) -> Any:
    """The blocking call that a flow yields next."""
    return next(flow)


@pytest.mark.parametrize("failure", [None, "fetch_failed"], ids=["it succeeds", "it fails"])
def test_fifty_first_requests_that_come_together_cause_one_refresh(new_api: type[Api], failure: str | None) -> None:
    api = new_api("ES256", own_keys=True)
    gate = Gate(api.issuer.fetch)
    keys = keys_of(api.issuer, gate, lambda: api.clock)
    api.issuer.failure = failure
    together = threading.Barrier(50)

    def request() -> str:
        together.wait(20)
        try:
            return run(keys.find(api.issuer.keys.current_kid, "ES256"))[0].kty
        except Unavailable as error:
            return error.reason

    with threads(50) as pool:
        answers = [future.result(30) for future in [pool.submit(request) for _ in range(50)]]
    assert set(answers) == {failure or "EC"}
    assert gate.calls == ([OPENID] if failure else [OPENID, JWKS])


@pytest.mark.parametrize("failure", [None, "fetch_failed"], ids=["it succeeds", "it fails"])
def test_requests_that_come_while_the_first_refresh_is_in_flight_join_it(
    new_api: type[Api], failure: str | None
) -> None:
    api = new_api("ES256", own_keys=True)
    gate = Gate(api.issuer.fetch)
    gate.closed = True
    keys = keys_of(api.issuer, gate, lambda: api.clock)
    api.issuer.failure = failure
    waiting = threading.Semaphore(0)

    def request() -> str:
        flow = keys.find(api.issuer.keys.current_kid, "ES256")
        call = next(flow)
        waiting.release()
        call.call()
        try:
            flow.send(None)
        except StopIteration as stop:
            return stop.value[0].kty
        except Unavailable as error:
            return error.reason
        raise AssertionError("it asked twice")

    with threads(50) as pool:
        futures = [pool.submit(request)]
        assert gate.reached.wait(20)
        futures += [pool.submit(request) for _ in range(49)]
        for _ in range(50):
            assert waiting.acquire(timeout=20)
        gate.opened.set()
        answers = [future.result(30) for future in futures]
    assert set(answers) == {failure or "EC"}
    assert gate.calls == ([OPENID] if failure else [OPENID, JWKS])


def test_requests_with_a_new_key_join_the_refresh_that_brings_it(new_api: type[Api]) -> None:
    # After a rotation each request brings the new kid: none of them may get "invalid token".
    api = new_api("ES256", own_keys=True)
    gate = Gate(api.issuer.fetch)
    keys = keys_of(api.issuer, gate, lambda: api.clock)
    run(keys.find(api.issuer.keys.current_kid, "ES256"))
    kid = api.issuer.keys.rotate()
    gate.closed = True
    gate.calls.clear()
    with threads(20) as pool:
        futures = [pool.submit(lambda: run(keys.find(kid, "ES256")))]
        assert gate.reached.wait(20)
        flows = [keys.find(kid, "ES256") for _ in range(19)]
        calls = [next(flow) for flow in flows]
        futures += [pool.submit(call.call) for call in calls]
        gate.opened.set()
        for future in futures:
            future.result(30)
    assert futures[0].result()[0].kid == kid
    for flow in flows:
        with pytest.raises(StopIteration) as stop:
            flow.send(None)
        assert stop.value.value[0].kid == kid
    assert gate.calls == [JWKS]


def test_unknown_kids_that_join_a_refresh_cost_none_of_their_own(new_api: type[Api]) -> None:
    api = new_api("ES256", own_keys=True)
    gate = Gate(api.issuer.fetch)
    keys = keys_of(api.issuer, gate, lambda: api.clock)
    run(keys.find(api.issuer.keys.current_kid, "ES256"))
    gate.calls.clear()
    gate.closed = True
    with threads(20) as pool:
        first = pool.submit(lambda: run(keys.find("forged", "ES256")))
        assert gate.reached.wait(20)
        flows = [keys.find(f"forged-{number}", "ES256") for number in range(19)]
        joined = [pool.submit(next(flow).call) for flow in flows]
        gate.opened.set()
        for future in joined:
            future.result(30)
        with pytest.raises(InvalidToken):
            first.result(30)
    for flow in flows:
        with pytest.raises(InvalidToken):
            flow.send(None)
    assert gate.calls == [JWKS]


def test_a_known_key_never_waits_for_a_refresh_that_hangs(new_api: type[Api]) -> None:
    api = new_api("ES256", own_keys=True)
    gate = Gate(api.issuer.fetch)
    keys = keys_of(api.issuer, gate, lambda: api.clock)
    kid = api.issuer.keys.current_kid
    run(keys.find(kid, "ES256"))
    gate.closed = True
    with threads(2) as pool:
        for seconds, other in ((1, "unknown"), (HOUR, kid)):  # refreshes for an unknown kid, and by age
            api.clock += seconds
            gate.reached.clear()
            gate.opened.clear()
            hanging = pool.submit(lambda name=other: run(keys.find(name, "ES256")))
            assert gate.reached.wait(20)
            with pytest.raises(StopIteration) as stop:
                next(keys.find(kid, "ES256"))
            assert stop.value.value[0].kid == kid
            gate.opened.set()
            assert (hanging.exception(30) is None) == (other == kid)


def test_two_requests_that_find_the_set_aged_at_once_do_not_wait_for_one_another(new_api: type[Api]) -> None:
    # Both have seen that no attempt is in flight; the second must not wait for the first.
    api = new_api("ES256", own_keys=True)
    gate = Gate(api.issuer.fetch)
    keys = keys_of(api.issuer, gate, lambda: api.clock)
    kid = api.issuer.keys.current_kid
    run(keys.find(kid, "ES256"))
    api.clock += HOUR
    gate.closed = True
    first, second = keys.find(kid, "ES256"), keys.find(kid, "ES256")
    first_call, second_call = next(first), next(second)
    with threads(2) as pool:
        hanging = pool.submit(first_call.call)
        assert gate.reached.wait(20)
        try:
            pool.submit(second_call.call).result(4)  # less than a fetch may take
        finally:
            gate.opened.set()
        hanging.result(30)
    with pytest.raises(StopIteration) as stop:
        second.send(None)
    assert stop.value.value[0].kid == kid


def test_a_known_key_is_not_lost_when_another_request_fails_to_renew_the_set_just_before(new_api: type[Api]) -> None:
    # The other attempt ends after we have read the count, so ours is not made.
    api = new_api("ES256", own_keys=True)
    kid = api.issuer.keys.current_kid
    moment = [0.0]
    keys = keys_of(api.issuer, api.issuer.fetch, lambda: moment[0])
    run(keys.find(kid, "ES256"))
    moment[0] = HOUR
    api.issuer.failure = "fetch_failed"

    flow = keys.find(kid, "ES256")
    call = next(flow)
    run(keys.find(kid, "ES256"))
    call.call()
    with pytest.raises(StopIteration) as stop:
        flow.send(None)
    assert stop.value.value[0].kid == kid
    assert api.issuer.fetched == [OPENID, JWKS, OPENID, JWKS]

"""One fetch for many processes, and a store that is trusted with nothing: forged, broken, old, gone or hanging, it costs sharing and no more."""

import hmac
import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import caches
from django.test import override_settings
from tests.live.conftest import Api, at_once, until
from tests.processes import ROOT, environment
from tests.servers import AUDIENCE, FAULTS, HTML, KEYS, METADATA, LiveIssuer, serving, until_shut

from resource_server import server
from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import Unavailable
from resource_server.keys import shared_documents as documents
from resource_server.keys import store as stores
from resource_server.keys.document import Document
from resource_server.keys.shared_documents import FRESH_SECONDS, KEPT_SECONDS, SharedDocuments
from resource_server.testing import FakeIssuer

NOW = 1_800_000_000.0
SECRET = b"of this project"
# What a store costs at the most that does not answer, and what a busy machine may add.
STORE_SECONDS = 1.0
SLACK_SECONDS = 3.0


class Store:
    """What Django's cache framework looks like, in one dict that the processes of a test share."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}
        self.calls: list[str] = []
        self.failure: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def _called(self, method: str) -> None:
        self.calls.append(method)
        if self.failure is not None:
            self.failure()

    def get(self, key: str, /) -> Any:
        self._called("get")
        return self.entries.get(key)

    def set(self, key: str, value: str, /, timeout: float) -> Any:
        self._called("set")
        self.entries[key] = value

    def add(self, key: str, value: str, /, timeout: float) -> bool:
        self._called("add")
        with self._lock:
            return self.entries.setdefault(key, mine := object()) is mine

    def delete(self, key: str, /) -> Any:
        self._called("delete")
        self.entries.pop(key, None)

    @property
    def documents(self) -> dict[str, Any]:
        return {key: entry for key, entry in self.entries.items() if ":lock" not in key}


class World:
    """An issuer, a store, a clock, and as many processes as are asked for."""

    def __init__(self) -> None:
        self.now = NOW
        self.issuer = FakeIssuer(algorithm="ES256")
        self.url = self.issuer.jwks_uri
        self.store = Store()

    def process(self, *, secret: bytes = SECRET, now: Callable[[], float] | None = None) -> SharedDocuments:
        return SharedDocuments(self.issuer.fetch, self.store, secret=secret, now=now or (lambda: self.now))

    def fetch(self, shared: SharedDocuments, known: Document | None = None, **options: Any) -> Document:
        return shared(options.pop("url", self.url), **{"seconds": 5, "known": known, **options})

    @property
    def entry(self) -> Any:
        (entry,) = self.store.documents.values()
        return entry

    @entry.setter
    def entry(self, value: Any) -> None:
        (key,) = self.store.documents
        self.store.entries[key] = value


@pytest.fixture
def world() -> World:
    return World()


def seal(text: str, url: str, *, secret: bytes = SECRET, version: str = "resource_server.document.1") -> str:
    message = json.dumps([version, url, text]).encode()
    return hmac.digest(secret, message, "sha256").hex() + text


# One fetch for all


def test_what_one_process_has_fetched_is_enough_for_the_next(world: World) -> None:
    first, second = world.fetch(world.process()), world.fetch(world.process())
    assert world.issuer.fetched == [world.url]
    assert (second.body, second.stored_at) == (first.body, first.stored_at)
    assert first.held_seconds == 0 < second.held_seconds < 0.01


def test_after_a_minute_the_issuer_is_asked_again(world: World) -> None:
    world.fetch(world.process())
    world.now += FRESH_SECONDS
    assert world.fetch(world.process()).held_seconds == FRESH_SECONDS
    world.now += 1
    assert world.fetch(world.process()).held_seconds == 0
    assert len(world.issuer.fetched) == 2


def test_whoever_knows_what_is_stored_asks_the_issuer(world: World) -> None:
    # He looks because it does not hold what he needs.
    shared = world.process()
    known = world.fetch(shared)
    world.now += 1
    world.issuer.keys.rotate()
    newer = world.fetch(shared, known)
    assert newer.body != known.body
    assert world.fetch(world.process(), known).body == newer.body
    assert len(world.issuer.fetched) == 2


def test_eight_at_once_cause_one_fetch(world: World) -> None:
    fetch = world.issuer.fetch

    def slow(url: str, /, **options: Any) -> Document:
        time.sleep(0.3)  # the issuer's
        return fetch(url, **options)

    processes = [SharedDocuments(slow, world.store, secret=SECRET) for _ in range(8)]
    bodies = at_once(8, lambda position: world.fetch(processes[position]).body)
    assert len(set(bodies)) == 1
    assert world.issuer.fetched == [world.url]
    assert not [key for key in world.store.entries if "lock" in key]


# What is in the store is trusted no further than a fetch


def other_document(world: World) -> str:
    """The text of an entry with somebody else's key."""
    body = json.dumps(SigningKeys("ES256").jwks())
    return json.dumps({**json.loads(world.entry[64:]), "body": body, "stored_at": NOW + 1})


def changed(world: World, **changes: Any) -> str:
    return seal(json.dumps({**json.loads(world.entry[64:]), **changes}), world.url)


FOREIGN: dict[str, Callable[[World], Any]] = {
    "of a project with another SECRET_KEY": lambda w: seal(other_document(w), w.url, secret=b"another"),
    "without a seal": other_document,
    "with the seal of another entry": lambda w: w.entry[:64] + other_document(w),
    "of another address": lambda w: seal(other_document(w), "https://issuer.test/other.json"),
    "of another version": lambda w: seal(other_document(w), w.url, version="resource_server.document.2"),
    "cut off": lambda w: seal(other_document(w), w.url)[:-1],
    "cut off in its seal": lambda w: w.entry[:63],
    "empty": lambda w: "",
    "a number": lambda w: 1,
    "bytes": lambda w: seal(other_document(w), w.url).encode(),
    "a list": lambda w: [w.entry],
    "pickled": lambda w: pickle.dumps(Document(body=b"{}", stored_at=NOW + 1)),
    "an object": lambda w: Document(body=b"{}", stored_at=NOW + 1),
    "with letters that no entry has": lambda w: "é" * 64 + other_document(w),
    "with half a character": lambda w: "\ud800" * 64 + other_document(w),
    "huge": lambda w: seal(other_document(w) + " " * documents.MAX_ENTRY_CHARACTERS, w.url),
    "no JSON": lambda w: seal("{", w.url),
    "no object": lambda w: seal("[]", w.url),
    "without a body": lambda w: seal("{}", w.url),
    "with a body that is no text": lambda w: changed(w, body=1, stored_at=NOW + 1),
    "with a body that is no bytes": lambda w: changed(w, body="\u20ac", stored_at=NOW + 1),
    "with a member that nobody knows": lambda w: changed(w, more=1, stored_at=NOW + 1),
    "with a time that is text": lambda w: changed(w, stored_at="soon"),
    "with a time that is nothing": lambda w: changed(w, stored_at=None),
    "with a time that is no number": lambda w: changed(w, stored_at=float("nan")),
    "without an end": lambda w: changed(w, stored_at=float("inf")),
    "with an age that is text": lambda w: changed(w, age_seconds="1", stored_at=NOW + 1),
    "with headers that are none": lambda w: changed(w, cache_control=None, stored_at=NOW + 1),
    "with an ETag that is none": lambda w: changed(w, etag=["*"], stored_at=NOW + 1),
    "of the future": lambda w: changed(w, stored_at=NOW + 3600),
    "of long ago": lambda w: changed(w, stored_at=NOW - KEPT_SECONDS - 1),
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_an_entry_is_ignored_that_is(world: World, foreign: Callable[[World], Any]) -> None:
    good = world.fetch(world.process())
    world.entry = foreign(world)
    world.issuer.fetched.clear()
    for known in (None, good):
        found = world.fetch(world.process(), known)
        assert (found.body, found.held_seconds, found.failure) == (good.body, 0, None)
    assert len(world.issuer.fetched) == 2
    # And it is replaced, so that sharing goes on.
    assert world.fetch(world.process()).body == good.body
    assert len(world.issuer.fetched) == 2


def test_an_entry_that_cannot_be_unpacked_is_replaced(world: World) -> None:
    get = world.store.get
    world.store.get = lambda key, /: pickle.loads(b"garbage")  # type: ignore[method-assign] # noqa: S301 - what Redis would do
    world.fetch(world.process())
    world.store.get = get  # type: ignore[method-assign]
    assert world.fetch(world.process()).held_seconds > 0
    assert world.issuer.fetched == [world.url]


def test_an_older_entry_brings_no_withdrawn_key_back(world: World) -> None:
    old, process = world.fetch(world.process()), world.process()
    entry = world.entry
    world.now += 10
    world.issuer.keys.rotate()
    world.issuer.keys.withdraw(world.issuer.keys.jwks()["keys"][0]["kid"])
    new = world.fetch(process, old)
    world.entry = entry  # somebody at the cache puts it back
    world.now += 1
    assert world.fetch(process, new).body == new.body != old.body
    world.entry = entry
    world.issuer.failure = "fetch_failed"
    with pytest.raises(Unavailable):
        world.fetch(process, new)


def test_an_answer_is_as_old_as_its_question(world: World) -> None:
    """Who asked first and was answered last does not overwrite, and is not newer than, who asked and was answered in between."""
    fetch, second = world.issuer.fetch, world.process()
    newer: list[Document] = []

    def slow(url: str, /, **options: Any) -> Document:
        document = fetch(url, **options)
        world.now += 2
        world.issuer.keys.rotate()
        newer.append(second(url, **{**options, "known": replace_stored(document)}))
        world.now += 2
        return document

    # The second does not see the lock of the first: it has run out, or the store was away.
    world.store.add = lambda key, value, /, timeout: True  # type: ignore[method-assign]
    older = SharedDocuments(slow, world.store, secret=SECRET, now=lambda: world.now)(world.url, seconds=5)
    assert older.body != newer[0].body
    assert older.stored_at < newer[0].stored_at
    assert world.fetch(world.process()).body == newer[0].body


def replace_stored(document: Document) -> Document:
    return Document(body=document.body, stored_at=NOW)


@pytest.mark.parametrize("body", [HTML, b"", b"{}", b"[]", b'{"keys": []}', b'{"keys": [{"kty": "oct", "k": "AA"}]}'])
def test_what_is_no_key_set_is_not_shared(world: World, body: bytes) -> None:
    """One bad answer must not keep every process from the good one for a minute."""
    world.issuer.documents[world.url] = body
    assert world.fetch(world.process()).body == body
    assert world.store.documents == {}
    world.issuer.documents.clear()
    assert b"keys" in world.fetch(world.process()).body


def test_metadata_of_another_issuer_are_not_shared(world: World) -> None:
    openid = f"{world.issuer.issuer}.well-known/openid-configuration"
    world.issuer.documents[openid] = json.dumps({**world.issuer.metadata(), "issuer": "https://other.test/"}).encode()
    world.fetch(world.process(), url=openid)
    assert world.store.documents == {}
    world.issuer.documents.clear()
    world.fetch(world.process(), url=openid)
    assert len(world.store.documents) == 1


def test_an_answer_of_this_machine_is_no_public_one(world: World) -> None:
    world.fetch(world.process())
    world.entry = changed(world, local=True)
    world.issuer.fetched.clear()
    assert world.fetch(world.process()).local
    assert not world.fetch(world.process(), public=True).local
    assert world.issuer.fetched == [world.url]


def test_the_etag_of_another_process_is_used(world: World) -> None:
    world.fetch(world.process())
    world.entry = changed(world, etag='"of another"')
    world.now += FRESH_SECONDS + 1
    asked: list[Document | None] = []

    def fetch(url: str, /, *, known: Document | None = None, **_: Any) -> Document:
        asked.append(known)
        assert known is not None
        return Document(body=known.body, etag=known.etag)

    shared = SharedDocuments(fetch, world.store, secret=SECRET, now=lambda: world.now)
    assert shared(world.url, seconds=5).etag == '"of another"'
    assert [known.etag for known in asked if known] == ['"of another"']


# While the issuer is down


def test_a_process_that_starts_while_the_issuer_is_down_takes_what_another_has(world: World) -> None:
    good = world.fetch(world.process())
    world.issuer.failure = "fetch_failed"
    for seconds in (FRESH_SECONDS + 1, KEPT_SECONDS - 1):
        world.now = NOW + seconds
        found = world.fetch(world.process())
        assert (found.body, found.held_seconds, found.failure) == (good.body, seconds, "fetch_failed")
        assert found.outcome == "issuer cannot be reached"
    world.now = NOW + KEPT_SECONDS
    with pytest.raises(Unavailable) as caught:
        world.fetch(world.process())
    assert caught.value.reason == "fetch_failed"


def test_its_first_request_is_served_and_the_rules_of_an_outage_hold(issuer: LiveIssuer, new_api: type[Api]) -> None:
    store, started_at = Store(), time.time()
    elapsed = 0.0

    def now() -> float:
        return started_at + elapsed

    def process(**policy: Any) -> Api:
        return new_api(issuer, fetch=SharedDocuments(server.fetch, store, secret=SECRET, now=now), **policy)

    assert process().verdict(issuer.token()).reason == "accepted"
    issuer.fault = FAULTS["500"][0]
    elapsed = 3600
    api = process()
    assert api.verdict(issuer.token()).reason == "accepted"
    assert api.keys.failure == "fetch_status"
    assert api.keys.outcome == f"{issuer.address}/jwks.json: answered 500"
    # A token with a key that nobody has is no fault of the caller's now.
    asked = sum(issuer.counts.values())
    assert api.verdict(issuer.forged("new")).reason == "fetch_status"
    assert sum(issuer.counts.values()) == asked, "it did not wait for its turn"
    # Older than the policy lets a key serve in an outage: no key at all.
    assert process(stale_seconds=3000).verdict(issuer.token()).reason == "fetch_status"


# A store that does not work


def test_a_store_that_fails_is_done_without_and_left_alone(world: World) -> None:
    def fail() -> None:
        raise ConnectionError("of the store")

    world.store.failure = fail
    shared = world.process()
    for _ in range(10):
        assert b"keys" in world.fetch(shared).body
    assert len(world.issuer.fetched) == 10
    assert world.store.calls == ["get", "add"]


@pytest.mark.parametrize("method", ["get", "add", "set", "delete"])
def test_a_store_that_hangs_costs_a_second_once(world: World, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "STORE_SECONDS", 0.2)
    ended = threading.Event()
    monkeypatch.setattr(world.store, method, lambda *arguments, **options: ended.wait(30))
    shared = world.process()
    started = time.monotonic()
    for _ in range(5):
        assert b"keys" in world.fetch(shared, Document(body=b"", stored_at=NOW - 1)).body
    assert time.monotonic() - started < 20, "a call of the store was waited for"
    hanging = [thread for thread in threading.enumerate() if thread.name == "resource-server-fetch"]
    ended.set()
    for thread in hanging:
        thread.join(10)
    assert len(hanging) == 1


def test_a_store_that_goes_on_hanging_is_asked_less_and_less(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "STORE_SECONDS", 0.05)
    ended, shared = threading.Event(), world.process()
    world.store.failure = lambda: ended.wait(60)
    pauses = []
    for _ in range(5):
        shared._store._down_until = 0.0
        world.fetch(shared)
        pauses.append(round(shared._store._down_until - time.monotonic(), -1))
    ended.set()
    assert pauses == [60, 120, 240, 480, 960]
    until(lambda: not shared._store._under_way)


def _lock_of(world: World) -> str:
    """The key of the lock for the address of the keys."""
    added: list[str] = []
    add = world.store.add

    def noted(key: str, value: str, /, timeout: float) -> bool:
        added.append(key)
        return add(key, value, timeout)

    world.store.add = noted  # type: ignore[method-assign]
    world.fetch(world.process())
    world.store.add = add  # type: ignore[method-assign]
    world.issuer.fetched.clear()
    world.store.entries.clear()
    (lock,) = added
    return lock


def test_with_half_of_the_time_gone_the_issuer_is_asked_without_a_lock(world: World) -> None:
    world.store.entries = {_lock_of(world): "1"}  # of a process that was killed
    started = time.monotonic()
    assert b"keys" in world.fetch(world.process(), seconds=4).body
    assert 1.9 < time.monotonic() - started < 4
    assert world.issuer.fetched == [world.url]


class Poisoned(Store):
    """A store where somebody without the secret holds every lock that there is or will be, for ever."""

    def add(self, key: str, value: str, /, timeout: float) -> bool:
        super().add(key, value, timeout)
        return False

    def get(self, key: str, /) -> Any:
        return super().get(key) if ":document:" in key and ":lock" not in key else "1"

    def delete(self, key: str, /) -> Any:
        raise ConnectionError


def test_a_lock_that_is_held_for_ever_delays_one_fetch_and_the_next_ones_not(world: World) -> None:
    world.store = Poisoned()
    shared, seconds = world.process(), []
    for _ in range(4):
        world.now += FRESH_SECONDS + 1
        started = time.monotonic()
        assert world.fetch(shared, seconds=2).held_seconds == 0
        seconds.append(time.monotonic() - started)
    assert seconds[0] > 0.9
    assert sum(seconds[1:]) < 1.8, "each of the three would wait for a second"
    assert len(world.issuer.fetched) == 4


def test_whoever_waited_for_a_lock_takes_what_its_holder_has_fetched(world: World) -> None:
    lock = _lock_of(world)
    world.store.entries = {lock: "1"}
    other = world.process()

    def meanwhile() -> None:
        time.sleep(0.2)
        document = other._ask(world.url, seconds=1, known=None, public=False)
        other._share(lock.removesuffix(":lock"), world.url, document, until=time.monotonic() + 1)
        world.store.delete(lock)

    thread = threading.Thread(target=meanwhile)
    thread.start()
    found = world.fetch(world.process())
    thread.join(10)
    assert found.held_seconds > 0
    assert len(world.issuer.fetched) == 1


def fails(*_: Any, **__: Any) -> Any:
    raise ConnectionError


# How caches fail that do not say so. {sentence: what their methods are then}
POLITE: dict[str, dict[str, Callable[..., Any]]] = {
    "answers False (a database cache whose INSERT fails)": {
        "add": lambda *_, **__: False,
        "set": lambda *_, **__: None,
    },
    "answers None (django-redis with IGNORE_EXCEPTIONS)": dict.fromkeys(
        ("get", "add", "set", "delete"), lambda *_, **__: None
    ),
    "answers False to everything (pymemcache with ignore_exc)": dict.fromkeys(
        ("get", "add", "set", "delete"), lambda *_, **__: False
    ),
    "gives every lock and keeps nothing": {"add": lambda *_, **__: True, "set": lambda *_, **__: True},
    "gives no lock": {"add": lambda *_, **__: False},
    "keeps no document": {"set": lambda *_, **__: None},
    "answers the same for every key": {"get": lambda *_: "1"},
    "has a lock for ever": {"add": lambda *_, **__: False, "get": lambda *_: "1"},
    "has lost delete": {"delete": fails},
    "deletes nothing": {"delete": lambda *_: True},
    "fails on every write": dict.fromkeys(("add", "set", "delete"), fails),
    "answers objects": dict.fromkeys(("get", "add", "set", "delete"), lambda *_, **__: object()),
}


@pytest.mark.parametrize("methods", POLITE.values(), ids=POLITE)
def test_no_fetch_is_stopped_by_a_cache_that(world: World, methods: dict[str, Callable[..., Any]]) -> None:
    for name, method in methods.items():
        setattr(world.store, name, method)
    shared, started = world.process(), time.monotonic()
    for _ in range(3):
        world.now += FRESH_SECONDS + 1
        found = world.fetch(shared, seconds=1)
        assert (found.held_seconds, found.failure) == (0, None)
    assert len(world.issuer.fetched) == 3
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("method", ["get", "add", "set", "delete"])
def test_a_slow_store_leaves_the_issuer_half_of_the_time(world: World, method: str) -> None:
    slow = getattr(world.store, method)

    def slower(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.15)
        return slow(*arguments, **options)

    setattr(world.store, method, slower)
    given: list[float] = []

    def fetch(url: str, /, *, seconds: float, **options: Any) -> Document:
        given.append(seconds)
        return world.issuer.fetch(url, seconds=seconds, **options)

    shared = SharedDocuments(fetch, world.store, secret=SECRET, now=lambda: world.now)
    for _ in range(3):
        world.now += FRESH_SECONDS + 1
        shared(world.url, seconds=0.4)
    assert len(given) == 3
    assert min(given) > 0.15


# Old entries that somebody at the store puts back


def withdrawn(world: World) -> tuple[SharedDocuments, dict[str, Any], dict[str, Any]]:
    """A process that saw a key withdrawn; what was stored before that, and after."""
    process = world.process()
    world.fetch(process)
    before = dict(world.store.entries)
    world.now += 5
    world.issuer.keys.rotate()
    world.issuer.keys.withdraw(world.issuer.keys.jwks()["keys"][0]["kid"])
    world.fetch(process, world.fetch(process))
    return process, before, dict(world.store.entries)


def test_an_entry_that_is_put_back_brings_no_key_back_that_this_process_saw_withdrawn(world: World) -> None:
    process, before, after = withdrawn(world)
    new = world.fetch(process)
    assert before != after
    for _ in range(5):
        world.store.entries = dict(before)
        # What the caller knew is forgotten: its tenant made way, or it is another issuer with this address.
        assert world.fetch(process).body == new.body
    world.store.entries = dict(before)
    world.issuer.failure = "fetch_failed"
    with pytest.raises(Unavailable):
        world.fetch(process)


def test_an_entry_that_a_fast_clock_has_stamped_brings_no_replaced_document_back(world: World) -> None:
    ahead = world.process(now=lambda: world.now + 25)
    process = world.process()
    old = world.fetch(ahead)
    stored, world.store.entries = dict(world.store.entries), {}
    world.fetch(process)
    world.issuer.keys.rotate()
    world.issuer.keys.withdraw(world.issuer.keys.jwks()["keys"][0]["kid"])
    world.now += 1
    new = world.fetch(process, old and Document(body=old.body, stored_at=world.now))
    assert new.body != old.body
    for seconds in (1, 28):
        world.store.entries = dict(stored)
        world.now += seconds
        assert world.fetch(process, new).body == new.body
        assert world.fetch(process).body == new.body


def test_an_entry_that_is_put_back_keeps_no_process_from_the_issuer(world: World) -> None:
    entries: dict[str, Any] = {}
    process, known = world.process(), None
    for second in range(0, 600, 50):
        world.now = NOW + second
        world.store.entries = dict(entries)
        known = world.fetch(process, known)
        entries = entries or dict(world.store.entries)
    assert len(world.issuer.fetched) == 12


def test_a_document_that_comes_back_at_the_issuer_is_shared_again(world: World) -> None:
    first, second = world.process(), world.process()
    good = world.fetch(first)
    for body in (json.dumps(SigningKeys("ES256").jwks()).encode(), good.body, good.body):
        world.issuer.documents[world.url] = body
        world.now += FRESH_SECONDS + 1
        assert world.fetch(first).body == body
        assert world.fetch(second).body == body
    assert len(world.issuer.fetched) <= 6


def test_addresses_that_are_remembered_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_ADDRESSES", 3)
    process = world.process()
    body = world.fetch(process).body
    for number in range(10):
        url = f"{world.url}?{number}"
        world.issuer.documents[url] = body
        world.fetch(process, url=url)
        assert len(process._last) <= 3
    for number in range(2 * documents.MAX_REPLACED):
        process._note(world.url, Document(body=str(number).encode(), stored_at=NOW + number))
    assert len(process._last[world.url].replaced) == documents.MAX_REPLACED


# Django's caches


@contextmanager
def trusting(issuer: LiveIssuer, **caches_of: Any) -> Iterator[None]:
    configuration = issuer.settings(CACHE="default")
    with override_settings(DEBUG=True, CACHES={"default": caches_of}, RESOURCE_SERVER=configuration):
        yield
    server.forget()


def verdicts_of_two(issuer: LiveIssuer) -> set[str]:
    """What two processes in a row say of a token: the second is this one, which has forgotten everything."""
    reasons = set()
    for _ in range(2):
        server.forget()
        reasons |= {_reason(issuer.token())}
    return reasons


def _reason(token: str) -> str:
    from resource_server.flow import run
    from resource_server.tokens.credentials import Credentials

    try:
        run(server.current().verifier.verify(Credentials(unverified_token=token)))
    except Unavailable as error:
        return error.reason
    return "accepted"


def test_local_memory(issuer: LiveIssuer) -> None:
    with trusting(issuer, BACKEND="django.core.cache.backends.locmem.LocMemCache", LOCATION="live"):
        assert verdicts_of_two(issuer) == {"accepted"}
        caches["default"].clear()
    assert issuer.counts == {METADATA: 1, KEYS: 1}


def test_files(issuer: LiveIssuer, tmp_path: Path) -> None:
    with trusting(issuer, BACKEND="django.core.cache.backends.filebased.FileBasedCache", LOCATION=str(tmp_path)):
        assert verdicts_of_two(issuer) == {"accepted"}
        for file in tmp_path.iterdir():
            file.write_bytes(b"garbage")
        assert verdicts_of_two(issuer) == {"accepted"}
    assert issuer.counts == {METADATA: 2, KEYS: 2}


def test_no_cache_at_all(issuer: LiveIssuer) -> None:
    with trusting(issuer, BACKEND="django.core.cache.backends.dummy.DummyCache"):
        assert verdicts_of_two(issuer) == {"accepted"}
    assert issuer.counts == {METADATA: 2, KEYS: 2}


DATABASE_CACHE = """
import os, sys
from django.conf import settings
settings.configure(
    DEBUG=True, SECRET_KEY="of the tests", INSTALLED_APPS=["resource_server"], USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "entries"}},
    RESOURCE_SERVER={"ISSUER": sys.argv[2], "AUDIENCE": sys.argv[3], "CACHE": "default"},
)
import django
django.setup()
from django.core.management import call_command
call_command("createcachetable")
if sys.argv[5:]:
    from django.db import connection
    with connection.cursor() as cursor:
        cursor.execute(sys.argv[5])
from resource_server.server import current
from resource_server.tokens.credentials import Credentials
from resource_server.flow import run
run(current().verifier.verify(Credentials(unverified_token=sys.argv[4])))
"""


def test_a_table(issuer: LiveIssuer, tmp_path: Path) -> None:
    """No connection to the database is left behind by the threads that ask it."""
    for _ in range(2):
        done = with_a_table(issuer, tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    assert issuer.counts == {METADATA: 1, KEYS: 1}


def test_a_table_that_cannot_be_written(issuer: LiveIssuer, tmp_path: Path) -> None:
    """Django answers False then, as if another process had the lock, and says nothing."""
    done = with_a_table(
        issuer,
        tmp_path,
        "CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert issuer.counts == {METADATA: 1, KEYS: 1}


def with_a_table(issuer: LiveIssuer, folder: Path, *statements: str) -> subprocess.CompletedProcess[str]:
    """One token is verified by a process whose cache is a table."""
    arguments = [str(folder / "cache.sqlite3"), issuer.address, AUDIENCE, issuer.token(), *statements]
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", DATABASE_CACHE, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def redis_at(port: int) -> dict[str, Any]:
    return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"redis://127.0.0.1:{port}/1"}


def test_redis_that_is_not_there(issuer: LiveIssuer, free_port: Callable[[], int]) -> None:
    with trusting(issuer, **redis_at(free_port())):
        started = time.monotonic()
        assert verdicts_of_two(issuer) == {"accepted"}
        assert time.monotonic() - started < 2 * (2 * STORE_SECONDS) + SLACK_SECONDS
    assert issuer.counts == {METADATA: 2, KEYS: 2}


def test_redis_that_accepts_and_says_nothing(issuer: LiveIssuer) -> None:
    with serving(until_shut) as silent, trusting(issuer, **redis_at(silent.port)):
        started = time.monotonic()
        verdicts = at_once(20, lambda _: _reason(issuer.token()))
        assert set(verdicts) == {"accepted"}
        assert time.monotonic() - started < STORE_SECONDS + SLACK_SECONDS
        assert silent.connections == 1
    assert issuer.counts == {METADATA: 1, KEYS: 1}
    until(lambda: not any(thread.name == "resource-server-fetch" for thread in threading.enumerate()))


# Processes and Redis, for real


class Worker:
    """A process of its own, which verifies what it is given."""

    def __init__(self, issuer: LiveIssuer, url: str) -> None:
        variables = {"ISSUER": issuer.address, "REDIS_URL": url, "PYTHONPATH": str(ROOT)}
        self._child = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.live.worker"],
            cwd=ROOT,
            env=environment(**variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def started(self) -> "Worker":
        assert self._output.readline() == "ready\n", self._end()
        return self

    def verdict(self, token: str) -> dict[str, Any]:
        assert self._child.stdin is not None
        self._child.stdin.write(f"{token}\n")
        self._child.stdin.flush()
        line = self._output.readline()
        assert line, self._end()
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    @property
    def _output(self) -> Any:
        return self._child.stdout

    def _end(self) -> str:
        self._child.kill()
        return self._child.communicate()[1]

    def close(self) -> None:
        _, errors = self._child.communicate(timeout=20)
        assert (self._child.returncode, errors) == (0, "")

    def kill(self) -> None:
        self._end()


@pytest.fixture
def workers(issuer: LiveIssuer, redis_url: str) -> Iterator[list[Worker]]:
    with redis.Redis.from_url(redis_url) as database:
        database.flushdb()
    running = [Worker(issuer, redis_url) for _ in range(8)]
    try:
        yield [worker.started() for worker in running]
        for worker in running:
            worker.close()
    finally:
        for worker in running:
            worker.kill()


def test_eight_processes_fetch_once_and_see_one_rotation(
    issuer: LiveIssuer, workers: list[Worker], redis_url: str
) -> None:
    issuer.delay_seconds = 0.3

    def reasons(token: str) -> set[str]:
        return {verdict["reason"] for verdict in at_once(8, lambda position: workers[position].verdict(token))}

    first = issuer.token()
    assert reasons(first) == {"accepted"}
    assert issuer.counts == {METADATA: 1, KEYS: 1}
    issuer.forget()
    old = issuer.keys.current_kid
    issuer.keys.rotate()
    assert reasons(issuer.token()) == {"accepted"}
    assert issuer.counts == {KEYS: 1}
    # The key is withdrawn, and the next rotation tells them all.
    issuer.forget()
    issuer.keys.withdraw(old)
    issuer.keys.rotate()
    assert reasons(issuer.token()) == {"accepted"}
    assert reasons(first) == {"key_unknown"}
    # A forged kid causes a fetch in each process at the most while it has attempts left.
    assert issuer.counts[KEYS] <= 1 + 2 * 8
    # What is in the cache counts for nothing any more, and nobody notices.
    issuer.forget()
    with redis.Redis.from_url(redis_url) as database:
        for key in database.scan_iter():
            database.set(key, b"\x80garbage")
    issuer.keys.rotate()
    verdict = workers[0].verdict(issuer.token())
    assert verdict["reason"] in {"accepted", "key_unknown"}
    assert workers[1].verdict(issuer.token(kid=issuer.keys.jwks()["keys"][-2]["kid"]))["reason"] == "accepted"

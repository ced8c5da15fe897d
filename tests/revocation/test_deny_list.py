"""What the deny list refuses, how long, and what it makes of stores that fail or lie."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_server.errors import AuthorizationError, Unavailable
from resource_server.flow import run
from resource_server.tokens.access_token import AccessToken, access_token
from resource_server.tokens.policy import ClaimNames
from resource_server.tokens.revocations import COPY_SECONDS, MAX_COPIES, Revocations

NOW = 1_700_000_000.0
ISSUER = "https://issuer.test/"
DAY = 24 * 3600


@dataclass(slots=True)
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Store:
    """A cache that keeps entries until their time, as Redis does. `asked` counts its calls."""

    clock: Clock
    entries: dict[str, tuple[Any, float]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def get_many(self, keys: list[str], /) -> dict[str, Any]:
        self.asked.append("get_many")
        return {
            key: self.entries[key][0] for key in keys if key in self.entries and self.clock() < self.entries[key][1]
        }

    def get(self, key: str, /) -> Any:
        self.asked.append("get")
        return self.get_many([key]).get(key)

    def set(self, key: str, value: int, /, timeout: int | None) -> None:
        self.asked.append("set")
        self.entries[key] = (value, float("inf") if timeout is None else self.clock() + timeout)

    def add(self, key: str, value: int, /, timeout: int | None) -> bool:
        if self.get(key) is not None:
            return False
        self.set(key, value, timeout)
        return True


class Listed:
    """A deny list over a store, on a clock of its own."""

    def __init__(self, store: Any = None, *, clock: Clock | None = None, begins: bool = True, **options: Any) -> None:
        self.clock = clock or Clock()
        self.store = store or Store(self.clock)
        self.list = Revocations(self.store, secret=b"s", now=self.clock, clock=self.clock, **options)
        if begins:
            self.list.begin()

    def outcome(self, token: AccessToken) -> str:
        try:
            run(self.list.check(token))
        except AuthorizationError as error:
            return error.reason
        return "accepted"


def token(names: ClaimNames | None = None, **changes: Any) -> AccessToken:
    claims = {
        "iss": ISSUER,
        "aud": "api",
        "sub": "ada",
        "client_id": "app",
        "jti": "id-1",
        "iat": NOW,
        "exp": NOW + DAY,
    }
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return access_token(claims, names or ClaimNames())


# {sentence: (arguments of `revoke`, changes to the token, the outcome)}
NAMES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "its jti": ({"kind": "jti", "name": "id-1"}, {}, "token_revoked"),
    "its jti, issued later": ({"kind": "jti", "name": "id-1"}, {"iat": NOW + 9}, "token_revoked"),
    "another jti": ({"kind": "jti", "name": "id-2"}, {}, "accepted"),
    "no jti": ({"kind": "jti", "name": "id-1"}, {"jti": None}, "accepted"),
    "a jti that is a number": ({"kind": "jti", "name": "1"}, {"jti": 1}, "accepted"),
    "a jti that is a list": ({"kind": "jti", "name": "1"}, {"jti": ["1"]}, "accepted"),
    "its subject, issued before": ({"kind": "subject", "name": "ada", "issued_until": NOW + 1}, {}, "token_revoked"),
    "its subject, issued then": ({"kind": "subject", "name": "ada", "issued_until": NOW + 0.7}, {}, "token_revoked"),
    "its subject, issued after": ({"kind": "subject", "name": "ada", "issued_until": NOW - 1}, {}, "accepted"),
    "its subject, without iat": (
        {"kind": "subject", "name": "ada", "issued_until": NOW - DAY},
        {"iat": None},
        "token_revoked",
    ),
    "another subject": ({"kind": "subject", "name": "bob", "issued_until": NOW}, {}, "accepted"),
    "a client of that name": ({"kind": "subject", "name": "app", "issued_until": NOW}, {}, "accepted"),
    "its client": ({"kind": "client", "name": "app", "issued_until": NOW}, {}, "token_revoked"),
    "its client, issued after": ({"kind": "client", "name": "app", "issued_until": NOW - 1}, {}, "accepted"),
    "a subject of that name": ({"kind": "client", "name": "ada", "issued_until": NOW}, {}, "accepted"),
    "no client": ({"kind": "client", "name": "app", "issued_until": NOW}, {"client_id": None}, "accepted"),
    "its session": ({"kind": "session", "name": "s1"}, {"sid": "s1"}, "token_revoked"),
    "another session": ({"kind": "session", "name": "s1"}, {"sid": "s2"}, "accepted"),
    "no session": ({"kind": "session", "name": "s1"}, {}, "accepted"),
    "its subject without session": ({"kind": "sessionless", "name": "ada", "issued_until": NOW}, {}, "token_revoked"),
    "its subject in a session": (
        {"kind": "sessionless", "name": "ada", "issued_until": NOW},
        {"sid": "s2"},
        "accepted",
    ),
    "its issuer": ({"kind": "issuer", "name": "", "issued_until": NOW}, {}, "token_revoked"),
    "its issuer, issued after": ({"kind": "issuer", "name": "", "issued_until": NOW - 1}, {}, "accepted"),
    "another issuer": (
        {"kind": "issuer", "name": "", "issued_until": NOW, "issuer": "https://other.test/"},
        {},
        "accepted",
    ),
    "its jti at another issuer": ({"kind": "jti", "name": "id-1", "issuer": "https://other.test/"}, {}, "accepted"),
    "a lone surrogate": ({"kind": "jti", "name": "\ud800"}, {"jti": "\ud800"}, "token_revoked"),
}


@pytest.mark.parametrize(("revoked", "changes", "expected"), NAMES.values(), ids=NAMES)
def test_what_is_revoked(revoked: dict[str, Any], changes: dict[str, Any], expected: str) -> None:
    listed = Listed()
    assert listed.outcome(token(**changes)) == "accepted"
    listed.list.revoke(**{"issuer": ISSUER, **revoked})
    assert listed.outcome(token(**changes)) == expected


def test_a_subject_of_another_claim_is_known_by_that_claim_and_by_sub() -> None:
    other = token(ClaimNames(subject="oid"), oid="ada-oid")
    for name in ("ada-oid", "ada"):
        listed = Listed()
        listed.list.revoke("subject", ISSUER, name, issued_until=NOW)
        assert listed.outcome(other) == "token_revoked"


def test_an_entry_that_revokes_more_stays() -> None:
    listed = Listed()
    listed.list.revoke("subject", ISSUER, "ada", issued_until=NOW)
    listed.list.revoke("subject", ISSUER, "ada", issued_until=NOW - 100)
    assert listed.outcome(token()) == "token_revoked"
    listed.list.revoke("subject", ISSUER, "ada", issued_until=NOW + 100)
    assert listed.outcome(token(iat=NOW + 90)) == "token_revoked"


@given(issued_at=st.integers(0, 10**9), lives=st.integers(1, DAY), revoked_after=st.integers(0, 2 * DAY))
def test_an_entry_ends_after_each_token_that_it_revokes(issued_at: int, lives: int, revoked_after: int) -> None:
    listed = Listed(clock=Clock(issued_at + revoked_after), max_token_seconds=DAY)
    old = token(iat=issued_at, exp=issued_at + lives)
    listed.list.revoke("subject", ISSUER, "ada", issued_until=listed.clock())
    # With the largest clock skew it passes for 300 s after `exp`.
    listed.clock.now = max(listed.clock(), issued_at + lives + 299)
    assert listed.outcome(old) == "token_revoked"


def test_an_entry_of_a_jti_ends_with_its_token() -> None:
    listed = Listed()
    listed.list.revoke("jti", ISSUER, "id-1", expires_at=NOW + 60)
    listed.list.revoke("jti", ISSUER, "id-2")
    ends = sorted(end - NOW for _, end in listed.store.entries.values() if end != float("inf"))
    assert ends == [60 + 300, 30 * DAY + 300]


def test_a_token_that_lives_longer_than_entries_do_is_refused() -> None:
    listed = Listed(max_token_seconds=DAY)
    assert listed.outcome(token()) == "accepted"
    assert listed.outcome(token(exp=NOW + DAY + 1)) == "token_lives_too_long"
    assert not listed.list.has_passed(token(exp=NOW + DAY + 1)), "a copy is of one token"


def test_no_name_is_in_the_store_and_another_secret_has_other_keys() -> None:
    listed = Listed()
    listed.list.revoke("subject", ISSUER, "ada", issued_until=NOW)
    assert "ada" not in json.dumps(listed.store.entries)
    others = Revocations(listed.store, secret=b"other", now=listed.clock, clock=listed.clock)
    others.begin()
    run(others.check(token()))


# The copy of this process


def test_within_two_seconds_the_store_is_not_asked_again_and_after_them_once() -> None:
    listed = Listed()
    assert listed.outcome(token()) == "accepted"
    listed.store.asked.clear()
    listed.clock.now += COPY_SECONDS - 0.1
    assert listed.outcome(token()) == "accepted"
    assert listed.store.asked == []
    listed.clock.now += 0.1
    assert listed.outcome(token()) == "accepted"
    assert listed.store.asked == ["get_many"]


def test_another_process_learns_of_it_after_two_seconds() -> None:
    first = Listed()
    second = Listed(first.store, clock=first.clock, begins=False)
    assert (first.outcome(token()), second.outcome(token())) == ("accepted", "accepted")
    first.list.revoke("jti", ISSUER, "id-1")
    assert (first.outcome(token()), second.outcome(token())) == ("token_revoked", "accepted")
    first.clock.now += COPY_SECONDS
    assert second.outcome(token()) == "token_revoked"


def test_a_look_that_is_under_way_during_a_revocation_is_not_remembered() -> None:
    @dataclass(slots=True)
    class Slow(Store):
        meanwhile: list[Callable[[], None]] = field(default_factory=list)

        def get_many(self, keys: list[str], /) -> dict[str, Any]:
            found = Store.get_many(self, keys)
            if self.meanwhile:
                self.meanwhile.pop()()
            return found

    clock = Clock()
    store = Slow(clock)
    listed = Listed(store, clock=clock)
    store.meanwhile.append(lambda: listed.list.revoke("subject", ISSUER, "ada", issued_until=NOW))
    assert listed.outcome(token()) == "accepted"  # it was asked before
    assert listed.outcome(token()) == "token_revoked"


def test_the_copies_are_bounded() -> None:
    listed = Listed()
    for number in range(MAX_COPIES + 5):
        listed.outcome(token(jti=str(number)))
    assert len(listed.list._passed_until) == 5


# Stores that fail or lie


class Broken(Store):
    """A cache that is down."""

    def get_many(self, keys: list[str], /) -> dict[str, Any]:
        raise ConnectionError("redis://:password@cache.test")

    def add(self, key: str, value: int, /, timeout: int | None) -> bool:
        raise ConnectionError("redis://:password@cache.test")

    set = add  # type: ignore[assignment]


class Polite(Store):
    """django-redis with IGNORE_EXCEPTIONS, while Redis is down."""

    def get_many(self, keys: list[str], /) -> dict[str, Any]:
        return {}

    def get(self, key: str, /) -> Any:
        return None

    def set(self, key: str, value: int, /, timeout: int | None) -> None:
        return None

    def add(self, key: str, value: int, /, timeout: int | None) -> bool:
        return False


class Forgetful(Polite):
    """A cache that says yes and keeps nothing, such as DummyCache."""

    def add(self, key: str, value: int, /, timeout: int | None) -> bool:
        return True


class Mute(Polite):
    """A client library that answers None to everything."""

    def get_many(self, keys: list[str], /) -> Any:
        return None

    def add(self, key: str, value: int, /, timeout: int | None) -> Any:
        return None


class Garbled(Store):
    """A cache whose entries are of another kind."""

    value: Any = "1"

    def get_many(self, keys: list[str], /) -> dict[str, Any]:
        return dict.fromkeys(keys, self.value)


class Empty(Garbled):
    """A cache that knows each key, with nothing in it."""

    value = None


class Yes(Garbled):
    """A cache that answers True to everything."""

    value = True


LIARS = [Broken, Polite, Forgetful, Mute, Garbled, Empty, Yes]


@pytest.mark.parametrize("liar", LIARS)
def test_no_store_is_no_yes(liar: Callable[[Clock], Store], caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    listed = Listed(liar(clock), clock=clock, begins=False)
    for _ in range(3):
        assert listed.outcome(token()) == "revocation_store_failed"
    errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(errors) == 1
    assert "tokens are answered 503" in errors[0].getMessage()
    assert "password" not in caplog.text


@pytest.mark.parametrize("liar", LIARS)
def test_a_list_that_fails_open_says_so_once(liar: Callable[[Clock], Store], caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    listed = Listed(liar(clock), clock=clock, begins=False, fails_open=True)
    for _ in range(3):
        assert listed.outcome(token()) == "accepted"
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(errors) == 1
    assert "revoked tokens pass" in errors[0]


@pytest.mark.parametrize("liar", LIARS)
@pytest.mark.parametrize("fails_open", [False, True])
def test_nothing_is_said_to_be_revoked_that_is_not(liar: Callable[[Clock], Store], fails_open: bool) -> None:
    clock = Clock()
    listed = Listed(liar(clock), clock=clock, begins=False, fails_open=fails_open)
    with pytest.raises(Unavailable) as failed:
        listed.list.revoke("jti", ISSUER, "id-1")
    assert failed.value.reason == "revocation_store_failed"
    assert failed.value.__cause__ is None
    with pytest.raises(Unavailable):
        listed.list.begin()
    with pytest.raises(Unavailable):
        listed.list.use_once(ISSUER, "id-1", expires_at=NOW + 60)


def test_a_store_that_works_again_is_believed_and_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    store = Store(clock)
    listed = Listed(store, clock=clock)
    listed.list._store = Broken(clock)
    assert listed.outcome(token()) == "revocation_store_failed"
    listed.list._store = store
    assert listed.outcome(token()) == "accepted"
    assert "works again" in caplog.text


# A list that was lost


def test_a_list_that_was_lost_refuses_what_it_may_have_held(caplog: pytest.LogCaptureFixture) -> None:
    listed = Listed()
    listed.list.revoke("jti", ISSUER, "id-1")
    listed.store.entries.clear()
    assert listed.outcome(token()) == "token_before_deny_list"
    assert "one begins now, and older tokens are refused" in caplog.text
    # Neither a second look nor another process passes it; a new token passes.
    other = Listed(listed.store, clock=listed.clock, begins=False)
    for each in (listed, other):
        assert each.outcome(token()) == "token_before_deny_list"
        assert each.outcome(token(iat=None)) == "token_before_deny_list"
        assert each.outcome(token(iat=NOW + 1)) == "accepted"
    assert caplog.text.count("one begins now") == 1


def test_a_list_that_fails_open_begins_again_and_passes_older_tokens() -> None:
    listed = Listed(begins=False, fails_open=True)
    assert listed.outcome(token()) == "accepted"
    listed.list.revoke("jti", ISSUER, "id-1")
    assert listed.outcome(token()) == "token_revoked"


def test_a_list_that_is_declared_complete_passes_older_tokens() -> None:
    listed = Listed(begins=False)
    assert listed.outcome(token()) == "token_before_deny_list"
    listed.list.begin()
    assert listed.outcome(token()) == "accepted"
    assert listed.outcome(token(iat=None)) == "accepted"


def test_a_list_is_complete_only_if_the_store_has_kept_that() -> None:
    clock = Clock()

    class ReadOnly(Store):
        """A store that keeps what it has, and says nothing about what it does not keep."""

        def set(self, key: str, value: int, /, timeout: int | None) -> None:
            """Keep nothing."""

    entries = Listed(clock=clock, begins=False)
    assert entries.outcome(token()) == "token_before_deny_list"
    with pytest.raises(Unavailable):
        Listed(ReadOnly(clock, entries.store.entries), clock=clock)


def test_two_writers_at_once_keep_the_later_time() -> None:
    clock = Clock()

    class Raced(Store):
        """Between the look and the look back of a writer, another one has overwritten its entry."""

        raced: Iterator[int] = iter([1])

        def set(self, key: str, value: int, /, timeout: int | None) -> None:
            Store.set(self, key, next(self.raced, value), timeout)

    listed = Listed(Raced(clock), clock=clock, begins=False)
    listed.list.revoke("subject", ISSUER, "ada", issued_until=NOW)
    assert listed.outcome(token()) == "token_revoked"


def test_a_logout_token_counts_once() -> None:
    listed = Listed()
    assert listed.list.use_once(ISSUER, "id-1", expires_at=NOW + 60)
    assert not listed.list.use_once(ISSUER, "id-1", expires_at=NOW + 60)
    assert listed.list.use_once("https://other.test/", "id-1", expires_at=NOW + 60)

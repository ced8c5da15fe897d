"""The deny list: tokens that are refused before they expire (RFC 6750 section 3.1, "revoked"), in a store that processes share.

An entry says up to which time tokens of one `jti`, subject, client, session or issuer are revoked. Its key is a keyed
digest, so the store holds no personal data. A store without entries looks like a store that fails, so each look also
reads when the list began: that is missing if the store keeps nothing, answers nothing or has lost the list.
"""

import hmac
import json
import logging
import math
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

from resource_server.clocks import steady, time_of_day
from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import Blocking, Flow
from resource_server.reasons import TokenReason, UnavailableReason
from resource_server.tokens.access_token import AccessToken

__all__ = ["COPY_SECONDS", "MAX_TOKEN_SECONDS", "Kind", "RevocationStore", "Revocations"]

logger = logging.getLogger("resource_server")

T = TypeVar("T")

# How long this process may pass a token without asking the store again, and for how many tokens.
COPY_SECONDS: Final = 2.0
MAX_COPIES = 10_000
MAX_KEYS = 10_000
MAX_TOKEN_SECONDS: Final = 30 * 24 * 3600
# The most that CLOCK_SKEW_SECONDS may be: a token can pass for so long after its `exp`.
_MAX_SKEW_SECONDS = 300
# Two processes that revoke at once may overwrite one another.
_WRITE_ATTEMPTS = 3
# As a time of issue: every token, whenever it was issued.
_EVERY: Final = 2**53

# `sessionless` is a subject whose tokens are revoked unless they name their session.
Kind: TypeAlias = Literal["jti", "subject", "client", "session", "sessionless", "issuer"]


class RevocationStore(Protocol):
    """The methods of Django's cache framework that are used. `add` is atomic between processes."""

    def get_many(self, keys: list[str], /) -> Any: ...
    def set(self, key: str, value: int, /, timeout: int | None) -> Any: ...
    def add(self, key: str, value: int, /, timeout: int | None) -> Any: ...


class _Facts(NamedTuple):
    """What the list knows tokens by. Claims of another type than text are absent."""

    issuer: str
    subject: str
    sub: str | None
    client_id: str | None
    jti: str | None
    session: str | None
    issued_at: float | None
    expires_at: float

    def names(self) -> Iterator[tuple[Kind, str]]:
        yield "issuer", ""
        subjects = {self.subject, self.sub or self.subject}  # CLAIMS can name another claim than `sub`
        for subject in sorted(subjects):
            yield "subject", subject
            if self.session is None:
                yield "sessionless", subject
        if self.session is not None:
            yield "session", self.session
        if self.client_id is not None:
            yield "client", self.client_id
        if self.jti is not None:
            yield "jti", self.jti


class Revocations:
    """The deny list of one project. Threads may share it.

    `secret` makes the keys of entries. `fails_open`: a token passes if the store gives no answer. `max_token_seconds`
    is how long a token may live, and so how long an entry is kept. `now` is in seconds since 1970, `clock` never goes
    back.
    """

    def __init__(
        self,
        store: RevocationStore,
        *,
        secret: bytes,
        fails_open: bool = False,
        max_token_seconds: int = MAX_TOKEN_SECONDS,
        now: Callable[[], float] = time_of_day,
        clock: Callable[[], float] = steady,
    ) -> None:
        self._store = store
        self._fails_open = fails_open
        self._max_token_seconds = max_token_seconds
        self._now = now
        self._clock = clock
        # Made once for each name: nearly all tokens come again, and a digest takes longer than the look at the list.
        self._key = lru_cache(MAX_KEYS)(partial(_key, secret))
        self._beginning = self._key("beginning", "", "")
        self._is_failing = False
        self._passed_until: dict[_Facts, float] = {}
        self._last_revocation = object()

    def has_passed(self, token: AccessToken) -> bool:
        """Whether the store has said in the last 2 s that the token is not revoked. Does no I/O."""
        return self._clock() < self._passed_until.get(_facts(token), -math.inf)

    def check(self, token: AccessToken) -> Flow[None]:
        """Refuse a revoked token. Yields unless `has_passed`.

        Raises InvalidToken (`token_revoked`, `token_lives_too_long`, and `token_before_deny_list` unless the list fails
        open), and Unavailable (`revocation_store_failed`) unless it fails open.
        """
        facts = _facts(token)
        if facts.issued_at is not None and facts.expires_at - facts.issued_at > self._max_token_seconds:
            raise InvalidToken(TokenReason.TOKEN_LIVES_TOO_LONG)  # its entry could end before the token does
        if self._clock() >= self._passed_until.get(facts, -math.inf):
            yield Blocking(call=lambda: self._ask(facts), thread_sensitive=True)

    def revoke(
        self,
        kind: Kind,
        issuer: str,
        name: str,
        *,
        issued_until: float | None = None,
        expires_at: float | None = None,
    ) -> None:
        """Revoke the tokens of one name that were issued up to a time; all of them without a time. Blocks.

        `expires_at` is when the last of them expires, if the caller knows that. An entry that revokes more stays.
        Raises Unavailable (`revocation_store_failed`) unless the store has the entry now.
        """
        now = self._now()
        last = (now if issued_until is None else issued_until) + self._max_token_seconds
        ends_at = (last if expires_at is None else min(last, expires_at)) + _MAX_SKEW_SECONDS
        if ends_at > now:
            value = _EVERY if issued_until is None else _milliseconds(issued_until)
            self._change(lambda: self._write(self._key(kind, issuer, name), value, math.ceil(ends_at - now)))
            # In this order: a look that is under way drops what it has read before.
            self._last_revocation = object()
            self._passed_until.clear()

    def begin(self) -> None:
        """Declare the list complete: what is not on it is not revoked, whenever it was issued. Blocks.

        Raises Unavailable (`revocation_store_failed`).
        """
        self._change(lambda: self._write(self._beginning, 0, None, replaces=True))

    def use_once(self, issuer: str, jti: str, *, expires_at: float) -> bool:
        """Mark the `jti` of a logout token as used until the token expires; False if it was used before. Blocks.

        Raises Unavailable (`revocation_store_failed`) if that cannot be known.
        """
        timeout = math.ceil(max(expires_at - self._now(), 0)) + _MAX_SKEW_SECONDS
        return self._change(lambda: self._add(self._key("logout", issuer, jti), timeout))

    def _ask(self, facts: _Facts) -> None:
        asked_at, last_revocation = self._clock(), self._last_revocation
        try:
            found = self._read(
                [self._beginning, *(self._key(kind, facts.issuer, name) for kind, name in facts.names())]
            )
            began = found.pop(self._beginning, None)
            if began is None:
                began = self._begin_now()
        except Exception as error:  # noqa: BLE001 - each backend has errors of its own
            self._report_failure(error)
            if self._fails_open:
                return
            # The store's own error can hold its address and password.
            raise Unavailable(UnavailableReason.REVOCATION_STORE_FAILED) from None
        self._report_success()
        issued_at = None if facts.issued_at is None else _milliseconds(facts.issued_at)
        # A token without a time of issue may be from before any time.
        if found and (issued_at is None or issued_at <= max(found.values())):
            raise InvalidToken(TokenReason.TOKEN_REVOKED)
        # It may have been on the list that was lost.
        if began and not self._fails_open and (issued_at is None or issued_at <= began):
            raise InvalidToken(TokenReason.TOKEN_BEFORE_DENY_LIST)
        if len(self._passed_until) >= MAX_COPIES:
            self._passed_until.clear()
        self._passed_until[facts] = asked_at + COPY_SECONDS
        # This process has revoked tokens meanwhile, perhaps this one.
        if last_revocation is not self._last_revocation:
            self._passed_until.pop(facts, None)

    def _begin_now(self) -> int:
        is_first = self._store.add(self._beginning, _milliseconds(self._now()), None)
        began = self._read([self._beginning])[self._beginning]
        if is_first:
            meanwhile = "pass" if self._fails_open else "are refused"
            logger.warning("the cache of REVOCATION has no deny list: one begins now, and older tokens %s", meanwhile)
        return began

    def _read(self, keys: list[str]) -> dict[str, int]:
        found = self._store.get_many(keys)
        # Python counts with True, so the type is compared.
        if not isinstance(found, dict) or any(type(value) is not int for value in found.values()):
            raise TypeError("not the answer of a cache")
        return {key: found[key] for key in keys if key in found}

    def _write(self, key: str, value: int, timeout: int | None, *, replaces: bool = False) -> None:
        for _ in range(_WRITE_ATTEMPTS):
            if not replaces and self._read([key]).get(key, -1) > value:
                return
            self._store.set(key, value, timeout)
            # A client library may hide that the store is down.
            kept = self._read([key]).get(key, -1)
            if kept == value or (kept > value and not replaces):
                return
        raise ValueError("the store does not keep what it is given")

    def _add(self, key: str, timeout: int) -> bool:
        added = self._store.add(key, 1, timeout)
        # As above, and a store that keeps nothing adds everything.
        if not isinstance(added, bool) or self._read([key]).get(key) != 1:
            raise ValueError("the store does not keep what it is given")
        return added

    def _change(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - each backend has errors of its own
            logger.error("the cache of REVOCATION does not work (%s); nothing was revoked", type(error).__name__)  # noqa: TRY400 - its traceback can hold a password
            raise Unavailable(UnavailableReason.REVOCATION_STORE_FAILED) from None

    def _report_failure(self, error: Exception) -> None:
        # Log an outage once; repeats go to DEBUG.
        level = logging.DEBUG if self._is_failing else logging.ERROR
        self._is_failing = True
        meanwhile = "revoked tokens pass" if self._fails_open else "tokens are answered 503"
        logger.log(level, "the cache of REVOCATION does not work (%s); %s", type(error).__name__, meanwhile)

    def _report_success(self) -> None:
        if self._is_failing:
            self._is_failing = False
            logger.warning("the cache of REVOCATION works again")


def _key(secret: bytes, kind: str, issuer: str, name: str) -> str:
    # Keyed: a reader of the store who guesses a subject cannot find out whether it is on the list.
    message = json.dumps(["resource_server.revocation.1", kind, issuer, name]).encode()
    return f"resource_server:revocation:{hmac.digest(secret, message, 'sha256').hex()}"


def _facts(token: AccessToken) -> _Facts:
    claims = token.claims
    sub, jti, session = claims.get("sub"), claims.get("jti"), claims.get("sid")
    return _Facts(
        issuer=token.issuer,
        subject=token.subject,
        sub=sub if isinstance(sub, str) else None,
        client_id=token.client_id,
        jti=jti if isinstance(jti, str) else None,
        session=session if isinstance(session, str) and session else None,
        issued_at=token.issued_at,
        expires_at=token.expires_at,
    )


def _milliseconds(seconds: float) -> int:
    return math.floor(seconds * 1000)

"""The codes and refresh tokens of the development issuer, in bounded memory."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from resource_server.devissuer.clients import Client

__all__ = ["AuthorizationCode", "OneTime", "RefreshToken", "SignIn", "Storage"]

CODE_SECONDS = 60  # RFC 6749 section 4.1.2: ten minutes at most
REFRESH_TOKEN_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A person who signed in and the scopes that this person agreed to: Authlib's "user"."""

    subject: str
    scopes: frozenset[str]
    auth_time: int  # seconds since 1970
    session: str = field(default_factory=lambda: secrets.token_urlsafe(16))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCode:
    """The grant behind a code, with the interface of Authlib's grants (OpenID's `AuthorizationCodeMixin`)."""

    value: str
    client_id: str
    redirect_uri: str
    scope: str
    audience: str
    nonce: str | None
    code_challenge: str
    code_challenge_method: str
    sign_in: SignIn

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """The grant behind a refresh token, with the interface of Authlib's grants (`TokenMixin`)."""

    value: str
    client_id: str
    scope: str
    audience: str
    sign_in: SignIn

    def check_client(self, client: Client) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope


T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class _Entry(Generic[T]):
    item: T
    expires_at: float
    taken: bool = False


class OneTime(Generic[T]):
    """Items that are found by a secret value and can be taken once. Drops the oldest first.

    `clock` returns seconds. A taken item can still be found, so that its second use is noticed.
    """

    def __init__(self, *, limit: int, seconds: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry[T]] = {}

    def add(self, value: str, item: T) -> None:
        with self._lock:
            self._entries[value] = _Entry(item=item, expires_at=self._clock() + self._seconds)
            while len(self._entries) > self._limit:
                del self._entries[next(iter(self._entries))]

    def find(self, value: str) -> T | None:
        with self._lock:
            entry = self._entries.get(value)
            return entry.item if entry and self._clock() < entry.expires_at else None

    def take(self, value: str) -> bool:
        """Whether this call is the first to take the item: of two calls at once, one is."""
        with self._lock:
            entry = self._entries.get(value)
            if entry is None or entry.taken:
                return False
            entry.taken = True
            return True


class Storage:
    """Codes, refresh tokens, and the sessions that ended because one of them was used twice."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.codes: OneTime[AuthorizationCode] = OneTime(limit=1_000, seconds=CODE_SECONDS, clock=clock)
        self.refresh_tokens: OneTime[RefreshToken] = OneTime(limit=10_000, seconds=REFRESH_TOKEN_SECONDS, clock=clock)
        # An ended session is remembered as long as the longest of its refresh tokens.
        self._ended: OneTime[str] = OneTime(limit=10_000, seconds=REFRESH_TOKEN_SECONDS, clock=clock)

    def end(self, session: str) -> None:
        """Refuse every refresh token of this session (RFC 9700 section 4.14.2)."""
        self._ended.add(session, session)

    def has_ended(self, session: str) -> bool:
        return self._ended.find(session) is not None

"""The codes and tokens of the development issuer, in bounded memory."""

import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from resource_server.devissuer.clients import Client

__all__ = ["AccessToken", "AuthorizationCode", "OneTime", "RefreshToken", "SignIn", "Storage"]

CODE_SECONDS = 60  # RFC 6749 section 4.1.2: ten minutes at most
REFRESH_TOKEN_SECONDS = 24 * 3600
PROOF_SECONDS = 660  # a DPoP proof is accepted for 600: 300 before and 300 after its `iat`


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A person who signed in and the scopes that this person agreed to: Authlib's "user"."""

    subject: str
    scopes: frozenset[str]
    auth_time: int  # seconds since 1970
    acr: str | None = None  # the authentication context class (OpenID Connect Core 1.0 section 2)
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
    dpop_jkt: str | None  # RFC 9449 section 10
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
    confirmation: Mapping[str, str] | None  # who may use it; None is the client, authenticated
    sign_in: SignIn

    def check_client(self, client: Client) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An access token that was issued: its claims, also if its value says nothing (RFC 7662)."""

    claims: Mapping[str, Any]
    sign_in: SignIn | None


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

    def add(self, value: str, item: T, seconds: float | None = None) -> bool:
        """Whether the value is new: of two calls at once, one adds the item."""
        with self._lock:
            known = self._entries.get(value)
            if known is not None and self._clock() < known.expires_at:
                return False
            self._entries.pop(value, None)
            self._entries[value] = _Entry(
                item=item, expires_at=self._clock() + (self._seconds if seconds is None else seconds)
            )
            while len(self._entries) > self._limit:
                del self._entries[next(iter(self._entries))]
            return True

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

    def remove(self, value: str) -> None:
        with self._lock:
            self._entries.pop(value, None)


class Storage:
    """Codes, tokens, DPoP proofs, clients, and the sessions that have ended.

    A session ends if a code or a refresh token of it is used twice, or is revoked.
    """

    def __init__(self, access_token_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.codes: OneTime[AuthorizationCode] = OneTime(limit=1_000, seconds=CODE_SECONDS, clock=clock)
        self.refresh_tokens: OneTime[RefreshToken] = OneTime(limit=10_000, seconds=REFRESH_TOKEN_SECONDS, clock=clock)
        self.proofs: OneTime[None] = OneTime(limit=10_000, seconds=PROOF_SECONDS, clock=clock)
        self.clients: OneTime[Client] = OneTime(limit=1_000, seconds=math.inf, clock=clock)
        self._access_tokens: OneTime[AccessToken] = OneTime(limit=10_000, seconds=access_token_seconds, clock=clock)
        # An ended session is remembered as long as the longest of its tokens.
        longest = max(REFRESH_TOKEN_SECONDS, access_token_seconds)
        self._ended: OneTime[str] = OneTime(limit=10_000, seconds=longest, clock=clock)

    def end(self, session: str) -> None:
        """Refuse every token of this session (RFC 9700 section 4.14.2)."""
        self._ended.add(session, session)

    def has_ended(self, session: str) -> bool:
        return self._ended.find(session) is not None

    def issue(self, value: str, token: AccessToken) -> None:
        self._access_tokens.add(value, token)

    def access_token(self, value: str) -> AccessToken | None:
        """The access token with this value. None if it is unknown, expired or revoked."""
        token = self._access_tokens.find(value)
        if token is None or (token.sign_in and self.has_ended(token.sign_in.session)):
            return None
        return token

    def revoke(self, value: str) -> None:
        self._access_tokens.remove(value)

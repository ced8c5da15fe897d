"""One issuer: where its metadata is, which keys it has now, and when to ask again (RFC 8414, OpenID Connect Discovery 1.0).

Nothing is fetched before the first token that deserves it. One fetch is in flight at a time, and those who wait for
it share its outcome. A key set is replaced by a successful fetch and by nothing else: a failed one never loses a key,
and a key that a successful one lacks is gone.
"""

import logging
import math
import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from resource_server.errors import InvalidToken, Unavailable
from resource_server.tokens.flow import Blocking, Flow
from resource_server.tokens.http import FETCH_SECONDS, Document, Fetch, address_problem
from resource_server.tokens.keys import KeySet, VerificationKey, parse_key_set
from resource_server.tokens.policy import Policy
from resource_server.tokens.strict_json import parse_object

__all__ = ["IssuerKeys", "Trusted", "metadata_urls", "parse_metadata"]

logger = logging.getLogger("resource_server")

# How long a key set is current: what the issuer says, within these; STALE_SECONDS is how long known keys outlive an
# outage.
LIFE_SECONDS = 600
MIN_LIFE_SECONDS = 60
MAX_LIFE_SECONDS = 24 * 3600
STALE_SECONDS = 24 * 3600
# After a failed attempt the next waits 1, 2, 4 ... 60 seconds, give or take a quarter, so that processes do not ask
# in step.
MAX_BACKOFF_SECONDS = 60
# Attempts that unknown kids may cause: anybody can send one, so they are counted (RFC 8725 section 3.10 warns of
# fetches on demand).
UNKNOWN_KID_ATTEMPTS = 2
UNKNOWN_KID_REFILL_SECONDS = 30

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """What one successful refresh brought: the keys, the metadata (None where it was not asked), and when by the monotonic clock."""

    keys: KeySet
    metadata: Mapping[str, Any] | None
    fetched_at: float
    life_seconds: float


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Where an issuer's metadata may be: OpenID Connect Discovery section 4, then RFC 8414 section 3.1.

    OpenID's form comes first because nearly every issuer has it, so that nearly every cold start is one request.
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    origin = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
    )


def parse_metadata(document: Document, policy: Policy) -> dict[str, Any]:
    """The metadata in a document, with a `jwks_uri` that may be fetched.

    Raises Unavailable: `document_malformed`, `metadata_issuer_mismatch` (RFC 8414 section 3.3: else a server could
    answer for another issuer), `address_not_allowed`. Does not check members that concern clients.
    """
    metadata = _parse(document)
    if metadata.get("issuer") != policy.issuer:
        raise Unavailable("metadata_issuer_mismatch")
    if address_problem(metadata.get("jwks_uri"), http_on_loopback=policy.http_on_loopback):
        raise Unavailable("address_not_allowed")
    return metadata


class IssuerKeys:
    """The keys of one issuer. Threads share one instance; reading a known key takes no lock."""

    def __init__(
        self,
        policy: Policy,
        *,
        fetch: Fetch,
        clock: Callable[[], float],
        on_refresh: Callable[[Policy, Trusted], None],
    ) -> None:
        self._policy = policy
        self._fetch = fetch
        self._clock = clock
        self._on_refresh = on_refresh
        self._lock = threading.Lock()
        self._trusted: Trusted | None = None
        self._attempts = 0  # that have ended
        self._in_flight = False
        self._failures = 0
        self._failure: str | None = None
        self._retry_at = -math.inf
        self._allowance = float(UNKNOWN_KID_ATTEMPTS)
        self._allowance_at = -math.inf
        if policy.key_set is not None:
            self._trusted = Trusted(keys=policy.key_set, metadata=None, fetched_at=0.0, life_seconds=math.inf)

    @property
    def trusted(self) -> Trusted | None:
        """What is trusted now; None before the first successful refresh, and when an outage has outlasted STALE_SECONDS."""
        trusted = self._trusted
        if trusted is None or self._clock() - trusted.fetched_at >= trusted.life_seconds + STALE_SECONDS:
            return None
        return trusted

    def find(self, kid: str | None, algorithm: str) -> Flow[tuple[VerificationKey, ...]]:
        """The keys that a token with this header may be signed with, never an empty tuple; without `kid` exactly one.

        Raises InvalidToken (`key_unknown`, `kid_missing`) where the issuer's keys are known and none fits, and
        Unavailable where they are not. Yields only where it must fetch.
        """
        now = self._clock()
        # The count is read before the keys that it is held against: an attempt that ends in between has brought newer
        # ones.
        attempts, trusted = self._attempts, self.trusted
        if trusted is None:
            yield from self._refresh(now, attempts)
        elif now - trusted.fetched_at >= trusted.life_seconds and now >= self._retry_at and not self._in_flight:
            # One request renews an aged set; those beside it go on with the keys they know, and so does this one if
            # the issuer fails.
            yield Blocking(call=lambda: self._attempt(attempts, wait_seconds=0))
        attempts, trusted = self._attempts, self.trusted
        if trusted is None:
            raise self._unavailable(now)
        if keys := _choose(trusted.keys, kid, algorithm):
            return keys
        # After a rotation every request brings the new kid: those beside the one that asks wait for its answer, at no
        # cost.
        if self._policy.key_set is None and (self._in_flight or self._may_ask_for_unknown(now)):
            yield from self._refresh(now, attempts)
            trusted = self.trusted
            if trusted is not None and (keys := _choose(trusted.keys, kid, algorithm)):
                return keys
        # The issuer may have made this key while it could not be reached: then there is no verdict, and it is not the
        # caller's fault.
        if self._failure is not None:
            raise self._unavailable(now)
        raise InvalidToken("key_unknown")

    def current(self) -> Flow[Trusted | None]:
        """What is trusted now, fetched if nothing is known yet. Raises Unavailable where it cannot be."""
        if self.trusted is None:
            yield from self._refresh(self._clock(), self._attempts)
        return self.trusted

    @property
    def failure(self) -> str | None:
        """The reason of the last attempt, if it failed."""
        return self._failure

    def _may_ask_for_unknown(self, now: float) -> bool:
        # A token bucket that counts attempts. A race between threads costs a fetch or two, and the lock below joins
        # those.
        refilled = self._allowance + (now - self._allowance_at) / UNKNOWN_KID_REFILL_SECONDS
        allowance = min(refilled, float(UNKNOWN_KID_ATTEMPTS))
        if allowance < 1 or now < self._retry_at:
            return False
        self._allowance, self._allowance_at = allowance - 1, now
        return True

    def _refresh(self, now: float, attempts_seen: int) -> Flow[None]:
        if now < self._retry_at:
            raise self._unavailable(now)
        # The wait is bounded, so that a lock which was held while the process forked cannot hold the child for ever.
        yield Blocking(call=lambda: self._attempt(attempts_seen, wait_seconds=FETCH_SECONDS + 1))
        if self._failure is not None:
            raise self._unavailable(self._clock())

    def _attempt(self, attempts_seen: int, *, wait_seconds: float) -> None:
        if not self._lock.acquire(timeout=wait_seconds):
            return
        try:
            # Somebody has asked since, or was asking then: that answer, good or bad, is ours too.
            if self._attempts == attempts_seen:
                self._ask()
        finally:
            self._lock.release()

    def _ask(self) -> None:
        self._in_flight = True
        try:
            trusted = self._load()
        except Unavailable as error:
            self._failed(error.reason)
        else:
            self._trusted, self._failures, self._failure, self._retry_at = trusted, 0, None, -math.inf
            self._on_refresh(self._policy, trusted)
        finally:
            # Counted at its end: who comes while it is in flight has seen the count before it, and does not ask again.
            self._attempts += 1
            self._in_flight = False

    def _failed(self, reason: str) -> None:
        self._failures += 1
        self._failure = reason
        pause = min(2.0 ** min(self._failures - 1, 30), MAX_BACKOFF_SECONDS) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
        self._retry_at = self._clock() + pause
        logger.warning("keys of issuer %s not refreshed: %s", self._policy.issuer, reason)

    def _load(self) -> Trusted:
        deadline = self._clock() + FETCH_SECONDS
        metadata = None
        jwks_uri = self._policy.jwks_uri
        if jwks_uri is None:
            metadata = self._load_metadata(deadline)
            jwks_uri = metadata["jwks_uri"]
        document = self._fetch_by(deadline, jwks_uri)
        try:
            keys = parse_key_set(_parse(document))
        except ValueError:
            raise Unavailable("document_malformed") from None
        for skipped in keys.skipped:
            logger.info("issuer %s: %s; it is not used", self._policy.issuer, skipped)
        if not keys.keys:
            raise Unavailable("key_set_without_keys")
        return Trusted(
            keys=keys,
            metadata=metadata,
            fetched_at=self._clock(),
            life_seconds=_life(document.cache_control),
        )

    def _load_metadata(self, deadline: float) -> dict[str, Any]:
        openid, oauth = metadata_urls(self._policy.issuer)
        try:
            document = self._fetch_by(deadline, openid)
        except Unavailable as error:
            # Only an answer says that there is no such document; a server that cannot be reached has none of the
            # other form either.
            if error.reason != "fetch_status":
                raise
            document = self._fetch_by(deadline, oauth)
        return parse_metadata(document, self._policy)

    def _fetch_by(self, deadline: float, url: str) -> Document:
        return self._fetch(url, seconds=max(deadline - self._clock(), 0.001))

    def _unavailable(self, now: float) -> Unavailable:
        wait = self._retry_at - now
        return Unavailable(self._failure or "fetch_timeout", retry_after=math.ceil(wait) if 0 < wait < math.inf else 1)


def _choose(keys: KeySet, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
    candidates = keys.candidates(kid, algorithm)
    if kid is None and len(candidates) > 1 and not keys.any_kid:
        raise InvalidToken("kid_missing")
    return candidates


def _parse(document: Document) -> dict[str, Any]:
    try:
        return parse_object(document.body)
    except ValueError:
        raise Unavailable("document_malformed") from None


def _life(cache_control: str) -> float:
    # RFC 9111 section 5.2.2, within our floor and ceiling: a key set that is never cached would be fetched for every
    # request.
    if re.search(r"\bno-(?:store|cache)\b", cache_control, re.IGNORECASE):
        return MIN_LIFE_SECONDS
    max_age = _MAX_AGE.search(cache_control)
    return min(max(int(max_age[1]), MIN_LIFE_SECONDS), MAX_LIFE_SECONDS) if max_age else LIFE_SECONDS

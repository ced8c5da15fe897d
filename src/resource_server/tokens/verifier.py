"""Credentials -> AccessToken: the steps in their order, for all issuers that are trusted (RFC 9068 section 4).

Cheap and pure checks first, so that a hopeless token costs no fetch; the AccessToken is made last, and nowhere else.
"""

import time
from collections.abc import Callable, Iterable

from resource_server.flow import Flow
from resource_server.keys.background import Later, background
from resource_server.keys.http import Fetch, fetch
from resource_server.keys.issuer_keys import IssuerKeys, KeyEvent
from resource_server.tokens.access_token import AccessToken, access_token
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.issuers import Issuer, Issuers, PolicyOf
from resource_server.tokens.jws import judge, parse, verify_signature
from resource_server.tokens.policy import Policy
from resource_server.tokens.verified_tokens import MAX_AGE_SECONDS, VerifiedToken, VerifiedTokens, digest, entry_bytes

__all__ = ["TOKEN_CACHE_SIZE", "Verifier"]

TOKEN_CACHE_SIZE = 10_000


def _ignore(_event: KeyEvent) -> None:
    return None


class Verifier:
    """Verifies access tokens of the given issuers. Threads may share one; nothing is fetched when it is made.

    `policies` are always trusted, `policy_of` is asked for other issuers. `token_cache` is how many verified tokens
    are remembered, 0 for none; `remembers` says whether any are. `fetch` brings documents, `now` is the time in seconds since 1970, `clock` a clock that
    never goes back, `later` makes calls in the background, and `on_event` is told what happens to keys, in the thread
    in which it does.
    """

    def __init__(
        self,
        policies: Iterable[Policy],
        *,
        policy_of: PolicyOf | None = None,
        token_cache: int = TOKEN_CACHE_SIZE,
        fetch: Fetch = fetch,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        later: Later = background.later,
        on_event: Callable[[KeyEvent], None] = _ignore,
    ) -> None:
        self._now = now
        self._clock = clock
        self._seen = VerifiedTokens(token_cache) if token_cache else None
        self.remembers = self._seen is not None
        self._issuers = Issuers(
            policies,
            policy_of=policy_of,
            keys_of=lambda policy: IssuerKeys(
                policy.key_source, fetch=fetch, clock=clock, later=later, on_event=on_event
            ),
            clock=clock,
        )

    def recall(self, key: bytes) -> VerifiedToken | None:
        """The verdict on the token with this digest, if it passed less than a minute ago and would pass now; else None."""
        return None if self._seen is None else self._seen.get(key, self._now(), self._clock())

    def verify(self, credentials: Credentials, key: bytes = b"") -> Flow[tuple[AccessToken, Policy]]:
        """The verified token and the policy that it has met, as a flow for `run` or `arun`; it yields only where keys must be fetched.

        `key` is the token's digest where the caller has it, and has looked for a verdict under it already. Raises InvalidToken, or Unavailable where no verdict was reached. Does not judge scopes, and does not ask the
        issuer whether it has revoked the token.
        """
        now = self._now()
        if self._seen is not None and not key:
            key = digest(credentials.unverified_token)
            if (seen := self._seen.get(key, now, self._clock())) is not None:
                return seen.token, seen.issuer.policy
        token = parse(credentials.unverified_token)
        name = token.issuer()
        issuer = self._issuers.known(name) or (yield from self._issuers.find(name))
        judge(token, issuer.policy, now)
        header = token.unverified_header
        kid, algorithm = header.get("kid"), header["alg"]
        keys = issuer.keys.known(kid, algorithm)
        if not keys:
            keys = yield from issuer.keys.find(kid, algorithm)
            # That may have taken seconds, in which a token can expire.
            now = self._now()
            judge(token, issuer.policy, now)
        verify_signature(token, keys)
        if not issuer.is_listed:
            self._issuers.verified(issuer)
        verified = access_token(token.unverified_claims, issuer.policy.claim_names)
        key_set = issuer.keys.key_set
        # Should another thread have brought another set meanwhile, the verdict is good, and not kept.
        if self._seen is not None and key_set is not None and key_set.candidates(kid, algorithm) == keys:
            clock = self._clock()
            seen = VerifiedToken(
                token=verified,
                issuer=issuer,
                key_set=key_set,
                not_before=now,
                expires_at=verified.expires_at + issuer.policy.clock_skew_seconds,
                good_until=min(clock + MAX_AGE_SECONDS, issuer.keys.ends_at),
                size=entry_bytes(token.payload, len(verified.scopes)),
            )
            self._seen.add(key, seen, clock)
        return verified, issuer.policy

    def issuer(self, unverified_issuer: str) -> Flow[Issuer]:
        """What is trusted of an issuer. Raises InvalidToken (`issuer_not_trusted`), or what the function for issuers raises."""
        return self._issuers.find(unverified_issuer)

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """What is trusted now, and the keys of each; of those that a function knows, those that were asked for lately."""
        return tuple(self._issuers)

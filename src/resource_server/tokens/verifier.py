"""Credentials -> AccessToken: the steps in their order, for all issuers that are trusted (RFC 9068 section 4).

Cheap and pure checks first, so that a hopeless token costs no fetch; the AccessToken is made last, and nowhere else.
"""

import time
from collections.abc import Callable, Iterable

from resource_server.errors import InvalidToken
from resource_server.tokens.access_token import AccessToken, access_token
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.flow import Flow
from resource_server.tokens.http import Fetch, fetch
from resource_server.tokens.issuer import IssuerKeys, Trusted
from resource_server.tokens.jwt import judge, parse, verify_signature
from resource_server.tokens.policy import Policy

__all__ = ["Verifier"]


def _ignore(_policy: Policy, _trusted: Trusted) -> None:
    return None


class Verifier:
    """Verifies access tokens of the given issuers. Threads may share one; nothing is fetched when it is made.

    `fetch` brings documents, `now` is the time in seconds since 1970, `clock` a clock that never goes back, and
    `on_refresh` is told of each successful refresh, in the thread that made it.
    """

    def __init__(
        self,
        policies: Iterable[Policy],
        *,
        fetch: Fetch = fetch,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        on_refresh: Callable[[Policy, Trusted], None] = _ignore,
    ) -> None:
        self._now = now
        # Keys belong to their issuer: there is no set that two of them share.
        self._issuers = {
            policy.issuer: (policy, IssuerKeys(policy, fetch=fetch, clock=clock, on_refresh=on_refresh))
            for policy in policies
        }

    def verify(self, credentials: Credentials) -> Flow[AccessToken]:
        """The verified token, as a flow for `run` or `arun`; it yields only where keys must be fetched.

        Raises InvalidToken, or Unavailable where no verdict was reached. Does not judge scopes, and does not ask the
        issuer whether it has revoked the token.
        """
        token = parse(credentials.unverified_token)
        policy, keys = self._issuer(token.issuer())
        judge(token, policy, self._now())
        header = token.unverified_header
        candidates = yield from keys.find(header.get("kid"), header["alg"])
        verify_signature(token, candidates)
        return access_token(token.unverified_claims, policy.claim_names)

    @property
    def issuers(self) -> tuple[tuple[Policy, IssuerKeys], ...]:
        """What is trusted, and the keys of each."""
        return tuple(self._issuers.values())

    def _issuer(self, unverified_issuer: str) -> tuple[Policy, IssuerKeys]:
        try:
            return self._issuers[unverified_issuer]
        except KeyError:
            raise InvalidToken("issuer_not_trusted") from None

"""A signed token -> Verdict: the keys of an issuer as an authority (RFC 9068 section 4, RFC 7519 section 7.2).

Cheap and pure checks come first, so that a hopeless token costs no fetch; the AccessToken is made last, and nowhere
else.
"""

from collections.abc import Callable

from resource_server.flow import Flow
from resource_server.stamp import Stamp
from resource_server.tokens.access_token import access_token
from resource_server.tokens.authority import Verdict
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.issuers import Issuers
from resource_server.tokens.jws import parse, verify_signature
from resource_server.tokens.rules import claimed_issuer, judge, judge_claims, named
from resource_server.tokens.verified_tokens import MAX_AGE_SECONDS, entry_bytes

__all__ = ["JWTAuthority"]


class JWTAuthority:
    """Verifies JWTs of the trusted issuers with the issuers' keys.

    `now` is the time in seconds since 1970, `clock` a clock that never goes back.
    """

    def __init__(self, issuers: Issuers, *, now: Callable[[], float], clock: Callable[[], float]) -> None:
        self._issuers = issuers
        self._now = now
        self._clock = clock

    def verify(self, credentials: Credentials, now: float) -> Flow[Verdict]:
        """See `Authority.verify`. Yields only where the issuer's settings or keys must be looked up.

        Does not ask the issuer whether it has revoked the token.
        """
        token = parse(credentials.unverified_token)
        name = token.unverified_claims.get("iss")
        issuer = self._issuers.known(name) if isinstance(name, str) else None
        if issuer is None:
            issuer = yield from self._issuers.find(claimed_issuer(token))
        policy, keys, header = issuer.policy, issuer.keys, token.unverified_header
        claims = token.unverified_claims
        if not policy.claim_names.are_plain:
            token = named(token, policy)
        if header is issuer.passed_header:
            judge_claims(token, policy, now)
        else:
            judge(token, policy, now)
        kid, algorithm = header.get("kid"), header["alg"]
        # Read before the keys: if they are replaced from here on, the verdict's stamp is void.
        stamp = keys.stamp
        candidates = keys.known(kid, algorithm)
        if not candidates:
            candidates = yield from keys.find(kid, algorithm)
            stamp = keys.stamp_of(candidates, kid, algorithm)
            # The fetch may have taken seconds, in which a token can expire.
            now = self._now()
            judge_claims(token, policy, now)
        verify_signature(token, candidates)
        issuer.passed_header = header
        if not issuer.is_listed and not self._issuers.verified(issuer):
            stamp = Stamp.void()
        verified = access_token(claims, policy.claim_names, policy.is_machine, policy.rights)
        return Verdict(
            token=verified,
            policy=policy,
            not_before=now,
            expires_at=verified.expires_at + policy.clock_skew_seconds,
            good_until=min(self._clock() + MAX_AGE_SECONDS, keys.ends_at, issuer.believed_until),
            stamp=stamp,
            is_bound="cnf" in claims,
            size=entry_bytes(token.payload, len(verified.scopes)),
        )

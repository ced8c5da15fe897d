"""A signed token -> Verdict: the keys of an issuer as an authority (RFC 9068 section 4, RFC 7519 section 7.2).

Cheap and pure checks come first, so that a hopeless token costs no fetch; the AccessToken is made last, and nowhere
else.
"""

from resource_server.clocks import Clocks
from resource_server.flow import Flow
from resource_server.keys.key_set import VerificationKey
from resource_server.stamp import Stamp
from resource_server.tokens.access_token import access_token
from resource_server.tokens.authority import Verdict
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.issuers import Issuer, Issuers
from resource_server.tokens.jws import UnverifiedToken, parse, verify_signature
from resource_server.tokens.rules import claimed_issuer, judge, judge_claims, named
from resource_server.tokens.verified_tokens import MAX_AGE_SECONDS, entry_bytes

__all__ = ["JWTAuthority"]


class JWTAuthority:
    """Verifies JWTs of the trusted issuers with the issuers' keys."""

    def __init__(self, issuers: Issuers, clocks: Clocks) -> None:
        self._issuers = issuers
        self._clocks = clocks

    def known(self, credentials: Credentials, now: float) -> Verdict | None:
        """See `Authority.known`."""
        return self._known(parse(credentials.unverified_token), now)

    def verify(self, credentials: Credentials, now: float) -> Flow[Verdict]:
        """See `Authority.verify`. Yields only where the issuer's settings or keys must be looked up.

        Does not ask the issuer whether it has revoked the token.
        """
        token = parse(credentials.unverified_token)
        verdict = self._known(token, now)
        if verdict is not None:
            return verdict
        issuer = yield from self._issuers.find(claimed_issuer(token))
        policy = issuer.policy
        judged = token if policy.claim_names.are_plain else named(token, policy)
        judge(judged, policy, now)
        kid, algorithm = token.unverified_header.get("kid"), token.unverified_header["alg"]
        candidates = yield from issuer.keys.find(kid, algorithm)
        stamp = issuer.keys.stamp_of(candidates, kid, algorithm)
        # The fetch may have taken seconds, in which a token can expire.
        now = self._clocks.time()
        judge_claims(judged, policy, now)
        return self._verdict(token, issuer, candidates, stamp, now)

    def _known(self, token: UnverifiedToken, now: float) -> Verdict | None:
        name = token.unverified_claims.get("iss")
        issuer = self._issuers.known(name) if isinstance(name, str) else None
        if issuer is None:
            return None
        header, keys, policy = token.unverified_header, issuer.keys, issuer.policy
        judged = token if policy.claim_names.are_plain else named(token, policy)
        if header is issuer.passed_header:
            judge_claims(judged, policy, now)
        else:
            judge(judged, policy, now)
        # Read before the keys: if they are replaced from here on, the verdict's stamp is void.
        stamp = keys.stamp
        candidates = keys.known(header.get("kid"), header["alg"])
        return self._verdict(token, issuer, candidates, stamp, now) if candidates else None

    def _verdict(
        self,
        token: UnverifiedToken,
        issuer: Issuer,
        candidates: tuple[VerificationKey, ...],
        stamp: Stamp,
        now: float,
    ) -> Verdict:
        verify_signature(token, candidates)
        issuer.passed_header = token.unverified_header
        if not issuer.is_listed and not self._issuers.verified(issuer):
            stamp = Stamp.void()
        policy, claims = issuer.policy, token.unverified_claims
        verified = access_token(claims, policy.claim_names, policy.is_machine, policy.rights)
        return Verdict(
            token=verified,
            policy=policy,
            not_before=now,
            expires_at=verified.expires_at + policy.clock_skew_seconds,
            good_until=min(self._clocks.monotonic() + MAX_AGE_SECONDS, issuer.keys.ends_at, issuer.believed_until),
            stamp=stamp,
            is_bound="cnf" in claims or policy.dpop == "required",
            size=entry_bytes(token.payload, len(verified.scopes)),
        )

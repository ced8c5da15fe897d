"""Credentials -> Verdict: a remembered one, or that of the authority for the token; and the proof of a bound token."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from resource_server.clocks import Clocks, steady, time_of_day
from resource_server.flow import Flow
from resource_server.keys.answer import Post
from resource_server.keys.background import Later, background
from resource_server.keys.document import Fetch
from resource_server.keys.events import KeyEvent
from resource_server.keys.http import fetch, post
from resource_server.keys.issuer_keys import IssuerKeys
from resource_server.tokens.authority import Authority, Verdict
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.issuers import Issuer, Issuers, PolicyOf
from resource_server.tokens.jwt_authority import JWTAuthority
from resource_server.tokens.policy import Policy
from resource_server.tokens.proofs import ProofVerifier, RequestFacts
from resource_server.tokens.verified_tokens import VerifiedTokens, digest

if TYPE_CHECKING:
    from resource_server.tokens.introspection import IntrospectionAuthority, OpaqueAuthority
    from resource_server.tokens.shared_answers import SharedAnswers

__all__ = ["TOKEN_CACHE_SIZE", "Verifier"]

TOKEN_CACHE_SIZE = 10_000


def _ignore(_event: KeyEvent) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _GivenClocks:
    time: Callable[[], float]
    monotonic: Callable[[], float]


class Verifier:
    """Verifies access tokens of the given issuers. Threads may share one; nothing is fetched when it is made.

    `policies` are always trusted, `policy_of` is asked for other issuers. `token_cache` is how many verified tokens
    are remembered, 0 for none; `remembers` says whether any are. `fetch` brings documents, `now` is the time in
    seconds since 1970, `clock` a clock that never goes back (None: those of `time`, as they are at the call), `later`
    makes calls in the background, and `on_event` is called with what happens to keys, in the thread in which it
    happens. `post` sends questions about tokens to the issuers with `introspection`; `shared_answers` are the answers
    that other processes had. `proofs` verifies the proofs of bound tokens; by default it knows no store, and accepts no
    DPoP.
    """

    def __init__(
        self,
        policies: Iterable[Policy],
        *,
        policy_of: PolicyOf | None = None,
        token_cache: int = TOKEN_CACHE_SIZE,
        fetch: Fetch = fetch,
        now: Callable[[], float] | None = None,
        clock: Callable[[], float] | None = None,
        later: Later = background.later,
        on_event: Callable[[KeyEvent], None] = _ignore,
        post: Post = post,
        shared_answers: "SharedAnswers | None" = None,
        proofs: ProofVerifier | None = None,
    ) -> None:
        # The module itself costs no call of ours.
        clocks: Clocks = time
        if now is not None or clock is not None:
            clocks = _GivenClocks(time=now or time_of_day, monotonic=clock or steady)
        self._clocks = clocks
        self._seen = VerifiedTokens(token_cache or 1)  # not used unless `remembers`
        self.remembers = token_cache > 0
        self._issuers = Issuers(
            policies,
            policy_of=policy_of,
            keys_of=lambda policy: IssuerKeys(
                policy.key_source, fetch=fetch, clock=clock or steady, later=later, on_event=on_event
            ),
            clock=clock or steady,
        )
        self._jwt = JWTAuthority(self._issuers, clocks)
        self._opaque: OpaqueAuthority | None = None
        if any(issuer.policy.introspection for issuer in self._issuers):
            from resource_server.tokens import introspection  # imported late: most projects do without it

            ask = partial(
                introspection.IntrospectionAuthority,
                post=post,
                shared=shared_answers,
                clocks=clocks,
                clock=clock or steady,
            )
            self._opaque = introspection.opaque_authority(self._issuers, ask)
        self._proofs = proofs or ProofVerifier(now=now or time_of_day)

    def recall(self, key: bytes) -> Verdict | None:
        """The verdict on the token with this digest, if it passed less than a minute ago and would pass now; else None.

        A bound token (`is_bound`) needs its proof besides: give the verdict to `verify`.
        """
        return self._seen.get(key, self._clocks.time(), self._clocks.monotonic())

    def known(self, credentials: Credentials, key: bytes = b"") -> Verdict | None:
        """The result of `verify` for a token that is not remembered, if it needs no I/O, else None.

        A bound token (`is_bound`) needs its proof besides, as in `recall`. Raises what `verify` raises.
        """
        verdict = self._authority(credentials).known(credentials, self._clocks.time())
        if verdict is not None and self.remembers and not verdict.is_bound:
            self._seen.add(key or digest(credentials.unverified_token), verdict, self._clocks.monotonic())
        return verdict

    def verify(
        self,
        credentials: Credentials,
        key: bytes = b"",
        verdict: Verdict | None = None,
        facts: RequestFacts | None = None,
    ) -> Flow[Verdict]:
        """The verdict on a token, as a flow for `run` or `arun`; it yields only where it must block.

        `key` is the token's digest and `verdict` what `recall` or `known` gave for it, if the caller has called it.
        `facts` are what a proof of the token is verified against. Raises InvalidToken, InvalidProof, NonceNeeded, or
        Unavailable if no verdict was reached. Does not judge scopes.
        """
        is_from_caller = verdict is not None
        if self.remembers and not key:
            key = digest(credentials.unverified_token)
            verdict = self.recall(key)
        is_new = verdict is None
        if verdict is None:
            verdict = yield from self._authority(credentials).verify(credentials, self._clocks.time())
        if verdict.is_bound or credentials.is_dpop:
            yield from self._proofs.verify(verdict, credentials, key or digest(credentials.unverified_token), facts)
            # A verdict of `known` on a bound token is kept only now.
            is_new = is_new or (is_from_caller and self.remembers and self.recall(key) is None)
        if is_new and self.remembers:
            self._seen.add(key, verdict, self._clocks.monotonic())
        return verdict

    def unproved(self, credentials: Credentials) -> Flow[Verdict]:
        """The verdict on a token before its proof is judged, for an explanation. Remembers nothing."""
        verdict = yield from self._authority(credentials).verify(credentials, self._clocks.time())
        return verdict

    def judge_proof(self, verdict: Verdict, credentials: Credentials, facts: RequestFacts) -> None:
        """Judge the proof of a token without marking it as used. Raises what `verify` raises for a proof."""
        self._proofs.judge(verdict, credentials, digest(credentials.unverified_token), facts)

    def _authority(self, credentials: Credentials) -> Authority:
        return (self._opaque and self._opaque(credentials)) or self._jwt

    def introspection_of(self, credentials: Credentials) -> "IntrospectionAuthority | None":
        """The authority for a token that its issuer is asked about; None for one that is read as a JWT."""
        return None if self._opaque is None else self._opaque(credentials)

    def issuer(self, unverified_issuer: str) -> Flow[Issuer]:
        """What is trusted of an issuer. Raises InvalidToken (`issuer_not_trusted`), or what the function for issuers raises."""
        return self._issuers.find(unverified_issuer)

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """What is trusted now, and the keys of each; of those that a function knows, those that were asked for lately."""
        return tuple(self._issuers)

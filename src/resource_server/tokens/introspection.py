"""Tokens that their issuer is asked about (RFC 7662): an introspection endpoint as an authority.

The kind of a token is decided by the settings and its form, before anything is verified; a token that fails in one way
is not tried in another.
"""

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

from resource_server.clocks import Clocks
from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import Blocking, Flow, run
from resource_server.forks import on_fork
from resource_server.keys.answer import Post
from resource_server.keys.document import FETCH_SECONDS
from resource_server.keys.fetch_outcome import shown_address
from resource_server.keys.metadata import is_allowed_address
from resource_server.reasons import TokenReason, UnavailableReason
from resource_server.stamp import Stamp
from resource_server.tokens import introspection_answer as answers
from resource_server.tokens.access_token import access_token
from resource_server.tokens.answer_flights import AnswerFlights
from resource_server.tokens.authority import Verdict
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.introspection_answer import IntrospectionAnswer
from resource_server.tokens.introspection_policy import IntrospectionPolicy
from resource_server.tokens.issuers import Issuer, Issuers
from resource_server.tokens.jws import UnverifiedToken, has_jws_form, parse, verify_signature
from resource_server.tokens.rules import judge_claims, named
from resource_server.tokens.shared_answers import INACTIVE_SECONDS, SharedAnswers
from resource_server.tokens.verified_tokens import digest, entry_bytes

__all__ = ["IntrospectionAuthority", "OpaqueAuthority", "opaque_authority"]

logger = logging.getLogger("resource_server")

# The authority for a token that is not to be read as a JWT; None for a token that is. The form of the token and the
# settings decide, never a verification that has failed.
OpaqueAuthority: TypeAlias = Callable[[Credentials], "IntrospectionAuthority | None"]

MAX_REFUSALS: Final = 10_000
# The credentials of this API are not accepted: the operator reads that once in this time.
REPORT_SECONDS: Final = 60


class IntrospectionAuthority:
    """Asks one issuer about tokens, and judges its answers by `policy`. Threads may share one.

    `clocks` are those of the verifier, `clock` one that never goes back. `shared` are the answers of other processes,
    None without a common cache.
    """

    def __init__(
        self,
        issuer: Issuer,
        asked: IntrospectionPolicy,
        *,
        post: Post,
        shared: SharedAnswers | None,
        clocks: Clocks,
        clock: Callable[[], float],
    ) -> None:
        self.issuer = issuer
        self.policy = answers.judging_policy(issuer.policy)
        self._asked = asked
        self._post = post
        self._shared = shared
        self._clocks = clocks
        self._clock = clock
        self._stamp = Stamp()
        self._flights = AnswerFlights(clock, reuse_seconds=asked.cache_seconds)
        self._reported_at = float("-inf")
        # Who was asked, and as which client: an answer to another question is none to this one.
        self._context = json.dumps([issuer.policy.issuer, asked.endpoint, asked.client.client_id, asked.signed])
        self._reset()
        on_fork(self._reset)

    def known(self, credentials: Credentials, now: float) -> Verdict | None:
        """See `Authority.known`. Raises for a token that was refused in the last seconds."""
        self._refuse_known(digest(credentials.unverified_token), now)
        return None

    def verify(self, credentials: Credentials, now: float) -> Flow[Verdict]:
        """See `Authority.verify`. Yields to ask the issuer, unless it has just refused the token."""
        key = digest(credentials.unverified_token)
        self._refuse_known(key, now)
        answer = yield from self.answer(credentials)
        return self._verdict(key, answer)

    def answer(self, credentials: Credentials) -> Flow[IntrospectionAnswer]:
        """The issuer's answer about a token. Raises Unavailable. Judges nothing."""
        key, token = digest(credentials.unverified_token), credentials.unverified_token
        answer: IntrospectionAnswer = yield Blocking(
            call=lambda: self._flights.ask(key, partial(self._ask_once, key, token))
        )
        return answer

    def active_token(self, answer: IntrospectionAnswer) -> UnverifiedToken:
        """The token of an answer in the form that the rules judge. Raises InvalidToken. Judges no claim."""
        return answers.active_token(answer, self.policy, self._asked)

    def _verdict(self, key: bytes, answer: IntrospectionAnswer) -> Verdict:
        now = self._clocks.time()
        try:
            token = self.active_token(answer)
            judge_claims(named(token, self.policy), self.policy, now)
        except InvalidToken as error:
            self._remember_refusal(key, TokenReason.of(error.reason), answer.asked_at)
            raise
        policy, claims = self.policy, token.unverified_claims
        verified = access_token(claims, policy.claim_names, policy.is_machine, policy.rights)
        age = max(0.0, now - answer.asked_at)
        return Verdict(
            token=verified,
            policy=self.issuer.policy,
            not_before=now,
            expires_at=verified.expires_at,  # without the skew: see `life_seconds`
            good_until=self._clocks.monotonic() + self._asked.cache_seconds - age,
            stamp=self._stamp,
            is_bound="cnf" in claims or policy.dpop == "required",
            size=entry_bytes(json.dumps(claims).encode("ascii"), len(verified.scopes)),
        )

    def _ask_once(self, key: bytes, token: str) -> IntrospectionAnswer:
        """The answer of another process, else of the issuer. Raises Unavailable."""
        deadline = time.monotonic() + FETCH_SECONDS
        ask = partial(self._ask, token, deadline)
        try:
            if self._shared is None:
                return ask()
            _, refused_at = self._refusals.get(key, (None, float("-inf")))
            return self._shared.ask(
                self._context,
                token,
                ask,
                newer_than=refused_at,
                active_seconds=self._asked.cache_seconds,
                seconds=FETCH_SECONDS,
            )
        except Unavailable as error:
            self._report(error)
            raise

    def _ask(self, token: str, deadline: float) -> IntrospectionAnswer:
        asked, issuer = self._asked, self.policy.issuer
        endpoint, is_public = self._endpoint()
        asked_at = self._clocks.time()
        answer = self._post(
            endpoint,
            form={"token": token, "token_type_hint": "access_token", **asked.client.fields(issuer, asked_at)},
            headers=asked.client.headers(),
            accept=answers.SIGNED_TYPE if asked.signed else "application/json",
            seconds=max(deadline - time.monotonic(), 0.001),
            public=is_public,
            certificate=asked.client.certificate,
        )
        try:
            body = answers.members_of(answer)
            members = self._signed(body) if asked.signed else answers.parse_members(body)
        except Unavailable as error:
            raise Unavailable(
                error.reason, retry_after=error.retry_after, outcome=f"{shown_address(endpoint)}: {error.outcome}"
            ) from None
        return IntrospectionAnswer(members=members, asked_at=asked_at)

    def _signed(self, body: bytes) -> dict[str, Any] | None:
        keys, policy = self.issuer.keys, self.policy
        try:
            token = parse(body.strip().decode("ascii", "replace"))
            answers.judge_signed(token, policy, self._clocks.time())
            verify_signature(token, run(keys.find(token.unverified_header.get("kid"), token.unverified_header["alg"])))
            names = self._asked.client.client_id, *policy.audience
            return answers.signed_members(token.unverified_claims, names)
        except InvalidToken as error:
            raise Unavailable(UnavailableReason.INTROSPECTION_NOT_SIGNED, outcome=error.message) from None

    def _endpoint(self) -> tuple[str, bool]:
        """The address of the endpoint, and whether it must be a public one. Raises Unavailable."""
        if self._asked.endpoint is not None:
            return self._asked.endpoint, False
        trusted = run(self.issuer.keys.current())
        metadata = trusted.metadata or {}
        endpoint = metadata.get("introspection_endpoint")
        aliases = metadata.get("mtls_endpoint_aliases")
        if self._asked.client.certificate is not None and isinstance(aliases, dict):
            endpoint = aliases.get("introspection_endpoint", endpoint)  # RFC 8705 section 5
        if endpoint is None:
            raise Unavailable(UnavailableReason.INTROSPECTION_NOT_OFFERED, retry_after=60)
        if not is_allowed_address(endpoint, self.policy.key_source):
            raise Unavailable(UnavailableReason.ADDRESS_NOT_ALLOWED, outcome="the introspection endpoint")
        return endpoint, trusted.metadata_is_public

    def _report(self, error: Unavailable) -> None:
        """Tell the operator that this API's credentials or settings are at fault, once a minute."""
        if error.reason not in (
            UnavailableReason.INTROSPECTION_REFUSED,
            UnavailableReason.INTROSPECTION_NOT_OFFERED,
            UnavailableReason.INTROSPECTION_NOT_SIGNED,
        ):
            return
        now = self._clock()
        level = logging.ERROR if now - self._reported_at >= REPORT_SECONDS else logging.DEBUG
        self._reported_at = now if level == logging.ERROR else self._reported_at
        logger.log(
            level, "issuer %s, INTROSPECTION: %s (%s) %s", self.policy.issuer, error, error.reason, error.outcome
        )

    def _refuse_known(self, key: bytes, now: float) -> None:
        refusal = self._refusals.get(key)
        if refusal is not None and 0 <= now - refusal[1] < INACTIVE_SECONDS:
            raise InvalidToken(refusal[0])

    def _remember_refusal(self, key: bytes, reason: TokenReason, asked_at: float) -> None:
        with self._lock:
            self._refusals.pop(key, None)
            self._refusals[key] = reason, asked_at
            if len(self._refusals) > MAX_REFUSALS:
                self._refusals.popitem(last=False)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        # A digest -> why the token was refused, and when the issuer was asked. Kept beyond its life: see `newer_than`.
        self._refusals: OrderedDict[bytes, tuple[TokenReason, float]] = OrderedDict()


def opaque_authority(
    issuers: Issuers, make: Callable[[Issuer, IntrospectionPolicy], IntrospectionAuthority]
) -> OpaqueAuthority | None:
    """The authority for tokens that the listed issuers are asked about; None if no issuer is asked. `make` makes each.

    An opaque token names no issuer, so it goes to the one that is asked, and to none if there are several. A JWT goes
    to the issuer that it names, if that is asked `for_all`, or to the only issuer if it names none.
    """
    listed = [issuer.policy for issuer in issuers]
    asked = {each.policy.issuer: make(each, each.policy.introspection) for each in issuers if each.policy.introspection}
    if not asked:
        return None
    for_all = {each.issuer: asked[each.issuer] for each in listed if each.introspection and each.introspection.for_all}
    of_opaque = next(iter(asked.values())) if len(asked) == 1 else None
    without_name = of_opaque if len(listed) == 1 and for_all else None

    def find(credentials: Credentials) -> IntrospectionAuthority | None:
        if not has_jws_form(credentials.unverified_token):
            return of_opaque
        if not for_all:
            return None
        try:
            name = parse(credentials.unverified_token).unverified_claims.get("iss")
        except InvalidToken:
            return None  # refused for the same reason as a JWT
        return without_name if name is None else for_all.get(name) if isinstance(name, str) else None

    return find

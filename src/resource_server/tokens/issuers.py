"""The trusted issuers: those of the settings, and those that a function of the project knows (RFC 8725 section 3.8).

Keys belong to their issuer: no two issuers share a set. An issuer of the function is on trial until one of its tokens is
verified. Anyone can name issuers, so those on trial are kept apart: they cannot evict an issuer with verified tokens.
"""

import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import Blocking, Flow
from resource_server.forks import on_fork
from resource_server.keys.issuer_keys import IssuerKeys
from resource_server.reasons import TokenReason
from resource_server.tokens.policy import Policy

__all__ = ["Issuer", "Issuers", "PolicyOf"]

# The most issuers of the function on trial, and the most with verified tokens. A new one evicts the least recently used.
MAX_ISSUERS = 1000
# The function's answer, None included, is cached for this long.
BELIEVED_SECONDS = 60
MAX_STRANGERS = 10_000

# The characters of RFC 3986 and those that a bare word may have.
_NAME = re.compile(r"[!-~]{1,2000}")

# The policy for an issuer that a token claims, or None. It may block, and may raise Unavailable.
PolicyOf = Callable[[str], Policy | None]


@dataclass(slots=True, kw_only=True, eq=False)
class Issuer:
    """An issuer that is trusted until `believed_until` (monotonic clock); then the function is asked again.

    If the function fails then, its last answer holds until `kept_until`. `used_at` is when one of its tokens was last
    verified, or last named the issuer while that is `on_trial`. `is_listed`: the settings list it, so it stays.
    `passed_header` is the header object of the token that was verified last; it has passed the rules of the header.
    """

    policy: Policy
    keys: IssuerKeys
    believed_until: float
    kept_until: float = field(default=math.inf)
    used_at: float = field(default=0.0)
    on_trial: bool = field(default=True)
    is_listed: bool = field(default=False)
    passed_header: Mapping[str, Any] | None = field(default=None)


class Issuers:
    """The trusted issuers of one project. Reading a known one takes no lock and does no I/O.

    `keys_of` makes the keys of a policy; nothing is fetched by that.
    """

    def __init__(
        self,
        policies: Iterable[Policy],
        *,
        policy_of: PolicyOf | None,
        keys_of: Callable[[Policy], IssuerKeys],
        clock: Callable[[], float],
    ) -> None:
        self._policy_of = policy_of
        self._keys_of = keys_of
        self._clock = clock
        self._listed = {
            policy.issuer: Issuer(policy=policy, keys=keys_of(policy), believed_until=math.inf, is_listed=True)
            for policy in policies
        }
        self._verified: dict[str, Issuer] = {}
        self._on_trial: dict[str, Issuer] = {}
        self._strangers: dict[str, float] = {}
        self._reset()
        on_fork(self._reset)

    def known(self, unverified_issuer: str) -> Issuer | None:
        """The issuer that a token claims, if it is trusted and known without asking the function; else None."""
        issuer = self._listed.get(unverified_issuer)
        if issuer is None and (issuer := self._found(unverified_issuer)) is not None:
            now = self._clock()
            if now >= issuer.believed_until:
                return None
            if issuer.on_trial:
                issuer.used_at = now
        return issuer

    def find(self, unverified_issuer: str) -> Flow[Issuer]:
        """The trusted issuer that a token claims. Yields only if the function must be asked.

        Raises InvalidToken (`issuer_not_trusted`), and the function's error if there is no earlier answer. A name that
        is not visible ASCII (2000 characters at most) does not reach the function and its database.
        """
        if (known := self.known(unverified_issuer)) is not None:
            return known
        if self._policy_of is None:
            raise InvalidToken(TokenReason.ISSUER_NOT_TRUSTED)
        now = self._clock()
        issuer = self._found(unverified_issuer)
        # Any such name may be an issuer whose keys the answer gives; what it lacks, the checks of the answer find.
        if _NAME.fullmatch(unverified_issuer) is None or now < self._strangers.get(unverified_issuer, -math.inf):
            raise InvalidToken(TokenReason.ISSUER_NOT_TRUSTED)
        policy_of = self._policy_of
        try:
            policy = yield Blocking(call=lambda: policy_of(unverified_issuer), thread_sensitive=True)
        except Unavailable:
            # The project's database is down: a known issuer stays known for as long as its keys would.
            if issuer is None or not self._keep(unverified_issuer, issuer, now):
                raise
            return issuer
        return self._believe(unverified_issuer, policy, now)

    def verified(self, issuer: Issuer) -> bool:
        """Note that a token of an issuer that is not listed was verified: its trial is over.

        False if the issuer was removed or replaced meanwhile, so that the verdict must not be remembered.
        """
        issuer.used_at = now = self._clock()
        if issuer.on_trial:
            name = issuer.policy.issuer
            with self._lock:
                # Meanwhile it may have been evicted, which is harmless, or removed or replaced.
                is_stranger = now < self._strangers.get(name, -math.inf)
                if now >= issuer.believed_until or is_stranger or self._found(name) not in (None, issuer):
                    return False
                self._on_trial.pop(name, None)
                self._put(self._verified, name, issuer)
        return True

    def __iter__(self) -> Iterator[Issuer]:
        return iter((*self._listed.values(), *self._verified.values(), *self._on_trial.values()))

    def _found(self, name: str) -> Issuer | None:
        return self._verified.get(name) or self._on_trial.get(name)

    def _believe(self, name: str, policy: Policy | None, now: float) -> Issuer:
        until = now + BELIEVED_SECONDS
        with self._lock:
            issuer = self._found(name)
            if policy is None or policy.issuer != name:
                self._drop(name)
                if len(self._strangers) >= MAX_STRANGERS:
                    self._strangers.pop(next(iter(self._strangers)))
                self._strangers[name] = until
                raise InvalidToken(TokenReason.ISSUER_NOT_TRUSTED)
            if issuer is None or issuer.policy != policy:
                # A new audience keeps the keys: the issuer may be down now.
                keys = (
                    issuer.keys
                    if issuer is not None and issuer.keys.source == policy.key_source
                    else self._keys_of(policy)
                )
                place = self._verified if name in self._verified else self._on_trial
                self._drop(name)
                issuer = Issuer(policy=policy, keys=keys, believed_until=until, used_at=now)
                self._put(place, name, issuer)
            issuer.believed_until = until
            if issuer.on_trial:
                issuer.used_at = now
            issuer.kept_until = until + policy.key_source.stale_seconds
            return issuer

    def _put(self, place: dict[str, Issuer], name: str, issuer: Issuer) -> None:
        issuer.on_trial = place is self._on_trial
        if name not in place and len(place) >= MAX_ISSUERS:
            oldest = min(place, key=lambda known: place[known].used_at)
            # A request in flight goes on with an issuer on trial; verdicts on tokens of the others end.
            if place is self._on_trial:
                del place[oldest]
            else:
                self._drop(oldest)
        place[name] = issuer

    def _keep(self, name: str, issuer: Issuer, now: float) -> bool:
        with self._lock:
            # Meanwhile another thread may have learnt that the issuer is not trusted.
            if self._found(name) is not issuer or now >= issuer.kept_until:
                return False
            issuer.believed_until = min(now + BELIEVED_SECONDS, issuer.kept_until)
            if issuer.on_trial:
                issuer.used_at = now
            return True

    def _drop(self, name: str) -> None:
        for place in (self._verified, self._on_trial):
            if issuer := place.pop(name, None):
                issuer.believed_until = -math.inf
                # What was verified under its rules ends too.
                issuer.keys.renew_stamp()

    def _reset(self) -> None:
        self._lock = threading.Lock()

"""The issuers that are trusted: those of a list, and those that a function of the project knows (RFC 9068 section 4, RFC 8725 section 3.8).

Keys belong to their issuer: there is no set that two of them share. An issuer that the function knows is on trial until
a token of it was verified. Only issuers of which that is true push out one another; anyone can name the others, and they
have a room of their own.
"""

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import Blocking, Flow
from resource_server.forks import on_fork
from resource_server.keys.addresses import issuer_problem
from resource_server.keys.issuer_keys import IssuerKeys
from resource_server.reasons import TokenReason
from resource_server.tokens.policy import Policy

__all__ = ["Issuer", "Issuers", "PolicyOf"]

# Issuers that the function knows, at most as many on trial and as many that a token was verified of; the one that was
# used longest ago makes way for a new one.
MAX_ISSUERS = 1000
# The function's answer is believed for this long, None included.
BELIEVED_SECONDS = 60
MAX_STRANGERS = 10_000

# The policy for an issuer that a token claims, or None. It may block, and may raise Unavailable.
PolicyOf = Callable[[str], Policy | None]


@dataclass(slots=True, kw_only=True, eq=False)
class Issuer:
    """An issuer that is trusted until `believed_until`, by the monotonic clock; then the function is asked again.

    Where it cannot answer then, its last answer holds until `kept_until`. `used_at` is when a token of it was verified
    last; while it is `on_trial`, when a token named it. `is_listed` says that it comes from the settings and stays.
    """

    policy: Policy
    keys: IssuerKeys
    believed_until: float
    kept_until: float = field(default=math.inf)
    used_at: float = field(default=0.0)
    on_trial: bool = field(default=True)
    is_listed: bool = field(default=False)


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
        """What is trusted of the issuer that a token claims, where that is known without asking the function."""
        issuer = self._listed.get(unverified_issuer)
        if issuer is None and (issuer := self._found(unverified_issuer)) is not None:
            now = self._clock()
            if now >= issuer.believed_until:
                return None
            if issuer.on_trial:
                issuer.used_at = now
        return issuer

    def find(self, unverified_issuer: str) -> Flow[Issuer]:
        """What is trusted of the issuer that a token claims. Yields only where the function must be asked.

        Raises InvalidToken (`issuer_not_trusted`), and what the function raises where it was never answered. A name
        that could not be configured (`issuer_problem`) does not reach the function.
        """
        if (known := self.known(unverified_issuer)) is not None:
            return known
        if self._policy_of is None:
            raise InvalidToken(TokenReason.ISSUER_NOT_TRUSTED)
        now = self._clock()
        issuer = self._found(unverified_issuer)
        # Whether http on loopback is admitted is for the settings to say, and so for the function's answer.
        if issuer_problem(unverified_issuer, http_on_loopback=True) or now < self._strangers.get(
            unverified_issuer, -math.inf
        ):
            raise InvalidToken(TokenReason.ISSUER_NOT_TRUSTED)
        policy_of = self._policy_of
        try:
            policy = yield Blocking(call=lambda: policy_of(unverified_issuer), thread_sensitive=True)
        except Unavailable:
            # The project's database is down: an issuer that it knew stays known, as long as keys would.
            if issuer is None or not self._keep(unverified_issuer, issuer, now):
                raise
            return issuer
        return self._believe(unverified_issuer, policy, now)

    def verified(self, issuer: Issuer) -> None:
        """Note that a token of an issuer that is not listed was verified: it is not on trial any longer."""
        issuer.used_at = now = self._clock()
        if issuer.on_trial:
            name = issuer.policy.issuer
            with self._lock:
                # It may have made way meanwhile, which says nothing against it; or have been removed or replaced.
                is_stranger = now < self._strangers.get(name, -math.inf)
                if now < issuer.believed_until and not is_stranger and self._found(name) in (None, issuer):
                    self._on_trial.pop(name, None)
                    self._put(self._verified, name, issuer)

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
                # A new audience is no reason to lose keys, which may not be had now.
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
            # A request that is on its way with one on trial goes on; of one that tokens were verified of, they end too.
            if place is self._on_trial:
                del place[oldest]
            else:
                self._drop(oldest)
        place[name] = issuer

    def _keep(self, name: str, issuer: Issuer, now: float) -> bool:
        with self._lock:
            # Another thread may have learnt meanwhile that there is no such issuer.
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

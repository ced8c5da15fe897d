"""The issuers that are trusted: those of a list, and those that a function of the project knows (RFC 9068 section 4, RFC 8725 section 3.8).

Keys belong to their issuer: there is no set that two of them share.
"""

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from resource_server.errors import InvalidToken, Unavailable
from resource_server.tokens.flow import Blocking, Flow
from resource_server.tokens.forked import on_fork
from resource_server.tokens.issuer import IssuerKeys
from resource_server.tokens.policy import Policy

__all__ = ["Issuer", "Issuers", "PolicyOf"]

# Issuers that the function knows; the one that was not asked for longest makes way for a new one.
MAX_ISSUERS = 1000
# So long is its answer believed, also that there is no such issuer.
BELIEVED_SECONDS = 60
MAX_STRANGERS = 10_000
MAX_ISSUER_CHARACTERS = 2000

# The policy for an issuer that a token claims, or None. It may block, and may raise Unavailable.
PolicyOf = Callable[[str], Policy | None]


@dataclass(slots=True, kw_only=True, eq=False)
class Issuer:
    """An issuer that is trusted until `believed_until`, by the monotonic clock; then the function is asked again.

    Where it cannot answer then, its last answer holds until `kept_until`.
    """

    policy: Policy
    keys: IssuerKeys
    believed_until: float
    kept_until: float = field(default=math.inf)
    used_at: float = field(default=0.0)


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
            policy.issuer: Issuer(policy=policy, keys=keys_of(policy), believed_until=math.inf) for policy in policies
        }
        self._found: dict[str, Issuer] = {}
        self._strangers: dict[str, float] = {}
        self._reset()
        on_fork(self._reset)

    def known(self, unverified_issuer: str) -> Issuer | None:
        """What is trusted of the issuer that a token claims, where that is known without asking the function."""
        issuer = self._listed.get(unverified_issuer)
        if issuer is None and (issuer := self._found.get(unverified_issuer)) is not None:
            now = self._clock()
            if now >= issuer.believed_until:
                return None
            issuer.used_at = now
        return issuer

    def find(self, unverified_issuer: str) -> Flow[Issuer]:
        """What is trusted of the issuer that a token claims. Yields only where the function must be asked.

        Raises InvalidToken (`issuer_not_trusted`), and what the function raises where it was never answered.
        """
        if (known := self.known(unverified_issuer)) is not None:
            return known
        if self._policy_of is None:
            raise InvalidToken("issuer_not_trusted")
        now = self._clock()
        issuer = self._found.get(unverified_issuer)
        if not _may_be_an_issuer(unverified_issuer) or now < self._strangers.get(unverified_issuer, -math.inf):
            raise InvalidToken("issuer_not_trusted")
        policy_of = self._policy_of
        try:
            policy = yield Blocking(call=lambda: policy_of(unverified_issuer), thread_sensitive=True)
        except Unavailable:
            # The project's database is down: an issuer that it knew stays known, as long as keys would.
            if issuer is None or not self._keep(unverified_issuer, issuer, now):
                raise
            return issuer
        return self._believe(unverified_issuer, policy, now)

    def __iter__(self) -> Iterator[Issuer]:
        return iter((*self._listed.values(), *self._found.values()))

    def _believe(self, name: str, policy: Policy | None, now: float) -> Issuer:
        until = now + BELIEVED_SECONDS
        with self._lock:
            issuer = self._found.get(name)
            if policy is None or policy.issuer != name:
                self._drop(name)
                if len(self._strangers) >= MAX_STRANGERS:
                    self._strangers = {}
                self._strangers[name] = until
                raise InvalidToken("issuer_not_trusted")
            if issuer is None or issuer.policy != policy:
                # A new audience is no reason to lose keys, which may not be had now.
                keys = issuer.keys if issuer is not None and issuer.keys.serve(policy) else self._keys_of(policy)
                self._drop(name)
                if len(self._found) >= MAX_ISSUERS:
                    self._drop(min(self._found, key=lambda known: self._found[known].used_at))
                issuer = self._found[name] = Issuer(policy=policy, keys=keys, believed_until=until)
            issuer.believed_until, issuer.used_at = until, now
            issuer.kept_until = until + policy.stale_seconds
            return issuer

    def _keep(self, name: str, issuer: Issuer, now: float) -> bool:
        with self._lock:
            # Another thread may have been told meanwhile that there is no such issuer.
            if self._found.get(name) is not issuer or now >= issuer.kept_until:
                return False
            issuer.believed_until, issuer.used_at = min(now + BELIEVED_SECONDS, issuer.kept_until), now
            return True

    def _drop(self, name: str) -> None:
        # What was verified under its rules is not believed any longer either.
        if issuer := self._found.pop(name, None):
            issuer.believed_until = -math.inf

    def _reset(self) -> None:
        self._lock = threading.Lock()


def _may_be_an_issuer(unverified_issuer: str) -> bool:
    # RFC 8414 section 2: a URL with a host, without query and fragment. Others are not worth a look into a database.
    try:
        parts = urlsplit(unverified_issuer)
    except ValueError:
        return False
    return (
        len(unverified_issuer) <= MAX_ISSUER_CHARACTERS
        and parts.scheme in ("http", "https")
        and bool(parts.netloc)
        and not parts.query
        and not parts.fragment
    )

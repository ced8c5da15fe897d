"""Who can tell whether a token is good, and the verdict: the seam between the verifier and the kinds of tokens."""

from dataclasses import dataclass
from typing import Protocol

from resource_server.flow import Flow
from resource_server.stamp import Stamp
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.policy import Policy

__all__ = ["Authority", "Verdict"]


@dataclass(slots=True, kw_only=True, eq=False)  # not frozen, which would take three times as long to make
class Verdict:
    """A verified token, the policy that it meets, and how long the verdict may be remembered.

    It holds from `not_before` to `expires_at` (seconds since 1970; of a JWT, the clock skew included), before `good_until`
    (the monotonic clock), and until its `stamp` is void. `is_bound`: the token, or the policy, demands a proof on each request.
    `size` is the most memory in bytes that it takes while it is remembered.
    """

    token: AccessToken
    policy: Policy
    not_before: float
    expires_at: float
    good_until: float
    stamp: Stamp
    is_bound: bool
    size: int


class Authority(Protocol):
    """Who can tell whether a token of one kind is good, such as the keys of its issuer."""

    def known(self, credentials: Credentials, now: float) -> Verdict | None:
        """The result of `verify` if it needs no I/O, else None. Raises what `verify` raises."""
        ...

    def verify(self, credentials: Credentials, now: float) -> Flow[Verdict]:
        """The verdict on a token; `now` is in seconds since 1970. Yields only where it must block.

        Raises InvalidToken, or Unavailable if no verdict can be reached. Judges no proof and no scope.
        """
        ...

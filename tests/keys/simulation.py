"""A resource server and its issuers in simulated time: hours of an outage pass in milliseconds, and nothing is mocked.

The issuers sign for real and are the fetcher; faults stand between them and the verifier. Time passes when a test says
so, and while a slow document is on its way: `meanwhile` is what the requests beside it do then.
"""

import heapq
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.policies import policy as make_policy

from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import AuthorizationError, Unavailable
from resource_server.flow import run
from resource_server.keys.document import Document
from resource_server.keys.events import KeyEvent
from resource_server.keys.issuer_keys import IssuerKeys
from resource_server.testing import FakeIssuer
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.issuers import PolicyOf
from resource_server.tokens.policy import Policy
from resource_server.tokens.verifier import TOKEN_CACHE_SIZE, Verifier

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
START = 5_000.0  # of the monotonic clock
NOW = 1_800_000_000
ISSUER = "https://issuer.test/"
OPENID = f"{ISSUER}.well-known/openid-configuration"
OAUTH = f"{ISSUER}.well-known/oauth-authorization-server"
JWKS = f"{ISSUER}jwks.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How an address behaves: after `takes` seconds it fails with `reason`, or answers `body`, or what it always does."""

    takes: float = 0.0
    reason: str | None = None
    retry_after: int = 1
    body: bytes | None = None
    cache_control: str = ""
    age_seconds: int = 0
    local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One request to an issuer: the address, the time, and the arguments of the fetch."""

    url: str
    at: float
    seconds: float
    revalidates: bool
    public: bool


class Waits(BaseException):
    """A request would wait where it must not. Not an Exception: the product handles those of a fetcher."""


class Simulation:
    """One process that trusts some issuers, and their addresses, each of which may fail.

    `faults` has a Fault by address; that under an empty address is for all others.
    """

    def __init__(
        self,
        *others: FakeIssuer,
        algorithm: str = "ES256",
        policy_of: PolicyOf | None = None,
        token_cache: int = TOKEN_CACHE_SIZE,
        policies: Iterable[Policy] | None = None,
        **policy: Any,
    ) -> None:
        self.clock = START
        self.issuer = FakeIssuer(algorithm=algorithm, now=lambda: self.now)
        self.issuers = [self.issuer, *others]
        self.faults: dict[str, Fault] = {}
        self.fetches: list[Fetched] = []
        self.events: list[KeyEvent] = []
        self.meanwhile: Callable[[], object] | None = None
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        if policies is None:
            policies = [
                make_policy(**{"issuer": issuer.issuer, "audience": (issuer.audience,), **policy})
                for issuer in self.issuers
            ]
        self.verifier = Verifier(
            policies,
            policy_of=policy_of,
            token_cache=token_cache,
            fetch=self.fetch,
            now=lambda: self.now,
            clock=lambda: self.clock,
            later=self.later,
            on_event=self.events.append,
        )

    # The world

    @property
    def now(self) -> float:
        """The time of day, which moves with the monotonic clock."""
        return NOW + self.clock - START

    def advance(self, seconds: float) -> None:
        """Let time pass; the background makes its calls when they are due."""
        end = self.clock + seconds
        while self._calls and self._calls[0][0] <= end:
            due, _number, call = heapq.heappop(self._calls)
            self.clock = max(self.clock, due)
            call()
        self.clock = max(self.clock, end)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._calls, (self.clock + seconds, next(self._numbers), call))

    def lose_background(self) -> None:
        """No call that is planned now will ever come."""
        self._calls.clear()

    @property
    def planned(self) -> int:
        return len(self._calls)

    def fetch(self, url: str, /, *, seconds: float, known: Document | None = None, public: bool = False) -> Document:
        revalidates = known is not None and known.etag != ""
        self.fetches.append(Fetched(url=url, at=self.clock, seconds=seconds, revalidates=revalidates, public=public))
        fault = self.faults.get(url) or self.faults.get("") or Fault()
        self._take(min(fault.takes, seconds))
        if fault.takes > seconds:
            raise Unavailable("fetch_timeout")
        if fault.reason is not None:
            raise Unavailable(fault.reason, retry_after=fault.retry_after)
        if fault.body is not None:
            return Document(
                body=fault.body,
                cache_control=fault.cache_control,
                age_seconds=fault.age_seconds,
                local=fault.local,
            )
        issuer = next(issuer for issuer in self.issuers if url.startswith(issuer.issuer))
        return issuer.fetch(url, seconds=seconds, known=known, public=public)

    def _take(self, seconds: float) -> None:
        end = self.clock + seconds
        while self.clock < end:
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                meanwhile()
            self.meanwhile = meanwhile
            self.advance(min(0.5, end - self.clock))

    def fetched(self) -> list[str]:
        """The addresses that were fetched since the last call of this."""
        urls = [fetch.url for fetch in self.fetches]
        self.fetches.clear()
        return urls

    def reported(self) -> list[str]:
        """The kinds of events since the last call of this, without the starts of attempts."""
        kinds = [event.kind for event in self.events if event.kind != "started"]
        self.events.clear()
        return kinds

    # The process

    @property
    def keys(self) -> IssuerKeys:
        return self.verifier.issuers[0].keys

    def verify(self, token: str) -> AccessToken:
        return run(self.verifier.verify(Credentials(unverified_token=token))).token

    def refusal(self, token: str) -> str | None:
        """The reason why a token is refused now; None if it is accepted."""
        try:
            self.verify(token)
        except AuthorizationError as error:
            return error.reason
        return None

    def at_once(self, token: str) -> str | None:
        """The same for a request that must not wait: raises Waits if it would."""
        flow = self.verifier.verify(Credentials(unverified_token=token))
        try:
            next(flow)
        except StopIteration:
            return None
        except AuthorizationError as error:
            return error.reason
        raise Waits

    def unavailable(self, token: str) -> Unavailable:
        """The error of a token that gets no verdict now."""
        try:
            self.verify(token)
        except Unavailable as error:
            return error
        raise AssertionError("there is a verdict")

    def token(self, keys: SigningKeys | None = None, **claims: Any) -> str:
        """A token of the first issuer that lives for a month, signed with its keys or with others."""
        claims = self.issuer.claims(exp=int(self.now) + 30 * DAY, **claims)
        return (keys or self.issuer.keys).sign(claims)

    def forged(self, number: int) -> str:
        """A token that is good except for its kid."""
        return self.issuer.token(header={"kid": f"forged-{number}"})

    def spend(self, seconds: float, token: str, *, every: float = 30) -> list[str | None]:
        """Let time pass under traffic. Returns the reason of a request at each step; none of them may wait."""
        answers = []
        end = self.clock + seconds
        while self.clock < end:
            self.advance(min(every, end - self.clock))
            answers.append(self.at_once(token))
        return answers

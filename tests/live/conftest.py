"""An issuer on a real socket, and this process as a resource server that trusts it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from tests.policies import policy as make_policy
from tests.servers import AUDIENCE, LiveIssuer

from resource_server.errors import AuthorizationError
from resource_server.flow import run
from resource_server.keys.document import Fetch
from resource_server.keys.http import fetch
from resource_server.keys.issuer_keys import IssuerKeys
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.verifier import Verifier

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome for one token: `accepted` or the reason, the value of Retry-After, and the time that it took."""

    reason: str
    retry_after: int | None
    seconds: float


class Api:
    """A verifier in this process, without Django, with real sockets and threads."""

    def __init__(self, issuer: LiveIssuer, *, fetch: Fetch = fetch, **policy: Any) -> None:
        self.verifier = Verifier(
            [make_policy(issuer=issuer.address, audience=(AUDIENCE,), http_on_loopback=True, **policy)], fetch=fetch
        )

    @property
    def keys(self) -> IssuerKeys:
        return self.verifier.issuers[0].keys

    def verdict(self, token: str) -> Verdict:
        started, reason, retry_after = time.monotonic(), "accepted", None
        try:
            run(self.verifier.verify(Credentials(unverified_token=token)))
        except AuthorizationError as error:
            reason, retry_after = error.reason, getattr(error, "retry_after", None)
        return Verdict(reason=reason, retry_after=retry_after, seconds=time.monotonic() - started)


@pytest.fixture
def issuer() -> Iterator[LiveIssuer]:
    with LiveIssuer() as running:
        yield running


@pytest.fixture
def new_api() -> type[Api]:
    return Api


def at_once(number: int, call: Callable[[int], T]) -> list[T]:
    """The results of a call in this many threads, which begin together."""
    barrier = threading.Barrier(number)

    def begin(position: int) -> T:
        barrier.wait(30)
        return call(position)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(begin, range(number)))


def until(condition: Callable[[], object], seconds: float = 20, *, what: str = "what was waited for") -> None:
    """Wait until a condition of another thread or process is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds} s"
        time.sleep(0.02)  # between two looks

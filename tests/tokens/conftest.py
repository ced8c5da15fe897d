"""One issuer that signs, a verifier that trusts it, and two clocks that stand still until a test moves them."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import settings
from tests.policies import policy as make_policy

from resource_server import forks as forked
from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import AuthorizationError, InvalidToken, Unavailable
from resource_server.flow import run
from resource_server.keys.background import background
from resource_server.keys.document import Fetch
from resource_server.keys.events import KeyEvent
from resource_server.keys.issuer_keys import IssuerKeys
from resource_server.testing import FakeIssuer
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.credentials import Credentials, parse_authorization
from resource_server.tokens.verifier import Verifier

# A parser may be slow on a busy machine, so Hypothesis sets no deadline.
settings.register_profile("tokens", deadline=None, max_examples=150)
settings.load_profile("tokens")

NOW = 1_800_000_000


@functools.cache
def _signing_keys(algorithm: str) -> SigningKeys:
    return SigningKeys(algorithm)


class Api:
    """A resource server without Django that trusts one issuer or several.

    `now` is the time of day and `clock` the monotonic one, both in seconds. Tests share the keys, because an RSA key
    takes long to make. A test that rotates or withdraws keys asks for `own_keys`.
    """

    def __init__(
        self,
        algorithm: str = "RS256",
        *,
        own_keys: bool = False,
        others: Iterable[FakeIssuer] = (),
        fetch: Fetch | None = None,
        **policy: Any,
    ) -> None:
        self.now: float = NOW
        self.clock = 5_000.0
        self.issuer = FakeIssuer(algorithm=algorithm, now=lambda: self.now)
        if not own_keys:
            self.issuer.keys = _signing_keys(algorithm)
        self.events: list[KeyEvent] = []
        policies = [
            make_policy(**{"issuer": issuer.issuer, "audience": (issuer.audience,), **policy})
            for issuer in (self.issuer, *others)
        ]
        self.verifier = Verifier(
            policies,
            fetch=fetch or self.issuer.fetch,
            now=lambda: self.now,
            clock=lambda: self.clock,
            later=lambda seconds, call: None,  # without a background requests do its work
            on_event=self._tell,
        )

    @property
    def keys(self) -> IssuerKeys:
        return self.verifier.issuers[0].keys

    def _tell(self, event: KeyEvent) -> None:
        self.events.append(event)

    def token(self, **changes: Any) -> str:
        return self.issuer.token(**changes)

    def verify(self, token: str) -> AccessToken:
        return run(self.verifier.verify(Credentials(unverified_token=token))).token

    def answer(self, header: str) -> AccessToken | None:
        """The token in an Authorization header after verification; None without a bearer token."""
        credentials = parse_authorization(header)
        return run(self.verifier.verify(credentials)).token if credentials else None

    def refusal(self, token: str) -> str:
        """The reason why a token is refused. The error must not repeat the token."""
        with pytest.raises(AuthorizationError) as caught:
            self.answer(f"Bearer {token}")
        error = caught.value
        assert isinstance(error, InvalidToken | Unavailable)
        assert not token or len(token) < 8 or token not in f"{error!s}{error!r}{error.__cause__!r}"
        assert error.__suppress_context__ or error.__context__ is None
        return error.reason


@pytest.fixture
def api() -> Api:
    """An API that trusts an issuer with one RS256 key."""
    return Api()


@pytest.fixture(scope="session")
def new_api() -> type[Api]:
    """Makes an API with another algorithm, other rules or keys of its own."""
    return Api


@pytest.fixture
def fork(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Does what a forked child does first, except for the background, whose thread lives on in this process."""

    def child() -> None:
        methods = {
            number: known
            for number, known in list(forked._methods.items())  # other threads add to it
            if getattr(known(), "__self__", None) is not background
        }
        with monkeypatch.context() as patch:
            patch.setattr(forked, "_methods", methods)
            forked._forked()

    return child

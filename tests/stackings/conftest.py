"""Callers, and a server that answers them with the view under test. One issuer serves a module."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.utils.decorators import sync_and_async_middleware
from pytest_django import Settings
from tests.stackings import neighbours, views
from tests.stackings.views import Routes

from resource_server.testing import FakeIssuer

CSRF_TOKEN = "c" * 32
RECORDS = (views.ran, neighbours.asked, views.transactions)


@dataclass(frozen=True)
class Caller:
    """A caller with a token (of an "other" person, of a "staff" member, or "forged"), with a session, or with both."""

    name: str
    token: str | None = None
    subject: str | None = None
    scopes: tuple[str, ...] = ()
    session: str | None = None


CALLERS = {
    caller.name: caller
    for caller in (
        Caller("anonymous"),
        Caller("forged", "forged"),
        Caller("unscoped", "other", "ada"),
        Caller("ada", "other", "ada", ("read",)),
        Caller("bob", "other", "bob", ("read", "write")),
        Caller("staff", "staff", "staff", ("read",)),
        Caller("session", session="staff"),
        Caller("session and ada", "other", "ada", ("read",), session="staff"),
        Caller("session and forged", "forged", session="staff"),
        Caller("session and unscoped", "other", "ada", session="staff"),
    )
}


@dataclass
class Tokens:
    """The headers of the callers. The issuer of staff has `USERS` = `lookup`."""

    people: FakeIssuer
    staff: FakeIssuer

    def __post_init__(self) -> None:
        forged = FakeIssuer().token(sub="ada", scope="read")  # of the trusted issuer's name, by another key
        self._tokens = {"forged": forged}

    def header(self, caller: Caller) -> str | None:
        if caller.token is None:
            return None
        key = caller.token if caller.token == "forged" else f"{caller.subject} {caller.scopes}"
        if key not in self._tokens:
            issuer = self.staff if caller.token == "staff" else self.people
            self._tokens[key] = issuer.token(sub=caller.subject, scope=" ".join(caller.scopes) or None)
        return f"Bearer {self._tokens[key]}"


@pytest.fixture(scope="module")
def tokens() -> Iterator[Tokens]:
    people, staff = FakeIssuer(), FakeIssuer("https://staff.test/")
    issuers = [people.settings(), staff.settings(USERS="lookup")]
    with (
        override_settings(RESOURCE_SERVER={"ISSUERS": issuers}),
        people.serving(staff),
    ):
        yield Tokens(people, staff)


@sync_and_async_middleware
def person_of_session(get_response: Any) -> Any:
    """Stands for Django's session and authentication middleware, without cookie and threads: a header names the session."""

    def find(request: HttpRequest) -> None:
        user = _people.get(request.headers.get("X-Session"), AnonymousUser())

        async def auser() -> User | AnonymousUser:
            return user

        request.user, request.auser = user, auser

    if iscoroutinefunction(get_response):

        async def middleware(request: HttpRequest) -> HttpResponse:
            find(request)
            return await get_response(request)

    else:

        def middleware(request: HttpRequest) -> HttpResponse:
            find(request)
            return get_response(request)

    return middleware


_people: dict[str, User] = {}


@dataclass(frozen=True)
class Call:
    """A request: its caller, its method and its address."""

    caller: Caller
    method: str = "GET"
    address: str = "127.0.0.1"
    is_busy: bool = False  # the server is, so that its throttle refuses

    def __str__(self) -> str:
        return f"{self.caller.name} {self.method} from {self.address}"


@dataclass(frozen=True)
class Outcome:
    """An answer, the subjects for which the body ran, and the gates that were asked."""

    call: Call
    response: HttpResponse
    ran: tuple[str | None, ...]
    asked: tuple[str, ...]
    transactions: tuple[int, ...]


class Sender:
    """Sends calls to the view under test, by WSGI or by ASGI. A caller with a session sends its CSRF token."""

    def __init__(self, tokens: Tokens, settings: Settings) -> None:
        self._tokens = tokens
        self._settings = settings

    def __call__(self, routes: Routes, calls: Iterable[Call], *, is_async: bool = False) -> list[Outcome]:
        self._settings.ROOT_URLCONF = routes
        if is_async:
            return async_to_sync(self._send_async)(calls)
        client = Client(enforce_csrf_checks=True)
        return [
            self._outcome(call, client.generic(call.method, "/", headers=self._prepare(client, call))) for call in calls
        ]

    async def _send_async(self, calls: Iterable[Call]) -> list[Outcome]:
        # One event loop for all of them: making one takes longer than the request.
        client = AsyncClient(enforce_csrf_checks=True)
        return [
            self._outcome(call, await client.generic(call.method, "/", headers=self._prepare(client, call)))
            for call in calls
        ]

    def _prepare(self, client: Client | AsyncClient, call: Call) -> dict[str, str]:
        for record in RECORDS:
            record.clear()
        client.cookies.clear()
        headers = {"X-Real-IP": call.address}
        if call.is_busy:
            headers["X-Busy"] = "yes"
        if (authorization := self._tokens.header(call.caller)) is not None:
            headers["Authorization"] = authorization
        if call.caller.session is not None:
            client.cookies[django_settings.CSRF_COOKIE_NAME] = CSRF_TOKEN
            headers |= {"X-Session": call.caller.session, "X-CSRFToken": CSRF_TOKEN}
        return headers

    def _outcome(self, call: Call, response: HttpResponse) -> Outcome:
        return Outcome(call, response, *map(tuple, RECORDS))


@pytest.fixture
def send(tokens: Tokens, settings: Settings, db: None, caplog: pytest.LogCaptureFixture) -> Sender:
    caplog.set_level("CRITICAL", "django.request")  # a line for each refusal takes longer than to refuse
    _people["staff"] = User.objects.create_user("staff", is_staff=True, is_superuser=True)
    settings.MIDDLEWARE = ["tests.stackings.conftest.person_of_session"]
    return Sender(tokens, settings)

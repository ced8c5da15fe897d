"""Decorators that stand beside a guard: home-made gates, and Django's own."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import isawaitable
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import HttpResponseForbidden
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods
from tests.stackings.views import READ, WRITE

# The gates that were asked for the request, in order.
asked: list[str] = []
# Whether the view that `csrf_protect` stands on is exempt, as the decorator itself reads it.
exempt: list[bool] = []

BLOCKED_ADDRESS = "203.0.113.9"


@dataclass(frozen=True)
class Neighbour:
    """`refuses` returns the status with which a call is refused here, or None; the user is "staff" or "other"."""

    name: str
    decorator: Callable[[bool], Callable[[Any], Any]]
    refuses: Callable[[Any, str], int | None] = lambda call, person: None
    is_gate: bool = False
    is_of_users: bool = False
    takes_coroutines: bool = True
    keeps_names: bool = True
    only_outside_rest: bool = False  # not where it is given REST framework's request
    caches: bool = False
    left_a_trace: Callable[[Any], bool] = lambda outcome: True  # on the way to the body, or from it


def gate(*, name: str, keeps_names: bool) -> Callable[[bool], Callable[[Any], Any]]:
    """A decorator that refuses an address."""

    def for_views(is_async: bool) -> Callable[[Any], Any]:
        def decorate(view: Any) -> Any:
            def refusal(arguments: Any) -> Any:
                asked.append(name)
                # The first argument, or the second after `self`.
                request = next(argument for argument in arguments if hasattr(argument, "META"))
                if request.headers["X-Real-IP"] != BLOCKED_ADDRESS:
                    return None
                return HttpResponseForbidden("this address is blocked", headers={"X-Gate": name})

            def gated(*args: Any, **kwargs: Any) -> Any:
                return refusal(args) or view(*args, **kwargs)

            async def gated_async(*args: Any, **kwargs: Any) -> Any:
                response = refusal(args) or view(*args, **kwargs)
                return await response if isawaitable(response) else response

            function = gated_async if is_async else gated
            return wraps(view)(function) if keeps_names else function

        return decorate

    return for_views


def protect(view: Any) -> Any:
    exempt[:] = [bool(getattr(view, "csrf_exempt", False))]
    return csrf_protect(view)


def fails_csrf(call: Any, person: str) -> int | None:
    passes = call.method in READ or call.caller.session is not None or exempt == [True]
    return None if passes else 403


NEIGHBOURS = (
    Neighbour(
        "gate",
        gate(name="gate", keeps_names=True),
        lambda call, person: 403 if call.address == BLOCKED_ADDRESS else None,
        is_gate=True,
    ),
    Neighbour(
        "gate without functools.wraps",
        gate(name="nameless gate", keeps_names=False),
        lambda call, person: 403 if call.address == BLOCKED_ADDRESS else None,
        is_gate=True,
        keeps_names=False,
    ),
    Neighbour(
        "staff_member_required",
        lambda is_async: staff_member_required(login_url="/login/"),
        lambda call, person: 302 if person != "staff" else None,
        is_of_users=True,
    ),
    Neighbour(
        "permission_required",
        lambda is_async: permission_required("auth.view_user", login_url="/login/"),
        lambda call, person: 302 if person != "staff" else None,
    ),
    Neighbour(
        "cache_page",
        lambda is_async: cache_page(60),
        caches=True,
        left_a_trace=lambda outcome: (
            outcome.call.method in {"POST", "PUT", "OPTIONS"} or "Cache-Control" in outcome.response.headers
        ),
    ),
    Neighbour("csrf_protect", lambda is_async: protect, fails_csrf, only_outside_rest=True),
    Neighbour(
        "require_http_methods",
        lambda is_async: require_http_methods(sorted(READ)),
        lambda call, person: 405 if call.method in WRITE else None,
    ),
    Neighbour(
        "transaction.atomic",
        lambda is_async: transaction.atomic,
        takes_coroutines=False,
        # pytest-django holds one transaction around the test.
        left_a_trace=lambda outcome: outcome.transactions[0] > 1,
    ),
)

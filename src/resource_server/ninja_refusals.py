"""The answers of django-ninja's APIs to refused requests. Needs no import of django-ninja, which its edge alone imports."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final
from weakref import WeakSet

from django.http import HttpRequest, HttpResponse

from resource_server.authentication import authorize
from resource_server.errors import AuthorizationError
from resource_server.responses import error_response
from resource_server.url_callbacks import ninja_operations, ninja_path_views

__all__ = ["REQUIRED", "answer_refusals", "answer_refusals_of", "keep_405_unstored"]

# Where a request keeps the requirement that its operation demands.
REQUIRED: Final = "_resource_server_required"
_answering: WeakSet[Any] = WeakSet()  # the views whose API has our handlers


def answer_refusals_of(request: HttpRequest, *errors: type[Exception]) -> None:
    """Add our handlers to the API of a request, once."""
    view: Any = getattr(request.resolver_match, "func", None)
    if view is not None and view not in _answering:
        for operation in ninja_operations(view):
            answer_refusals(operation.api, *errors)
        _answering.add(view)


def answer_refusals(api: Any, refused: type[Exception], unauthenticated: type[Exception]) -> None:
    """Add our handlers to an API, for the errors that django-ninja's own handlers would answer.

    `refused` holds an AuthorizationError as `error`; `unauthenticated` is django-ninja's for a request without credentials.
    """
    known = getattr(api, "_exception_handlers", {})  # a handler of the project must stay, and no method tells
    own = unauthenticated.__module__
    handlers = {refused: _refused, AuthorizationError: _refused, unauthenticated: partial(_unauthenticated, api)}
    for error, handler in handlers.items():
        found = next((known[each] for each in error.__mro__ if each in known), None)
        if getattr(getattr(found, "func", found), "__module__", None) == own:
            api.add_exception_handler(error, handler)


def keep_405_unstored(patterns: Iterable[Any]) -> None:
    """Let the methods that no operation has be answered with `no-store` (RFC 9110 section 15.5.6): no `auth` is asked."""
    for pattern in patterns:
        for path_view in ninja_path_views(getattr(pattern, "callback", None)):
            not_allowed = getattr(path_view, "_not_allowed", None)
            if not_allowed is not None and not isinstance(not_allowed, partial):
                path_view._not_allowed = partial(_unstored, not_allowed)  # noqa: SLF001 - django-ninja has no other way


def _unstored(answer: Callable[[], HttpResponse]) -> HttpResponse:
    response = answer()
    response.headers["Cache-Control"] = "no-store"
    return response


def _refused(request: HttpRequest, error: Any) -> HttpResponse:
    return error_response(getattr(error, "error", error), request)


def _unauthenticated(api: Any, request: HttpRequest, error: Any) -> HttpResponse:
    requirement = getattr(request, REQUIRED, None)
    if requirement is not None:
        try:
            authorize(request, requirement)
        except AuthorizationError as refusal:
            return error_response(refusal, request)
    response: HttpResponse = api.create_response(request, {"detail": str(error)}, status=error.status_code)
    return response

"""The answers of django-ninja: its refusals, and `Vary`, `Cache-Control` and the next nonce on what a token opened.

Needs no import of django-ninja, which its edge alone imports.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Final
from weakref import WeakSet

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from resource_server.authentication import authorize
from resource_server.errors import AuthorizationError
from resource_server.responses import error_response, keep_private, vary_by_token
from resource_server.url_callbacks import ninja_operations

__all__ = ["REQUIRED", "answer_refusals", "answer_refusals_of", "finished"]

# Where a request keeps the requirement that its operation demands.
REQUIRED: Final = "_resource_server_required"
_answering: WeakSet[Any] = WeakSet()  # the views whose API has our handlers


def finished(view: Callable[..., Any]) -> Callable[..., Any]:
    """The view with these headers on its answers. An operation may return a response that django-ninja does not make."""
    if iscoroutinefunction(view):

        @wraps(view)
        async def finished_async(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return _finish(await view(request, *args, **kwargs), request)

        return finished_async

    @wraps(view)
    def finished_sync(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return _finish(view(request, *args, **kwargs), request)

    return finished_sync


def _finish(response: HttpResponseBase, request: HttpRequest) -> HttpResponseBase:
    if hasattr(request, REQUIRED):
        vary_by_token(response)
        keep_private(response, request)
    elif response.status_code == 405:  # of a method that no operation has, so no `auth` was asked
        response.headers.setdefault("Cache-Control", "no-store")
    return response


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

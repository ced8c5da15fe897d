"""The answers of django-ninja's operations that read access tokens: `Vary`, `Cache-Control` and the next nonce."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from resource_server.responses import keep_private, vary_by_token

__all__ = ["REQUIRED", "finished"]

# The attribute of a request that keeps the requirement of the operation that serves it.
REQUIRED: Final = "_resource_server_required"


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
    return response

"""A method and a path -> the demands of its view, and whether a token meets them, for `manage.py resource_server explain`.

Runs no view and no middleware, and knows no objects.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from django.urls import ResolverMatch, resolve

from resource_server.authentication import action_of
from resource_server.errors import Rejected
from resource_server.marks import declared, noted_on_class, noted_on_function
from resource_server.requirements import Operation, Requirement
from resource_server.rest_views import is_rest_class
from resource_server.tokens.access_token import AccessToken
from resource_server.url_callbacks import ninja_operations

__all__ = ["Judgement", "judge_view"]

Verdict: TypeAlias = Literal["ok", "refused", "object", "not judged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One demand of a view in words, and the verdict on a token.

    `object` means that the object of the request decides. A demand that is not a requirement is not judged. `refusal`
    is the error of a demand that refuses.
    """

    words: str
    verdict: Verdict
    refusal: Rejected | None = None


class _SomeUser:
    """Stands for the user of the token, who may own the object of the request."""

    pk = "unknown"


def judge_view(path: str, method: str, token: AccessToken) -> tuple[Judgement, ...]:
    """Judge a token by each demand of the view at a path of the root URLconf. Raises Resolver404 if no view is there.

    Checks no object, no throttle, no middleware and nothing in the body of the view.
    """
    match = resolve(path)
    action = action_of(match.func, method)
    operation = Operation(method=method, action=action, arguments=match.kwargs, user=_SomeUser())
    return tuple(_judged(demand, token, operation) for demand in dict.fromkeys(_demands(match, operation)))


def _judged(demand: Requirement | str, token: AccessToken, operation: Operation) -> Judgement:
    if isinstance(demand, str):
        return Judgement(words=demand, verdict="not judged")
    try:
        demand.check(token, operation)
    except Rejected as refusal:
        if demand.can_hold(token, operation):
            return Judgement(words=demand.words, verdict="object")
        return Judgement(words=demand.words, verdict="refused", refusal=refusal)
    return Judgement(words=demand.words, verdict="ok")


def _demands(match: ResolverMatch, operation: Operation) -> Iterator[Requirement | str]:
    callback: Any = match.func
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    if is_rest_class(view):
        yield from _of_rest_view(match, operation)
        return
    yield from noted_on_function(callback)
    if isinstance(view, type):
        yield from declared(view)
        yield from noted_on_class(view, "dispatch", _handler(view, operation))
    for served in ninja_operations(callback):
        if operation.method in served.methods:
            rights = (getattr(auth, "requirement", None) for auth in served.auth_callbacks)
            # The first that reads tokens decides: a token that it refuses is not left to the others.
            yield from [right for right in rights if isinstance(right, Requirement)][:1]
            yield from noted_on_function(served.view_func)


def _of_rest_view(match: ResolverMatch, operation: Operation) -> Iterator[Requirement | str]:
    from resource_server.rest_authentication import AccessTokenAuthentication
    from resource_server.view_access import demands_of

    callback: Any = match.func
    # As `as_view` makes it, so that the permissions of an action are those that its requests meet.
    view = callback.cls(**getattr(callback, "initkwargs", {}))
    view.request, view.args, view.kwargs, view.action = None, match.args, match.kwargs, operation.action
    if not any(issubclass(each, AccessTokenAuthentication) for each in view.authentication_classes):
        yield "an authentication class that reads access tokens"
    outside = noted_on_function(callback)
    try:
        yield from demands_of(view, str(operation.method), outside)
    except Exception as error:  # noqa: BLE001 - permissions of the project, which may need a request
        yield from outside
        yield f"permissions that need a request ({type(error).__name__})"


def _handler(view: type[Any], operation: Operation) -> str:
    name = str(operation.method).lower()
    return "get" if name == "head" and not hasattr(view, "head") else name

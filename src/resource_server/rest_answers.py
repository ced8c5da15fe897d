"""The answers of REST framework's views that read access tokens: headers of a refusal, caches and problem details."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from resource_server import server
from resource_server.challenge import PROBLEM_TYPE, REFUSALS, problem_details
from resource_server.errors import NoCredentials
from resource_server.reasons import CredentialsReason
from resource_server.refusal_log import log_refusal
from resource_server.request_facts import FACTS
from resource_server.responses import answer_proof, vary_by_token
from resource_server.tokens.access_token import AccessToken

__all__ = ["finish_answer", "note_refusal"]

# The attribute of a request, and of the exception that refuses it, that keeps the status and the headers of the refusal.
_REFUSAL = "_resource_server_refusal"


def finish_answer(view: Any) -> None:
    """Complete the answer of a view object, which serves one request alone. A `Cache-Control` of the view stays.

    Called again for the same view object, it changes nothing. Caches key answers by `Vary` (RFC 9110 section 12.5.5).

    With PROBLEM_DETAILS, the errors of REST framework's own exception handler become problem details. A handler of the
    project decides the body by itself. If it leaves out the headers of a refusal, they are added: without its challenge
    a client does not learn that it must sign in, or send a nonce.
    """
    if getattr(view.finalize_response, "func", None) is _finalized:
        return  # several of our classes read this request; the answer must not be logged for each
    # REST framework adds these headers to its answer. Without a `Vary` of its own, it is quicker to set it there.
    headers = view.headers
    varies = "Vary" in headers
    if varies:
        headers["Vary"] = f"{headers['Vary']}, Authorization"
    view.finalize_response = partial(_finalized, view, view.finalize_response, varies)


def note_refusal(request: Any, exception: Exception, status: int, headers: Mapping[str, str]) -> None:
    """Keep the headers of the answer to a request that an exception is refusing with this status."""
    django_request = getattr(request, "_request", request)
    exception.__dict__[_REFUSAL] = django_request.__dict__[_REFUSAL] = status, headers
    view: Any = (getattr(request, "parser_context", None) or {}).get("view")
    handle = getattr(view, "handle_exception", None)
    if handle is not None and getattr(handle, "func", None) is not _handled:
        view.handle_exception = partial(_handled, django_request, handle)


def _handled(request: HttpRequest, handle: Callable[[Exception], Any], exception: Exception) -> Any:
    # A view may catch a refusal and raise an error of its own, which more scopes do not mend. A 401 keeps its challenge:
    # whatever the error says, the credentials were refused.
    if (refusal := exception.__dict__.get(_REFUSAL)) is not None:
        request.__dict__[_REFUSAL] = refusal
    elif request.__dict__.get(_REFUSAL, (401,))[0] != 401:
        del request.__dict__[_REFUSAL]
    return handle(exception)


def _finalized(
    view: Any, finalize: Callable[..., Any], varies: bool, request: Any, response: Any, *args: Any, **kwargs: Any
) -> HttpResponseBase:
    response = finalize(request, response, *args, **kwargs)
    if getattr(response, "exception", False):
        _complete(view, request, response)
    if not varies:
        vary_by_token(response)
    if FACTS in request._request.__dict__:
        answer_proof(response, request._request)
    is_refusal = response.status_code in REFUSALS
    # `_auth` and not `auth`, which would authenticate a request that no class has read.
    is_ours = is_refusal or isinstance(getattr(request, "_auth", None), AccessToken)
    if is_ours and "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store" if is_refusal else "private"
    if getattr(response, "exception", False):
        _report(request, response)
        _describe(view, response)
    return response  # type: ignore[no-any-return] # REST framework's own


def _complete(view: Any, request: Any, response: Any) -> None:
    status, headers = request._request.__dict__.pop(_REFUSAL, (0, {}))
    if status == response.status_code:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
    elif response.status_code == 401 and (challenge := view.get_authenticate_header(request)):  # no credentials
        response.headers.setdefault("WWW-Authenticate", challenge)


def _report(request: Any, response: Any) -> None:
    # REST framework's own IsAuthenticated, whose error does not pass the door.
    data = getattr(response, "data", None)  # a handler of the project can answer without REST framework
    if not isinstance(data, dict) or getattr(data.get("detail"), "code", None) != "not_authenticated":
        return
    if response.status_code == 401:
        error = NoCredentials(CredentialsReason.CREDENTIALS_MISSING)
        log_refusal(request._request, error)
        # Without a header, the words of REST framework say all.
        if error.hint and request.META.get("HTTP_AUTHORIZATION", "").strip():
            data["hint"] = error.hint


def _describe(view: Any, response: Any) -> None:
    data = getattr(response, "data", None)  # as in `_report`
    # The errors of a serializer have the names of its fields, each with a list.
    if (
        server.answers().problem_details
        and isinstance(data, dict)
        and isinstance(data.get("detail"), str)
        and view.get_exception_handler().__module__ == "rest_framework.views"
        and response.accepted_renderer.media_type == "application/json"
    ):
        response.data = problem_details(response.status_code, data)
        response.content_type = PROBLEM_TYPE

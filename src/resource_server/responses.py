"""Django's answers: the refusal of a request; `Vary` and `Cache-Control` on an answer that depends on a token."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.cache import patch_vary_headers

from resource_server import challenge
from resource_server.errors import AuthorizationError
from resource_server.request_facts import FACTS, sent_path
from resource_server.server import answers

__all__ = ["error_response", "keep_private", "offer_nonce", "vary_by_token"]


def error_response(error: AuthorizationError, request: HttpRequest | None = None) -> JsonResponse:
    """The answer to a request that was refused: status, challenge and JSON body (RFC 6750 section 3).

    The request chooses the resource whose metadata the challenge names, where several are published.
    """
    ours, body = answers(), challenge.body(error)
    response = JsonResponse(
        challenge.problem_details(error.status, body) if ours.problem_details else body,
        status=error.status,
        headers=challenge.headers(ours, error, "" if request is None else sent_path(request)),
        content_type=challenge.media_type(ours),
    )
    vary_by_token(response)
    if request is not None:
        offer_nonce(response, request)
    return response


def offer_nonce(response: HttpResponseBase, request: Any) -> None:
    """Add the nonce for the next DPoP proof, if there is one to offer (RFC 9449 section 8.2).

    The answer is not to be stored, unless the view has set Cache-Control: from a cache a client would take an old nonce.
    """
    if FACTS in request.__dict__ and (nonce := request.__dict__[FACTS].nonce) is not None:
        response.headers["DPoP-Nonce"] = nonce
        response.headers.setdefault("Cache-Control", "no-store")


def keep_private(response: HttpResponseBase, request: Any) -> None:
    """Keep an answer to a request with a token out of shared caches, unless the view has set Cache-Control itself.

    An answer to a DPoP proof offers the nonce for the next one.
    """
    if FACTS in request.__dict__:
        offer_nonce(response, request)
    headers = response.headers
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-store" if response.status_code in challenge.REFUSALS else "private"


def vary_by_token(response: HttpResponseBase) -> None:
    """Add `Vary: Authorization`: caches key answers by the headers that it names (RFC 9110 section 12.5.5)."""
    if "Vary" in response.headers:
        patch_vary_headers(response, ["Authorization"])
    else:
        # What `patch_vary_headers` does, in a third of the time.
        response.headers["Vary"] = "Authorization"

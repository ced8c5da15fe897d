"""Django's answers: the refusal of a request, and `Vary` on an answer that depends on a token."""

from django.http import HttpResponseBase, JsonResponse
from django.utils.cache import patch_vary_headers

from resource_server import challenge
from resource_server.errors import AuthorizationError
from resource_server.server import realm

__all__ = ["error_response", "vary_by_token"]


def error_response(error: AuthorizationError) -> JsonResponse:
    """The answer to a request that was refused: status, challenge and JSON body (RFC 6750 section 3)."""
    name = realm()
    response = JsonResponse(challenge.body(error), status=error.status, headers=challenge.headers(name, error))
    vary_by_token(response)
    return response


def vary_by_token(response: HttpResponseBase) -> None:
    """Add `Vary: Authorization`: caches key answers by the headers that it names (RFC 9110 section 12.5.5)."""
    if "Vary" in response.headers:
        patch_vary_headers(response, ["Authorization"])
    else:
        # What `patch_vary_headers` does, in a third of the time.
        response.headers["Vary"] = "Authorization"

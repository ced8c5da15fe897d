"""The view of the metadata of the protected resources (RFC 9728 section 3). Its addresses are in `urls.py`."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from resource_server.errors import Unavailable
from resource_server.protected_resource import document, resource_at
from resource_server.responses import error_response
from resource_server.server import current
from resource_server.tokens.dpop import DPOP_ALGORITHMS
from resource_server.view_scopes import demanded_scopes

__all__ = ["metadata"]

MAX_AGE_SECONDS = 300
_METHODS = ("GET", "HEAD", "OPTIONS")


@csrf_exempt
def metadata(request: HttpRequest, path: str = "") -> HttpResponse:
    """The metadata document of the resource with this path; 404 if none is published.

    Pages of any origin may read it: it holds nothing that depends on the caller.
    """
    response = _answer(request, path)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


metadata.reads_no_token = True  # type: ignore[attr-defined] # see AccessTokenMiddleware
metadata.login_required = False  # type: ignore[attr-defined] # Django's own mark on a view


def _answer(request: HttpRequest, path: str) -> HttpResponse:
    if request.method not in _METHODS:
        refusal = HttpResponseNotAllowed(_METHODS)
        refusal.headers["Cache-Control"] = "no-store"
        return refusal
    if request.method == "OPTIONS":
        return HttpResponse(
            status=204,
            headers={
                "Allow": ", ".join(_METHODS),
                "Access-Control-Allow-Methods": ", ".join(_METHODS),
                "Access-Control-Allow-Headers": "MCP-Protocol-Version",
                "Access-Control-Max-Age": "86400",
            },
        )
    try:
        server = current()
    except Unavailable as error:
        return error_response(error)
    resources = server.answers.resources
    resource = resource_at(resources, path)
    if resource is None:
        return JsonResponse({"detail": "Not found."}, status=404)
    scopes = demanded_scopes(resources, resource) if resource.scopes is None else resource.scopes
    dpop = server.answers.dpop
    members = document(
        resource,
        scopes,
        dpop_algorithms=() if dpop == "off" else DPOP_ALGORITHMS,
        needs_dpop=dpop == "required",
        has_certificates=server.reader.certificates is not None,
    )
    return JsonResponse(members, headers={"Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"})

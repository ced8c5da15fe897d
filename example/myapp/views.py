"""Three endpoints: for every caller, for authenticated callers, and for tokens with a scope."""

from django.http import HttpRequest, JsonResponse
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from myapp.serializers import Message
from resource_server import requires_scope


@extend_schema(responses=Message)
@api_view(["GET", "HEAD"])
@authentication_classes([])
@permission_classes([AllowAny])
def public(request: Request) -> Response:
    return Response({"message": "All good. You don't need to be authenticated to call this"})


@extend_schema(responses=Message)
@api_view(["GET", "HEAD"])
def private(request: Request) -> Response:
    return Response({"message": "All good. You only get this message if you're authenticated"})


@extend_schema(responses=Message)
@api_view(["GET", "HEAD"])
@requires_scope("example:scope")
def private_scoped(request: Request) -> Response:
    return Response({"message": "All good. You're authenticated and the access token has the appropriate scope"})


def not_found(request: HttpRequest) -> JsonResponse:
    """Any other path of the API, in JSON instead of Django's page."""
    return JsonResponse({"detail": "Not found."}, status=404)

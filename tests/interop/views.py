"""One endpoint that demands the scope `read`, at three edges, which answers what it knows of the token."""

from django.http import JsonResponse
from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.response import Response

from resource_server import requires_scope


def answer(request):
    token = request.auth
    return {
        "issuer": token.issuer,
        "audience": list(token.audience),
        "client": token.client_id,
        "subject": token.subject,
        "scopes": sorted(token.scopes),
        "machine": token.is_machine,
    }


@api_view(["GET"])
@requires_scope("read")
def rest(request):
    return Response(answer(request))


@requires_scope("read")
def plain(request):
    return JsonResponse(answer(request))


@requires_scope("read")
async def asynchronous(request):
    return JsonResponse(answer(request))


EDGES = ("rest", "plain", "async")

urlpatterns = [path("rest", rest), path("plain", plain), path("async", asynchronous)]

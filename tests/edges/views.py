"""One endpoint that demands the scope `read`, written in every way that a view can be."""

from adrf.decorators import api_view as adrf_api_view
from adrf.views import APIView as AsyncAPIView
from asgiref.sync import sync_to_async
from django.http import JsonResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from resource_server import requires_any_scope, requires_scope, requires_token
from resource_server.drf import AccessTokenAuthentication, RequiresScope

CLASSES = [SessionAuthentication, AccessTokenAuthentication, BasicAuthentication]


def answer(request):
    return {"user": request.user.get_username(), "token": request.auth.subject}


@api_view(["GET"])
@authentication_classes(CLASSES)
@permission_classes([IsAuthenticated])
@requires_scope("read")
def rest_function(request):
    return Response(answer(request))


@requires_scope("read")
@api_view(["GET"])
@authentication_classes(CLASSES)
def rest_function_decorated_outside(request):
    return Response(answer(request))


class Rest(APIView):
    authentication_classes = CLASSES

    def get(self, request):
        return Response({"user": request.user.get_username()})


class RestTokens(Rest):
    def get(self, request):
        return Response(answer(request))


@requires_scope("read")
class RestClass(RestTokens):
    pass


class RestMethod(RestTokens):
    @requires_scope("read")
    def get(self, request):
        return super().get(request)


class RestPermission(RestTokens):
    permission_classes = [RequiresScope("read")]


class RestViewSet(ViewSet):
    authentication_classes = CLASSES

    @action(detail=False)
    @requires_scope("read")
    def inside(self, request):
        return Response(answer(request))

    @requires_scope("read")
    @action(detail=False)
    def outside(self, request):
        return Response(answer(request))


@requires_scope("read")
def plain_function(request):
    return JsonResponse(answer(request))


@requires_scope("read")
class PlainClass(View):
    def get(self, request):
        return JsonResponse(answer(request))

    post = get


class PlainMethod(View):
    @requires_scope("read")
    def get(self, request):
        return JsonResponse(answer(request))


@method_decorator(requires_scope("read"), name="dispatch")
class PlainDispatch(PlainClass.__base__):
    pass


class PlainMethodDecorator(View):
    @method_decorator(requires_scope("read"))
    def get(self, request):
        return JsonResponse(answer(request))


async def async_answer(request):
    return {"user": (await request.auser()).get_username(), "token": request.auth.subject}


@requires_scope("read")
async def async_function(request):
    return JsonResponse(await async_answer(request))


@requires_scope("read")
class AsyncClass(View):
    async def get(self, request):
        return JsonResponse(await async_answer(request))


class AsyncMethod(View):
    @requires_scope("read")
    async def get(self, request):
        return JsonResponse(await async_answer(request))


class AsyncOpen(View):
    async def get(self, request):
        return JsonResponse(await async_answer(request))


@method_decorator(requires_scope("read"), name="dispatch")
class AsyncDispatch(AsyncOpen):
    pass


@requires_scope("read")
@sync_to_async
def in_a_thread(request):
    return JsonResponse(answer(request))


@requires_scope("read")
@adrf_api_view(["GET"])
@authentication_classes(CLASSES)
async def async_rest_decorated_outside(request):
    return Response(answer(request))


@adrf_api_view(["GET"])
@authentication_classes(CLASSES)
@requires_scope("read")
async def async_rest_function(request):
    return Response(answer(request))


class AsyncRest(AsyncAPIView):
    authentication_classes = CLASSES

    async def get(self, request):
        return Response(answer(request))


@requires_scope("read")
class AsyncRestClass(AsyncRest):
    pass


class AsyncRestPermission(AsyncRest):
    permission_classes = [RequiresScope("read")]


@requires_scope("read", "write")
def both(request):
    return JsonResponse({})


@requires_any_scope("read", "write")
def either(request):
    return JsonResponse({})


@requires_token
def any_token(request):
    return JsonResponse(answer(request))


@requires_token()
async def any_token_async(request):
    return JsonResponse(await async_answer(request))


@api_view(["GET"])
@authentication_classes(CLASSES)
@requires_token
def any_token_rest(request):
    return Response(answer(request))


@requires_token
class AnyToken(View):
    def get(self, request):
        return JsonResponse(answer(request))


class AnyTokenMethod(RestTokens):
    @requires_token()
    def get(self, request):
        return super().get(request)


@api_view(["GET"])
@authentication_classes([])
@permission_classes([AllowAny])
@requires_scope("read")
def without_authentication(request):
    return Response({})


@api_view(["GET"])
@authentication_classes([AccessTokenAuthentication])
@permission_classes([AllowAny])
def anyone(request):
    return Response({"user": request.user.get_username()})


@requires_scope("read")
def broken(request):
    raise RuntimeError("the view's own mistake")


REST = {
    "rest function": rest_function,
    "rest function, decorated outside": rest_function_decorated_outside,
    "rest class": RestClass.as_view(),
    "rest method": RestMethod.as_view(),
    "rest permission class": RestPermission.as_view(),
    "rest action, decorated inside": RestViewSet.as_view({"get": "inside"}),
    "rest action, decorated outside": RestViewSet.as_view({"get": "outside"}),
    "rest as_view, decorated": requires_scope("read")(RestTokens.as_view()),
}
PLAIN = {
    "function": plain_function,
    "class": PlainClass.as_view(),
    "method": PlainMethod.as_view(),
    "method, by method_decorator": PlainMethodDecorator.as_view(),
    "dispatch, by method_decorator": PlainDispatch.as_view(),
    "as_view, decorated": requires_scope("read")(PlainClass.__base__.as_view()),
}
ASYNC_REST = {
    "async rest function": async_rest_function,
    "async rest function, decorated outside": async_rest_decorated_outside,
    "async rest class": AsyncRestClass.as_view(),
    "async rest permission class": AsyncRestPermission.as_view(),
}
REST |= ASYNC_REST
ASYNC = {
    "async function": async_function,
    "async class": AsyncClass.as_view(),
    "async method": AsyncMethod.as_view(),
    "async dispatch, by method_decorator": AsyncDispatch.as_view(),
    "async as_view, decorated": requires_scope("read")(AsyncOpen.as_view()),
}
IN_A_THREAD = {"function in a thread": in_a_thread}
GUARDED = {**REST, **PLAIN, **ASYNC, **IN_A_THREAD}
ANY_TOKEN = {
    "any token function": any_token,
    "any token async function": any_token_async,
    "any token rest function": any_token_rest,
    "any token class": AnyToken.as_view(),
    "any token rest method": AnyTokenMethod.as_view(),
}
OTHERS = {
    "both": both,
    "either": either,
    "without-authentication": without_authentication,
    "anyone": anyone,
    "broken": broken,
    "unguarded": RestTokens.as_view(),
    "session": Rest.as_view(),
}


def url(name):
    return "/" + name.replace(" ", "-").replace(",", "").replace("_", "-")


urlpatterns = [path(url(name)[1:], view) for name, view in {**GUARDED, **ANY_TOKEN, **OTHERS}.items()]

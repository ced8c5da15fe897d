"""What a cache stores of the answer to a bound token: nothing that the token alone would open."""

from types import ModuleType

import pytest
from django.http import JsonResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_control, cache_page
from ninja import NinjaAPI
from rest_framework.response import Response
from tests.bound.test_certificates import PROXY
from tests.bound.test_requests import CERTIFICATE, WITH_ONE, X5T, refused
from tests.bound.views import Rest, with_middleware

from resource_server import requires_scope
from resource_server.ninja import AccessToken, AccessTokenAPI

brief = cache_control(max_age=60)
public = cache_control(public=True, max_age=60)


class Brief(Rest):
    @method_decorator(public)
    def get(self, request):
        return Response({})


@requires_scope("read")
class Plain(View):
    @method_decorator(public)
    def get(self, request):
        return JsonResponse({})


def plain_view(request):
    return JsonResponse({})


VIEWS = {
    "rest": Brief.as_view(),
    "class": Plain.as_view(),
    "function": requires_scope("read")(brief(plain_view)),
    "public": requires_scope("read")(public(plain_view)),
    "middleware": with_middleware(brief(plain_view)),
}


def urls(name):
    module = ModuleType("stored_urls")
    if name.startswith("ninja"):
        kind = AccessTokenAPI if name == "ninja ours" else NinjaAPI
        api = kind(urls_namespace=f"stored-{name.replace(' ', '-')}")

        @api.get("stored", auth=AccessToken("read"))
        def stored(request):
            return public(plain_view)(request)

        module.urlpatterns = [path("", api.urls)]
    else:
        module.urlpatterns = [path("stored", cache_page(60)(VIEWS[name]))]
    return module


@pytest.fixture(params=[*VIEWS, "ninja ours", "ninja theirs"])
def stored(request, plain, settings):
    settings.ROOT_URLCONF = urls(request.param)
    if request.param.startswith("ninja"):
        settings.MIDDLEWARE = [f"django.middleware.cache.{name}CacheMiddleware" for name in ("Update", "FetchFrom")]
    plain.path, plain.url = "/stored", f"{plain.url.removesuffix('/plain')}/stored"
    plain.says_reason = request.param != "ninja theirs"
    return plain


def is_refused(stored, response, reason):
    return refused(response, reason) if stored.says_reason else response.status_code == 401


def test_the_answer_to_a_proof_is_not_given_to_the_token_alone(stored):
    token = stored.token()
    response = stored.call(token)
    assert response.status_code == 200
    if stored.says_reason:
        assert "private" in response["Cache-Control"]
        assert "public" not in response["Cache-Control"]
    for _ in range(2):
        assert is_refused(stored, stored.get({"Authorization": f"DPoP {token}"}), "proof_missing")


def test_nor_is_the_answer_to_a_certificate(stored, configure):
    configure(DPOP=None, CLIENT_CERTIFICATE=CERTIFICATE)
    headers = {"Authorization": f"Bearer {stored.token(cnf={'x5t#S256': X5T})}"}
    assert stored.get({**headers, **WITH_ONE}, remote=PROXY).status_code == 200
    assert is_refused(stored, stored.get(headers, remote=PROXY), "certificate_missing")


def test_a_view_decides_about_the_answer_to_a_bearer_token(plain, settings):
    settings.ROOT_URLCONF = urls("public")
    plain.path = "/stored"
    response = plain.get({"Authorization": f"Bearer {plain.token(cnf=None)}"})
    assert "public" in response["Cache-Control"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_response_that_an_operation_of_ninja_makes_has_the_headers_of_all_answers(
    plain, settings, configure, is_async
):
    api = AccessTokenAPI(urls_namespace=f"stored-response-{is_async}")

    async def asynchronous(request):
        return JsonResponse({})

    def anyone(request):
        return JsonResponse({})

    api.get("plain", auth=AccessToken("read"))(asynchronous if is_async else plain_view)
    api.get("anyone")(anyone)
    module = ModuleType("ninja_urls")
    module.urlpatterns = [path("", api.urls)]
    settings.ROOT_URLCONF = module
    response = plain.call()
    assert (response.status_code, response["Vary"], response["Cache-Control"]) == (200, "Authorization", "private")
    configure(DPOP_NONCE="optional")
    response = plain.call()
    assert (response.status_code, response["Vary"], response["Cache-Control"]) == (200, "Authorization", "no-store")
    assert response["DPoP-Nonce"]
    plain.path = "/anyone"
    assert "Vary" not in plain.get({})

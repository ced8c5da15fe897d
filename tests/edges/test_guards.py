"""A guard wraps what it is given: what stands above, below or beside it keeps its say, and its marks."""

import asyncio
import functools
import inspect
import traceback

import pytest
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse, HttpResponseForbidden, JsonResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.decorators import action, api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet
from tests.edges.views import ANY_TOKEN, url

from resource_server import requires_any_scope, requires_scope
from resource_server.testing import FakeIssuer

read = requires_scope("read")


def closed(view):
    """A gate that lets nothing in, as projects write them."""

    @functools.wraps(view)
    def gate(request, *args, **kwargs):
        return HttpResponseForbidden("closed")

    return gate


@pytest.fixture
def call(issuer):
    def call(view, *, scope="read", method="get", user=None, **options):
        headers = {"Authorization": f"Bearer {issuer.token(scope=scope)}"} if scope is not None else {}
        request = getattr(RequestFactory(), method)("/", headers=headers, **options)
        if user is not None:
            request.user = user
        response = view(request)
        if inspect.isawaitable(response):
            response = asyncio.run(_awaited(response))
        return response.render() if hasattr(response, "render") else response

    return call


async def _awaited(response):
    return await response


@api_view(["GET"])
@permission_classes([AllowAny])
def rest_function(request):
    return Response("body")


class RestClass(APIView):
    permission_classes = [AllowAny]

    def get(self, request):
        return Response("body")


class RestSet(ViewSet):
    permission_classes = [AllowAny]

    def list(self, request):
        return Response("body")


class Plain(View):
    def get(self, request):
        return HttpResponse("body")


INSIDE = {
    "api_view": rest_function,
    "APIView": RestClass.as_view(),
    "ViewSet": RestSet.as_view({"get": "list"}),
    "View": Plain.as_view(),
    "function": lambda request: HttpResponse("body"),
}


@pytest.mark.parametrize("view", INSIDE.values(), ids=INSIDE)
def test_a_gate_between_the_guard_and_the_view_is_asked(call, view):
    assert call(read(closed(view))).content == b"closed"
    assert call(closed(read(view))).content == b"closed"
    assert call(read(permission_required("auth.x")(view)), user=AnonymousUser()).status_code == 302
    assert call(read(view)).status_code == 200
    assert call(read(view), scope="other").status_code == 403
    assert call(view, scope=None).status_code == 200  # the original is as it was


@pytest.mark.parametrize("first", [True, False], ids=["guard first", "mixin first"])
def test_a_mixin_beside_a_guarded_class_is_asked(call, first):
    @read
    class Scoped(View):
        pass

    class Refuses:
        def dispatch(self, request, *args, **kwargs):
            raise FileNotFoundError("the mixin was asked")

    class Report(*((Scoped, Refuses) if first else (Refuses, Scoped)), View):
        def get(self, request):
            return HttpResponse("body")

    if first:
        assert call(Report.as_view(), scope="other").status_code == 403
    with pytest.raises(FileNotFoundError):
        call(Report.as_view())


def test_a_permission_mixin_after_a_guarded_class_is_asked(call):
    @read
    class Scoped(View):
        pass

    class Report(Scoped, PermissionRequiredMixin, View):
        permission_required = "auth.view_user"
        raise_exception = True

        def get(self, request):
            raise AssertionError("no token user has this permission")

    with pytest.raises(PermissionDenied):
        call(Report.as_view())


@pytest.mark.parametrize("kind", [View, APIView])
def test_two_guarded_bases_are_both_asked(call, kind):
    @read
    class Reads(kind):
        pass

    @requires_scope("write")
    class Writes(kind):
        pass

    class Both(Reads, Writes):
        def get(self, request):
            return HttpResponse("body")

    assert call(Both.as_view(), scope="read write").status_code == 200
    for scope in ("read", "write", "other"):
        assert call(Both.as_view(), scope=scope).status_code == 403


def test_initial_of_another_rest_base_runs(call):
    @read
    class Scoped(APIView):
        pass

    ran = []

    class Noting(APIView):
        def initial(self, request, *args, **kwargs):
            ran.append("noted")
            super().initial(request, *args, **kwargs)

    class Report(Scoped, Noting):
        def get(self, request):
            return Response("body")

    assert call(Report.as_view()).status_code == 200
    assert ran == ["noted"]


@pytest.mark.parametrize("original", [Plain, RestClass])
def test_the_class_that_was_guarded_stays_as_it_was(call, original):
    before = dict(vars(original))
    guarded = read(original)

    assert issubclass(guarded, original)
    assert dict(vars(original)) == before
    assert (guarded.__name__, guarded.__qualname__, guarded.__module__, guarded.__doc__) == (
        original.__name__,
        original.__qualname__,
        original.__module__,
        original.__doc__,
    )
    assert call(guarded.as_view(), scope="other").status_code == 403
    assert call(original.as_view(), scope="other").status_code == 200


def test_marks_of_others_stay():
    @transaction.non_atomic_requests
    @permission_required("auth.x", login_url="/enter/")
    def view(request):
        """What it does."""

    view.project_mark = ["theirs"]
    guarded = read(view)

    for name in ("login_url", "_non_atomic_requests", "project_mark", "__name__", "__doc__", "__module__"):
        if hasattr(view, name):
            assert getattr(guarded, name) == getattr(view, name), name
    assert guarded.__wrapped__ is view
    assert not hasattr(view, "requirements")
    rest = read(INSIDE["ViewSet"])
    for name in ("cls", "actions", "initkwargs", "csrf_exempt"):
        assert getattr(rest, name) == getattr(INSIDE["ViewSet"], name)
    assert read(INSIDE["View"]).view_class is Plain


def test_what_a_view_returns_is_its_frameworks_business(call):
    @read
    def operation(request):
        return {"a": 1}

    assert operation(RequestFactory().get("/", headers={})).status_code == 401

    @read
    async def later(request):
        return ["a"]

    issuer_token = call.__closure__[0].cell_contents.token(scope="read")
    headers = {"Authorization": f"Bearer {issuer_token}"}
    assert operation(RequestFactory().get("/", headers=headers)) == {"a": 1}
    assert asyncio.run(later(AsyncRequestFactory().get("/", headers=headers))) == ["a"]


class AsyncPlain(View):
    async def get(self, request):
        return HttpResponse("body")


@method_decorator(read, name="dispatch")
class AsyncByDispatch(AsyncPlain):
    pass


async def coroutine_function(request):
    return HttpResponse("body")


ASYNC = {
    "as_view": read(AsyncPlain.as_view()),
    "class": read(AsyncPlain).as_view(),
    "dispatch": AsyncByDispatch.as_view(),
    "sync_to_async": read(sync_to_async(lambda request: HttpResponse("body"))),
    "partial": read(functools.partial(coroutine_function)),
    "guard on guard": read(requires_any_scope("read", "write")(coroutine_function)),
}


@pytest.mark.parametrize("view", ASYNC.values(), ids=ASYNC)
def test_async_views_of_every_kind_stay_async(issuer, view):
    assert iscoroutinefunction(view)

    def status(scope):
        headers = {"Authorization": f"Bearer {issuer.token(scope=scope)}"}
        return asyncio.run(view(AsyncRequestFactory().get("/", headers=headers))).status_code

    assert (status("read"), status("other")) == (200, 403)


def test_a_sync_view_inside_an_event_loop_answers(issuer, settings, db):
    settings.RESOURCE_SERVER = issuer.settings(USERS="lookup")
    guarded = read(lambda request: HttpResponse("body"))
    headers = {"Authorization": f"Bearer {issuer.token(scope='read')}"}

    async def call():
        return guarded(AsyncRequestFactory().get("/", headers=headers))

    assert asyncio.run(call()).status_code == 401  # there is no such user


@pytest.mark.parametrize("guard", [requires_scope, requires_any_scope])
def test_a_guard_without_its_parentheses_says_so(guard):
    with pytest.raises(TypeError, match=r'write @requires_(any_)?scope\("read:orders"\)'):

        @guard
        def view(request):
            raise AssertionError


def test_what_cannot_be_guarded_is_an_error_where_it_is_defined():
    for thing in (None, "view", 1, [Plain], staticmethod(lambda request: None), classmethod(lambda request: None)):
        with pytest.raises(TypeError, match="a guard stands on a view"):
            read(thing)
    with pytest.raises(TypeError, match="calls super"):

        @read
        class Old(View):
            def get(self, request):
                return super(Old, self).get(request)  # noqa: UP008 - what is tested


def test_super_by_name_of_a_class_that_keeps_its_name_is_fine(call):
    class Old(Plain):
        def get(self, request):
            return super(Old, self).get(request)  # noqa: UP008 - what is tested

    assert call(read(Old).as_view()).content == b"body"


@pytest.mark.parametrize("view", ANY_TOKEN)
def test_requires_token_admits_any_verified_token_and_nothing_else(get, issuer, view):
    assert get(url(view)).status_code == 401
    assert get(url(view))["WWW-Authenticate"] == 'Bearer realm="api"'
    assert get(url(view), f"Bearer {FakeIssuer(algorithm='ES256').token()}").status_code == 401
    assert get(url(view), f"Bearer {issuer.token()}").json() == {"user": "auth0|ada", "token": "auth0|ada"}


@pytest.mark.django_db
def test_requires_token_refuses_a_session(get, django_user_model):
    user = django_user_model.objects.create_user("ada")
    response = get(url("any token rest function"), user=user)

    assert (response.status_code, response.json()["reason"]) == (403, "token_missing")
    assert "scope=" not in response["WWW-Authenticate"]


def test_actions_keep_what_the_router_reads():
    class Orders(ViewSet):
        @read
        @action(detail=True, methods=["post"], url_path="close-now")
        def close(self, request, pk):
            raise AssertionError

        @action(detail=False)
        @read
        def get(self, request):
            raise AssertionError

    assert (Orders.close.url_path, Orders.close.detail, dict(Orders.close.mapping)) == (
        "close-now",
        True,
        {"post": "close"},
    )
    assert [function.url_name for function in Orders.get_extra_actions()] == ["close", "get"]


def test_a_forced_token_of_rest_frameworks_tests_passes_a_guard_outside(issuer, caplog):
    from resource_server import authenticate

    bearer = {"Authorization": f"Bearer {issuer.token(scope='read')}"}
    user, token = authenticate(RequestFactory().get("/", headers=bearer))
    for view in (read(rest_function), read(RestClass).as_view()):
        request = APIRequestFactory().get("/")
        force_authenticate(request, user, token)
        assert view(request).status_code == 200
        request = APIRequestFactory().get("/")
        force_authenticate(request, user)
        assert view(request).status_code == 403
        assert view(APIRequestFactory().get("/")).status_code == 401


def test_a_guard_that_fails_shows_no_frame_with_the_token(issuer, call):
    def broken(request):
        raise LookupError("the view's own")

    token = issuer.token(scope="read")
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
    for view in (read(broken), read(api_view(["GET"])(read(broken)))):
        with pytest.raises(LookupError) as raised:
            view(request)
        frames = [
            frame
            for frame, _line in traceback.walk_tb(raised.value.__traceback__)
            if "resource_server" in frame.f_code.co_filename
        ]
        values = [repr(value) for frame in frames for value in frame.f_locals.values()]
        assert frames
        assert not any(part in value for value in values for part in token.split("."))


def test_json_is_what_refusals_are_made_of(call):
    response = call(read(lambda request: JsonResponse({})), scope="other")

    assert response["Content-Type"] == "application/json"


def test_a_view_that_keeps_its_request_is_not_taken_for_one(call):
    class Keeps(View):
        auth = "theirs"

        def setup(self, request, *args, **kwargs):
            super().setup(request, *args, **kwargs)
            self._request = request

        @read
        def get(self, request):
            return HttpResponse(request.auth.subject)

    assert call(Keeps.as_view()).content == b"auth0|ada"
    assert call(Keeps.as_view(), scope=None).status_code == 401

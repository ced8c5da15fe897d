"""Guards in class hierarchies: each class in the method resolution order has its turn, as if it were written with `super()`."""

from itertools import permutations

import pytest
from django.contrib.auth.mixins import LoginRequiredMixin, PermissionRequiredMixin, UserPassesTestMixin
from django.http import HttpResponseForbidden, JsonResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet
from tests.stackings import views
from tests.stackings.conftest import CALLERS, Call
from tests.stackings.neighbours import BLOCKED_ADDRESS, asked

from resource_server import requires_any_scope, requires_scope, requires_token
from resource_server.drf import AccessTokenAuthentication

pytestmark = pytest.mark.django_db

CALLS = [
    *(Call(CALLERS[name]) for name in ("anonymous", "forged", "unscoped", "ada", "bob", "staff", "session")),
    *(Call(CALLERS[name], address=BLOCKED_ADDRESS) for name in ("anonymous", "bob")),
]


class Sync(View):
    def get(self, request):
        return JsonResponse(views.body(request))


class Async(View):
    async def get(self, request):
        return JsonResponse(views.body(request))


class Rest(APIView):
    authentication_classes = views.AUTHENTICATION

    def get(self, request):
        return Response(views.body(request))


class Things(ViewSet):
    authentication_classes = views.AUTHENTICATION

    def list(self, request):
        return Response(views.body(request))


def refusal(name):
    return HttpResponseForbidden("this address is blocked", headers={"X-Gate": name})


class Gate:
    """A mixin that refuses an address, written by hand."""

    def dispatch(self, request, *args, **kwargs):
        asked.append("gate")
        if request.headers["X-Real-IP"] == BLOCKED_ADDRESS:
            return refusal("gate")
        return super().dispatch(request, *args, **kwargs)


class AsyncGate:
    async def dispatch(self, request, *args, **kwargs):
        asked.append("gate")
        if request.headers["X-Real-IP"] == BLOCKED_ADDRESS:
            return refusal("gate")
        return await super().dispatch(request, *args, **kwargs)


class RestGate:
    def initial(self, request, *args, **kwargs):
        asked.append("gate")
        if request.headers["X-Real-IP"] == BLOCKED_ADDRESS:
            raise PermissionDenied
        super().initial(request, *args, **kwargs)


@requires_scope("read")
class Reads(View):
    pass


@requires_any_scope("write", "admin")
class Writes(View):
    pass


@requires_scope("read")
class RestReads(APIView):
    pass


@requires_any_scope("write", "admin")
class RestWrites(APIView):
    pass


FAMILIES = {
    "sync": ({"gate": Gate, "read": Reads, "write": Writes}, Sync),
    "async": ({"gate": AsyncGate, "read": Reads, "write": Writes}, Async),
    "rest": ({"gate": RestGate, "read": RestReads, "write": RestWrites}, Rest),
    "view set": ({"gate": RestGate, "read": RestReads, "write": RestWrites}, Things),
}


def orders():
    for family in FAMILIES:
        for count in (1, 2, 3):
            for names in permutations(("gate", "read", "write"), count):
                if names != ("gate",):
                    yield pytest.param(family, names, id=f"{family}: {', '.join(names)}")


def routes_of(view):
    return (path("", view.as_view({"get": "list"}) if issubclass(view, ViewSet) else view.as_view()),)


def expected_status(names, call):
    """Each base answers in the order in which it stands."""
    scopes, token = call.caller.scopes, call.caller.token
    for name in names:
        if name == "gate":
            if call.address == BLOCKED_ADDRESS:
                return 403
        elif token is None or token == "forged":
            return 401 if call.caller.session is None else "no token"
        elif name not in scopes:
            return 403
    return 200


@pytest.mark.parametrize(("family", "names"), list(orders()))
def test_every_base_is_asked_in_the_order_of_resolution(family, names, send):
    mixins, body = FAMILIES[family]
    view = type("Report", (*(mixins[name] for name in names), body), {})

    for outcome in send(routes_of(view), CALLS, is_async=family == "async"):
        is_rest = family in {"rest", "view set"}
        # A guard's `initial` asks after `super()`, where REST framework authenticates: the last base is asked first.
        order = names
        if is_rest:
            order = sorted(names, key=["gate", *reversed(names)].index)
        status = expected_status(order, outcome.call)
        if status == "no token":
            status = 403 if is_rest else 401
        assert outcome.response.status_code == status, outcome.call
        assert bool(outcome.ran) == (status == 200), outcome.call
        if status == 200 and "gate" in names:
            assert outcome.asked == ("gate",)


@pytest.mark.parametrize("mixin_first", [True, False], ids=["mixin first", "guard first"])
@pytest.mark.parametrize("mixin", [PermissionRequiredMixin, LoginRequiredMixin, UserPassesTestMixin])
def test_djangos_mixins_run_on_either_side_of_a_guarded_base(mixin, mixin_first, send):
    bases = (mixin, Reads) if mixin_first else (Reads, mixin)
    members = {"permission_required": "auth.view_user", "login_url": "/login/"}
    members["test_func"] = lambda self: self.request.user.has_perm("auth.view_user")
    view = type("Report", (*bases, Sync), members)

    calls = [Call(CALLERS[name]) for name in ("anonymous", "forged", "unscoped", "ada", "staff", "session")]
    anonymous, forged, unscoped, ada, staff, session = send(routes_of(view), calls)

    statuses = [outcome.response.status_code for outcome in (anonymous, forged, unscoped, session)]
    # Behind the guard the mixin sees the token's user, in front of it the session's.
    assert statuses == ([302, 302, 302, 401] if mixin_first else [401, 401, 403, 401])
    admits_ada = mixin is LoginRequiredMixin and not mixin_first
    for outcome, is_admitted in ((ada, admits_ada), (staff, not mixin_first)):
        assert bool(outcome.ran) == is_admitted
        assert (outcome.response.status_code == 200) == is_admitted


@pytest.mark.parametrize("guarded", [Reads, RestReads], ids=["plain", "rest"])
def test_a_subclass_of_a_guarded_class_may_guard_again(guarded, send):
    body = Rest if guarded is RestReads else Sync
    view = requires_scope("write")(type("Report", (guarded, body), {}))

    outcomes = send(routes_of(view), [Call(CALLERS[name]) for name in ("unscoped", "ada", "bob")])

    assert [outcome.response.status_code for outcome in outcomes] == [403, 403, 200]


def test_methods_above_and_below_the_guard_call_super(send):
    class Base(Sync):
        def get(self, request):
            asked.append("base")
            return super().get(request)

    class Report(requires_scope("read")(Base)):
        def get(self, request):
            asked.append("report")
            return super().get(request)

    outcomes = send(routes_of(Report), [Call(CALLERS["ada"]), Call(CALLERS["unscoped"])])

    assert [outcome.asked for outcome in outcomes] == [("report", "base"), ()]


GUARDS = {
    "scope": requires_scope("read"),
    "any scope": requires_any_scope("read", "admin"),
    "token": requires_token,
    "token, called": requires_token(),
}


@pytest.mark.parametrize("guard", GUARDS.values(), ids=GUARDS)
@pytest.mark.parametrize("body", [Sync, Async, Rest, Things])
def test_the_class_itself_stays_open_and_as_it_was(guard, body, send):
    before = dict(vars(body))
    guarded = guard(body)

    assert dict(vars(body)) == before
    assert guarded is not body
    assert issubclass(guarded, body)
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        assert getattr(guarded, name) == getattr(body, name)
    anonymous = [Call(CALLERS["anonymous"])]
    is_async = body is Async
    [open_outcome] = send(routes_of(body), anonymous, is_async=is_async)
    [closed] = send(routes_of(guarded), anonymous, is_async=is_async)
    assert (open_outcome.response.status_code, closed.response.status_code) == (200, 401)


def test_a_guard_by_method_decorator_on_a_subclass_leaves_the_base_open(send):
    @method_decorator(requires_scope("read"), name="dispatch")
    class Report(Sync):
        pass

    anonymous = [Call(CALLERS["anonymous"])]
    assert send(routes_of(Sync), anonymous)[0].response.status_code == 200
    assert send(routes_of(Report), anonymous)[0].response.status_code == 401


def test_a_guard_on_a_method_is_inherited_and_may_be_overridden(send):
    class Base(View):
        @requires_scope("read")
        def get(self, request):
            return JsonResponse(views.body(request))

    class Inherits(Base):
        pass

    class Calls(Base):
        def get(self, request):
            asked.append("calls")
            return super().get(request)

    class Overrides(Base):
        def get(self, request):
            return JsonResponse(views.body(request))

    anonymous = [Call(CALLERS["anonymous"])]
    statuses = [send(routes_of(view), anonymous)[0].response.status_code for view in (Inherits, Calls, Overrides)]
    assert statuses == [401, 401, 200]


def test_two_classes_that_read_tokens_agree(send):
    """An authentication class of the project's own in the hierarchy does not hide ours."""

    class Ours(AccessTokenAuthentication):
        pass

    class Report(RestReads, Rest):
        authentication_classes = [Ours, AccessTokenAuthentication]

    outcomes = send(routes_of(Report), [Call(CALLERS[name]) for name in ("anonymous", "unscoped", "ada")])
    assert [outcome.response.status_code for outcome in outcomes] == [401, 403, 200]

"""REST framework's views that ask the session before the token, with a guard in front that has read the token already."""

import pytest
from django.urls import path
from django.utils.decorators import method_decorator
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.response import Response
from rest_framework.views import APIView
from tests.stackings import views
from tests.stackings.conftest import CALLERS, Call
from tests.stackings.neighbours import gate

from resource_server import requires_scope
from resource_server.drf import AccessTokenAuthentication

pytestmark = pytest.mark.django_db

guard = requires_scope("read")
nameless_gate = gate(name="nameless gate", keeps_names=False)(False)


class SessionFirst(APIView):
    authentication_classes = [SessionAuthentication, AccessTokenAuthentication]

    def get(self, request):
        return Response(views.body(request))

    post = get


class OnMethod(SessionFirst):
    get = post = guard(SessionFirst.get)


@method_decorator(guard, name="dispatch")
class OnDispatch(SessionFirst):
    pass


@guard
@api_view(["GET", "POST"])
@authentication_classes(SessionFirst.authentication_classes)
def function(request):
    return Response(views.body(request))


VIEWS = {
    "around as_view()": guard(SessionFirst.as_view()),
    "around as_view() and a nameless gate": guard(nameless_gate(SessionFirst.as_view())),
    "on the class": guard(SessionFirst).as_view(),
    "on dispatch by method_decorator": OnDispatch.as_view(),
    "on the method": OnMethod.as_view(),
    "around @api_view": function,
}


# These guards cannot see that REST framework is behind them: SessionAuthentication takes over the user that they set.
BLIND = {"around as_view() and a nameless gate", "on dispatch by method_decorator"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "view",
    [
        pytest.param(
            view, id=name, marks=[pytest.mark.xfail(reason="taken for a session", strict=True)] * (name in BLIND)
        )
        for name, view in VIEWS.items()
    ],
)
def test_a_token_alone_is_not_taken_for_a_session(view, method, send):
    names = ["anonymous", "forged", "unscoped", "ada"]
    outcomes = send((path("", view),), [Call(CALLERS[name], method) for name in names])

    assert [outcome.response.status_code for outcome in outcomes] == [401, 401, 403, 200]
    assert outcomes[-1].response.json() == {"subject": "ada"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_session_does_not_stand_in_for_the_scope(view, method, send):
    names = ["session", "session and forged", "session and unscoped", "session and ada"]
    outcomes = send((path("", view),), [Call(CALLERS[name], method) for name in names])

    assert [bool(outcome.ran) for outcome in outcomes[:3]] == [False, False, False]
    assert {outcome.response.status_code for outcome in outcomes[:3]} <= {401, 403}
    # The session is who calls: with a guard inside, no token was read.
    assert outcomes[3].response.status_code in {200, 403}

"""The ways in that projects call themselves: `verify`, `authenticate`, `error_response`, and DRF's class by hand."""

import asyncio
import copy
import pickle
import sys
import traceback

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path
from ninja import NinjaAPI
from ninja.security import HttpBearer
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from resource_server import (
    AccessToken,
    AuthorizationError,
    aauthenticate,
    authenticate,
    averify,
    error_response,
    requires_scope,
    server,
    signals,
    verify,
)
from resource_server.drf import AccessTokenAuthentication, AuthorizationFailed, RequiresScope
from resource_server.errors import InvalidRequest, InvalidToken, Unavailable
from resource_server.middleware import AccessTokenMiddleware
from resource_server.testing import FakeIssuer


class Bearer(HttpBearer):
    def authenticate(self, request, token):
        return verify(token)


api = NinjaAPI(urls_namespace="ways-in")


@api.exception_handler(AuthorizationError)
def refused(request, error):
    return error_response(error)


@api.get("/ninja", auth=Bearer())
def operation(request):
    return {"subject": request.auth.subject}


urlpatterns = [path("api/", api.urls)]


def request_with(authorization=None):
    return RequestFactory().get("/", headers={} if authorization is None else {"Authorization": authorization})


@pytest.fixture(params=["sync", "async"])
def ways(request):
    """`verify` and `authenticate`, or their async twins."""
    if request.param == "sync":
        return verify, authenticate
    return async_to_sync(averify), async_to_sync(aauthenticate)


def test_verify_gives_the_token_or_raises(issuer, ways):
    token = ways[0](issuer.token(scope="read"))

    assert isinstance(token, AccessToken)
    assert token.scopes == {"read"}
    for bad in (
        "",
        "x",
        "a.b.c",
        "a b",
        "Bearer x",
        "\x00",
        "ä",
        "x" * 20_000,
        FakeIssuer(algorithm="ES256").token(),
        None,
        b"x",
        1,
    ):
        with pytest.raises(InvalidToken):
            ways[0](bad)
    issuer.failure = "fetch_failed"
    with pytest.raises(Unavailable):
        ways[0](issuer.token(header={"kid": "new"}))


def test_verify_remembers_and_is_remembered(issuer, monkeypatch):
    token = issuer.token()

    assert verify(token) is verify(token) is authenticate(request_with(f"Bearer {token}"))[1]


def test_verify_tells_no_receiver_and_no_log(issuer, caplog):
    caplog.set_level(0, logger="resource_server")
    with pytest.raises(InvalidToken):
        verify("x")
    assert caplog.records == []


def test_authenticate_gives_user_and_token_none_or_raises(issuer, ways):
    user, token = ways[1](request_with(f"Bearer {issuer.token(sub='bob')}"))

    assert (user.get_username(), token.subject) == ("bob", "bob")
    for other in (None, "", "Basic x", "Token x"):
        assert ways[1](request_with(other)) is None
    with pytest.raises(InvalidRequest):
        ways[1](request_with("Bearer a, Bearer b"))
    with pytest.raises(InvalidToken):
        ways[1](request_with("Bearer x"))
    request = request_with(f"Bearer {issuer.token()}")
    ways[1](request)
    assert not hasattr(request, "auth")


def test_error_response_has_status_challenge_and_body(issuer):
    response = error_response(InvalidToken("token_expired"))

    assert (response.status_code, response["Vary"]) == (401, "Authorization")
    assert response["WWW-Authenticate"].startswith('Bearer realm="api", error="invalid_token"')
    unavailable = error_response(Unavailable("fetch_failed", retry_after=7))
    assert (unavailable.status_code, unavailable["Retry-After"]) == (503, "7")


def test_a_bearer_class_of_django_ninja(issuer, settings):
    settings.ROOT_URLCONF = __name__

    def get(authorization=None):
        headers = {} if authorization is None else {"Authorization": authorization}
        return Client().get("/api/ninja", headers=headers)

    assert get(f"Bearer {issuer.token()}").json() == {"subject": "auth0|ada"}
    assert get().status_code == 401
    assert get(f"Bearer {FakeIssuer(algorithm='ES256').token()}").json()["error"] == "invalid_token"
    issuer.failure = "fetch_failed"
    assert get(f"Bearer {issuer.token(header={'kid': 'new'})}").status_code == 503


def test_the_class_of_rest_framework_takes_djangos_own_request(issuer):
    ours = AccessTokenAuthentication()

    assert ours.authenticate(request_with(f"Bearer {issuer.token()}"))[1].subject == "auth0|ada"
    assert ours.authenticate(request_with()) is None
    assert ours.authenticate_header(request_with()) == 'Bearer realm="api"'
    with pytest.raises(AuthorizationFailed):
        ours.authenticate(request_with("Bearer x"))


class Migrating(AccessTokenAuthentication):
    leaves_foreign_credentials = True


class Old(BaseAuthentication):
    """A project's own bearer scheme, with opaque tokens."""

    def authenticate(self, request):
        if request.META.get("HTTP_AUTHORIZATION") == "Bearer 0123456789abcdef":
            return User(username="old"), "old"
        return None


class OldKeyword(TokenAuthentication):
    keyword = "Bearer"


def answer(*classes, authorization=None, permissions=(IsAuthenticated,)):
    class Both(APIView):
        authentication_classes = classes
        permission_classes = permissions

        def get(self, request):
            return Response({"user": request.user.get_username()})

    return Both.as_view()(request_with(authorization)).render()


def foreign_tokens(issuer):
    stranger = FakeIssuer("https://stranger.test/")
    return {
        "opaque": "0123456789abcdef",
        "another issuer": stranger.token(),
        "no issuer": issuer.token(iss=None),
        "not base64": "not.a.jwt",
    }


def test_foreign_credentials_are_refused_unless_a_class_leaves_them(issuer):
    for token in foreign_tokens(issuer).values():
        assert answer(AccessTokenAuthentication, Old, authorization=f"Bearer {token}").status_code == 401


def test_foreign_credentials_can_be_left_to_the_next_class(issuer):
    tokens = foreign_tokens(issuer)
    assert answer(Migrating, Old, authorization=f"Bearer {tokens['opaque']}").data == {"user": "old"}
    assert answer(Old, Migrating, authorization=f"Bearer {tokens['opaque']}").data == {"user": "old"}
    for classes in ((Migrating, Old), (Old, Migrating)):
        assert answer(*classes, authorization=f"Bearer {issuer.token()}").data == {"user": "auth0|ada"}
        for token in tokens.values():
            if token != tokens["opaque"]:
                response = answer(*classes, authorization=f"Bearer {token}")
                assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="api"')


@pytest.mark.django_db
def test_the_next_class_may_be_rest_frameworks_own(issuer):
    key = Token.objects.create(user=User.objects.create_user("old")).key
    for classes in ((Migrating, OldKeyword), (AccessTokenAuthentication, OldKeyword)):
        response = answer(*classes, authorization=f"Bearer {key}")
        assert response.status_code == (200 if classes[0] is Migrating else 401)
    response = answer(Migrating, OldKeyword, authorization="Bearer unknown")
    assert (response.status_code, response.data["detail"]) == (401, "Invalid token.")


def test_credentials_of_a_listed_issuer_are_never_left(issuer):
    forged = FakeIssuer(issuer.issuer).token(header={"kid": issuer.keys.current_kid})
    for token in (forged, issuer.token(aud="other"), issuer.token(exp=1), issuer.token(cnf={"jkt": "x"})):
        response = answer(Migrating, Old, authorization=f"Bearer {token}", permissions=[AllowAny])
        assert response.status_code == 401
    assert answer(Migrating, Old, authorization="Bearer a, Bearer b").status_code == 400


def test_what_is_left_is_reported_to_nobody(issuer, caplog):
    caplog.set_level("INFO", logger="resource_server")
    answer(Migrating, Old, authorization="Bearer 0123456789abcdef")

    assert [record.getMessage() for record in caplog.records if record.name == "resource_server"] == []


@pytest.fixture
def reports(issuer):
    """The errors that receivers of `token_rejected` are given, and the frames they see."""
    seen = []

    def rejected(sender, *, error, **_):
        seen.append(
            (error, [frame.f_locals for frame, _line in traceback.walk_tb(error.__traceback__)], sys.exc_info())
        )

    signals.token_rejected.connect(rejected)
    yield seen
    signals.token_rejected.disconnect(rejected)


def held(token, error):
    """Where in the chain of an error and the frames of its tracebacks the token, or a part of it, can be read."""
    parts = [part for part in token.split(".") if len(part) > 8]
    found, chain = [], [error]
    while chain:
        link = chain.pop()
        if link is None:
            continue
        chain += [link.__cause__, link.__context__]
        for frame, _line in traceback.walk_tb(link.__traceback__):
            if "resource_server" in frame.f_code.co_filename:
                found += [
                    f"{frame.f_code.co_qualname}: {name}"
                    for name, value in frame.f_locals.items()
                    if any(part in repr(value) for part in parts)
                ]
    return found


@pytest.mark.parametrize("claims", [{"aud": "other"}, {"exp": 1}, {"iss": None}, {"cnf": {"jkt": "x"}}, {"sub": 1}])
def test_no_frame_of_a_refusal_holds_the_token(issuer, reports, claims):
    token = issuer.token(**claims)
    with pytest.raises(InvalidToken) as raised:
        authenticate(request_with(f"Bearer {token}"))
    with pytest.raises(InvalidToken) as verified:
        verify(token)

    for error in (raised.value, verified.value, reports[0][0]):
        assert held(token, error) == []
    assert reports[0][1] == []


@pytest.mark.parametrize("raises", [RuntimeError, MemoryError, RecursionError])
def test_no_frame_of_a_failing_fetch_or_user_holds_the_token(issuer, settings, raises):
    token = issuer.token(scope="read")

    def broken(*_arguments, **_options):
        raise raises("of the project")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "broken_users", broken, raising=False)
        settings.RESOURCE_SERVER = issuer.settings(USERS=f"{__name__}.broken_users")
        for call in (
            lambda: authenticate(request_with(f"Bearer {token}")),
            lambda: asyncio.run(aauthenticate(request_with(f"Bearer {token}"))),
            lambda: AccessTokenAuthentication().authenticate(request_with(f"Bearer {token}")),
        ):
            with pytest.raises((raises, AuthorizationError, AuthorizationFailed)) as raised:
                call()
            assert held(token, raised.value) == []


def test_errors_pickle(issuer):
    with pytest.raises(InvalidToken) as raised:
        verify("x")
    assert pickle.loads(pickle.dumps(raised.value)).reason == raised.value.reason  # noqa: S301 - our own


class Described(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [RequiresScope("write")]

    def get_permissions(self):
        return [RequiresScope("read")()] if self.request.method in ("GET", "OPTIONS") else super().get_permissions()

    def get(self, request):
        return Response({})

    def post(self, request):
        return Response({})

    put = post

    def get_serializer(self, *args, **kwargs):
        from rest_framework.serializers import Serializer

        return Serializer()


def test_options_of_rest_framework_reports_no_refusal(issuer, reports, caplog):
    caplog.set_level("INFO", logger="resource_server")
    headers = {"Authorization": f"Bearer {issuer.token(scope='read')}"}
    request = RequestFactory().options("/", headers=headers)

    response = Described.as_view()(request)
    assert (response.status_code, response.data.get("actions")) == (200, None)
    assert reports == []
    assert [record for record in caplog.records if hasattr(record, "reason")] == []
    assert Described.as_view()(RequestFactory().post("/", headers=headers)).status_code == 403
    assert [error.reason for error, *_ in reports] == ["scope_missing"]


def test_a_failed_alternative_reports_no_refusal(issuer, reports):
    class Either(APIView):
        authentication_classes = [AccessTokenAuthentication]
        permission_classes = [RequiresScope("write") | RequiresScope("read")]

        def get(self, request):
            return Response({})

    headers = {"Authorization": f"Bearer {issuer.token(scope='read')}"}
    assert Either.as_view()(RequestFactory().get("/", headers=headers)).status_code == 200
    assert reports == []


def test_a_request_of_any_kind_will_do(issuer):
    request = HttpRequest()
    request.META["HTTP_AUTHORIZATION"] = f"Bearer {issuer.token()}".encode()

    assert authenticate(request)[1].subject == "auth0|ada"


def test_a_copy_of_a_request_is_judged_by_its_own_header(issuer):
    guarded = requires_scope("read")(lambda request: HttpResponse(request.auth.subject))
    outer = request_with(f"Bearer {issuer.token(scope='read', sub='root')}")
    assert guarded(outer).content == b"root"
    for authorization, status in (
        (f"Bearer {issuer.token(scope='read', sub='eve')}", 200),
        ("Bearer x", 401),
        (None, 401),
    ):
        inner = copy.copy(outer)
        inner.META = {**outer.META, "HTTP_AUTHORIZATION": authorization}
        response = guarded(inner)
        assert response.status_code == status
        assert b"root" not in response.content


def test_spaces_around_a_token_make_no_second_entry(issuer):
    token = issuer.token()
    for header in (
        f"Bearer {token}",
        f"Bearer  {token}",
        f"Bearer {' ' * 9}{token}",
        f"Bearer {token} ",
        f"bearer {token}",
    ):
        assert authenticate(request_with(header))[1].subject == "auth0|ada"
    assert len(server.current().verifier._seen) == 1


def test_many_checks_of_objects_are_one_denial(issuer):
    class Many(APIView):
        authentication_classes = [AccessTokenAuthentication]
        permission_classes = [RequiresScope("write") | IsAuthenticated]

        def get(self, request):
            for number in range(1500):
                self.check_object_permissions(request, number)
            self.permission_denied(request, message="theirs")

    response = Many.as_view()(request_with(f"Bearer {issuer.token()}"))
    assert (response.status_code, response.data["detail"]) == (403, "theirs")


@pytest.mark.django_db
def test_a_session_and_anothers_token_do_not_add_up(issuer, django_user_model):
    class Both(APIView):
        authentication_classes = [SessionAuthentication, AccessTokenAuthentication]

        def get(self, request):
            raise AssertionError("bob has no token")

    request = request_with(f"Bearer {issuer.token(scope='write')}")
    request.user = django_user_model.objects.create_user("bob")
    assert requires_scope("write")(Both.as_view())(request).status_code == 403


def test_a_middleware_can_leave_foreign_credentials(issuer):
    class Leaves(AccessTokenMiddleware):
        leaves_foreign_credentials = True

    for middleware, status in ((AccessTokenMiddleware, 401), (Leaves, 200)):
        call = middleware(lambda request: HttpResponse())
        assert call(request_with("Bearer 0123456789abcdef")).status_code == status
        assert call(request_with("Bearer a.b.c, x")).status_code == 400


def test_a_cache_without_a_secret_key_is_a_problem_of_the_settings(issuer, settings):
    token = issuer.token()
    settings.RESOURCE_SERVER = issuer.settings(CACHE="default")
    settings.SECRET_KEY = ""
    with pytest.raises(Unavailable) as raised:
        authenticate(request_with(f"Bearer {token}"))
    assert (raised.value.reason, held(token, raised.value)) == ("settings_invalid", [])
    assert [message.id for message in run_checks() if message.id == "resource_server.E030"] == ["resource_server.E030"]

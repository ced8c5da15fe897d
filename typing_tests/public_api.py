"""What a type checker tells a project that uses the package; mypy reads this file, nothing runs it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_type

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import View
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from resource_server import (
    AccessToken,
    AuthorizationError,
    TokenUser,
    aauthenticate,
    arevoke,
    auth0_issuer,
    authenticate,
    averify,
    error_response,
    requires_any_scope,
    requires_scope,
    requires_token,
    revoke,
    verify,
)
from resource_server.authentication import aauthorize, authorize
from resource_server.drf import AccessTokenAuthentication, RequiresAnyScope, RequiresScope
from resource_server.errors import InsufficientScope, InvalidToken, Unavailable
from resource_server.middleware import AccessTokenMiddleware
from resource_server.reasons import Reason, TokenReason, UnavailableReason
from resource_server.requirements import AnyToken, Scopes
from resource_server.testing import FakeIssuer
from resource_server.trusted import TrustedIssuer, trusted_issuers


def the_package_has_its_public_names_alone() -> None:
    from resource_server import authentify  # type: ignore[attr-defined]  # noqa: F401


def the_token(token: AccessToken) -> None:
    assert_type(token.issuer, str)
    assert_type(token.subject, str)
    assert_type(token.client_id, str | None)
    assert_type(token.audience, tuple[str, ...])
    assert_type(token.scopes, frozenset[str])
    assert_type(token.expires_at, float)
    assert_type(token.issued_at, float | None)
    assert_type(token.claims, Mapping[str, Any])
    assert_type(token.is_machine, bool)
    token.scopes = frozenset({"admin"})  # type: ignore[misc]  # frozen
    token.claims["sub"] = "somebody else"  # type: ignore[index]  # read-only


@requires_scope("example:scope")
def function_view(request: HttpRequest, pk: int, *, verbose: bool = False) -> HttpResponse:
    return HttpResponse(pk)


@requires_any_scope("read", "write")
async def async_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@requires_scope("example:scope")
class ClassView(View):
    name: str = "class"


@requires_token
def bare(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse(pk)


@requires_token()
async def called(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@requires_token
class Bare(View):
    name: str = "bare"


class Things(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [IsAuthenticated, RequiresScope("a"), RequiresAnyScope("b", "c")]

    @requires_scope("example:scope")
    def get(self, request: Request, pk: int) -> Response:
        return Response(pk)


class Composed(APIView):
    permission_classes = [IsAuthenticated & RequiresScope("a"), RequiresScope("a") | ~RequiresAnyScope("b")]


def a_decorated_view_keeps_its_signature(request: HttpRequest, view: Things, rest_request: Request) -> None:
    assert_type(function_view(request, 1, verbose=True), HttpResponse)
    function_view(request, "one")  # type: ignore[arg-type]
    function_view(request)  # type: ignore[call-arg]
    assert_type(view.get(rest_request, 1), Response)
    assert_type(ClassView(), ClassView)
    assert_type(ClassView.name, str)


async def a_decorated_view_stays_async(request: HttpRequest) -> None:
    assert_type(await async_view(request), HttpResponse)


def the_ways_in(request: HttpRequest, error: AuthorizationError) -> None:
    assert_type(verify("token"), AccessToken)
    assert_type(authenticate(request), tuple[Any, AccessToken] | None)
    assert_type(authenticate(request, leave_foreign=True), tuple[Any, AccessToken] | None)
    assert_type(authorize(request, Scopes(("read",))), AccessToken)
    assert_type(error_response(error), JsonResponse)
    assert_type(bare(request, 1), HttpResponse)
    assert_type(Bare(), Bare)
    verify(b"token")  # type: ignore[arg-type]
    revoke("https://issuer.test/", subject="ada", issued_before=datetime.now().astimezone())
    revoke("https://issuer.test/", "ada")  # type: ignore[call-arg]  # what it names has a name
    AccessTokenMiddleware(lambda request: HttpResponse())


async def the_async_ways_in(request: HttpRequest) -> None:
    assert_type(await averify("token"), AccessToken)
    await arevoke("https://issuer.test/", jti="1", expires_at=0.0)
    assert_type(await aauthenticate(request), tuple[Any, AccessToken] | None)
    assert_type(await aauthorize(request, AnyToken()), AccessToken)
    assert_type(await called(request), HttpResponse)


def the_decorators_take_names_of_scopes() -> None:
    requires_scope(1)  # type: ignore[arg-type]
    requires_any_scope(["a", "b"])  # type: ignore[arg-type]
    RequiresScope(["a"])  # type: ignore[arg-type]


def a_permission_is_a_class() -> None:
    assert_type(RequiresScope("a"), type[BasePermission])


def the_issuers() -> None:
    assert_type(auth0_issuer("tenant.eu.auth0.com"), str)
    assert_type(trusted_issuers(), tuple[TrustedIssuer, ...])
    for issuer in trusted_issuers():
        assert_type(issuer.issuer, str)
        assert_type(issuer.error, UnavailableReason | None)
        assert_type(issuer.metadata, Mapping[str, Any] | None)
        assert_type(issuer.trusted_until, datetime | None)
        for key in issuer.keys:
            assert_type(key.kid, str | None)
            assert_type(key.since, datetime | None)


def the_errors(rejected: InvalidToken, scope: InsufficientScope, unavailable: Unavailable) -> None:
    assert_type(rejected.status, int)
    assert_type(rejected.code, str)
    assert_type(rejected.reason, Reason)
    assert_type(scope.scopes, tuple[str, ...])
    assert_type(unavailable.retry_after, int)
    InvalidToken(TokenReason.TOKEN_EXPIRED)
    InvalidToken(UnavailableReason.FETCH_FAILED)  # type: ignore[arg-type] # a reason of another class of error
    Unavailable(TokenReason.TOKEN_EXPIRED)  # type: ignore[arg-type]
    InsufficientScope(TokenReason.TOKEN_EXPIRED, scopes=("a",))  # type: ignore[arg-type]
    InvalidToken("invented")  # type: ignore[arg-type]


def the_user(user: TokenUser) -> None:
    assert_type(user.is_authenticated, bool)


def the_fake_issuer(issuer: FakeIssuer) -> None:
    assert_type(issuer.token(sub="auth0|1", scope="a"), str)
    assert_type(issuer.settings(REALM="here"), dict[str, Any])
    assert_type(issuer.opaque_token(sub="auth0|1", scope="a"), str)
    assert_type(issuer.introspection(FOR="all"), dict[str, Any])

"""The view for OpenID Connect Back-Channel Logout 1.0: the issuer says that a session has ended, and its tokens end too.

::

    path("backchannel-logout", backchannel_logout)
"""

import logging
from typing import Final

from django.core.exceptions import BadRequest, ImproperlyConfigured, SuspiciousOperation
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    JsonResponse,
    QueryDict,
    RawPostDataException,
    UnreadablePostError,
)
from django.http.multipartparser import MultiPartParserError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters

from resource_server.challenge import body
from resource_server.clocks import time_of_day
from resource_server.errors import AuthorizationError, InvalidLogoutToken, Unavailable
from resource_server.flow import run
from resource_server.reasons import LogoutReason, UnavailableReason
from resource_server.revocation import end_session
from resource_server.server import current
from resource_server.tokens.credentials import parse_token
from resource_server.tokens.logout_tokens import LogoutToken, verify_logout_token

__all__ = ["backchannel_logout"]

logger = logging.getLogger("resource_server")

_NO_STORE: Final = {"Cache-Control": "no-store"}


@csrf_exempt
@sensitive_post_parameters("logout_token")
def backchannel_logout(request: HttpRequest) -> HttpResponse:
    """Revoke the tokens of the session or the subject of a logout token: 200, or 400 with the reason (section 2.8).

    A logout that fails because the keys or the cache cannot be reached is 400 too, as section 2.8 demands. Needs
    `REVOCATION`, and `LOGOUT_AUDIENCE` for the issuer.
    """
    if request.method != "POST":
        refusal = HttpResponseNotAllowed(["POST"])
        refusal.headers["Cache-Control"] = "no-store"
        return refusal
    try:
        if not _end_session(_verified(request)):
            raise InvalidLogoutToken(LogoutReason.LOGOUT_TOKEN_REPLAYED)
    except AuthorizationError as error:
        error.__traceback__ = error.__context__ = error.__cause__ = None  # the frames hold the token
        level = logging.ERROR if isinstance(error, Unavailable) else logging.WARNING
        logger.log(level, "logout failed: %s: %s", error.reason, error, extra={"reason": error.reason})
        members = body(error)
        code = members.get("error", "") if isinstance(error, Unavailable) else "invalid_request"
        return JsonResponse({**members, "error": code, "error_description": str(error)}, status=400, headers=_NO_STORE)
    return HttpResponse(status=200, headers=_NO_STORE)


backchannel_logout.login_required = False  # type: ignore[attr-defined] # Django's own mark on a view


def _end_session(token: LogoutToken) -> bool:
    try:
        return end_session(token)
    except ImproperlyConfigured as error:
        logger.error("%s", error)  # noqa: TRY400 - its place says nothing
        raise Unavailable(UnavailableReason.SETTINGS_INVALID) from None


def _verified(request: HttpRequest) -> LogoutToken:
    try:
        tokens = _form(request).getlist("logout_token")
    except (BadRequest, MultiPartParserError, RawPostDataException, SuspiciousOperation, UnreadablePostError):
        tokens = []
    if len(tokens) != 1:
        raise InvalidLogoutToken(LogoutReason.LOGOUT_TOKEN_MISSING)
    credentials = parse_token(tokens[0].strip())
    server = current()
    return run(verify_logout_token(credentials.unverified_token, server.verifier.issuer, time_of_day))


def _form(request: HttpRequest) -> QueryDict:
    """The fields of the body, which is a form (section 2.5) whatever its Content-Type says.

    Some issuers send no type, or another charset, and Django reads neither. A JWT is ASCII.
    """
    if request.content_type == "multipart/form-data":
        return request.POST
    return QueryDict(request.body, encoding="utf-8")

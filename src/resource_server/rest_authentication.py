"""The authentication class of Django REST Framework, and our errors as its exceptions. Users import both from `drf`.

REST framework imports this module while it defines APIView, if its settings name the class: so no import of its views.
"""

from typing import Any

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from resource_server import authentication, server
from resource_server.admission import Authenticated
from resource_server.challenge import body, challenge, headers
from resource_server.errors import AuthorizationError, NoCredentials, Unavailable
from resource_server.reasons import CredentialsReason
from resource_server.request_facts import sent_path
from resource_server.rest_answers import finish_answer, note_refusal

__all__ = ["AccessTokenAuthentication", "AuthorizationFailed", "challenged_scopes"]

# The public address of both classes. The system checks, and projects, recognise a class by it.
_PUBLIC_MODULE = "resource_server.drf"


class AuthorizationFailed(APIException):
    """One of our errors as REST framework's. `error` is the AuthorizationError; the request chooses the metadata to name.

    Not an AuthenticationFailed: REST framework answers that with 403 where another authentication class stands first.
    """

    __module__ = _PUBLIC_MODULE

    def __init__(self, error: AuthorizationError, request: Request | HttpRequest | None = None) -> None:
        super().__init__(body(error), code=error.reason.value)
        self.error = error
        self.status_code = error.status
        # REST framework's exception handler makes the headers from these two.
        found = headers(server.answers(), error, "" if request is None else sent_path(request))
        self.auth_header = found.get("WWW-Authenticate")
        self.wait = error.retry_after if isinstance(error, Unavailable) else None
        if request is not None:
            note_refusal(request, self, error.status, found)


class AccessTokenAuthentication(BaseAuthentication):
    """Bearer access tokens (RFC 6750 section 2.1): sets `request.user`, and `request.auth` to an AccessToken.

    Requests without a bearer token are left to the other authentication classes. A bad token is refused, also by
    views that admit anyone. To migrate from another bearer scheme, set `leaves_foreign_credentials = True` in a
    subclass: it leaves credentials that are not a JWT, or whose issuer is not listed, to the classes after it. A
    request whose credentials no class knows is then anonymous.
    """

    __module__ = _PUBLIC_MODULE

    leaves_foreign_credentials = False

    def authenticate(self, request: Request | HttpRequest) -> Authenticated | None:
        """The user and the token; None without bearer credentials. Raises AuthorizationFailed."""
        view, django_request = None, request
        if isinstance(request, Request):
            view, django_request = request.parser_context.get("view"), request._request
            if getattr(view, "headers", None) is not None:
                finish_answer(view)
        try:
            authenticated = authentication.authenticate(django_request, leave_foreign=self.leaves_foreign_credentials)
        except AuthorizationError as error:
            raise AuthorizationFailed(error, request) from error
        if authenticated is None:
            self._lead_the_challenge(view)
        return authenticated

    def authenticate_header(self, request: Request | HttpRequest) -> str:
        """The challenge of an answer to a request without credentials."""
        error = NoCredentials(CredentialsReason.CREDENTIALS_MISSING, scopes=challenged_scopes(request))
        return challenge(server.answers(), error, sent_path(request))

    def _lead_the_challenge(self, view: Any) -> None:
        # REST framework asks the first class for the challenge, and answers 403 if that class has none, as
        # SessionAuthentication. This view object serves this request alone, so our class is put first on it. The
        # authenticators of the request exist already, so the order of authentication stays.
        classes = getattr(view, "authentication_classes", ())
        if type(self) in classes:
            view.authentication_classes = sorted(classes, key=lambda cls: cls is not type(self))


def challenged_scopes(request: Request | HttpRequest) -> tuple[str, ...]:
    """The scopes that the view of a request demands; of several ways in, those of the one that asks for the least."""
    from resource_server.view_access import access_of

    view = request.parser_context.get("view") if isinstance(request, Request) else None
    if view is None:
        return ()
    try:
        return access_of(view, str(request.method)).challenged
    except Exception:  # noqa: BLE001 - permissions of the project, for an answer that is right without their scopes too
        return ()

"""django-ninja: `auth=AccessToken(...)` for an API, a router or an operation, and an API that describes its rights."""

import asyncio
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.urls import URLPattern, URLResolver
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation
from ninja.security.base import AuthBase

from resource_server import requirements as rights
from resource_server.access import of_requirement
from resource_server.authentication import aauthenticate, aauthorize, authenticate, authorize
from resource_server.challenge import body_schema, media_type
from resource_server.errors import AuthorizationError
from resource_server.ninja_answers import REQUIRED, answer_refusals, answer_refusals_of, finished
from resource_server.requirements import AnyToken, Requirement, requirement_of
from resource_server.server import answers
from resource_server.tokens.access_token import AccessToken as Token

__all__ = ["AccessRefused", "AccessToken", "AccessTokenAPI"]

_ANSWERS = {
    401: "No access token, or none that is accepted.",
    403: "The access token lacks a right.",
    503: "The keys of the access token's issuer cannot be had at the moment.",
}


class AccessRefused(HttpError):
    """One of our errors as django-ninja's. `error` is the AuthorizationError."""

    def __init__(self, error: AuthorizationError) -> None:
        super().__init__(error.status, str(error))
        self.error = error


class AccessToken(AuthBase):
    """Admits requests whose verified access token meets the requirement; sets `request.auth` to it, and `request.user`.

    Takes what `requires` takes; without it any verified token is admitted. In a list of `auth`, a request without a
    bearer token is left to the other entries; a token that fails is refused at once, so of several AccessTokens the
    first decides. The answer is that of the other edges, unless the API has an exception handler of its own for HttpError
    or Exception.
    """

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_bearerFormat = "JWT"  # noqa: N815 - OpenAPI's name

    def __init__(self, declared: Requirement | str | Mapping[str, Requirement | str] | None = None) -> None:
        super().__init__()
        self.requirement = AnyToken() if declared is None else requirement_of(declared)
        self.is_async = True  # for an async operation; a sync one also takes a value that is not awaitable

    def __call__(self, request: HttpRequest) -> Any:
        """The token, None without bearer credentials. Raises AccessRefused. Awaitable in an event loop."""
        if not hasattr(request, REQUIRED):  # of several in a list, the first decides
            setattr(request, REQUIRED, self.requirement)
        answer_refusals_of(request, AccessRefused, AuthenticationError)
        request._cache_update_cache = False  # type: ignore[attr-defined] # noqa: SLF001 - keeps the answer out of Django's page cache
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._admit(request)
        return self._aadmit(request)

    def _admit(self, request: HttpRequest) -> Token | None:
        try:
            return None if authenticate(request) is None else authorize(request, self.requirement)
        except AuthorizationError as error:
            raise AccessRefused(error) from error

    async def _aadmit(self, request: HttpRequest) -> Token | None:
        try:
            return None if await aauthenticate(request) is None else await aauthorize(request, self.requirement)
        except AuthorizationError as error:
            raise AccessRefused(error) from error


class AccessTokenAPI(NinjaAPI):
    """A NinjaAPI whose answers say that they depend on the token, and whose document has the rights of its operations."""

    def set_default_exception_handlers(self) -> None:
        super().set_default_exception_handlers()
        answer_refusals(self, AccessRefused, AuthenticationError)

    @property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        patterns, app_name, namespace = super().urls
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                pattern.callback = finished(pattern.callback)
        return patterns, app_name, namespace

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        prefix = self.get_root_path(path_params or {}) if path_prefix is None else path_prefix
        return _Schema(self, prefix)


class _Schema(OpenAPISchema):
    """Adds to each operation behind an AccessToken its scopes, its requirement in words, and its refusals."""

    def operation_details(self, operation: Operation) -> dict[str, Any]:
        details = super().operation_details(operation)
        # The first decides: a token that it refuses is not left to the others.
        ours = next((each for each in operation.auth_callbacks if isinstance(each, AccessToken)), None)
        if ours is None:
            return details
        method = operation.methods[0] if len(operation.methods) == 1 else None
        access = of_requirement(ours.requirement, rights.Operation(method=method))
        details["description"] = f"{details.get('description', '')}\n\nAccess: {access.text}.".lstrip()
        listed = [{AccessToken.__name__: list(way.scopes)} for way in access.ways]
        others = [entry for entry in details["security"] if AccessToken.__name__ not in entry]
        details["security"] = [*listed, *others]
        for status, description in _ANSWERS.items():
            header = "Retry-After" if status == 503 else "WWW-Authenticate"
            answer = {
                "description": description,
                "headers": {header: {"schema": {"type": "string"}}},
                "content": {media_type(answers()): {"schema": body_schema()}},
            }
            details["responses"].setdefault(status, answer)
        return details

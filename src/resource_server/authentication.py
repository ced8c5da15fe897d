"""The one door: HttpRequest -> (user, AccessToken), or None where no token was sent. Every edge comes through here.

Signals and the log line of a refusal are here.
"""

import logging
from typing import Any, TypeAlias

from django.dispatch import Signal
from django.http import HttpRequest

from resource_server import signals, users
from resource_server.errors import AuthorizationError, Unavailable
from resource_server.requirements import Requirement
from resource_server.server import ResourceServer, current
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.credentials import parse_authorization
from resource_server.tokens.flow import Blocking, Flow

__all__ = ["Authenticated", "authenticate", "demand", "remembered", "report"]

logger = logging.getLogger("resource_server")

Authenticated: TypeAlias = tuple[Any, AccessToken]


def remembered(request: HttpRequest) -> Authenticated | None:
    """What `authenticate` would give, where nobody need be asked for it; None where that is not known.

    Most requests end here: the token was verified a moment ago, and its user needs no query. Takes no lock and reads
    no settings. Raises nothing.
    """
    header = request.META.get("HTTP_AUTHORIZATION")
    if header is None or header[:7] != "Bearer " or signals.token_accepted.receivers:
        return None
    try:
        server = current()
    except Unavailable:
        return None
    seen = server.verifier.recall(header[7:])
    if seen is None:
        return None
    token = seen.token
    finder = server.finders[seen.issuer.policy.users]
    if finder is None:
        return users.TokenUser(token), token
    user = users.remembered_user(token, finder)
    return None if user is None else (user, token)


def authenticate(request: HttpRequest) -> Flow[Authenticated | None]:
    """The user and the verified token of a request, as a flow for `run` or `arun`; None where the header holds no bearer credentials.

    Raises AuthorizationError. Does not judge scopes, and never answers None for credentials that fail.
    """
    try:
        header = _authorization(request)
        if header is None:
            return None
        credentials = parse_authorization(header)
        if credentials is None:
            return None
        server = current()
        token, policy = yield from server.verifier.verify(credentials)
        user = yield from users.find_user(token, server.finders[policy.users])
    except AuthorizationError as error:
        yield from report(request, error)
        raise
    if signals.token_accepted.receivers:
        yield from _send(signals.token_accepted, request=request, token=token, user=user)
    return user, token


def demand(request: HttpRequest, requirement: Requirement, token: object) -> Flow[None]:
    """Demand a right of what was verified for this request. Raises InsufficientScope, also where `token` is no AccessToken."""
    try:
        requirement.check(token)
    except AuthorizationError as error:
        yield from report(request, error)
        raise


def report(request: HttpRequest, error: AuthorizationError) -> Flow[None]:
    """Tell the log and the receivers of `token_rejected` why a request is refused, in the same words for every edge."""
    level = logging.WARNING if isinstance(error, Unavailable) else logging.INFO
    # The path is what a log needs to find the call; the query may hold secrets, and %r keeps a line break from
    # forging a line.
    arguments = (error.reason, error, request.method, request.path)
    logger.log(level, "%s: %s (%s %r)", *arguments, extra={"reason": error.reason})
    yield from _send(signals.token_rejected, request=request, error=error)


def _authorization(request: HttpRequest) -> str | None:
    header = request.META.get("HTTP_AUTHORIZATION")
    return header.decode("latin-1") if isinstance(header, bytes) else header


def _send(signal: Signal, **arguments: Any) -> Flow[None]:
    # Receivers may ask the database, so an async caller must not run them in its event loop; without receivers there
    # is nothing to wait for.
    if signal.receivers:
        yield Blocking(call=lambda: signal.send_robust(ResourceServer, **arguments), thread_sensitive=True)

"""A refusal in the log: a line for each (INFO), the hint for it (DEBUG), and a summary of all (WARNING)."""

import logging

from django.conf import settings
from django.http import HttpRequest

from resource_server.errors import AuthorizationError
from resource_server.refusal_summary import summary
from resource_server.request_hints import request_hint
from resource_server.tokens.credentials import Credentials, parse_authorization

__all__ = ["add_hint", "log_refusal"]

logger = logging.getLogger("resource_server")


def log_refusal(request: HttpRequest, error: AuthorizationError) -> None:
    """Log why a request is refused. While DEBUG is on, the error gets its hint, for the answer.

    Raises nothing, and does no I/O but that of the project's log handlers.
    """
    # Without the query, which can hold secrets. Escaped, so that no line break forges a line.
    arguments = (error.reason, error, ascii(str(request.method))[1:-1], request.path)
    logger.info("%s: %s (%s %r)", *arguments, extra={"reason": error.reason})
    summary.count(error)
    # A flood of bad tokens must stay cheap, so a token is read again only for a person who asked for that.
    if settings.DEBUG or logger.isEnabledFor(logging.DEBUG):
        text = add_hint(error, _credentials(request), request)
        logger.debug("%s: %s", error.reason, text)


def add_hint(error: AuthorizationError, credentials: Credentials | None, request: HttpRequest | None = None) -> str:
    """The hint for a refusal. While DEBUG is on, the error gets it; its answer shows it to the caller."""
    from resource_server.hints import hint  # imported late: in production nobody reads it

    text = hint(error, credentials)
    if request is not None and (found := request_hint(error, request)):
        text = f"{found}. {text}"
    if settings.DEBUG:
        error.hint = text
    return text


def _credentials(request: HttpRequest) -> Credentials | None:
    header = request.META.get("HTTP_AUTHORIZATION")
    try:
        return parse_authorization(header.decode("latin-1") if isinstance(header, bytes) else header)
    except AuthorizationError:
        return None

"""The one door: every edge authenticates and authorizes its requests here.

`authenticate` finds the user and the token of a request, `authorize` requires a right of it, and `verify` takes a token
outside a request; each has an async twin. Only this module handles remembered tokens, reports a refusal to the log
(`refusal_log.py`) and sends the signals of tokens.
"""

import traceback
from functools import partial
from typing import Any, Final, TypeVar

from django.conf import settings
from django.db import connections
from django.dispatch import Signal
from django.http import HttpRequest

from resource_server import signals
from resource_server.access import of_requirement
from resource_server.admission import ADMITTED, Authenticated, admit, admitted, remember
from resource_server.errors import (
    AuthorizationError,
    InsufficientScope,
    InvalidToken,
    NoCredentials,
    Rejected,
    Unavailable,
)
from resource_server.flow import Blocking, Flow, arun, run
from resource_server.reasons import CredentialsReason, TokenReason
from resource_server.refusal_log import add_hint, log_refusal
from resource_server.requirements import Operation, Requirement
from resource_server.server import ResourceServer, current
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.authority import Verdict
from resource_server.tokens.credentials import (
    MAX_TOKEN_CHARACTERS,
    Credentials,
    is_dpop,
    parse_authorization,
    parse_token,
)
from resource_server.tokens.verified_tokens import digest
from resource_server.users import active_user as users
from resource_server.users.token_user import TokenUser

__all__ = [
    "UNREAD",
    "aauthenticate",
    "aauthorize",
    "action_of",
    "aends_at",
    "authenticate",
    "authorize",
    "averify",
    "verify",
]

T = TypeVar("T")

UNREAD: Final = object()
"""The default of `credential`: no framework has authenticated the request, so the door reads it."""

# A thread of one call leaves no database connection behind.
_run = partial(run, after_thread=connections.close_all)

# A credential refused for one of these reasons is not a token of a listed issuer, so it may belong to another scheme.
_FOREIGN = frozenset(
    {
        TokenReason.CREDENTIALS_MALFORMED,
        TokenReason.TOKEN_MALFORMED,
        TokenReason.TOKEN_ENCRYPTED,
        TokenReason.HEADER_MALFORMED,
        TokenReason.PAYLOAD_MALFORMED,
        TokenReason.ISS_MISSING,
        TokenReason.ISS_MALFORMED,
        TokenReason.ISSUER_NOT_TRUSTED,
        TokenReason.TOKEN_INACTIVE,
    }
)


def authenticate(request: HttpRequest, *, leave_foreign: bool = False) -> Authenticated | None:
    """The user and the verified token of a request; None without bearer credentials in its Authorization header.

    Raises AuthorizationError (InvalidRequest, InvalidToken, Unavailable) for credentials that fail. `leave_foreign`
    returns None for credentials that are not a JWT or whose issuer is not listed. Changes nothing on the request. Does
    not judge scopes.
    """
    known = _known(request)
    return _run(_authenticate(request, known, leave_foreign=leave_foreign)) if isinstance(known, _Lookup) else known


async def aauthenticate(request: HttpRequest, *, leave_foreign: bool = False) -> Authenticated | None:
    """`authenticate` for async callers. A token whose key and user are known costs no thread."""
    known = _known(request)
    if isinstance(known, _Lookup):
        return await arun(_authenticate(request, known, leave_foreign=leave_foreign))
    return known


def authorize(
    request: HttpRequest,
    requirement: Requirement,
    *,
    credential: object = UNREAD,
    admits: bool = True,
    operation: Operation | None = None,
) -> AccessToken:
    """The verified token of a request that meets the requirement. Sets `user`, `auser` and `auth` on the request.

    Raises AuthorizationError: those of `authenticate`, NoCredentials without a token, InsufficientScope or
    InsufficientUserAuthentication if the token does not meet the requirement. A framework that authenticates by itself
    gives its `credential`: the AccessToken, another object for another kind of credential, None for none; then the
    request is not read. `admits` is False in front of a framework that sets the user by itself. `operation` holds the
    facts of the request that a framework knows better than the request; they replace those that are read from it.
    """
    known = _credential(request, credential, admits=admits)
    if isinstance(known, AccessToken):
        try:
            return requirement.check(known)
        except Rejected:
            pass  # judged again below, with the facts of the request, and where receivers of the signal may block
    return _run(_authorize(request, requirement, known, operation, admits=admits))


async def aauthorize(
    request: HttpRequest,
    requirement: Requirement,
    *,
    credential: object = UNREAD,
    admits: bool = True,
    operation: Operation | None = None,
) -> AccessToken:
    """`authorize` for async callers."""
    known = _credential(request, credential, admits=admits)
    if isinstance(known, AccessToken):
        try:
            return requirement.check(known)
        except Rejected:
            pass  # as above
    return await arun(_authorize(request, requirement, known, operation, admits=admits))


def verify(token: str) -> AccessToken:
    """The verified token of a caller that has no request: a WebSocket, a GraphQL context, a task.

    `token` is the token alone, without the word Bearer. Raises InvalidToken or Unavailable. Finds no user, so it does
    not check whether one is active; judges no scopes; logs nothing and sends no signals.
    """
    credentials = Credentials(unverified_token=token)
    del token  # an error report shows the locals of a frame
    return _run(_verify(credentials))


async def averify(token: str) -> AccessToken:
    """`verify` for async callers."""
    credentials = Credentials(unverified_token=token)
    del token  # as above
    return await arun(_verify(credentials))


async def aends_at(token: AccessToken) -> float:
    """When a verified token is no longer accepted, in seconds since 1970: `exp` and the clock skew of its issuer.

    Raises AuthorizationError if its issuer is no longer trusted. Does not check whether the token is revoked.
    """
    issuer = await arun(current().verifier.issuer(token.issuer))
    return token.expires_at + issuer.policy.clock_skew_seconds


class _Lookup:
    """Credentials that need I/O, or that are refused: what is known of them without it."""

    __slots__ = ("digest", "error", "seen", "server")

    def __init__(
        self,
        server: ResourceServer | None = None,
        digest: bytes = b"",
        seen: Verdict | None = None,
        error: AuthorizationError | None = None,
    ) -> None:
        self.server = server
        self.digest = digest
        self.seen = seen
        self.error = error


def _known(request: HttpRequest) -> Authenticated | _Lookup | None:
    """The result of `authenticate` if it needs no I/O, else a `_Lookup`."""
    if "HTTP_AUTHORIZATION" not in request.META:
        return None
    if ADMITTED in request.__dict__ and (found := admitted(request)) is not None:
        return found
    try:
        server = current()
    except Unavailable:
        return _Lookup()  # raised again, unless the credentials are of another scheme
    header = request.META["HTTP_AUTHORIZATION"] or ""
    # A token has one key: if more spaces stand around it, the header is parsed first.
    token = header[7:]
    if header[:7] != "Bearer " or " " in token:
        return _Lookup(server)
    if server.verifier.remembers:
        key = digest(token)
        verdict = server.verifier.recall(key)
    else:
        key, verdict = b"", None
    if verdict is None:
        credentials = Credentials(unverified_token=token)
        del header, token  # an error report shows the locals of a frame
        first = _first_sight(server, credentials, key)
        if isinstance(first, _Lookup):
            return first
        verdict = first
    else:
        del header, token  # as above
    if verdict.is_bound or signals.token_accepted.receivers:
        return _Lookup(server, key, verdict)
    finder = server.finders[verdict.policy.users]
    if finder is None:
        return TokenUser(verdict.token), verdict.token
    user = users.remembered_user(verdict.token, finder)
    return _Lookup(server, key, verdict) if user is None else (user, verdict.token)


def _first_sight(server: ResourceServer, credentials: Credentials, key: bytes) -> Verdict | _Lookup:
    """The verdict on a token that is not remembered; a `_Lookup` if it needs I/O or is refused."""
    if len(credentials.unverified_token) > MAX_TOKEN_CHARACTERS:
        return _Lookup(server)
    try:
        return server.verifier.known(credentials, key) or _Lookup(server, key)
    except AuthorizationError as error:
        return _Lookup(server, error=error)
    except Exception as error:
        _forget_token(error)
        raise


def _authenticate(request: HttpRequest, lookup: _Lookup, *, leave_foreign: bool) -> Flow[Authenticated | None]:
    seen, server = lookup.seen, lookup.server
    try:
        if seen is None or server is None or seen.is_bound:
            verified = yield from _verified(request, lookup)
            if verified is None:
                return None
            seen, server = verified
        token = seen.token
        user = yield from users.find_user(token, server.finders[seen.policy.users])
    except AuthorizationError as error:
        _forget_frames(error)
        if leave_foreign and isinstance(error, InvalidToken) and error.reason in _FOREIGN:
            return None
        yield from _report(request, error)
        raise
    if signals.token_accepted.receivers:
        yield from _send(signals.token_accepted, request=request, token=token, user=user)
    return user, token


def _verified(request: HttpRequest, lookup: _Lookup) -> Flow[tuple[Verdict, ResourceServer] | None]:
    """The verdict on the token of the Authorization header, and who reached it; None without bearer credentials."""
    header = request.META["HTTP_AUTHORIZATION"]
    if is_dpop(header) and not (lookup.server is not None and lookup.server.takes_dpop):
        return None  # the scheme of someone else, as any other
    credentials = parse_authorization(header.decode("latin-1") if isinstance(header, bytes) else header)
    del header
    if credentials is None:
        return None
    if lookup.error is not None:
        raise lookup.error
    server = lookup.server or current()
    try:
        verdict = yield from server.verifier.verify(
            credentials, lookup.digest, lookup.seen, server.reader.facts(request)
        )
    except AuthorizationError:
        raise
    except Exception as error:
        _forget_token(error)
        raise
    return verdict, server


def _verify(unparsed: Credentials) -> Flow[AccessToken]:
    try:
        credentials = parse_token(unparsed.unverified_token)
        verdict = yield from current().verifier.verify(credentials)
    except AuthorizationError as error:
        _forget_frames(error)
        if settings.DEBUG:
            add_hint(error, unparsed)
        raise
    except Exception as error:
        _forget_token(error)
        raise
    return verdict.token


def _forget_token(error: Exception) -> None:
    # A fault in this package or in a fetch of the project: an error report must not show the token.
    traceback.clear_frames(error.__traceback__)


def _credential(request: HttpRequest, credential: object, *, admits: bool) -> object:
    """The credential that a framework gives, an AccessToken that is known without I/O, a `_Lookup`, or None."""
    if credential is not UNREAD:
        return credential
    if ADMITTED in request.__dict__ and (found := admitted(request)) is not None:
        if admits and getattr(request, "auth", None) is not found[1]:
            admit(request, *found)
        return found[1]
    known = _known(request)
    # A test sets `auth` without a header; a copy of a request can lack the header that its `auth` came from.
    if known is None and ADMITTED not in request.__dict__ and isinstance(getattr(request, "auth", None), AccessToken):
        return getattr(request, "auth", None)
    return _found(request, known, admits=admits) if isinstance(known, tuple) else known


def _found(request: HttpRequest, authenticated: Authenticated, *, admits: bool) -> AccessToken:
    if admits:
        admit(request, *authenticated)
    else:
        remember(request, authenticated)
    return authenticated[1]


def _authorize(
    request: HttpRequest, requirement: Requirement, credential: object, operation: Operation | None, *, admits: bool
) -> Flow[AccessToken]:
    if isinstance(credential, _Lookup):
        authenticated = yield from _authenticate(request, credential, leave_foreign=False)
        credential = None if authenticated is None else _found(request, authenticated, admits=admits)
    try:
        if credential is None:
            scopes = of_requirement(requirement, operation or _operation(request)).challenged
            raise NoCredentials(CredentialsReason.CREDENTIALS_MISSING, scopes=scopes)
        try:
            return requirement.check(credential)
        except Rejected:
            # Most requirements read the token alone, and more facts never take away a right.
            return requirement.check(credential, operation or _operation(request))
    except AuthorizationError as error:
        if isinstance(error, InsufficientScope) and isinstance(credential, AccessToken):
            error.granted = _granted(credential)
        yield from _report(request, error)
        raise


def _granted(token: AccessToken) -> tuple[str, ...]:
    """The scopes of a token, where a client that asks for more of them must ask for these too."""
    try:
        return tuple(sorted(token.scopes)) if current().challenge_granted_scopes else ()
    except Unavailable:
        return ()


def action_of(callback: Any, method: str) -> str | None:
    """The action of a ViewSet for a method, as REST framework names it. HEAD is answered by GET."""
    actions = getattr(callback, "actions", None)
    if not actions:
        return None
    named: dict[str, str | None] = {"head": actions.get("get"), "options": "metadata", **actions}
    return named.get(method.lower())


def _operation(request: HttpRequest) -> Operation:
    """The facts of a request that requirements read, as Django's resolver knows them."""
    match = request.resolver_match
    method = str(request.method)
    action = action_of(getattr(match, "func", None), method)
    arguments = match.kwargs if match is not None else {}
    user = getattr(request, "user", None)
    return Operation(method=method, action=action, arguments=arguments, user=user)


def _report(request: HttpRequest, error: AuthorizationError) -> Flow[None]:
    """Tell the log and the receivers of `token_rejected` why a request is refused."""
    error.is_dpop = is_dpop(request.META.get("HTTP_AUTHORIZATION"))
    log_refusal(request, error)
    yield from _send(signals.token_rejected, request=request, error=error)


def _send(signal: Signal, **arguments: Any) -> Flow[None]:
    # Receivers can use the database, so they never run in an event loop.
    if signal.receivers:
        yield Blocking(call=lambda: signal.send_robust(ResourceServer, **arguments), thread_sensitive=True)


def _forget_frames(error: AuthorizationError) -> None:
    # The frames that parsed the token hold it in their locals, which error reports and receivers read.
    error.__traceback__ = error.__context__ = error.__cause__ = None

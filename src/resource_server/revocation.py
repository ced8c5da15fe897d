"""Revoke tokens before they expire: the public calls behind `manage.py resource_server revoke` and back-channel logout."""

import logging
import math
from datetime import datetime
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured

from resource_server.clocks import time_of_day
from resource_server.errors import InvalidToken
from resource_server.flow import run
from resource_server.server import ResourceServer, current
from resource_server.tokens.logout_tokens import LogoutToken
from resource_server.tokens.revocations import Kind, Revocations

__all__ = ["arevoke", "begin_deny_list", "end_session", "revocations", "revoke"]

logger = logging.getLogger("resource_server")

# The end of the year 9999, as for the dates in tokens.
_MAX_DATE = 253_402_300_799


def revoke(
    issuer: str,
    *,
    jti: str | None = None,
    subject: str | None = None,
    client_id: str | None = None,
    session: str | None = None,
    issued_before: float | datetime | None = None,
    expires_at: float | None = None,
) -> None:
    """Refuse tokens of an issuer from now on (`token_revoked`), in other processes within 2 s. Blocks.

    Give one of `jti`, `subject`, `client_id` and `session` (the claim `sid`), or `issued_before` alone for all tokens
    of the issuer. Tokens of a subject or a client are refused if they were issued until `issued_before`: seconds since
    1970 by the issuer's clock, or an aware datetime; now if it is None. With `jti`, `expires_at` may say when the token
    expires. Raises ValueError for other arguments and for an issuer that is not trusted, ImproperlyConfigured without
    `REVOCATION`, and Unavailable if the cache does not keep the entry. Does not revoke anything at the issuer.
    """
    names: dict[Kind, Any] = {"jti": jti, "subject": subject, "client": client_id, "session": session}
    given: list[tuple[Kind, Any]] = [(kind, name) for kind, name in names.items() if name is not None]
    if len(given) > 1 or (not given and issued_before is None):
        raise ValueError("give one of jti, subject, client_id and session, or issued_before alone")
    kind: Kind
    kind, name = given[0] if given else ("issuer", "")
    if given and (not isinstance(name, str) or not name):
        raise ValueError("jti, subject, client_id and session are texts that are not empty")
    by_time = kind not in ("jti", "session")
    if (issued_before is not None and not by_time) or (expires_at is not None and kind != "jti"):
        raise ValueError("issued_before does not go with jti and session, and expires_at goes with jti alone")
    until = _seconds(time_of_day() if issued_before is None else issued_before) if by_time else None
    expiry = None if expires_at is None else _seconds(expires_at)
    server = current()
    _require_trusted(server, issuer)
    revocations(server).revoke(kind, issuer, name, issued_until=until, expires_at=expiry)
    # Without the name, which can be a person's.
    logger.info("tokens of issuer %s are revoked by %s", issuer, kind)


async def arevoke(
    issuer: str,
    *,
    jti: str | None = None,
    subject: str | None = None,
    client_id: str | None = None,
    session: str | None = None,
    issued_before: float | datetime | None = None,
    expires_at: float | None = None,
) -> None:
    """`revoke` for async callers."""
    call = partial(
        revoke,
        issuer,
        jti=jti,
        subject=subject,
        client_id=client_id,
        session=session,
        issued_before=issued_before,
        expires_at=expires_at,
    )
    await sync_to_async(call, thread_sensitive=True)()


def begin_deny_list() -> None:
    """Declare the deny list complete, for a cache that has lost it or never had one. Blocks.

    Tokens that were issued before the list began are then no longer refused for that. Raises ImproperlyConfigured
    without `REVOCATION`, and Unavailable if the cache does not keep the entry.
    """
    revocations(current()).begin()


def end_session(token: LogoutToken) -> bool:
    """Revoke the tokens of a session that has ended; False if the logout token was used before. Blocks.

    OpenID Connect Back-Channel Logout 1.0 section 2.7: with `sid` that session, with `sub` alone each of the subject.
    With both, tokens of the subject that name no session are revoked too: they may be of that one. Raises
    ImproperlyConfigured and Unavailable, as `revoke`.
    """
    deny_list = revocations(current())
    if token.session is not None:
        deny_list.revoke("session", token.issuer, token.session)
    if token.subject is not None:
        kind: Kind = "subject" if token.session is None else "sessionless"
        deny_list.revoke(kind, token.issuer, token.subject, issued_until=token.issued_at)
    # Last: if the cache fails before, the issuer may send the token again, and revoking twice changes nothing.
    return deny_list.use_once(token.issuer, token.jti, expires_at=token.expires_at)


def revocations(server: ResourceServer) -> Revocations:
    """The deny list of a resource server. Raises ImproperlyConfigured without `REVOCATION`."""
    if server.revocations is None:
        raise ImproperlyConfigured("RESOURCE_SERVER: REVOCATION is not set, so nothing can be revoked")
    return server.revocations


def _require_trusted(server: ResourceServer, issuer: str) -> None:
    # A wrong name would revoke nothing, without a sign of it.
    try:
        run(server.verifier.issuer(issuer))
    except InvalidToken:
        raise ValueError(f"issuer {issuer!r} is not trusted; compare it with ISSUER") from None


def _seconds(moment: float | datetime) -> float:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("a datetime needs its time zone")
        moment = moment.timestamp()
    if type(moment) not in (int, float) or not math.isfinite(moment) or not 0 <= moment <= _MAX_DATE:
        raise ValueError("a time is in seconds since 1970, or a datetime, up to the year 9999")
    return float(moment)

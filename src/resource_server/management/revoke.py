"""The arguments of `manage.py resource_server revoke`, and what it does with them."""

import math
from argparse import ArgumentTypeError
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError

from resource_server.errors import Unavailable
from resource_server.revocation import begin_deny_list, revoke
from resource_server.server import current

__all__ = ["add_revoke_topic", "revoke_by"]


def add_revoke_topic(topics: Any) -> None:
    """Add the topic to the subparsers of the command."""
    parser = topics.add_parser(
        "revoke",
        help="refuse tokens before they expire",
        description=(
            "Puts tokens on the deny list of REVOCATION. All processes refuse them within 2 s. Without --jti, --subject, "
            "--client and --session, --issued-before alone revokes all tokens of the issuer up to that time."
        ),
    )
    parser.add_argument("issuer", nargs="?", help="the issuer; may be left out if the settings list one alone")
    names = parser.add_mutually_exclusive_group()
    names.add_argument("--jti", help="the token with this jti")
    names.add_argument("--subject", help="the tokens of this subject")
    names.add_argument("--client", dest="client_id", help="the tokens of this client")
    names.add_argument("--session", help="the tokens of this session (the claim sid)")
    names.add_argument(
        "--begin",
        action="store_true",
        help="revoke nothing, and declare the list complete: older tokens are no longer refused because a list was lost",
    )
    parser.add_argument(
        "--issued-before",
        type=_moment,
        metavar="TIME",
        help="now, seconds since 1970, or ISO 8601 with a time zone; with --subject and --client now is the default",
    )
    parser.add_argument("--expires-at", type=_moment, metavar="TIME", help="with --jti: when the token expires")


def revoke_by(options: Mapping[str, Any], *, ends_process: bool) -> str:
    """Revoke by the arguments, and return the line to print. Raises CommandError.

    `ends_process` says that this process ends with the command, and its memory too.
    """
    if ends_process:
        _require_kept_entries()
    try:
        if options["begin"]:
            if options["issuer"] or options["issued_before"] is not None or options["expires_at"] is not None:
                raise CommandError("--begin stands alone")
            begin_deny_list()
            return "The deny list is complete from now on."
        issuer = options["issuer"] or _only_issuer()
        names = {name: options[name] for name in ("jti", "subject", "client_id", "session")}
        if options["issued_before"] is None and all(name is None for name in names.values()):
            raise CommandError("give one of --jti, --subject, --client and --session, or --issued-before alone")
        revoke(issuer, **names, issued_before=options["issued_before"], expires_at=options["expires_at"])
    except (ImproperlyConfigured, Unavailable, ValueError) as error:
        raise CommandError(str(error)) from error
    return f"Revoked. All processes refuse these tokens of {issuer} within 2 s."


def _require_kept_entries() -> None:
    # The entry would end with this process, and no server would read it.
    resource_server = getattr(settings, "RESOURCE_SERVER", None)
    alias = resource_server.get("REVOCATION") if isinstance(resource_server, Mapping) else None
    cache = settings.CACHES.get(alias, {}) if isinstance(alias, str) else {}
    if str(cache.get("BACKEND", "")) == "django.core.cache.backends.locmem.LocMemCache":
        raise CommandError(
            "the cache of REVOCATION is a LocMemCache, which ends with this command, so nothing would be revoked: name a "
            "cache that all processes use, such as Redis"
        )


def _only_issuer() -> str:
    issuers = [issuer.policy.issuer for issuer in current().verifier.issuers if issuer.is_listed]
    if len(issuers) != 1:
        raise CommandError("name the issuer: the settings do not list exactly one")
    return issuers[0]


def _moment(text: str) -> float:
    if text == "now":
        return datetime.now(UTC).timestamp()
    try:
        moment = float(text)
    except ValueError:
        try:
            day = datetime.fromisoformat(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a time") from None
        if day.tzinfo is None:
            raise ArgumentTypeError(f"{text!r} has no time zone, such as +00:00") from None
        return day.timestamp()
    if not math.isfinite(moment):
        raise ArgumentTypeError(f"{text!r} is not a time")
    return moment

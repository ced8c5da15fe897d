"""The one door: HttpRequest -> (user, AccessToken), or None where no token was sent. Every edge comes through here.

The settings are read on the first request, and again after `override_settings`. Signals and the log line of a refusal
are here.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import Signal, receiver
from django.http import HttpRequest

from resource_server import conf, signals, users
from resource_server.errors import AuthorizationError, Unavailable
from resource_server.requirements import Requirement
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.credentials import parse_authorization
from resource_server.tokens.flow import Blocking, Flow, run
from resource_server.tokens.http import Fetch, fetch
from resource_server.tokens.issuer import Trusted
from resource_server.tokens.policy import Policy
from resource_server.tokens.verifier import Verifier

__all__ = [
    "Authenticated",
    "ResourceServer",
    "TrustedIssuer",
    "TrustedKey",
    "authenticate",
    "configure",
    "demand",
    "fetch_with",
    "forget",
    "realm",
    "report",
    "trusted_issuers",
]

logger = logging.getLogger("resource_server")

Authenticated: TypeAlias = tuple[Any, AccessToken]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceServer:
    """What the settings make: the verifier, the function that finds users, and the realm."""

    verifier: Verifier
    user_finder: users.UserFinder | None
    realm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A public key that tokens are verified with now."""

    kid: str | None
    kty: str
    algorithms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """What is trusted of one issuer now. `metadata` is None where keys are not discovered; `error` is the reason of a failed refresh."""

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...]
    token_types: tuple[str, ...]
    keys: tuple[TrustedKey, ...]
    metadata: Mapping[str, Any] | None
    error: str | None


_current: ResourceServer | None = None
_fetch: Fetch = fetch
_configuring = threading.Lock()


def configure() -> tuple[ResourceServer | None, list[conf.Problem]]:
    """What the settings make now, and all that is wrong with them; with any problem there is no ResourceServer. Fetches nothing."""
    config, problems = conf.parse(getattr(settings, "RESOURCE_SERVER", None), debug=bool(settings.DEBUG))
    if config is None:
        return None, problems
    finder, problems = users.user_finder(config.users)
    if problems:
        return None, problems
    verifier = Verifier(config.policies, fetch=_fetch, on_refresh=_keys_refreshed)
    return ResourceServer(verifier=verifier, user_finder=finder, realm=config.realm), []


def forget() -> None:
    """Read the settings anew at the next request, and know no keys."""
    global _current  # noqa: PLW0603 - one process has one resource server, and a request must not pay for finding it
    _current = None


def fetch_with(substitute: Fetch | None) -> None:
    """Bring the issuers' documents in another way from now on, also after a change of settings; None is over the network again."""
    global _fetch  # noqa: PLW0603 - as above
    _fetch = substitute or fetch
    forget()


def authenticate(request: HttpRequest) -> Flow[Authenticated | None]:
    """The user and the verified token of a request, as a flow for `run` or `arun`; None where the header holds no bearer credentials.

    Raises AuthorizationError. Does not judge scopes, and never answers None for credentials that fail.
    """
    try:
        credentials = parse_authorization(_authorization(request))
        if credentials is None:
            return None
        server = _server()
        token = yield from server.verifier.verify(credentials)
        user = yield from users.find_user(token, server.user_finder)
    except AuthorizationError as error:
        yield from report(request, error)
        raise
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


def realm() -> str:
    """The realm for a challenge, also where the settings cannot be used."""
    try:
        return _server().realm
    except Unavailable:
        return "api"


def trusted_issuers() -> tuple[TrustedIssuer, ...]:
    """What is trusted now, for a person to read. Fetches keys that are not known yet. Raises Unavailable only for invalid settings."""
    issuers = []
    for policy, keys in _server().verifier.issuers:
        try:
            trusted, error = run(keys.current()), keys.failure
        except Unavailable as unavailable:
            trusted, error = None, unavailable.reason
        issuers.append(
            TrustedIssuer(
                issuer=policy.issuer,
                audience=policy.audience,
                algorithms=policy.algorithms,
                token_types=policy.token_types,
                keys=tuple(
                    TrustedKey(
                        kid=key.kid, kty=key.kty, algorithms=tuple(sorted(key.algorithms & set(policy.algorithms)))
                    )
                    for key in (trusted.keys.keys if trusted else ())
                ),
                metadata=trusted.metadata if trusted else None,
                error=error,
            )
        )
    return tuple(issuers)


def _server() -> ResourceServer:
    global _current  # noqa: PLW0603 - as above
    server = _current
    if server is None:
        # Two servers would fetch the keys twice.
        with _configuring:
            server = _current = _current or _configured()
    return server


def _configured() -> ResourceServer:
    server, problems = configure()
    if server is None:
        for problem in problems:
            logger.error("%s (%s) %s", problem.message, problem.id, problem.hint)
        raise Unavailable("settings_invalid", retry_after=60)
    return server


@receiver(setting_changed)
def _settings_changed(*, setting: str, **_: Any) -> None:
    if setting in ("RESOURCE_SERVER", "DEBUG", "INSTALLED_APPS"):
        forget()


def _authorization(request: HttpRequest) -> str | None:
    header = request.META.get("HTTP_AUTHORIZATION")
    return header.decode("latin-1") if isinstance(header, bytes) else header


def _send(signal: Signal, **arguments: Any) -> Flow[None]:
    # Receivers may ask the database, so an async caller must not run them in its event loop; without receivers there
    # is nothing to wait for.
    if signal.receivers:
        yield Blocking(call=lambda: signal.send_robust(ResourceServer, **arguments), thread_sensitive=True)


def _keys_refreshed(policy: Policy, trusted: Trusted) -> None:
    kids = tuple(key.kid for key in trusted.keys.keys)
    logger.info("keys of issuer %s refreshed: %d", policy.issuer, len(kids))
    signals.keys_refreshed.send_robust(ResourceServer, issuer=policy.issuer, kids=kids)

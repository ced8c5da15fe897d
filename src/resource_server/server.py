"""The settings -> the one ResourceServer of a process: its verifier, the finders of its users, its answers.

Made on the first request, and again after `override_settings`.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.crypto import salted_hmac

from resource_server.challenge import Answers
from resource_server.conf import project as conf
from resource_server.conf.issuers_function import invalid, issuers_function, log_anew
from resource_server.conf.networks import is_development
from resource_server.conf.problems import Problem, problem
from resource_server.conf.reading import Reading, default_of
from resource_server.conf.revocation import RevocationSettings
from resource_server.conf.users import users_of
from resource_server.errors import Unavailable
from resource_server.forks import on_fork
from resource_server.key_events import report
from resource_server.keys.answer import Answer
from resource_server.keys.document import Fetch
from resource_server.keys.http import fetch, post
from resource_server.request_facts import RequestReader
from resource_server.shared_cache import RequestCache, deny_list, shared_answers, shared_documents
from resource_server.tokens.checked_verifier import CheckedVerifier
from resource_server.tokens.nonces import Nonces
from resource_server.tokens.policy import Policy
from resource_server.tokens.proofs import ProofVerifier
from resource_server.tokens.revocations import Revocations
from resource_server.tokens.used_proofs import UsedProofs
from resource_server.tokens.user_source import UserSource
from resource_server.tokens.verifier import Verifier
from resource_server.users.active_user import UserFinder
from resource_server.users.finders import UserFinders

__all__ = ["ResourceServer", "answers", "configure", "current", "fetch_with", "forget"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceServer:
    """The parts that the settings describe. `finders` has one finder for each value of USERS, None for `token`.

    `takes_dpop` says whether credentials of the scheme DPoP are read. `revocations` is the deny list that the verifier
    asks, None without one.
    """

    verifier: Verifier | CheckedVerifier
    finders: Mapping[UserSource, UserFinder | None]
    reader: RequestReader
    takes_dpop: bool
    answers: Answers
    challenge_granted_scopes: bool
    throttle_rates: Mapping[str, str]
    revocations: Revocations | None = None


_current: ResourceServer | None = None
_fetch: Fetch | None = None
_post: Callable[..., Answer] | None = None
_configuring = threading.RLock()


def _forked() -> None:
    global _configuring  # noqa: PLW0603 - a thread of the parent may have held the old one
    _configuring = threading.RLock()


on_fork(_forked)


def configure() -> tuple[ResourceServer | None, list[Problem]]:
    """A new ResourceServer from the settings as they are now, or None and all their problems. Fetches nothing."""
    debug = is_development()
    config, problems = conf.parse(getattr(settings, "RESOURCE_SERVER", None), debug=debug, caches=settings.CACHES)
    if config is None:
        return None, problems
    finders = UserFinders(config.user_cache_seconds)
    for policy in config.policies:
        problems += finders.add(policy.users)
    policy_of = None
    if config.issuers_function is not None:
        common = Reading(settings=config.common)
        source = users_of(common)
        problems += common.problems or finders.add(source)
        policy_of, found = issuers_function(
            config.issuers_function, config.common, finders.add, debug=debug, http_hosts=config.http_hosts
        )
        problems += found
    fetch_documents = _fetch or partial(fetch, ca_file=config.ca_file)
    shared = None
    if config.cache is not None:
        try:
            fetch_documents = shared_documents(fetch_documents, config.cache)
            if any(policy.introspection for policy in config.policies):
                shared = shared_answers(config.cache)
        except ImproperlyConfigured as error:
            problems.append(problem("E030", reason=error))
    revocations = _revocations(config.revocation, problems)
    if problems:
        return None, problems
    verifier = Verifier(
        config.policies,
        policy_of=policy_of,
        token_cache=config.token_cache,
        fetch=fetch_documents,
        post=partial(_post or post, ca_file=config.ca_file),
        shared_answers=shared,
        on_event=partial(report, ResourceServer),
        proofs=_proofs(config),
    )
    return ResourceServer(
        verifier=verifier if revocations is None else CheckedVerifier(verifier, revocations),
        finders=finders,
        reader=RequestReader(origin=config.public_origin, certificates=config.client_certificate),
        takes_dpop=_takes_dpop(config),
        answers=_answers(config),
        challenge_granted_scopes=config.challenge_granted_scopes,
        throttle_rates=config.throttle_rates,
        revocations=revocations,
    ), []


def _revocations(wanted: RevocationSettings | None, problems: list[Problem]) -> Revocations | None:
    if wanted is None:
        return None
    try:
        return deny_list(wanted.cache, fails_open=wanted.fails_open, max_token_seconds=wanted.max_token_seconds)
    except ImproperlyConfigured as error:
        problems.append(problem("E048", reason=error))
        return None


def _takes_dpop(config: conf.Config) -> bool:
    """Whether the scheme DPoP is ours: Auth0 sends tokens that are bound to a certificate under it too."""
    return _offered(config) != "off" or config.client_certificate is not None


def _offered(config: conf.Config) -> str:
    """See `Answers.dpop`."""
    rules = {policy.dpop for policy in config.policies}
    if config.issuers_function is not None:
        # An answer of the function may have a DPOP of its own.
        rules = {str(config.common.get("DPOP", default_of(Policy, "dpop"))), "off"}
        if rules == {"off"} and config.public_origin is not None and config.cache is not None:
            return "by issuer"
    return "off" if rules == {"off"} else "required" if rules == {"required"} else "allowed"


def _answers(config: conf.Config) -> Answers:
    return Answers(
        realm=config.realm,
        resources=config.resources,
        problem_details=config.problem_details,
        dpop=_offered(config),
    )


def _proofs(config: conf.Config) -> ProofVerifier:
    if config.cache is None:
        return ProofVerifier()
    # All processes of a project know the nonces of each other by its secret key, which `shared_documents` has read.
    secret = salted_hmac("resource_server.nonces", "", algorithm="sha256").digest()
    return ProofVerifier(
        used=UsedProofs(RequestCache(config.cache)),
        nonces=None if config.dpop_nonce == "off" else Nonces(secret),
        needs_nonce=config.dpop_nonce == "required",
    )


def current() -> ResourceServer:
    """The resource server of this process. Raises Unavailable (`settings_invalid`)."""
    global _current  # noqa: PLW0603 - one process has one resource server, and a request must not pay for finding it
    server = _current
    if server is None:
        # Under a lock: two servers would fetch the keys twice.
        with _configuring:
            server = _current = _current or _configured()
    return server


def forget() -> None:
    """Drop the resource server with its keys; the next request reads the settings anew."""
    global _current  # noqa: PLW0603 - as above
    _current = None
    log_anew()


def fetch_with(substitute: Fetch | None, ask: Callable[..., Answer] | None = None) -> None:
    """Fetch the issuers' documents with a substitute, also after a change of settings; None is the network again.

    `ask` is the substitute for questions about tokens: a `Post` that also takes `ca_file`.
    """
    global _fetch, _post  # noqa: PLW0603 - as above
    _fetch = substitute
    _post = ask
    forget()


def answers() -> Answers:
    """The settings of answers; the defaults if the settings are invalid."""
    try:
        return current().answers
    except Unavailable:
        return Answers(realm=str(default_of(conf.Config, "realm")))


def _configured() -> ResourceServer:
    server, problems = configure()
    if server is None:
        raise invalid(problems)
    return server


@receiver(setting_changed)
def _settings_changed(*, setting: str, **_: Any) -> None:
    if setting in ("RESOURCE_SERVER", "DEBUG", "INSTALLED_APPS", "AUTH_USER_MODEL", "CACHES", "SECRET_KEY"):
        forget()

"""The cases: what is sent where, with which settings, and what must come back before anything is timed."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.proofs import Client

from resource_server.conf import project as conf

__all__ = ["CASES", "Case", "CaseRefused", "added_settings", "check", "headers", "known_here"]

SESSION = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)


class CaseRefused(Exception):
    """A case does not answer as it must, so its time would mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One bar of the plot, or one line of the additions.

    `sends`: nothing, the same `token`, another token of the `pool` each time, a `session` cookie, an `opaque` token of
    django-oauth-toolkit, or one that is `introspected`; with a new `proof` for each request, that of a bound token
    (`proof`) or one beside a bearer token (`token and proof`). `settings` are added to RESOURCE_SERVER. `refusal` is the
    status of a bad credential. `database_user` is for the table: whether `request.user` is a row, of `database`.
    `package` is the distribution whose version is shown. `cache` is the one that the case uses, if any. `floor` names
    the case that does only what cannot be left out. `copy_seconds` is how long a process may pass a token without asking
    the deny list again; None is the package's own time. `is_development`: DEBUG is on, as the issuer is asked over http, which only
    development may do.
    """

    name: str
    path: str
    sends: str = "token"
    package: str = "django-resource-server"
    settings: Mapping[str, Any] = field(default_factory=dict)
    middleware: tuple[str, ...] = ()
    refusal: int = 401
    database_user: bool = False
    database: str = "default"
    baseline: str = "open view"
    cache: str = "default"
    floor: str = ""
    copy_seconds: float | None = None
    is_development: bool = False

    @property
    def is_ours(self) -> bool:
        return self.package == "django-resource-server"


_LOOKUP = {"USERS": "lookup"}
_PROVISION = {"USERS": "provision"}
_PEOPLE = (
    Case(name="a class that reads the user by prepared SQL", path="/reads", package="Django", database_user=True),
    Case(name="ours, seen token, looked-up user", path="/ours", settings=_LOOKUP, database_user=True),
    Case(name="ours, seen token, provisioned user", path="/ours", settings=_PROVISION, database_user=True),
    Case(
        name="DRF session",
        path="/session",
        sends="session",
        package="djangorestframework",
        middleware=SESSION,
        refusal=403,  # DRF's own: SessionAuthentication has no challenge
        database_user=True,
    ),
    Case(
        name="simplejwt", path="/simplejwt", sends="pool", package="djangorestframework-simplejwt", database_user=True
    ),
)
CASES = (
    Case(name="open view", path="/open", sends="nothing", package="djangorestframework"),
    Case(name="a class that believes everybody", path="/constant", sends="nothing", package="djangorestframework"),
    Case(name="a class that hashes the token", path="/hashes", package="djangorestframework"),
    Case(name="a class that hashes, and varies", path="/hashes-and-varies", package="djangorestframework"),
    Case(name="a class that checks the RSA signature", path="/checks-rsa", sends="pool", package="cryptography"),
    Case(name="our rules in one function", path="/one-function", sends="pool", package="cryptography"),
    Case(name="ours, seen token", path="/ours"),
    Case(name="ours, first sight", path="/ours", sends="pool"),
    Case(name="ours, first sight, TOKEN_CACHE 0", path="/ours", sends="pool", settings={"TOKEN_CACHE": 0}),
    Case(
        name="ours, seen token, user cache",
        path="/ours",
        settings={**_LOOKUP, "USER_CACHE_SECONDS": 30},
        database_user=True,
    ),
    *_PEOPLE,
    *(replace(case, name=f"{case.name}, PostgreSQL", database="postgresql") for case in _PEOPLE),
    Case(name="ours, first sight, looked-up user", path="/ours", sends="pool", settings=_LOOKUP, database_user=True),
    Case(
        name="simplejwt, stateless user",
        path="/simplejwt-stateless",
        sends="pool",
        package="djangorestframework-simplejwt",
    ),
    Case(name="PyJWT in a minimal class", path="/pyjwt", sends="pool", package="pyjwt"),
    Case(name="joserfc in a minimal class", path="/joserfc", sends="pool", package="joserfc"),
    Case(name="drf-oidc-auth", path="/drf-oidc-auth", sends="pool", package="drf-oidc-auth", database_user=True),
    Case(
        name="django-oauth-toolkit",
        path="/django-oauth-toolkit",
        sends="opaque",
        package="django-oauth-toolkit",
        database_user=True,
    ),
    Case(name="plain open view", path="/plain/open", sends="nothing", package="Django", baseline="plain open view"),
    Case(name="plain, ours, seen token", path="/plain/ours", baseline="plain open view"),
    Case(name="plain, ours, first sight", path="/plain/ours", sends="pool", baseline="plain open view"),
    Case(name="plain, Authlib", path="/plain/authlib", sends="pool", package="Authlib", baseline="plain open view"),
    Case(
        name="plain, ours, seen opaque token",
        path="/plain/ours",
        sends="introspected",
        is_development=True,
        baseline="plain open view",
    ),
    Case(
        name="plain, Authlib, opaque token with a cached answer",
        path="/plain/authlib-introspection",
        sends="introspected",
        package="Authlib",
        baseline="plain open view",
    ),
)


def known_here(
    case: Case, settings: Mapping[str, Any], databases: Container[str], caches: Container[str] = ("default",)
) -> bool:
    """Whether this version of the package has the settings that the case needs, and this run its database and cache."""
    _config, problems = conf.parse({**settings, **case.settings}, debug=False, caches=caches)
    return not problems and case.database in databases and case.cache in caches


def added_settings(case: Case, tenant: Any) -> dict[str, Any]:
    """What the case adds to RESOURCE_SERVER."""
    if case.sends != "introspected" or not case.is_ours:
        return dict(case.settings)
    endpoint = f"{tenant.documents}/introspect"
    return {**case.settings, "INTROSPECTION": {"ENDPOINT": endpoint, "CLIENT_ID": "api", "CLIENT_SECRET": "secret"}}


def headers(case: Case, tenant: Any, *, good: bool) -> list[dict[str, str]]:
    """The headers of requests, one dict for each distinct request that the case sends. Each call signs a new proof."""
    if case.sends == "nothing":
        return [{}]
    if case.sends == "session":
        return [{"Cookie": f"sessionid={tenant.session if good else 'x' * 32}"}]
    if case.sends == "opaque":
        return [_bearer(tenant.opaque if good else "x" * 40)]
    if case.sends == "introspected":
        return [_bearer(tenant.introspected if good else "x" * 40)]
    if case.sends == "proof":
        # A bad one is for another token.
        proof = Client(tenant.proof_key).proof(case.path, tenant.bound if good else tenant.token)
        return [{"Authorization": f"DPoP {tenant.bound}", "DPoP": proof}]
    if case.sends == "token and proof":
        token = tenant.token if good else tenant.forged
        return [{**_bearer(token), "DPoP": Client(tenant.proof_key).proof(case.path, token)}]
    if not good:
        return [_bearer(tenant.revoked if "REVOCATION" in case.settings else tenant.forged)]
    return [_bearer(token) for token in (tenant.pool if case.sends == "pool" else [tenant.token])]


def check(case: Case, tenant: Any, send: Callable[[dict[str, str]], int]) -> None:
    """Send a good credential and a bad one. Raises CaseRefused where the answers are not 200 and the refusal of the case."""
    expected = {True: 200} if case.sends == "nothing" else {True: 200, False: case.refusal}
    for good, status in expected.items():
        answered = send(headers(case, tenant, good=good)[0])
        if answered != status:
            raise CaseRefused(
                f"{case.name}: a {'good' if good else 'bad'} credential is answered with {answered}, not {status}"
            )


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}

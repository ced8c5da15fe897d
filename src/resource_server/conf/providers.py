"""Everything that is peculiar to one vendor's tokens, and to no other file of this package.

A provider is the value of the setting PROVIDER. It says which tokens the vendor issues for APIs, by its documentation;
a setting of the project wins over it. docs/providers.md describes each for its users, and tests/providers has recorded
tokens of each.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from resource_server.conf.issuer_form import IssuerForm, IssuerProblem
from resource_server.conf.reading import default_of
from resource_server.keys.addresses import address_problem
from resource_server.tokens.policy import (
    FOREIGN_CLAIMS,
    ClaimNames,
    MachineRule,
    Policy,
    RightClaims,
    client_is_subject,
)

__all__ = ["GENERIC", "PROVIDERS", "Provider", "auth0_issuer"]

_CLIENT_CREDENTIALS = "client-credentials"
# Many vendors type their access tokens `JWT`, or not at all; some have `at+jwt` as an option.
_EITHER_TYPE = ("at+jwt", "jwt")
_GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?")


def _found_by_metadata(issuer: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The habits of one vendor.

    `kind_claims`, `bound_kinds`, `access_token_claims`, `foreign_claims`, `is_machine` and `machines_only` are those of `Policy`. `jwks_uri` is the address of the key set
    if the issuer has no metadata; such an issuer is a name, which may begin with http. `documentation` is a page of the
    vendor.
    """

    name: str
    documentation: str
    issuer_form: IssuerForm
    is_machine: MachineRule
    token_types: tuple[str, ...] = default_of(Policy, "token_types")
    claim_names: ClaimNames = field(default_factory=ClaimNames)
    rights: RightClaims = field(default_factory=RightClaims)
    kind_claims: tuple[tuple[str, str | None], ...] = ()
    bound_kinds: tuple[str, ...] = ()
    access_token_claims: frozenset[str] = frozenset()
    foreign_claims: frozenset[str] = FOREIGN_CLAIMS
    machines_only: bool = False
    jwks_uri: Callable[[str], str | None] = _found_by_metadata

    def issuer_problem(self, issuer: str) -> IssuerProblem | None:
        """The fault in the form of an issuer, None if there is none. Does not look for the issuer."""
        return self.issuer_form.problem(issuer)


def auth0_issuer(domain: str) -> str:
    """The issuer of an Auth0 tenant, with the slash that Auth0's tokens have: `tenant.eu.auth0.com` -> `https://tenant.eu.auth0.com/`.

    Also takes the domain as people paste it, with `https://` or a slash. Raises ValueError for anything that is not a
    host name.
    """
    host = domain.strip().lower().removeprefix("https://").removesuffix("/")
    issuer = f"https://{host}/"
    if _HOST.fullmatch(host) is None or address_problem(issuer, http_on_loopback=False):
        raise ValueError(f"not an Auth0 domain, such as tenant.eu.auth0.com: {domain!r}")
    return issuer


# The rules that distinguish a machine's token from a person's. A project may read the subject from a claim that people
# choose, so they read `sub` itself.


def _is_machine(claims: Mapping[str, Any], subject: str, client_id: str | None) -> bool:
    """Whether a client got the token for itself, by the documented forms in which a person has no choice.

    - RFC 9068 section 2.2: the subject is the client; under another claim name for the subject, `sub` is too.
    - Auth0, Entra ID (`idtyp` alone) and Keycloak: as below. An Auth0 issuer may have a domain of its own.

    The tokens of another issuer that names no client count as those of persons. Does not help an
    issuer that lets people choose their subject.
    """
    if "idtyp" in claims and claims["idtyp"] == "app":
        return True
    if client_id is None:
        return subject.endswith("@clients") and claims.get("gty") == _CLIENT_CREDENTIALS
    if subject in (client_id, f"{client_id}@clients"):
        form = claims.get("sub", subject), claims.get("gty", _CLIENT_CREDENTIALS)
        return form == (subject, _CLIENT_CREDENTIALS)
    return ("clientHost" in claims or "clientAddress" in claims) and _is_keycloak_machine(claims, subject, client_id)


def _never(claims: Mapping[str, Any], subject: str, client_id: str | None) -> bool:
    return False


def _always(claims: Mapping[str, Any], subject: str, client_id: str | None) -> bool:
    return True


def _is_auth0_machine(claims: Mapping[str, Any], subject: str, client_id: str | None) -> bool:
    # A person's subject is `connection|id`. The RFC 9068 profile has no `gty`; old tokens have no `azp`.
    sub, grant = claims.get("sub", subject), claims.get("gty")
    if client_id is None:
        return str(sub).endswith("@clients") and grant == _CLIENT_CREDENTIALS
    return sub == f"{client_id}@clients" and grant in (None, _CLIENT_CREDENTIALS)


def _is_okta_machine(claims: Mapping[str, Any], subject: str, client_id: str | None) -> bool:
    return claims.get("sub", subject) == client_id and "uid" not in claims


def _is_entra_machine(claims: Mapping[str, Any], subject: str, client_id: str | None) -> bool:
    # `idtyp` is an optional claim. Without it, an app-only token has no `scp`, and its `sub` is its `oid`; a person's
    # `sub` is made for each application.
    if claims.get("idtyp") is not None:
        return bool(claims["idtyp"] == "app")
    return claims.get("scp") is None and claims.get("sub", subject) == claims.get("oid")


def _is_keycloak_machine(claims: Mapping[str, Any], subject: str, client_id: str | None) -> bool:
    # A person may register under the name of a service account; the grant of clients alone adds the host or the address.
    return (
        client_id is not None
        and claims.get("preferred_username") == f"service-account-{client_id.lower()}"
        and ("clientHost" in claims or "clientAddress" in claims)
    )


def _is_google_machine(claims: Mapping[str, Any], subject: str, client_id: str | None) -> bool:
    # A service account is its own client, by its number or, with a key file, by its e-mail address. The client of a
    # person is an application.
    return "azp" in claims and claims["azp"] in (claims.get("sub"), claims.get("email"))


def _is_cognito_machine(claims: Mapping[str, Any], subject: str, client_id: str | None) -> bool:
    return claims.get("sub", subject) == client_id and "username" not in claims


def _adfs_key_set(issuer: str) -> str | None:
    scheme, separator, rest = issuer.partition("://")
    host = rest.removesuffix("/adfs/services/trust")
    if scheme not in ("http", "https") or host == rest or not separator:
        return None
    return f"https://{host}/adfs/discovery/keys"


# Without PROVIDER: RFC 9068, the machines of all vendors, and the slash of an Auth0 tenant, which is forgotten often.
GENERIC: Final = Provider(
    name="",
    documentation="https://auth0.com/docs/secure/tokens/access-tokens",
    # Any issuer of RFC 9068 tokens.
    issuer_form=IssuerForm(
        title="an Auth0 tenant",
        example="https://tenant.eu.auth0.com/",
        pattern=r"(?s)(?!.*\.auth0\.com\Z).*",
    ),
    is_machine=_is_machine,
    kind_claims=(("token_use", "access"), ("typ", "Bearer")),
    bound_kinds=("DPoP",),
)

_ALL: Final = (
    Provider(
        name="auth0",
        documentation="https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles",
        # Both access token profiles. The API needs RS256, and the client must ask for the API's `audience`, or it gets an
        # opaque token. With RBAC and permissions in the token, set `CLAIMS` to `{"scope": "permissions"}`.
        issuer_form=IssuerForm(
            title="an Auth0 tenant",
            example="https://tenant.eu.auth0.com/",
            pattern=r"https?://[^/]+/",
        ),
        token_types=_EITHER_TYPE,
        # An ID token has neither, and its audience is the client.
        access_token_claims=frozenset({"azp", "gty"}),
        is_machine=_is_auth0_machine,
    ),
    Provider(
        name="okta",
        documentation="https://developer.okta.com/docs/reference/api/oidc/#access-token",
        # Custom authorization servers alone (also `default`): Okta says not to verify tokens of the org server.
        issuer_form=IssuerForm(
            title="a custom authorization server of Okta",
            example="https://example.okta.com/oauth2/default",
            pattern=r"https://[^/]+/oauth2/[^/]+",
        ),
        token_types=_EITHER_TYPE,
        claim_names=ClaimNames(client_id=("cid",)),
        access_token_claims=frozenset({"cid"}),
        is_machine=_is_okta_machine,
    ),
    Provider(
        name="entra",
        documentation="https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference",
        # Tokens of version 2.0 (`/v2.0`, the audience is the API's client id) and 1.0 (`https://sts.windows.net/TENANT/`,
        # the audience is often `api://...`). Without `scp`, as in an app-only token, the application roles in `roles`
        # count as scopes. Not for Azure AD B2C.
        issuer_form=IssuerForm(
            title="an Entra ID tenant",
            example="https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
            # A name such as `common` is not the issuer of any token.
            pattern=rf"https://sts\.[^/]+/{_GUID}/|https://(?!sts\.)[^/]+/{_GUID}/v2\.0",
        ),
        token_types=("jwt",),
        claim_names=ClaimNames(scope=("scp", "roles"), client_id=("azp", "appid")),
        rights=RightClaims(organisation="tid"),
        # The audience of an ID token can be the same application, but an ID token names no client.
        access_token_claims=frozenset({"azp", "appid"}),
        is_machine=_is_entra_machine,
    ),
    Provider(
        name="keycloak",
        documentation="https://www.keycloak.org/docs/latest/server_admin/#_audience_hardcoded",
        # The client needs an audience mapper for the API. A service account is recognised by `clientHost` or
        # `clientAddress` (client scope `service_account`).
        issuer_form=IssuerForm(
            title="a Keycloak realm",
            example="https://login.example.com/realms/staff",
            pattern=r"https?://[^/]+(?:/[^/]+)*/realms/[^/]+",
        ),
        token_types=_EITHER_TYPE,
        # The roles of the realm. Those of a client: `CLAIMS` with `{"roles": "/resource_access/CLIENT/roles"}`.
        rights=RightClaims(roles="/realm_access/roles"),
        kind_claims=(("typ", "Bearer"),),
        bound_kinds=("DPoP",),
        access_token_claims=frozenset({"typ"}),
        # Before version 24 an access token can have the nonce too, and later by a mapper. An ID token has `typ` ID.
        is_machine=_is_keycloak_machine,
    ),
    Provider(
        name="cognito",
        documentation=(
            "https://docs.aws.amazon.com/cognito/latest/developerguide/"
            "amazon-cognito-user-pools-using-the-access-token.html"
        ),
        # An access token names the app client and no API, so `AUDIENCE` is the id of the app client.
        issuer_form=IssuerForm(
            title="a Cognito user pool",
            example="https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
            pattern=r"https://(?:issuer-)?cognito-idp\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/\1_[0-9a-zA-Z]+",
        ),
        token_types=("jwt",),
        claim_names=ClaimNames(audience="client_id", client_id=("client_id",)),
        rights=RightClaims(groups="cognito:groups"),
        kind_claims=(("token_use", "access"),),
        access_token_claims=frozenset({"token_use"}),
        is_machine=_is_cognito_machine,
    ),
    Provider(
        name="google",
        documentation="https://cloud.google.com/docs/authentication/token-types#id",
        # Google's access tokens are opaque. These are the ID tokens that service accounts get for an audience, as for
        # Cloud Run, Pub/Sub push or Cloud Tasks: the machine's identity, without scopes. Sign-in tokens of persons are
        # refused.
        issuer_form=IssuerForm(
            title="Google",
            example="https://accounts.google.com",
            pattern=r"https://accounts\.google\.com",
        ),
        token_types=("jwt",),
        claim_names=ClaimNames(client_id=("azp",)),
        # The tokens of a person that Google signs in have a profile; most also have `at_hash` or `nonce`.
        kind_claims=tuple((name, None) for name in ("name", "given_name", "family_name", "picture", "hd", "locale")),
        access_token_claims=frozenset({"azp"}),
        is_machine=_is_google_machine,
        machines_only=True,
    ),
    Provider(
        name="zitadel",
        documentation="https://zitadel.com/docs/apis/openidoauth/claims",
        # Set the application's or the service user's token type to JWT. `AUDIENCE` is the project id or the client id.
        # There are no scopes in the token: read the roles from `claims`. A service user cannot be distinguished from a
        # person.
        issuer_form=IssuerForm(
            title="a ZITADEL instance",
            example="https://example.zitadel.cloud",
            pattern=r"https?://[^/]+",
        ),
        token_types=_EITHER_TYPE,
        # The audience of an ID token has the project too. An access token alone has an identifier.
        access_token_claims=frozenset({"jti"}),
        kind_claims=(("amr", None), ("auth_time", None)),
        is_machine=client_is_subject,
    ),
    Provider(
        name="authentik",
        documentation="https://docs.goauthentik.io/add-secure-apps/providers/oauth2/",
        # `AUDIENCE` is the client id. There are scopes only if a scope mapping adds the claim `scope`. A service account
        # cannot be distinguished from a person.
        issuer_form=IssuerForm(
            title="an authentik application",
            example="https://login.example.com/application/o/orders/",
            pattern=r"https?://[^/]+/(?:.*/)?",
        ),
        token_types=_EITHER_TYPE,
        # An access token is the ID token, nonce and all, with `azp` and `uid`.
        access_token_claims=frozenset({"uid"}),
        foreign_claims=FOREIGN_CLAIMS - {"nonce"},
        # The subject can be a username, and a person may choose the public client id as one.
        is_machine=_never,
    ),
    Provider(
        name="adfs",
        documentation="https://learn.microsoft.com/en-us/windows-server/identity/ad-fs/overview/ad-fs-openid-connect-oauth-concepts",
        # The issuer of access tokens is `access_token_issuer` of the metadata, often with `http`; it is a name, and keys
        # are fetched from `https://HOST/adfs/discovery/keys`. A token needs a subject: issue `sub` by a claim rule, or
        # set `CLAIMS` to `{"subject": "upn"}`.
        issuer_form=IssuerForm(
            title="the issuer of AD FS access tokens",
            example="http://adfs.example.com/adfs/services/trust",
            pattern=r"https?://[^/]+/adfs/services/trust",
        ),
        token_types=("jwt",),
        claim_names=ClaimNames(scope=("scp",), client_id=("appid",)),
        rights=RightClaims(roles="role", groups="group"),
        access_token_claims=frozenset({"appid"}),
        jwks_uri=_adfs_key_set,
        is_machine=client_is_subject,
    ),
    Provider(
        name="django-oauth-toolkit",
        documentation="https://django-oauth-toolkit.readthedocs.io/en/latest/settings.html#access-token-generator",
        # Its access tokens are opaque, unless `ACCESS_TOKEN_GENERATOR` names a function of your own that signs a JWT with
        # the OIDC key, with `iss`, `aud`, `sub`, `exp`, and `client_id` or `scope`. Its ID tokens are refused.
        issuer_form=IssuerForm(
            title="an issuer of django-oauth-toolkit",
            example="https://login.example.com/o",
            pattern=r"https?://[^/]+(?:/[^/]+)*",
        ),
        token_types=_EITHER_TYPE,
        access_token_claims=frozenset({"client_id", "scope"}),
        # The project chooses the subject, which can be a username that a person has chosen.
        is_machine=_never,
    ),
    Provider(
        name="github-actions",
        documentation="https://docs.github.com/en/actions/reference/security/oidc",
        # The tokens of workflow jobs, always machines, without scopes. Any repository can get one for any audience: check
        # `repository_owner_id` or `repository_id` in `claims`.
        issuer_form=IssuerForm(
            title="GitHub Actions",
            example="https://token.actions.githubusercontent.com",
            pattern=(
                r"https://token\.actions\.githubusercontent\.com(?:/[^/]+)?|https://token\.actions\.[^/]+\.ghe\.com"
                r"|https://[^/]+/_services/token"
            ),
        ),
        token_types=("jwt",),
        claim_names=ClaimNames(client_id=()),
        access_token_claims=frozenset({"repository"}),
        is_machine=_always,
    ),
    Provider(
        name="gitlab-ci",
        documentation="https://docs.gitlab.com/ci/secrets/id_token_authentication/",
        # The `id_tokens` of CI jobs, always machines, without scopes. Any project can get one for any audience: check
        # `project_id` or `namespace_id` in `claims`. Tokens that sign persons in at GitLab are refused.
        issuer_form=IssuerForm(
            title="a GitLab instance",
            example="https://gitlab.com",
            pattern=r"https?://[^/]+(?:/[^/]+)*",
        ),
        token_types=("jwt",),
        claim_names=ClaimNames(client_id=()),
        access_token_claims=frozenset({"project_path"}),
        is_machine=_always,
    ),
    Provider(
        name="kubernetes",
        documentation="https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/",
        # Projected service account tokens, always machines, without scopes. The metadata of a cluster is often readable
        # inside alone: then save `kubectl get --raw /openid/v1/jwks` as `KEY_FILE`.
        issuer_form=IssuerForm(
            title="the issuer of a Kubernetes cluster",
            example="https://kubernetes.default.svc.cluster.local",
            # Of the managed clusters, AKS alone has the slash.
            pattern=(r"https://[^/]+\.oic\.[^/]+/(?:.*/)?|https://(?![^/]+\.oic\.)[^/]+(?:/[^/]+)*"),
        ),
        token_types=("jwt",),
        claim_names=ClaimNames(client_id=()),
        access_token_claims=frozenset({"kubernetes.io"}),
        is_machine=_always,
    ),
)
PROVIDERS: Final[Mapping[str, Provider]] = {provider.name: provider for provider in _ALL}

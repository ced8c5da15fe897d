"""Every system check, once: its id, the setting, the message and the hint.

`manage.py check`, the log and docs/checks.md read this table. An id is stable; E is an error, W a warning. `$name` in a
text stands for a value of the project's settings. Secrets and keys are never among these values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from typing import Final

from django.core import checks

__all__ = ["PROBLEMS", "Problem", "ProblemText", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemText:
    """The texts of one check. `meaning` is the message for docs/checks.md if the message itself depends on values."""

    key: str
    message: str
    hint: str
    meaning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A fault of the settings. `key` names the setting; `hint` says what to write."""

    id: str
    key: str
    message: str
    hint: str

    def check_message(self, obj: object = None) -> checks.CheckMessage:
        """The problem in the form that Django's check framework shows."""
        app, _, number = self.id.rpartition(".")
        kind = checks.Error if number.startswith("E") else checks.Warning
        return kind(self.message, hint=self.hint, obj=obj, id=f"{app or 'resource_server'}.{number}")


def problem(id_: str, /, *, place: str = "RESOURCE_SERVER", **values: object) -> Problem:
    """The problem with this id, its texts filled in. `place` says where the setting stands.

    Raises KeyError for an id that `PROBLEMS` lacks, and for a missing value.
    """
    texts, given = PROBLEMS[id_], {"place": place, **values}
    key, message, hint = (Template(text).substitute(given) for text in (texts.key, texts.message, texts.hint))
    return Problem(id=id_, key=key, message=message, hint=hint)


_NUMBER = "is not a whole number from 0 to $most"
_DEFAULT = "$default is the default."

PROBLEMS: Final[Mapping[str, ProblemText]] = {
    "E001": ProblemText(
        key="RESOURCE_SERVER",
        message="RESOURCE_SERVER $fault",
        meaning="RESOURCE_SERVER is not set, or is not a dict",
        hint=(
            'For Auth0: RESOURCE_SERVER = {"PROVIDER": "auth0", "ISSUER": "https://tenant.eu.auth0.com/", '
            '"AUDIENCE": "https://api.example.com"}. PROVIDER names the vendor; leave it out for RFC 9068 tokens.'
        ),
    ),
    "E002": ProblemText(
        key="$key",
        message="$place: $key is not a setting",
        meaning="a key is not a setting",
        hint="$suggestion",
    ),
    "E003": ProblemText(
        key="ISSUER",
        message="$place: ISSUER is missing",
        hint=(
            "Write it as it stands in the iss claim, for example https://tenant.eu.auth0.com/ (auth0_issuer() makes it "
            "from an Auth0 domain)."
        ),
    ),
    "E004": ProblemText(
        key="ISSUER",
        message="$place: ISSUER $fault",
        meaning="ISSUER is not an https address, and no setting gives its keys",
        hint=(
            "Write it as it stands in the iss claim, for example https://tenant.eu.auth0.com/ (auth0_issuer() makes it "
            "from an Auth0 domain)."
        ),
    ),
    "E005": ProblemText(
        key="AUDIENCE",
        message="$place: AUDIENCE is missing",
        hint=(
            "Name the API as the issuer does, for example https://api.example.com; without it a token for any other API "
            "would pass."
        ),
    ),
    "E006": ProblemText(
        key="AUDIENCE",
        message="$place: AUDIENCE is not a string or a list of strings",
        hint=(
            "Name the API as the issuer does, for example https://api.example.com; without it a token for any other API "
            "would pass."
        ),
    ),
    "E007": ProblemText(
        key="ALGORITHMS",
        message="$place: ALGORITHMS is not a list of algorithms that are supported",
        hint="$permitted",
    ),
    "E008": ProblemText(
        key="TOKEN_TYPE",
        message="$place: TOKEN_TYPE is not at+jwt or JWT, or a list of these",
        hint="RFC 9068 issuers write at+jwt; many others write JWT, or nothing.",
    ),
    "E009": ProblemText(
        key="CLOCK_SKEW_SECONDS",
        message=f"$place: CLOCK_SKEW_SECONDS {_NUMBER}",
        hint=_DEFAULT,
    ),
    "E010": ProblemText(
        key="JWKS_URI",
        message="$place: JWKS_URI $fault",
        meaning="JWKS_URI is not an https address",
        hint="Leave it out to find the keys through the issuer's metadata.",
    ),
    "E011": ProblemText(
        key="$first",
        message="$place: $first and $second are both set",
        meaning="two sources of keys are set",
        hint="Keep the one where the keys are.",
    ),
    "E012": ProblemText(
        key="JWKS",
        message="$place: JWKS is not a JWK Set of public signature keys",
        hint="$reason.",
    ),
    "E013": ProblemText(
        key="REALM",
        message="$place: REALM is not printable ASCII without quote and backslash",
        hint="It stands in WWW-Authenticate; $default is the default.",
    ),
    "E014": ProblemText(
        key="USERS",
        message="$place: $key is not token, lookup, provision or a dotted path",
        meaning="USERS, or FIND in its dict, is not token, lookup, provision or a dotted path",
        hint="token needs no database; see docs/settings.md.",
    ),
    "E015": ProblemText(
        key="USERS",
        message="$place: USERS is provision, which needs the app resource_server.accounts",
        hint='Add "resource_server.accounts" to INSTALLED_APPS and run manage.py migrate.',
    ),
    "E016": ProblemText(
        key="USERS",
        message="$place: $key is a dotted path $fault",
        meaning="USERS, or CREATE or UPDATE in its dict, is a dotted path that cannot be imported, or to something that is not a function",
        hint="$reason",
    ),
    "E017": ProblemText(
        key="STALE_SECONDS",
        message=f"$place: STALE_SECONDS {_NUMBER}",
        hint=_DEFAULT,
    ),
    "E018": ProblemText(
        key="CLAIMS",
        message="$place: CLAIMS does not name claims",
        hint=(
            '$reason. A dict such as {"scope": "permissions"}; the keys are subject, audience, and (also with a list of '
            "claims) scope, client_id; and permissions, roles, groups, organisation. After the first, a subject is a claim "
            "of the client."
        ),
    ),
    "E019": ProblemText(
        key="PUBLIC_KEY",
        message="$place: PUBLIC_KEY is not a public key or a certificate in PEM",
        hint="$reason.",
    ),
    "E020": ProblemText(
        key="KEY_FILE",
        message="$place: KEY_FILE is not a file with a JWK Set or with public keys in PEM",
        hint="$reason.",
    ),
    "E021": ProblemText(
        key="SECRET",
        message="$place: SECRET cannot be used",
        meaning="SECRET is too short, or is a public key",
        hint="$reason.",
    ),
    "E022": ProblemText(
        key="ISSUERS",
        message="$place: ISSUERS is not a list of issuers or a dotted path",
        hint=(
            'A list of dicts, such as [{"ISSUER": ..., "AUDIENCE": ...}], or the dotted path of a function that takes an '
            "issuer and returns such a dict or None."
        ),
    ),
    "E023": ProblemText(
        key="$key",
        message="$place: $key stands beside ISSUERS",
        meaning="a setting of one issuer stands beside ISSUERS",
        hint="Move it into the entry of its issuer: keys are never shared between issuers.",
    ),
    "E024": ProblemText(
        key="ISSUERS",
        message="$place: ISSUERS has $issuer twice",
        meaning="ISSUERS has an issuer twice",
        hint="List the audiences of an issuer in one entry.",
    ),
    "E025": ProblemText(
        key="ISSUERS",
        message="$place: ISSUERS is a dotted path that cannot be used",
        hint="$reason",
    ),
    "E026": ProblemText(
        key="CACHE",
        message="$place: CACHE is not an alias in CACHES",
        hint="default is the usual one.",
    ),
    "E027": ProblemText(
        key="TOKEN_CACHE",
        message=f"$place: TOKEN_CACHE {_NUMBER}",
        hint=_DEFAULT,
    ),
    "E028": ProblemText(
        key="USER_CACHE_SECONDS",
        message=f"$place: USER_CACHE_SECONDS {_NUMBER}",
        hint=_DEFAULT,
    ),
    "E029": ProblemText(
        key="USERS",
        message="$place: $key is a dotted path to a generator",
        meaning="USERS, or CREATE or UPDATE in its dict, is a dotted path to a generator, sync or async",
        hint="Return the result instead of yielding it. A plain function and an async function both work.",
    ),
    "E030": ProblemText(
        key="CACHE",
        message="$place: CACHE needs a SECRET_KEY",
        hint="SECRET_KEY seals the documents that processes share. $reason",
    ),
    "E031": ProblemText(
        key="PROVIDER",
        message="$place: PROVIDER $provider is not known",
        meaning="PROVIDER is not known",
        hint="$suggestion",
    ),
    "E032": ProblemText(
        key="DEVELOPMENT_HTTP",
        message="$place: DEVELOPMENT_HTTP $fault",
        meaning="DEVELOPMENT_HTTP is not a list of host names, or is set in production",
        hint=(
            'For development: names without scheme and port, such as ["keycloak", "host.docker.internal"], set if DEBUG is on. '
            "In production keys come over https, or anyone on the way can replace them."
        ),
    ),
    "E033": ProblemText(
        key="CA_FILE",
        message="$place: CA_FILE is not a file with certificates in PEM",
        hint="$reason.",
    ),
    "E034": ProblemText(
        key="USERS",
        message="$place: USERS: FIELD $field $fault",
        meaning="FIELD of USERS is not a unique field of the user model, or holds an e-mail address",
        hint=(
            "Name the unique field that holds the sub claim, such as external_id. An address is not an identity: it can be "
            "given to another person."
        ),
    ),
    "E035": ProblemText(
        key="USERS",
        message="$place: USERS: $key $fault",
        meaning="a key of the dict USERS cannot be used",
        hint="$correction",
    ),
    "E036": ProblemText(
        key="SCOPE_HIERARCHY",
        message="$place: SCOPE_HIERARCHY does not name scopes",
        hint='A dict such as {"admin": ["read", "write"]}: a token with the scope on the left has those on the right too.',
    ),
    "E037": ProblemText(
        key="DJANGO_PERMISSIONS",
        message="$place: DJANGO_PERMISSIONS has a fault: $fault",
        meaning="DJANGO_PERMISSIONS has a fault",
        hint='A dict such as {"blog.change_post": "posts:write"}: scopes in one text, or a Requirement without a lambda.',
    ),
    "E038": ProblemText(
        key="THROTTLE_RATES",
        message="RESOURCE_SERVER: THROTTLE_RATES has a fault: $fault",
        meaning="THROTTLE_RATES has a fault",
        hint='A dict such as {"subject": "100/min", "client": "1000/hour", "client:mobile": "10/s", "scope:bulk": "5000/day"}; with several issuers "client:ISSUER mobile".',
    ),
    "E039": ProblemText(
        key="PUBLIC_ORIGIN",
        message="$place: PUBLIC_ORIGIN $fault",
        meaning="PUBLIC_ORIGIN is not an https origin",
        hint="Write scheme, host and port as clients see them, such as https://api.example.com, without a path or a slash.",
    ),
    "E040": ProblemText(
        key="RESOURCE",
        message="$place: RESOURCE is not an https address without query and fragment, or a list of these",
        hint=(
            "It identifies the API to clients (RFC 9728), such as https://api.example.com/orders. Leave it out to publish "
            "AUDIENCE."
        ),
    ),
    "E041": ProblemText(
        key="SCOPES_SUPPORTED",
        message="$place: SCOPES_SUPPORTED is not a list of scopes, or a dict of such lists by resource",
        hint=(
            'A list such as ["read:orders"]; with several resources a dict, {"https://api.example.com/orders": '
            '["read:orders"]}. Leave it out to publish the scopes that the views demand.'
        ),
    ),
    "E042": ProblemText(
        key="$key",
        message="$place: $key is not True or False",
        meaning="a setting is not True or False",
        hint="False is the default.",
    ),
    "E043": ProblemText(
        key="INTROSPECTION",
        message="$place: INTROSPECTION $fault",
        meaning="INTROSPECTION cannot be used: a member is missing, not known, or not of its form",
        hint="$hint",
    ),
    "E044": ProblemText(
        key="INTROSPECTION",
        message="$place: ISSUERS has more than one issuer with INTROSPECTION",
        hint=(
            "An opaque token names no issuer, and none may see the token of another. Keep INTROSPECTION for one, or set FOR to "
            "all for each: then JWTs are introspected by their issuers, and opaque tokens are refused."
        ),
    ),
    "E045": ProblemText(
        key="REVOCATION",
        message="$place: REVOCATION is not an alias in CACHES",
        hint="Name a cache that all processes use, such as Redis.",
    ),
    "E046": ProblemText(
        key="REVOCATION_FAILS",
        message="$place: REVOCATION_FAILS is not closed or open",
        hint="closed is the default. open lets revoked tokens pass while the cache gives no answer.",
    ),
    "E047": ProblemText(
        key="MAX_TOKEN_SECONDS",
        message="$place: MAX_TOKEN_SECONDS is not a whole number from 1 to $most",
        hint=_DEFAULT,
    ),
    "E048": ProblemText(
        key="REVOCATION",
        message="$place: REVOCATION needs a SECRET_KEY",
        hint="SECRET_KEY makes the keys of the entries. $reason",
    ),
    "E049": ProblemText(
        key="LOGOUT_AUDIENCE",
        message="$place: LOGOUT_AUDIENCE is not a string or a list of strings",
        hint="Name the clients whose logout tokens the issuer sends here: their client_id is in aud.",
    ),
    "E050": ProblemText(
        key="DPOP",
        message="$place: DPOP is not off, allowed or required",
        hint="off is the default. allowed admits bearer tokens beside tokens that are bound to a key.",
    ),
    "E051": ProblemText(
        key="DPOP_NONCE",
        message="$place: DPOP_NONCE is not off, optional or required",
        hint="off is the default. required demands a nonce of this server in each proof.",
    ),
    "E052": ProblemText(
        key="CLIENT_CERTIFICATE",
        message="$place: CLIENT_CERTIFICATE $fault",
        meaning="CLIENT_CERTIFICATE does not say where the certificate of a client is",
        hint=(
            'Write {"FROM": "server"}, or the kind of the proxy and its addresses: {"FROM": "nginx", "PROXIES": '
            '["10.0.0.7"]}.'
        ),
    ),
    "E053": ProblemText(
        key="DPOP",
        message="$place: DPOP is on, and $key is not set",
        meaning="DPOP is on without PUBLIC_ORIGIN or without CACHE",
        hint=(
            "PUBLIC_ORIGIN is the scheme and host that clients use, such as https://api.example.com: the URL of a proof is "
            "compared with it. CACHE knows the used proofs."
        ),
    ),
    "W001": ProblemText(
        key="DEFAULT_AUTHENTICATION_CLASSES",
        message=(
            "$classes before AccessTokenAuthentication ($view): a request with a token and another credential is judged "
            "by the other, and its token is not read; if the other reads bearer tokens too, it refuses ours."
        ),
        meaning="an authentication class before ours judges requests with two credentials",
        hint=(
            "Put resource_server.drf.AccessTokenAuthentication first. For another scheme of bearer tokens, let it be a "
            "subclass with leaves_foreign_credentials = True, or the other scheme's tokens are refused."
        ),
    ),
    "W002": ProblemText(
        key="ISSUER",
        message="$place: ISSUER $issuer $fault.",
        meaning="ISSUER does not have the form of the issuers of PROVIDER; checked for Auth0 without PROVIDER too",
        hint="Write $correction instead, exactly as it stands in the iss claim of its tokens. $documentation",
    ),
    "W003": ProblemText(
        key="CACHE",
        message="$place: CACHE $alias is a $backend, through which processes share nothing.",
        meaning="CACHE is a cache that processes do not share",
        hint="Name a cache that all processes use, such as Redis, or leave CACHE out.",
    ),
    "W004": ProblemText(
        key="USERS",
        message=(
            "$place: USERS is lookup for one of ISSUERS, and lookup, or provision with FIELD, by the same field for another: "
            "a user is found by sub alone, so each of these issuers can name the users of the others."
        ),
        hint="Use provision, which tells people apart by issuer and subject, or a function of your own.",
    ),
    "W005": ProblemText(
        key="DEFAULT_AUTHENTICATION_CLASSES",
        message=(
            "$views: authentication is demanded, and no authentication class reads access tokens ($classes). A good token "
            "is refused."
        ),
        meaning="a REST framework view demands authentication, and none of its authentication classes reads access tokens",
        hint=(
            "Add resource_server.drf.AccessTokenAuthentication to authentication_classes, or to "
            "DEFAULT_AUTHENTICATION_CLASSES."
        ),
    ),
    "W006": ProblemText(
        key="DEFAULT_PERMISSION_CLASSES",
        message=(
            "REST_FRAMEWORK: DEFAULT_PERMISSION_CLASSES lets anyone in: a view without a permission and without a guard is "
            "open."
        ),
        meaning="with `--deploy`: DEFAULT_PERMISSION_CLASSES lets anyone in, so a view without a permission is open",
        hint=(
            'Set it to ["rest_framework.permissions.IsAuthenticated"], and AllowAny on the views that are for anyone.'
        ),
    ),
    "W007": ProblemText(
        key="MIDDLEWARE",
        message="MIDDLEWARE: AccessTokenMiddleware stands before $other, which replaces the token's user by its own.",
        hint=("Put resource_server.middleware.AccessTokenMiddleware after django.contrib.auth.middleware.$other."),
    ),
    "W008": ProblemText(
        key="MIDDLEWARE",
        message="$method is guarded, and CsrfViewMiddleware refuses a request with a good token before the guard is asked.",
        meaning="CsrfViewMiddleware refuses a guarded method of a plain view before the guard is asked",
        hint=(
            "Let the guard be the first decorator of the method, without method_decorator, or put it on the class, or add "
            "resource_server.middleware.AccessTokenMiddleware to MIDDLEWARE."
        ),
    ),
    "W009": ProblemText(
        key="CLAIMS",
        message="$place: $key names the claim $name, which looks like a path; a token has one claim of this whole name.",
        meaning="a name in CLAIMS, GROUPS_CLAIM or PERMISSIONS_CLAIM looks like a path into nested claims",
        hint='For a nested claim write the JSON Pointer "$pointer". For one claim of this name write "$whole".',
    ),
    "W010": ProblemText(
        key="USERS",
        message="$place: USERS is provision, and nothing fills these fields of $model: $fields.",
        meaning="USERS is provision, and the user model has a required or unique field that nothing fills",
        hint=(
            'A person\'s first request can fail. Name a function that fills them: "USERS": {"FIND": "provision", "CREATE": '
            "...}."
        ),
    ),
    "W011": ProblemText(
        key="PUBLIC_ORIGIN",
        message="$place: PUBLIC_ORIGIN is set and no metadata are published: no AUDIENCE is an https address.",
        hint="Set RESOURCE to the address by which clients know the API.",
    ),
    "W012": ProblemText(
        key="PUBLIC_ORIGIN",
        message="$place: challenges name $url, which this project does not serve.",
        meaning="challenges name a metadata document that no URL pattern serves",
        hint='Add path("", include("resource_server.urls")) to the root URLconf.',
    ),
    "W013": ProblemText(
        key="REVOCATION",
        message="$place: REVOCATION $alias is a $backend, $fault.",
        meaning="REVOCATION is a cache that loses revocations, or that processes do not share",
        hint="Name a cache that all processes use and that drops no entries, such as Redis with maxmemory-policy noeviction.",
    ),
    "W014": ProblemText(
        key="LOGOUT_AUDIENCE",
        message="$place: LOGOUT_AUDIENCE is set and REVOCATION is not, so each logout fails.",
        hint="Set REVOCATION to the alias of a cache.",
    ),
    "W015": ProblemText(
        key="CACHE",
        message="$place: DPOP is on, and CACHE $alias is a $backend, $fault.",
        meaning="DPOP is on, and CACHE does not keep a proof from being used twice",
        hint="Name a cache whose add is atomic for all processes: Redis, Valkey or Memcached.",
    ),
    "W016": ProblemText(
        key="THROTTLE_RATES",
        message="$place: $throttle counts nothing ($views), because THROTTLE_RATES has no rate for it.",
        meaning="a throttle of this package is in use, and THROTTLE_RATES has no rate for it",
        hint='Add one, such as "THROTTLE_RATES": {"$party": "100/min"}. DEFAULT_THROTTLE_RATES of REST framework is not read.',
    ),
    "resource_server_accounts.W001": ProblemText(
        key="DATABASE_ROUTERS",
        message=(
            "The database router sends accounts to $accounts and users to $users. An account has a foreign key to its user, "
            "so USERS: provision keeps accounts in $users; the admin looks for them in $accounts."
        ),
        meaning="the database router sends accounts and users to two databases",
        hint="Have the router send the app resource_server_accounts to $users, and migrate it there.",
    ),
}

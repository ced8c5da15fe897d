"""The policy of one issuer: the settings that the rules judge its tokens by. Data only; `conf/issuer.py` makes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from resource_server.keys.key_source import KeySource
from resource_server.tokens.claim_paths import ClaimReader, claim_reader, is_pointer
from resource_server.tokens.user_source import UserSource

if TYPE_CHECKING:
    from resource_server.tokens.introspection_policy import IntrospectionPolicy

__all__ = [
    "ALGORITHMS",
    "FOREIGN_CLAIMS",
    "SYMMETRIC_ALGORITHMS",
    "ClaimNames",
    "MachineRule",
    "Policy",
    "RightClaims",
    "client_is_subject",
    "media_type",
    "without_nulls",
]

# RFC 7518 section 3.1, RFC 8037, RFC 9864. Asymmetric only: a party that verifies with a shared secret can also sign.
ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
# RFC 7518 section 3.2. Only for an issuer with a configured secret, and then no other algorithm.
SYMMETRIC_ALGORITHMS: Final = ("HS256", "HS384", "HS512")


# Claims of other kinds of token alone: ID tokens (OpenID Connect Core sections 2, 3.1.3.6 and 3.3.2.11), logout and
# event tokens (RFC 8417).
FOREIGN_CLAIMS: Final = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events"})

# Claims about a person and the person's sign-in: RFC 9068 section 2.2.1, OpenID Connect Core section 5.1, RFC 7662
# section 2.2, and the names of Okta, Entra ID and AD FS. A client that gets a token for itself has none of them.
_PERSON_CLAIMS: Final = frozenset(
    {"auth_time", "amr", "nonce", "sid", "session_state", "username", "uid", "upn", "unique_name"}
    | {"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "email", "email_verified"}
    | {"phone_number", "phone_number_verified", "gender", "birthdate", "picture", "address"}
)

# Whether a token is a machine's, by its claims, its subject and its client. Claims that are null are left out.
MachineRule: TypeAlias = Callable[[Mapping[str, Any], str, str | None], bool]


def client_is_subject(claims: Mapping[str, Any], subject: str, client_id: str | None) -> bool:
    """Whether a client got the token for itself: then it is the subject (RFC 9068 section 2.2).

    `sub` must be the client too, if the subject is read from another claim, whose value a person may choose.
    """
    return client_id is not None and subject == client_id and claims.get("sub", subject) == subject


def media_type(typ: str) -> str:
    """A `typ` in the form to compare: lower case, without the optional `application/` (RFC 7515 section 4.1.9)."""
    name = typ.lower()
    short = name.removeprefix("application/")
    return name if "/" in short else short


def without_nulls(claims: dict[str, Any]) -> dict[str, Any]:
    """The claims that the token has: one that is null is absent."""
    return {name: value for name, value in claims.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimNames:
    """The claims that hold subject, audience, scopes and client in an issuer's tokens (RFC 9068 section 2.2).

    Each is a name or a JSON Pointer (`claim_paths.py`). Of `scope` and `client_id` the first claim that the token has
    counts. `client_as_subject` are claims of the client: the first that the token has is the subject of a machine whose
    token has no `subject`. Names that need no `resolve` are `are_plain`.
    """

    subject: str = "sub"
    audience: str = "aud"
    scope: tuple[str, ...] = ("scope", "scp")  # `scp` is Okta's and Entra ID's name for it
    # RFC 9068 section 2.2, OpenID Connect Core section 2, and the names of Okta and of Entra ID (version 1).
    client_id: tuple[str, ...] = ("client_id", "azp", "cid", "appid")
    client_as_subject: tuple[str, ...] = ()
    are_plain: bool = field(init=False)
    _pointers: Mapping[str, ClaimReader] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The subject of a person must never be read from a second claim: two people could have one identity.
        if not set(self.client_as_subject) <= set(self.client_id):
            raise ValueError(f"after the first, the subject is one of {', '.join(self.client_id) or 'no claims here'}")
        values = (getattr(self, each.name) for each in fields(self) if each.init)
        names = {name for value in values for name in ((value,) if isinstance(value, str) else value)}
        pointers = {name: claim_reader(name) for name in names if is_pointer(name)}
        object.__setattr__(self, "_pointers", pointers)
        object.__setattr__(self, "are_plain", not pointers and not self.client_as_subject)

    def resolve(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """The claims with each value that a pointer leads to under the pointer as its name, and with a machine's subject.

        Reads unverified claims too, and judges none.
        """
        resolved = {name: value for name, value in claims.items() if name not in self._pointers}
        found = {name: read(claims) for name, read in self._pointers.items()}
        resolved |= {name: value for name, value in found.items() if value is not None}
        if self.client_as_subject and not self.has_subject(claims):
            resolved.pop(self.subject, None)
            client = _client_alone(without_nulls(resolved), self.client_as_subject)
            if client is not None:
                resolved[self.subject] = client
        return resolved

    def has_subject(self, claims: Mapping[str, Any]) -> bool:
        """Whether the token has the claim `subject` itself."""
        read = self._pointers.get(self.subject)
        return (claims.get(self.subject) if read is None else read(claims)) is not None


def _client_alone(claims: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The client of a token that names no person, else None."""
    client = next((claims[name] for name in names if name in claims), None)
    # The token of a person that lacks only the subject must not pass for one of its client.
    return client if claims.get("sub", client) == client and _PERSON_CLAIMS.isdisjoint(claims) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RightClaims:
    """Where the rights of an issuer's tokens are: names of claims or JSON Pointers, which requirements alone read.

    `implied_scopes` has, for a scope, all other scopes that it includes. `django_permissions` has, for a permission of
    Django, the Requirement that gives it to a `TokenUser`.
    """

    permissions: str = "permissions"
    roles: str = "roles"  # RFC 9068 section 2.2.3.1, as `groups`
    groups: str = "groups"
    organisation: str = "org_id"
    implied_scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    django_permissions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules for the tokens of one issuer.

    `issuer` is compared exactly. A token needs one of `audience`, one of `algorithms`, and one of `token_types` (in
    the form of `media_type`; `jwt` also admits a token without `typ`). Its key is one of `key_source`. A token of the
    type `jwt` is another kind of token if a claim of `kind_claims` is there with another value (None: if it is there),
    or if it has one of `foreign_claims` or none of `access_token_claims`, or if `machines_only` is set and it is not a machine's.
    `bound_kinds` are other values of a kind claim in a token with `cnf`. `dpop` says whether tokens that are bound to a
    key pass: `off`, `allowed` or `required`. `is_machine` tells machines from persons. `users` is not read here: it says
    how a token becomes `request.user`. With `introspection` the issuer is asked about its tokens.
    `logout_audience` are the audiences of the issuer's logout tokens (`logout_tokens.py`).
    """

    key_source: KeySource
    audience: tuple[str, ...]
    algorithms: tuple[str, ...] = ALGORITHMS
    token_types: tuple[str, ...] = ("at+jwt",)
    clock_skew_seconds: int = 30
    claim_names: ClaimNames = field(default_factory=ClaimNames)
    kind_claims: tuple[tuple[str, str | None], ...] = ()
    bound_kinds: tuple[str, ...] = ()
    access_token_claims: frozenset[str] = frozenset()
    foreign_claims: frozenset[str] = FOREIGN_CLAIMS
    is_machine: MachineRule = client_is_subject
    machines_only: bool = False
    dpop: str = "off"
    users: UserSource = field(default_factory=UserSource)
    rights: RightClaims = field(default_factory=RightClaims)
    introspection: "IntrospectionPolicy | None" = None
    logout_audience: tuple[str, ...] = ()
    issuer: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "issuer", self.key_source.issuer)

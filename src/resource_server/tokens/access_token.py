"""The verified access token: what `request.auth` is, and all that a permission may read (RFC 9068 section 2.2)."""

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, NoReturn, Self

from resource_server.tokens.claim_paths import ClaimReader, claim_reader
from resource_server.tokens.policy import ClaimNames, MachineRule, RightClaims, client_is_subject, without_nulls

__all__ = [
    "AccessToken",
    "access_token",
    "django_permissions_of",
    "lacks_organisation",
    "named_values",
    "organisation_of",
    "plain",
]

_STANDARD_NAMES = ClaimNames()
_STANDARD_RIGHTS = RightClaims()
_MOST = 2**63  # of the number of an organisation: more than any database counts


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False, init=False)
class AccessToken:
    """The claims of a token whose signature, issuer, audience, lifetime and type are verified. Only the verifier makes one.

    Dates are seconds since 1970 (RFC 7519 section 2, NumericDate). The token as it was sent is not kept, and the repr
    holds no claim of a person. `is_machine` is True if a client got the token for itself, without a person (RFC 6749
    section 4.4); `PROVIDER` decides how that is recognised. Requests can share an AccessToken, so it cannot be changed;
    it can be copied and pickled. It says nothing about scopes by itself: a requirement does.
    """

    issuer: str
    subject: str
    audience: tuple[str, ...]
    scopes: frozenset[str]
    client_id: str | None
    issued_at: float | None
    expires_at: float
    is_machine: bool
    _claims: Mapping[str, Any]
    _rights: RightClaims

    def __init__(
        self,
        *,
        issuer: str,
        subject: str,
        audience: tuple[str, ...],
        scopes: frozenset[str],
        client_id: str | None,
        issued_at: float | None,
        expires_at: float,
        claims: Mapping[str, Any],
        is_machine: bool = False,
        rights: RightClaims = _STANDARD_RIGHTS,
    ) -> None:
        _set_issuer(self, issuer)
        _set_subject(self, subject)
        _set_audience(self, audience)
        _set_scopes(self, scopes)
        _set_client_id(self, client_id)
        _set_issued_at(self, issued_at)
        _set_expires_at(self, expires_at)
        _set_is_machine(self, is_machine)
        _set_claims(self, claims)
        _set_rights(self, rights)

    @property
    def claims(self) -> Mapping[str, Any]:
        """All claims, under the names that the issuer gave them, read-only to any depth: lists are tuples.

        `json.dumps(dict(token.claims))` works, as do pickle and copy. `plain_claims` gives dicts and lists.
        """
        claims = self._claims
        if type(claims) is not _ReadOnlyDict:
            # Made on the first access, which most views never need. Two threads make equal ones.
            claims = _read_only(dict(claims))
            _set_claims(self, claims)
        return claims

    def plain_claims(self) -> dict[str, Any]:
        """A copy of all claims, made of dicts and lists, which the caller may change."""
        return {name: plain(value) for name, value in self._claims.items()}

    @property
    def identity(self) -> str:
        """64 hexadecimal digits that identify a person or a machine: a digest of (issuer, subject), another for each kind.

        A person whose subject is the name of a client is not that client (RFC 9068 section 5). Short, without personal
        data, and distinct under any database collation.
        """
        kind = "machine:" if self.is_machine else ""  # a person's starts with a digit
        return hashlib.sha256(f"{kind}{len(self.issuer)}:{self.issuer}{self.subject}".encode()).hexdigest()

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions, from the claim that the provider or CLAIMS names; empty without them."""
        return named_values(self, "permissions") or frozenset()

    @property
    def roles(self) -> frozenset[str]:
        """The roles, as `permissions`."""
        return named_values(self, "roles") or frozenset()

    @property
    def groups(self) -> frozenset[str]:
        """The groups, as `permissions`."""
        return named_values(self, "groups") or frozenset()

    @property
    def organisation(self) -> str | None:
        """The organisation, from the claim that the provider or CLAIMS names."""
        return organisation_of(self)

    # The names that the permission classes of django-oauth-toolkit read of a token.

    @property
    def scope(self) -> str:
        """The scopes in one text, as django-oauth-toolkit's tokens have them."""
        return " ".join(sorted(self.scopes))

    def is_valid(self, scopes: Iterable[str] | None = None) -> bool:
        """Whether the token has not expired and has all of the scopes, for django-oauth-toolkit's permission classes."""
        return not self.is_expired() and self.allow_scopes(scopes)

    def is_expired(self) -> bool:
        """Whether the time of `exp` has come, for django-oauth-toolkit's permission classes."""
        return time.time() >= self.expires_at

    def allow_scopes(self, scopes: Iterable[str] | None) -> bool:
        """Whether the token has all of the scopes, for django-oauth-toolkit's permission classes; True without any."""
        if isinstance(scopes, str):
            raise TypeError("scopes is a list")  # its letters would be read as scopes
        return self.scopes.issuperset(scopes or ())

    def __str__(self) -> str:
        """The `identity`: django-ninja's throttles count by the text of `request.auth`."""
        return self.identity

    def __repr__(self) -> str:
        return f"<AccessToken of {self.issuer}>"


# The slots' own setters: the __init__ of a frozen dataclass takes twice as long.
(
    _set_issuer,
    _set_subject,
    _set_audience,
    _set_scopes,
    _set_client_id,
    _set_issued_at,
    _set_expires_at,
    _set_is_machine,
    _set_claims,
    _set_rights,
) = (vars(AccessToken)[field.name].__set__ for field in fields(AccessToken))


def access_token(
    claims: dict[str, Any],
    claim_names: ClaimNames = _STANDARD_NAMES,
    is_machine: MachineRule = client_is_subject,
    rights: RightClaims = _STANDARD_RIGHTS,
) -> AccessToken:
    """The AccessToken of verified claims. It keeps the dict: the caller must not change it afterwards.

    The claims are those of the token itself. They must have passed `rules.judge` under the same names, and their
    signature `jws.verify_signature`.
    """
    named = claims if claim_names.are_plain else claim_names.resolve(claims)
    subject, audience = named[claim_names.subject], named[claim_names.audience]
    scopes: str | list[str] | None = None
    for name in claim_names.scope:
        if name in named and (scopes := named[name]) is not None:
            break
    client_id = None
    for name in claim_names.client_id:
        if name in named and (client_id := named[name]) is not None:
            break
    present = without_nulls(claims) if None in claims.values() else claims
    return AccessToken(
        issuer=claims["iss"],
        subject=subject,
        audience=(audience,) if isinstance(audience, str) else tuple(audience),
        scopes=_with_implied(_scopes(scopes or ""), rights.implied_scopes)
        if rights.implied_scopes
        else _scopes(scopes or ""),
        client_id=client_id,
        issued_at=claims.get("iat"),
        expires_at=claims["exp"],
        claims=claims,
        is_machine=is_machine(present, subject, client_id)
        or not (claim_names.are_plain or claim_names.has_subject(claims)),
        rights=rights,
    )


def named_values(token: AccessToken, role: str) -> frozenset[str] | None:
    """The values of `permissions`, `roles` or `groups`: those of a list of texts, or one text as one value.

    None without the claim, or if it is anything else, so that a requirement can tell this from an empty list.
    """
    value = _read(token, role)
    if isinstance(value, str):
        return frozenset({value}) if value else frozenset()
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return frozenset(value)
    return None


def django_permissions_of(token: AccessToken) -> Mapping[str, Any]:
    """For each permission of Django that the settings map, its Requirement."""
    return token._rights.django_permissions  # noqa: SLF001 - of the class above


def organisation_of(token: AccessToken) -> str | None:
    """The organisation of a token; a number in its text form. None without it, or if the claim is anything else."""
    value = _read(token, "organisation")
    # Python counts with True, so the type is compared. It writes no number of thousands of digits.
    if type(value) is int and abs(value) < _MOST:
        return str(value)
    return value if isinstance(value, str) and value else None


def lacks_organisation(token: AccessToken) -> bool:
    """Whether the claim of the organisation is absent or null. A malformed claim is there."""
    return _reader(token._rights.organisation, astray=True)(token._claims) is None  # noqa: SLF001 - of the class above


def _read(token: AccessToken, role: str) -> Any:
    return _reader(getattr(token._rights, role))(token._claims)  # noqa: SLF001 - of the class above


@lru_cache(maxsize=1024)
def _reader(name: str, astray: object = None) -> ClaimReader:
    return claim_reader(name, astray)


def _scopes(value: str | list[str]) -> frozenset[str]:
    # RFC 6749 section 3.3: a space separates scopes, and nothing else does. The members of a list are whole scopes.
    scopes = frozenset(value.split(" ") if isinstance(value, str) else value)
    return scopes - {""} if "" in scopes else scopes


def _with_implied(scopes: frozenset[str], implied: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return scopes.union(*(implied[scope] for scope in scopes if scope in implied))


class _ReadOnlyDict(dict[str, Any]):
    """A dict that refuses changes, so that no view changes a token for the views that share it.

    It is a dict because encoders accept no other mapping.
    """

    __slots__ = ()

    def __new__(cls, members: Mapping[str, Any]) -> Self:
        made = super().__new__(cls)
        dict.update(made, members)
        return made

    def __init__(self, members: Mapping[str, Any]) -> None:
        """Add nothing: `__new__` has added the members."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _ReadOnlyDict, (dict(self),)

    def _refuse(self, *_arguments: object, **_named: object) -> NoReturn:
        raise TypeError("claims cannot be changed; plain_claims() gives a copy that can")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


def _read_only(value: Any) -> Any:
    if isinstance(value, dict):
        return _ReadOnlyDict({name: _read_only(member) for name, member in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_read_only(member) for member in value)
    return value


def plain(value: Any) -> Any:
    """A copy of a claim, made of dicts and lists, which the caller may change."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    return value

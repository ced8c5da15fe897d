"""The parties of a token: its issuer, client, organisation and actor, and whether a person or a machine got it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resource_server.requirements.requirement import Operation, Requirement
from resource_server.requirements.rights import UNSET, given, require_texts
from resource_server.tokens.access_token import AccessToken, lacks_organisation, organisation_of

__all__ = ["Actor", "AnyOrganisation", "Client", "Issuer", "Machine", "Organisation", "Person"]


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Issuer(Requirement):
    """A token of one of the issuers. With several issuers, roles and clients of one may have the names of another's."""

    issuers: tuple[str, ...]

    def __init__(self, *issuers: str) -> None:
        object.__setattr__(self, "issuers", require_texts(issuers, "issuer"))

    @property
    def words(self) -> str:
        return f"issued by {_either(self.issuers)}"

    def holds(self, token: AccessToken, operation: Operation) -> bool:
        return token.issuer in self.issuers

    def __repr__(self) -> str:
        return _call(self, *self.issuers)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Client(Requirement):
    """A token that one of the clients got (`client_id`, or `azp`). Not judged for a token that names no client."""

    client_ids: tuple[str, ...]

    def __init__(self, *client_ids: str) -> None:
        object.__setattr__(self, "client_ids", require_texts(client_ids, "client"))

    @property
    def words(self) -> str:
        return "an accepted client"

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        return None if token.client_id is None else token.client_id in self.client_ids

    def __repr__(self) -> str:
        return _call(self, *self.client_ids)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Organisation(Requirement):
    """A token of one of the organisations; or, with `argument`, of the one that this argument of the URL names.

    The claim is `org_id`, or that of the provider or the setting CLAIMS. An argument that is not a text, such as a UUID,
    is compared in its usual text form. Raises ValueError without either, and TypeError for an argument that is None. Not
    judged without the claim or the argument.
    """

    names: tuple[str, ...]
    argument: str | None

    def __init__(self, *names: str, argument: str = UNSET) -> None:
        in_url = given("argument", argument)
        if names and in_url is not None:
            raise ValueError("name organisations, or an argument of the URL, not both")
        if in_url is None:
            names = require_texts(names, "organisation")
        else:
            (in_url,) = require_texts((in_url,), "argument")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "argument", in_url)

    @property
    def words(self) -> str:
        if self.argument is not None:
            return f"the organisation of `{self.argument}` in the address"
        return "an accepted organisation"

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        organisation = organisation_of(token)
        if organisation is None:
            return None
        if self.argument is None:
            return organisation in self.names
        named = operation.arguments.get(self.argument)
        return None if named is None or named == "" else organisation == str(named)

    def __repr__(self) -> str:
        return f"Organisation(argument={self.argument!r})" if self.argument is not None else _call(self, *self.names)


@dataclass(frozen=True, slots=True, repr=False)
class AnyOrganisation(Requirement):
    """A token that names an organisation, in the claim that Organisation reads. Not judged if the claim is malformed."""

    @property
    def words(self) -> str:
        return "an organisation"

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        if organisation_of(token) is not None:
            return True
        return False if lacks_organisation(token) else None

    def __repr__(self) -> str:
        return "AnyOrganisation()"


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Actor(Requirement):
    """A token with which one party acts for another (`act`, RFC 8693 section 4.1): any, or the party with a subject.

    Reads the outermost actor alone, because the actors inside it are history. An actor is known by issuer and subject:
    `issuer` is the token's own unless it is given. Malformed, `act` cannot be judged. Raises TypeError for an argument
    that is None.
    """

    subject: str | None
    issuer: str | None

    def __init__(self, subject: str = UNSET, issuer: str = UNSET) -> None:
        for name, value in {"subject": subject, "issuer": issuer}.items():
            text = given(name, value)
            if text is not None:
                (text,) = require_texts((text,), name)
            object.__setattr__(self, name, text)

    @property
    def words(self) -> str:
        return "an actor" if self.subject is None and self.issuer is None else "an accepted actor"

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        actor: Any = token.claims.get("act")
        if actor is None:
            return False
        if not isinstance(actor, Mapping):
            return None
        subject, issuer = actor.get("sub"), actor.get("iss")
        if not all(value is None or isinstance(value, str) for value in (subject, issuer)):
            return None
        if self.subject is None and self.issuer is None:
            return True
        if self.subject is not None and subject is None:
            return None
        of_issuer = (token.issuer if issuer is None else issuer) == (self.issuer or token.issuer)
        return of_issuer and self.subject in (None, subject)

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in (("issuer", self.issuer),) if value is not None]
        return f"Actor({', '.join([*([] if self.subject is None else [repr(self.subject)]), *given])})"


@dataclass(frozen=True, slots=True, repr=False)
class Machine(Requirement):
    """A token that a client got for itself; the provider says how it is recognised."""

    @property
    def words(self) -> str:
        return "a machine"

    def holds(self, token: AccessToken, operation: Operation) -> bool:
        return token.is_machine

    def __repr__(self) -> str:
        return "Machine()"


@dataclass(frozen=True, slots=True, repr=False)
class Person(Requirement):
    """A token of a person: any that is not known as a machine's."""

    @property
    def words(self) -> str:
        return "a person"

    def holds(self, token: AccessToken, operation: Operation) -> bool:
        return not token.is_machine

    def __repr__(self) -> str:
        return "Person()"


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(f"`{name}`" for name in names)


def _call(requirement: Requirement, *arguments: str) -> str:
    return f"{type(requirement).__name__}({', '.join(map(repr, arguments))})"

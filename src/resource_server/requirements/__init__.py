"""The rights that an endpoint requires of a verified token, as data: one vocabulary for every edge.

A requirement reads an AccessToken, and of the request only an `Operation`. Requirements compose with `&`, `|` and `~`.
`check` returns the token or raises: no result of it can pass for a right by mistake. Imports nothing of Django.
"""

from resource_server.requirements.authentication_context import AuthenticationContext
from resource_server.requirements.authorization_details import AuthorizationDetail
from resource_server.requirements.callers import Actor, AnyOrganisation, Client, Issuer, Machine, Organisation, Person
from resource_server.requirements.claims import Claim
from resource_server.requirements.operations import PerAction, PerMethod, requirement_of, requirement_of_scopes
from resource_server.requirements.owner import Owner
from resource_server.requirements.requirement import And, Not, Operation, Or, Requirement
from resource_server.requirements.rights import AnyScope, AnyToken, Groups, Permissions, Roles, Scopes

__all__ = [
    "Actor",
    "And",
    "AnyOrganisation",
    "AnyScope",
    "AnyToken",
    "AuthenticationContext",
    "AuthorizationDetail",
    "Claim",
    "Client",
    "Groups",
    "Issuer",
    "Machine",
    "Not",
    "Operation",
    "Or",
    "Organisation",
    "Owner",
    "PerAction",
    "PerMethod",
    "Permissions",
    "Person",
    "Requirement",
    "Roles",
    "Scopes",
    "requirement_of",
    "requirement_of_scopes",
]

"""What is peculiar to one vendor's access tokens, and nowhere else in this package."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resource_server.tokens.policy import MachineRule, client_is_subject

__all__ = ["GENERIC", "Provider"]

_CLIENT_CREDENTIALS = "client-credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The habits of one vendor. `kind_claims` and `is_machine` are those of `Policy`."""

    kind_claims: tuple[tuple[str, str], ...] = ()
    is_machine: MachineRule = client_is_subject


def _is_machine(claims: Mapping[str, Any], subject: str, client_id: str | None) -> bool:
    """Whether a client got the token for itself, by any vendor's documented form that leaves nothing to a person's choice.

    - RFC 9068 section 2.2: the subject is the client; under another claim name for the subject, `sub` is too.
    - Auth0: the subject is `<client>@clients`; `gty`, if it is there, is `client-credentials`. Its tokens after
      RFC 9068 have no `gty`, and its issuer may have a domain of its own.
    - Entra ID: `idtyp` is `app`.
    - Keycloak: `preferred_username` is `service-account-<client>`, and `clientHost` or `clientAddress` is there,
      which that grant alone puts in. The name by itself says nothing: a person may register under it.

    Another issuer that names no client cannot be told apart, and its tokens count as those of persons. Does not
    help an issuer that lets people choose their subject.
    """
    if claims.get("idtyp") == "app":
        return True
    if client_id is None:
        return subject.endswith("@clients") and claims.get("gty") == _CLIENT_CREDENTIALS
    if subject in (client_id, f"{client_id}@clients"):
        # A project may read the subject from a name that people choose.
        form = claims.get("sub", subject), claims.get("gty", _CLIENT_CREDENTIALS)
        return form == (subject, _CLIENT_CREDENTIALS)
    return claims.get("preferred_username") == f"service-account-{client_id.lower()}" and (
        "clientHost" in claims or "clientAddress" in claims
    )


# Without PROVIDER: the documented forms of all vendors.
GENERIC = Provider(kind_claims=(("token_use", "access"), ("typ", "Bearer")), is_machine=_is_machine)

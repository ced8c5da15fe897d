"""Opaque tokens, which their issuer alone can read (RFC 7662): the seam for them. No token is introspected yet."""

from collections.abc import Callable
from typing import TypeAlias

from resource_server.tokens.authority import Authority
from resource_server.tokens.credentials import Credentials

__all__ = ["OpaqueAuthority"]

# The authority for a token that is not to be read as a JWT; None for a token that is. The form of the token and the
# settings decide, never a verification that has failed.
OpaqueAuthority: TypeAlias = Callable[[Credentials], Authority | None]

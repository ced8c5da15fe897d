"""An OAuth 2.0 resource server for Django: it decides whether an access token gives the right to what a request asks.

The steps of a request, and the file of each::

    Authorization header    tokens/credentials.py     -> Credentials, or None
    token                   tokens/verifier.py        jws.py parses it, rules.py judges it, keys/ holds the keys
    verified token          tokens/access_token.py    -> AccessToken = request.auth
    person or machine       users/                    -> request.user
    right                   requirements/             scopes, roles, claims, owners, composed
    answer                  challenge.py              status, WWW-Authenticate, body

`authentication.py` is the one door to all of it. `drf.py`, `decorators.py` and `middleware.py` are the edges, which
call it. Importing this package loads none of them and no Django: a public name is imported when it is first read.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resource_server.authentication import aauthenticate, authenticate, averify, verify
    from resource_server.conf.providers import auth0_issuer
    from resource_server.decorators import requires, requires_any_scope, requires_scope, requires_token
    from resource_server.errors import AuthorizationError
    from resource_server.responses import error_response
    from resource_server.revocation import arevoke, revoke
    from resource_server.tokens.access_token import AccessToken
    from resource_server.users.token_user import TokenUser

__all__ = [
    "AccessToken",
    "AuthorizationError",
    "TokenUser",
    "aauthenticate",
    "arevoke",
    "auth0_issuer",
    "authenticate",
    "averify",
    "error_response",
    "requires",
    "requires_any_scope",
    "requires_scope",
    "requires_token",
    "revoke",
    "verify",
]

_MODULES = {
    "AccessToken": "tokens.access_token",
    "AuthorizationError": "errors",
    "TokenUser": "users.token_user",
    "aauthenticate": "authentication",
    "arevoke": "revocation",
    "auth0_issuer": "conf.providers",
    "authenticate": "authentication",
    "averify": "authentication",
    "error_response": "responses",
    "requires": "decorators",
    "requires_any_scope": "decorators",
    "requires_scope": "decorators",
    "requires_token": "decorators",
    "revoke": "revocation",
    "verify": "authentication",
}

# Hidden from type checkers, which would take any name of this package for one that exists.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a public name at its first use (PEP 562). Later uses find it in the module itself."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

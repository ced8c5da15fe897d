"""An OAuth 2.0 resource server for Django: it decides whether an access token gives the right to what is asked.

The way of a request, and the file of each step::

    Authorization header    tokens/credentials.py    -> Credentials, or None
    token                   tokens/verifier.py       jwt.py parses and judges, issuer.py finds the key -> verified claims
    verified token          tokens/access_token.py   -> AccessToken = request.auth
    person or machine       users/finders.py                 -> request.user
    right                   requirements.py          scopes
    answer                  challenge.py             status, WWW-Authenticate, body

`authentication.py` is the one door to all of it; `drf.py`, `decorators.py` and `middleware.py` are the edges. Importing this package reads no settings, imports no models, opens no socket and starts no thread.
"""

from resource_server.authentication import aauthenticate, authenticate, averify, error_response, verify
from resource_server.conf.providers import auth0_issuer
from resource_server.decorators import requires_any_scope, requires_scope, requires_token
from resource_server.errors import AuthorizationError
from resource_server.tokens.access_token import AccessToken
from resource_server.users.token_user import TokenUser

__all__ = [
    "AccessToken",
    "AuthorizationError",
    "TokenUser",
    "aauthenticate",
    "auth0_issuer",
    "authenticate",
    "averify",
    "error_response",
    "requires_any_scope",
    "requires_scope",
    "requires_token",
    "verify",
]

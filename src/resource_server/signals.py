"""Signals for audit logs and metrics: of tokens, of users and of the issuers' keys.

- `token_accepted`: `request`, `token` (AccessToken), `user`
- `token_rejected`: `request`, `error` (an AuthorizationError: its `reason` and `status`); also without a verdict
- `user_provisioned`: `user`, `token`; a person's first request, inside the transaction that makes the user

Of keys, each with `issuer`; kids are strings, or None for a key without one:

- `key_fetch_started`: an attempt to fetch the keys begins
- `keys_refreshed`: `kids` (tuple); the attempt succeeded
- `key_fetch_failed`: `reason`, `repeated` (True if an attempt failed for this reason before in this outage)
- `keys_served_stale`: `kids`, `reason`; the keys have expired and stay in use while the issuer is down. Once per outage
- `key_added`, `key_withdrawn`: `kid`; a key that the last refresh brought, or no longer had

Django logs the exception of a receiver, and the answer stays the same. `user_provisioned` differs: the exception undoes
the user and is raised. An AuthorizationError is the answer to the request, Django's PermissionDenied is 403, and the
person's next request is the first again. Rows that the receiver wrote to another database, or before a statement that
commits (DDL in MySQL), are not undone. Signals of keys are sent in the thread that fetched, which is seldom that of a
request: a receiver that uses the database closes its connection, and no receiver verifies a token of that issuer, as it
would wait for itself.
"""

from django.dispatch import Signal

__all__ = [
    "key_added",
    "key_fetch_failed",
    "key_fetch_started",
    "key_withdrawn",
    "keys_refreshed",
    "keys_served_stale",
    "token_accepted",
    "token_rejected",
    "user_provisioned",
]

token_accepted = Signal()
token_rejected = Signal()
user_provisioned = Signal()
key_fetch_started = Signal()
keys_refreshed = Signal()
key_fetch_failed = Signal()
keys_served_stale = Signal()
key_added = Signal()
key_withdrawn = Signal()

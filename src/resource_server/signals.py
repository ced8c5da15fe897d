"""What happens at the door and to the issuers' keys, for audit logs and metrics.

- `token_accepted`: `request`, `token` (AccessToken), `user`
- `token_rejected`: `request`, `error` (an AuthorizationError: its `reason` and `status`); also where no verdict was reached
- `user_provisioned`: `user`, `token`; the person's first request, inside the transaction that makes the user

Of keys, each with `issuer`; kids are strings, or None for a key without one:

- `key_fetch_started`: an attempt to fetch the keys begins
- `keys_refreshed`: `kids` (tuple); it has succeeded
- `key_fetch_failed`: `reason`, `repeated` (it has failed for this reason before in this outage)
- `keys_served_stale`: `kids`, `reason`; the life of the keys is over, the issuer is down, and they go on. Once in each outage
- `key_added`, `key_withdrawn`: `kid`; what the last refresh has brought or no longer had

What a receiver raises is logged by Django and changes no answer, but for `user_provisioned`, where it undoes the user
and is raised: an AuthorizationError is the answer to the request, Django's PermissionDenied is 403, and the next request
is the first again. Not undone is what the receiver wrote to another database, or before a statement that commits (DDL
in MySQL). Signals of keys are sent in the thread that has fetched, which is seldom that of a request: a receiver
that uses the database closes its connection.
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

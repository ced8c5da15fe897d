"""What happens at the door, for audit logs and metrics.

- `token_accepted`: `request`, `token` (AccessToken), `user`
- `token_rejected`: `request`, `error` (an AuthorizationError: its `reason` and `status`); also where no verdict was reached
- `keys_refreshed`: `issuer`, `kids` (tuple); a key set was fetched
- `user_provisioned`: `user`, `token`; the person's first request, inside the transaction that makes the user

What a receiver raises is logged by Django and changes no answer, but for `user_provisioned`, where it undoes the user
and is raised.
"""

from django.dispatch import Signal

__all__ = ["keys_refreshed", "token_accepted", "token_rejected", "user_provisioned"]

token_accepted = Signal()
token_rejected = Signal()
user_provisioned = Signal()
keys_refreshed = Signal()

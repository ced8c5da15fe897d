"""Finds the user of a token, and makes one on the person's first request.

Race-safe: two first requests at once make one user, because `identity` is unique in the database. The user has no
password that works and no staff rights. Its name is drawn at random, so that it is nobody's who was there before, and
nobody can take it first.
"""

import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from resource_server.accounts.models import Account
from resource_server.signals import user_provisioned
from resource_server.tokens.access_token import AccessToken

__all__ = ["provision"]


def provision(token: AccessToken) -> Any:
    """The user of (issuer, subject); one query for a person who is known. Does not read names or addresses out of the token."""
    account = _find(token)
    if account is None:
        try:
            account = _create(token)
        except IntegrityError:
            # Another request made the account between the two queries; anything else is an error of the database, and
            # shows again here.
            account = _find(token)
            if account is None:
                raise
    return account.user


def _find(token: AccessToken) -> Account | None:
    return Account.objects.select_related("user").filter(identity=token.identity).first()


def _create(token: AccessToken) -> Account:
    user_model, identity = get_user_model(), token.identity
    with transaction.atomic():
        user = user_model(**{user_model.USERNAME_FIELD: f"token-{secrets.token_hex(16)}"})
        user.set_unusable_password()
        user.save()
        account = Account.objects.create(identity=identity, issuer=token.issuer, subject=token.subject, user=user)
        user_provisioned.send(Account, user=user, token=token)
    return account

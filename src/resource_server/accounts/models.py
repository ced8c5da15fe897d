"""Links a person of an issuer to a user. Identity is (issuer, subject) alone (OpenID Connect Core section 5.7)."""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.db import models, router

from resource_server.conf.problems import problem

__all__ = ["Account"]


class Account(models.Model):
    """One person of one issuer, and the user made for this person.

    Accounts are found by `identity`, the digest of (issuer, subject): it separates `abc` from `ABC` under any
    collation, and fits every index. An account is in the database of its user.
    """

    identity = models.CharField(max_length=64, unique=True, editable=False)
    issuer = models.CharField(max_length=2000, editable=False)
    subject = models.CharField(max_length=255, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_token_accounts")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"

    @classmethod
    def check(cls, **kwargs: Any) -> list[checks.CheckMessage]:
        found = super().check(**kwargs)
        accounts, users = router.db_for_write(cls), router.db_for_write(get_user_model())
        if accounts != users:
            found.append(problem("resource_server_accounts.W001", accounts=accounts, users=users).check_message(cls))
        return found

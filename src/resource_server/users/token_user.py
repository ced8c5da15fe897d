"""The user of a token without a database row."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any, NoReturn

from django.apps import apps

from resource_server.requirements.requirement import NOWHERE
from resource_server.tokens.access_token import AccessToken, django_permissions_of

__all__ = ["TokenUser"]


class TokenUser:
    """The person or machine of a token, without a database row.

    Has the interface that Django and REST framework use of a user: `is_authenticated`, a `pk` that throttles can count
    by, `has_perm` and the other methods of permissions, sync and async. It has the permissions that DJANGO_PERMISSIONS
    maps, for models and not for single objects, as with Django's own backend. It has no password. It cannot be saved or be the value of a foreign key.
    """

    is_active = True
    is_anonymous = False
    is_authenticated = True
    is_staff = False
    is_superuser = False

    def __init__(self, token: AccessToken) -> None:
        self.token = token

    @property
    def username(self) -> str:
        """The subject. Unique within its issuer only; `pk` is unique across issuers."""
        return self.token.subject

    @cached_property
    def pk(self) -> str:
        """One value per (issuer, subject). Holds nothing personal, because throttles put it into cache keys."""
        return self.token.identity

    @property
    def id(self) -> str:
        return self.pk

    @property
    def groups(self) -> Any:
        return apps.get_model("auth", "Group")._default_manager.none()

    @property
    def user_permissions(self) -> Any:
        return apps.get_model("auth", "Permission")._default_manager.none()

    def get_username(self) -> str:
        return self.username

    def natural_key(self) -> tuple[str]:
        return (self.username,)

    def get_user_permissions(self, obj: object = None) -> set[str]:
        return {perm for perm in django_permissions_of(self.token) if self.has_perm(perm, obj)}

    async def aget_user_permissions(self, obj: object = None) -> set[str]:
        return self.get_user_permissions(obj)

    def get_group_permissions(self, obj: object = None) -> set[str]:
        return set()

    async def aget_group_permissions(self, obj: object = None) -> set[str]:
        return set()

    def get_all_permissions(self, obj: object = None) -> set[str]:
        return self.get_user_permissions(obj)

    async def aget_all_permissions(self, obj: object = None) -> set[str]:
        return self.get_user_permissions(obj)

    def has_perm(self, perm: str, obj: object = None) -> bool:
        requirement = django_permissions_of(self.token).get(perm) if obj is None else None
        return requirement is not None and requirement.holds(self.token, NOWHERE) is True

    async def ahas_perm(self, perm: str, obj: object = None) -> bool:
        return self.has_perm(perm, obj)

    def has_perms(self, perm_list: Iterable[str], obj: object = None) -> bool:
        if isinstance(perm_list, str):
            raise ValueError("perm_list is an iterable of permissions")  # noqa: TRY004 - the error of Django's users
        return all(self.has_perm(perm, obj) for perm in perm_list)

    async def ahas_perms(self, perm_list: Iterable[str], obj: object = None) -> bool:
        return self.has_perms(perm_list, obj)

    def has_module_perms(self, module: str) -> bool:
        return any(perm.partition(".")[0] == module for perm in self.get_user_permissions())

    async def ahas_module_perms(self, module: str) -> bool:
        return self.has_module_perms(module)

    def has_usable_password(self) -> bool:
        return False

    def check_password(self, raw_password: str) -> bool:
        return False

    async def acheck_password(self, raw_password: str) -> bool:
        return False

    def save(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise NotImplementedError("a TokenUser has no database row; see the setting USERS")

    delete = set_password = set_unusable_password = save

    def __str__(self) -> str:
        return self.username

    def __repr__(self) -> str:
        return f"<TokenUser {self.pk[:8]}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenUser) and other.pk == self.pk

    def __hash__(self) -> int:
        return hash(self.pk)

"""UserSource: how the tokens of one issuer become users, as data. `conf/users.py` makes it from the setting USERS."""

from typing import NamedTuple

__all__ = ["NameMap", "UserSource"]


class NameMap(NamedTuple):
    """A claim whose values stand for names in the project. `names` are pairs of a value and a name."""

    claim: str
    names: tuple[tuple[str, str], ...]


# A tuple, because each request finds its user by this key: a tuple's hash needs no call in Python.
class UserSource(NamedTuple):
    """`find` is token, lookup, provision or the dotted path of a function.

    `field` is the field of the user that holds the subject, None for the default. `create` and `update` are dotted
    paths of functions, `groups` and `permissions` the rights that claims stand for; each is None if there is none.
    """

    find: str = "token"
    field: str | None = None
    create: str | None = None
    update: str | None = None
    groups: NameMap | None = None
    permissions: NameMap | None = None

"""The fields of a user model that a new user needs and that `provision` does not fill by itself."""

from collections.abc import Iterator
from typing import Any

from django.db import models

__all__ = ["unfilled_fields"]


def unfilled_fields(model: Any, field: str | None) -> list[str]:
    """The names of required or unique fields without a value of their own. `field` is the one that holds the subject.

    Does not see what `save()` or a receiver of the model's signals fills.
    """
    filled = {"password", field}
    if isinstance(model._meta.get_field(model.USERNAME_FIELD), models.CharField | models.TextField):
        filled.add(model.USERNAME_FIELD)  # with a random name
    unique = _unique_names(model)
    return [
        each.name
        for each in model._meta.concrete_fields
        if each.name not in filled and not _fills_itself(each) and (_is_required(each) or _repeats(each, unique))
    ]


def _fills_itself(field: Any) -> bool:
    return bool(
        isinstance(field, models.AutoField)
        or getattr(field, "generated", False)
        or getattr(field, "auto_now", False)
        or getattr(field, "auto_now_add", False)
        or getattr(field.remote_field, "parent_link", False)
        or getattr(field, "db_default", models.NOT_PROVIDED) is not models.NOT_PROVIDED
    )


def _is_required(field: Any) -> bool:
    return not field.null and not field.has_default() and not (field.blank and field.empty_strings_allowed)


def _repeats(field: Any, unique: set[str]) -> bool:
    """Whether two new users have one value in a field that must be unique. NULL repeats nothing."""
    has_own = field.has_default() and callable(field.default)
    return (field.unique or field.name in unique) and not has_own and field.get_default() is not None


def _unique_names(model: Any) -> set[str]:
    """The fields that a constraint over one field, or over an expression of it, makes unique for all rows."""
    return set(_names_of_constraints(model))


def _names_of_constraints(model: Any) -> Iterator[str]:
    for constraint in model._meta.constraints:
        if not isinstance(constraint, models.UniqueConstraint) or constraint.condition is not None:
            continue
        names = {*constraint.fields, *(name for each in constraint.expressions for name in _names_in(each))}
        if len(names) == 1:
            yield from names


def _names_in(expression: Any) -> Iterator[str]:
    for each in expression.flatten():
        if isinstance(each, models.F):
            yield str(each.name)  # type: ignore[attr-defined] # the stubs lack it

"""Instances of models from values that were read from the database.

Django's own way takes several times as long, because a model may have its own `__init__`, its own `from_db` or
receivers. `is_plain` is whether it has none, so that an instance made here is equal to one of Django.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from django.db.models import Model
from django.db.models.base import ModelState
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init

__all__ = ["instance", "is_plain"]

_METHODS = ("__init__", "__new__", "__setattr__", "from_db")
_DESCRIPTORS = (DeferredAttribute, ForeignKeyDeferredAttribute)


def is_plain(model: type[Model]) -> bool:
    """Whether Django alone makes the instances of a model. Does not look at receivers."""
    return all(
        each is Model or each is object or not any(name in vars(each) for name in _METHODS) for each in model.__mro__
    ) and all(
        type(inspect.getattr_static(model, field.attname, None)) in _DESCRIPTORS
        for field in model._meta.concrete_fields
    )


def instance(model: Any, plain: bool, database: str, values: Mapping[str, Any]) -> Any:
    """A new instance. `plain` is `is_plain(model)`. Fields without a value are deferred."""
    if not plain or ((post_init.receivers or pre_init.receivers) and _has_receivers(model)):
        return model.from_db(database, tuple(values), tuple(values.values()))
    # Django does so when it loads a pickle.
    made = model.__new__(model)
    made.__dict__.update(values)
    state = made._state = ModelState()
    state.adding, state.db = False, database
    return made


def _has_receivers(model: Any) -> bool:
    return post_init.has_listeners(model) or pre_init.has_listeners(model)

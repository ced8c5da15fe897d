"""The instances of a model whose field has a value: the SQL is made once, and Django reads the rows each time.

Making the SQL is most of the cost of a short query. The SQL is kept for a model, a field and a database, beside the
query that the default manager built. The manager and the router run on each call: a manager that builds another query,
such as one for another tenant, never gets the SQL of the first.
"""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.core.signals import setting_changed
from django.db import connections
from django.db.models import Lookup, Manager, QuerySet
from django.db.models.expressions import Col
from django.db.models.lookups import Exact
from django.db.models.query import ModelIterable
from django.db.models.sql import Query
from django.dispatch import receiver

from resource_server.database.instances import instance, is_plain

__all__ = ["MOST", "matching"]

MOST = 21
"""The most instances that are read, as in `QuerySet.get`."""

_WRITES = {"create", "bulk_create", "get_or_create", "update_or_create", "update", "bulk_update", "delete"}
_UNUSED = {*_WRITES, *(f"a{name}" for name in _WRITES), "as_manager", "__module__", "__doc__", "__annotations__"}
_UNUSED |= {"__firstlineno__", "__static_attributes__"}  # from Python 3.13 on, every class has these
_READS = {*vars(QuerySet), "__getattribute__"} - _UNUSED
_OWN = {"model", "_db", "_hints", "_query"}
_PLAIN = {name: value for name, value in vars(QuerySet()).items() if name not in _OWN}

# The parts of a query that the default manager may set. The last ones are made anew by each clone.
_COMPARED = {"where", "select_related", "deferred_loading", "distinct", "order_by", "default_ordering", "used_aliases"}
_COMPARED |= {"model", "alias_map", "alias_refcount", "table_map", "_lookup_joins"}
_REMADE = {"base_table", "_annotation_select_cache", "_extra_select_cache"}

_DATES = (datetime.date, datetime.datetime, datetime.time, datetime.timedelta)
_CONSTANTS = frozenset({str, int, float, bool, bytes, Decimal, UUID, type(None), *_DATES})


def matching(model: Any, path: str, value: str, using: str | None = None) -> list[Any]:
    """The instances for which `path` equals the value, of those that the default manager shows; at most MOST. Blocks.

    `path` is a lookup without a transform, such as `username` or `account__identity`. One query, on the database `using`
    or the one that the router names. Raises what `filter` raises for a value that the field cannot have, and the errors
    of the database. Does not check the case of letters: a database may ignore it.
    """
    manager = model._meta.default_manager
    if _is_bare(manager):
        # The query is always the same, so it is neither built nor compared.
        queryset, alias = None, using or manager.db
    else:
        queryset = _queryset(manager, using)
        if not _is_djangos(queryset):
            return list(_filtered(queryset, path, value))
        alias = queryset.db
    key, connection = (model, path, alias), connections[alias]
    compiled = _compiled.get(key)
    if compiled is None or not compiled.fits(queryset, connection):
        built = queryset if queryset is not None else _queryset(manager, using)
        found = _filtered(built, path, value)
        compiled = _compile(key, built.query, found, connection, is_bare=queryset is None)
        if compiled is None:
            return list(found)
        _compiled[key] = compiled
    return compiled.read(value, connection)


def _queryset(manager: Any, using: str | None) -> Any:
    queryset = manager.get_queryset()
    return queryset if using is None else queryset.using(using)


def _is_bare(manager: Any) -> bool:
    """Whether Django's own code makes the querysets of a manager, so that they differ by nothing but the database."""
    return (
        getattr(manager.get_queryset, "__func__", None) is Manager.get_queryset
        and _is_of_django(Manager.get_queryset)  # a library may have replaced it
        and manager._queryset_class is QuerySet
        and type(manager).db is Manager.db
    )


def _filtered(queryset: Any, path: str, value: str) -> Any:
    found = queryset.filter(**{path: value})
    # As `QuerySet.get`: the order of one row is worth nothing, but DISTINCT ON depends on it.
    return found[:MOST] if queryset.query.distinct_fields else found.order_by()[:MOST]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Compiled:
    """SQL with one free parameter, and the query that it was made for."""

    key: tuple[Any, str, str]
    query: Query  # as the manager built it
    is_bare: bool  # the manager sets nothing in it
    settings: Any  # of the connection: a test may put another database behind the alias
    found: Any  # the queryset whose SQL this is
    compiler: Any  # without its connection, which belongs to one thread
    names: tuple[str, ...] | None  # of the columns of one plain instance; None if Django must make the instances
    sql: str
    before: tuple[Any, ...]
    after: tuple[Any, ...]
    field: Any

    def fits(self, queryset: Any, connection: Any) -> bool:
        """Whether the SQL is that of this queryset, or of a bare manager if there is none."""
        return connection.settings_dict is self.settings and (
            self.is_bare if queryset is None else _are_equal(queryset.query, self.query)
        )

    def read(self, value: str, connection: Any) -> list[Any]:
        parameter = self.field.get_db_prep_value(self.field.get_prep_value(value), connection, prepared=True)
        parameters = (*self.before, parameter, *self.after)
        if self.names is None:
            run: Any = _Run(self, parameters, connection)
            return list(ModelIterable(run))
        with connection.cursor() as cursor:
            cursor.execute(self.sql, parameters)
            rows = list(cursor)
        kept = getattr(connection, _CONVERTERS, {}).get(self.key)
        converters = kept[1] if kept is not None and kept[0] is self else self._converters(connection)
        found = []
        for row in map(list, rows):
            for place, column, functions in converters:
                value = row[place]
                for function in functions:
                    value = function(value, column, connection)
                row[place] = value
            found.append(instance(self.found.model, True, connection.alias, dict(zip(self.names, row, strict=True))))
        return found

    def _converters(self, connection: Any) -> list[Any]:
        """The functions for the values of each column that has any, kept on the connection: they may be methods of it."""
        columns = [column for column, _sql, _alias in self.compiler.select]
        pairs = self.on(connection).get_converters(columns).items()
        converters = [(place, column, functions) for place, (functions, column) in pairs]
        vars(connection).setdefault(_CONVERTERS, {})[self.key] = self, converters
        return converters

    def on(self, connection: Any) -> Any:
        """The compiler with a connection."""
        compiler = object.__new__(type(self.compiler))
        vars(compiler).update(vars(self.compiler), connection=connection)
        return compiler


_CONVERTERS = "_resource_server_converters"
_compiled: dict[tuple[Any, str, str], _Compiled] = {}


@receiver(setting_changed)
def _setting_changed(*, setting: str, **_: Any) -> None:
    if setting == "USE_TZ":  # the converters of MySQL depend on it
        _compiled.clear()


class _Run:
    """One run of a compiled query, with the interface that ModelIterable needs of a queryset and its query."""

    def __init__(self, compiled: _Compiled, parameters: tuple[Any, ...], connection: Any) -> None:
        self._found = compiled.found
        self._compiler = compiled.on(connection)
        self._compiler.as_sql = lambda: (compiled.sql, parameters)

    @property
    def query(self) -> "_Run":
        return self

    def get_compiler(self, using: str) -> Any:
        return self._compiler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)


def _compile(
    key: tuple[Any, str, str], query: Query, found: Any, connection: Any, *, is_bare: bool
) -> _Compiled | None:
    """The compiled query; None if its SQL may be another on the next call, or the place of the value in it is unknown."""
    lookup = found.query.where.children[-1] if _is_settled(query) else None
    if type(lookup) is not Exact or type(lookup.lhs) is not Col or type(lookup.rhs) is bool:
        return None
    found = found.using(connection.alias)
    compiler = found.query.get_compiler(connection.alias)
    try:
        sql, parameters = compiler.as_sql()
    except EmptyResultSet:
        return None
    field = lookup.lhs.output_field
    prepared = field.get_db_prep_value(lookup.rhs, connection, prepared=True)
    places = [place for place, parameter in enumerate(parameters) if parameter == prepared]
    if len(places) != 1 or not _is_constant_sql(compiler):
        return None
    compiler.connection = None
    before, after = tuple(parameters[: places[0]]), tuple(parameters[places[0] + 1 :])
    return _Compiled(
        key=key,
        query=query.clone(),
        is_bare=is_bare,
        names=_names(compiler),
        settings=connection.settings_dict,
        found=found,
        compiler=compiler,
        sql=sql,
        before=before,
        after=after,
        field=field,
    )


def _names(compiler: Any) -> tuple[str, ...] | None:
    """The fields of the columns, if these are of one model that is plain."""
    if compiler.klass_info.get("related_klass_infos") or not is_plain(compiler.klass_info["model"]):
        return None
    return tuple(column.target.attname for column, _sql, _alias in compiler.select)


def _is_djangos(queryset: Any) -> bool:
    """Whether Django's own code reads the queryset, and its query is one of those that are compiled."""
    for each in type(queryset).__mro__:
        if each is QuerySet:
            break
        if not _READS.isdisjoint(vars(each)):
            return False
    state = vars(queryset)
    return type(queryset.query) is Query and all(state.get(name, name) == value for name, value in _PLAIN.items())


def _are_equal(query: Query, other: Query) -> bool:
    state, others = vars(query), vars(other)
    return (
        state.keys() - _REMADE == others.keys() - _REMADE
        and all(value == others[name] for name, value in state.items() if name not in _REMADE)
        # Two joins are equal to Django if they differ by INNER and LEFT OUTER alone.
        and [each.join_type for each in query.alias_map.values()]
        == [each.join_type for each in other.alias_map.values()]
    )


def _is_settled(query: Query) -> bool:
    """Whether equal queries have equal SQL: it depends on nothing else, such as the time zone or a tenant of the thread.

    Only what is known to be so passes: conditions of Django on columns of Django's fields, with constants.
    """
    plain = Query(query.model)
    return all(
        value == getattr(plain, name, query)
        for name, value in vars(query).items()
        if name not in _COMPARED and name not in _REMADE
    ) and all(_is_settled_condition(each) for each in _leaves(query.where))


def _leaves(node: Any) -> Iterator[Any]:
    for child in node.children:
        if type(child) is type(node):
            yield from _leaves(child)
        else:
            yield child


def _is_settled_condition(condition: Any) -> bool:
    if not isinstance(condition, Lookup) or not _is_of_django(type(condition)) or type(condition.lhs) is not Col:
        return False
    field = condition.lhs.output_field
    constants = condition.rhs if type(condition.rhs) in {list, tuple, set, frozenset} else [condition.rhs]
    return (
        all(type(each) in _CONSTANTS for each in constants)
        and _is_of_django(type(field))
        and _is_of_django(type(getattr(field, "target_field", field)))
    )


def _is_constant_sql(compiler: Any) -> bool:
    """Whether no code of the project takes part in the columns and joins of the SQL."""
    columns = [expression for expression, _sql, _alias in compiler.select]
    joins = [each.join_field for each in compiler.query.alias_map.values() if each.parent_alias is not None]
    return all(type(each) is Col and _is_of_django(type(each.output_field).select_format) for each in columns) and all(
        _is_of_django(type(getattr(each, "field", each)).get_extra_restriction) for each in joins
    )


def _is_of_django(function_or_class: Any) -> bool:
    module: str = function_or_class.__module__
    return module.startswith("django.")

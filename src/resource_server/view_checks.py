"""System checks of views, of their throttles and of the middleware (W001, W005 to W008, W016).

Their texts are in `conf/problems.py`. Nothing is fetched, and nothing raises: Django itself reports a URLconf or a
middleware that cannot be loaded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from resource_server.conf.problems import problem
from resource_server.marks import declared, noted, noted_on_class, noted_on_function
from resource_server.url_callbacks import callbacks

__all__ = [
    "check_authentication_order",
    "check_csrf_of_guarded_methods",
    "check_default_permissions",
    "check_middleware_order",
    "check_throttles_have_rates",
    "check_tokens_are_read",
]

_OURS = "resource_server.drf.AccessTokenAuthentication"
_MIDDLEWARE = "resource_server.middleware.AccessTokenMiddleware"
# A throttle -> the parties of THROTTLE_RATES that it counts; a name follows a colon.
_THROTTLES = {
    "resource_server.throttles.SubjectThrottle": ("subject", "scope:"),
    "resource_server.throttles.ClientThrottle": ("client", "client:"),
    "resource_server.throttles.IssuerThrottle": ("issuer",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _RestView:
    """A view of REST framework as its URL pattern has it: a router's initkwargs win over the attributes of the class."""

    cls: type[Any]
    authentication_classes: tuple[Any, ...]
    demands_authentication: bool
    throttle_classes: tuple[Any, ...]


@checks.register()
def check_authentication_order(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W001: an authentication class before ours decides first. REST framework has no way to answer alike in both orders."""
    before: dict[tuple[str, ...], str] = {}
    for view in _rest_views():
        ours = [_OURS in _ancestry(cls) for cls in view.authentication_classes]
        if True in ours[1:] and not ours[0]:
            names = tuple(map(_name, view.authentication_classes[: ours.index(True)]))
            before.setdefault(names, view.cls.__name__)
    return [problem("W001", classes=" and ".join(names), view=view).check_message() for names, view in before.items()]


@checks.register()
def check_tokens_are_read(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W005: a view of REST framework that demands authentication, while none of its classes reads access tokens."""
    has_middleware = any(_MIDDLEWARE in ancestry for ancestry in _middleware())
    unread: dict[tuple[str, ...], list[str]] = {}
    for view in _rest_views():
        if view.demands_authentication and not _reads_tokens(view, has_middleware=has_middleware):
            views = unread.setdefault(tuple(map(_name, view.authentication_classes)), [])
            if view.cls.__name__ not in views:
                views.append(view.cls.__name__)
    return [
        problem("W005", views=_listed(views), classes=" and ".join(names) or "there is none").check_message()
        for names, views in unread.items()
    ]


@checks.register(deploy=True)
def check_default_permissions(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W006, with `--deploy`: views of REST framework that name no permission let anyone in."""
    if not getattr(settings, "RESOURCE_SERVER", None):
        return []
    rest_framework = getattr(settings, "REST_FRAMEWORK", None)
    if not rest_framework and not apps.is_installed("rest_framework") and not list(_rest_views()):
        return []
    options = rest_framework if isinstance(rest_framework, Mapping) else {}
    classes = options.get("DEFAULT_PERMISSION_CLASSES", ["AllowAny"])
    if not isinstance(classes, list | tuple) or any(_name(cls).rpartition(".")[2] != "AllowAny" for cls in classes):
        return []
    return [problem("W006").check_message()]


@checks.register()
def check_middleware_order(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W007: a middleware of Django's after ours replaces the token's user by its own."""
    setters = ("AuthenticationMiddleware", "RemoteUserMiddleware")
    ours, later = False, []
    for ancestry in _middleware():
        ours = ours or _MIDDLEWARE in ancestry
        later += [name for name in setters if ours and f"django.contrib.auth.middleware.{name}" in ancestry]
    return [problem("W007", other=name).check_message() for name in later]


@checks.register()
def check_csrf_of_guarded_methods(
    app_configs: Sequence[AppConfig] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """W008: a guarded method of a plain view, which CsrfViewMiddleware refuses before the guard is asked."""
    middleware = list(_middleware())
    protects = any("django.middleware.csrf.CsrfViewMiddleware" in ancestry for ancestry in middleware)
    if not protects or any(_MIDDLEWARE in ancestry for ancestry in middleware):
        return []
    guarded: dict[str, None] = {}
    for callback in callbacks():
        with suppress(Exception):  # anything can be a view
            view = getattr(callback, "view_class", None)
            if view is not None and not hasattr(callback, "cls") and not getattr(callback, "csrf_exempt", False):
                guarded |= {f"{view.__name__}.{name}": None for name in _guarded_unsafe_methods(view)}
    return [problem("W008", method=method).check_message() for method in guarded]


@checks.register()
def check_throttles_have_rates(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W016: a throttle of ours without a rate, which counts nothing."""
    ours = getattr(settings, "RESOURCE_SERVER", None)
    rates = ours.get("THROTTLE_RATES", {}) if isinstance(ours, Mapping) and ours else None
    if not isinstance(rates, Mapping):
        return []  # E001 or E038
    idle: dict[str, list[str]] = {}
    for place, throttles in _throttles_in_use():
        for throttle in throttles:
            kind = next((name for name in _THROTTLES if name in _ancestry(throttle)), None)
            # A subclass of the project may have a rate of its own.
            if kind is None or getattr(throttle.rate_of, "__module__", "") != "resource_server.throttles":
                continue
            counted, *named = _THROTTLES[kind]
            if not any(name == counted or str(name).startswith(tuple(named)) for name in rates):
                places = idle.setdefault(kind, [])
                places += [place] if place not in places else []
    return [
        problem(
            "W016", throttle=kind.rpartition(".")[2], views=_listed(places), party=_THROTTLES[kind][0]
        ).check_message()
        for kind, places in idle.items()
    ]


def _throttles_in_use() -> Iterator[tuple[str, Sequence[Any]]]:
    """The throttle classes of REST framework's settings and of each view, with the name of the place."""
    options = getattr(settings, "REST_FRAMEWORK", None)
    defaults = options.get("DEFAULT_THROTTLE_CLASSES", ()) if isinstance(options, Mapping) else ()
    for default in defaults if isinstance(defaults, list | tuple) else ():
        with suppress(Exception):  # REST framework itself reports a path that cannot be imported
            yield "DEFAULT_THROTTLE_CLASSES", [import_string(default) if isinstance(default, str) else default]
    for view in _rest_views():
        yield view.cls.__name__, view.throttle_classes


def _guarded_unsafe_methods(view: type[Any]) -> list[str]:
    names = (name for name in ("post", "put", "patch", "delete") if name in view.http_method_names)
    return [name for name in names if noted_on_function(getattr(view, name, None))]


def _demands_authentication(cls: type[Any], permission_classes: Sequence[Any], handlers: Iterable[str]) -> bool:
    return (
        any(map(_permits_the_authenticated_alone, permission_classes))
        or bool(declared(cls) or noted_on_class(cls, "initial"))
        or any(noted_on_function(getattr(cls, name, None)) for name in handlers)
    )


def _permits_the_authenticated_alone(permission: Any) -> bool:
    operator = getattr(permission, "operator_class", None)  # of permissions composed with `&`, `|` or `~`
    if operator is None:
        return bool(noted(permission)) or "rest_framework.permissions.IsAuthenticated" in _ancestry(permission)
    if _name(operator) not in {"AND", "OR"}:
        return False
    either = (_permits_the_authenticated_alone(operand) for operand in (permission.op1_class, permission.op2_class))
    return any(either) if _name(operator) == "AND" else all(either)


def _reads_tokens(view: _RestView, *, has_middleware: bool) -> bool:
    if getattr(view.cls.get_authenticators, "__module__", "") != "rest_framework.views":
        return True  # only a request tells which classes it asks
    for cls in view.authentication_classes:
        # A class of the project may call `authenticate` or `verify`; the classes of REST framework do not.
        is_of_django = getattr(getattr(cls, "authenticate", None), "__module__", "") == "rest_framework.authentication"
        takes_over_the_user = "rest_framework.authentication.SessionAuthentication" in _ancestry(cls)
        if not is_of_django or (has_middleware and takes_over_the_user):
            return True
    return False


def _rest_views() -> Iterator[_RestView]:
    for callback in callbacks():
        with suppress(Exception):  # anything can be a view
            cls: Any = getattr(callback, "cls", None)
            classes = getattr(cls, "authentication_classes", None)
            if not isinstance(cls, type) or not isinstance(classes, list | tuple):
                continue
            changed = getattr(callback, "initkwargs", {})
            permissions = changed.get("permission_classes", getattr(cls, "permission_classes", ()))
            actions = getattr(callback, "actions", None)
            throttles = changed.get("throttle_classes", getattr(cls, "throttle_classes", ()))
            handlers = getattr(cls, "http_method_names", ()) if actions is None else actions.values()
            yield _RestView(
                cls=cls,
                authentication_classes=tuple(changed.get("authentication_classes", classes)),
                demands_authentication=_demands_authentication(cls, permissions, handlers),
                throttle_classes=tuple(throttles) if isinstance(throttles, list | tuple) else (),
            )


def _middleware() -> Iterator[frozenset[str]]:
    """The ancestry of each middleware, in order."""
    paths = getattr(settings, "MIDDLEWARE", ())
    for path in paths if isinstance(paths, list | tuple) else ():
        middleware: object = None
        with suppress(Exception):
            middleware = import_string(path)
        yield _ancestry(middleware)


def _ancestry(cls: object) -> frozenset[str]:
    # By name, so that REST framework is imported only where the project does.
    bases = cls.__mro__ if isinstance(cls, type) else ()
    return frozenset(f"{base.__module__}.{base.__name__}" for base in bases)


def _name(cls: object) -> str:
    return str(getattr(cls, "__name__", cls))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown

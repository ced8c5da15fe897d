"""Guards single methods of a view class."""

from collections.abc import Callable
from inspect import isfunction
from typing import Any

from resource_server.rest_views import is_rest_class
from resource_server.view_middleware import ask_in_view

__all__ = ["GuardedMethod", "is_http_method"]

_HTTP_METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "trace"})


def is_http_method(view: Callable[..., Any]) -> bool:
    """Whether a function stands in the body of a class as `get`, `post` and so on."""
    owner, _, name = getattr(view, "__qualname__", "").rpartition(".")
    return isfunction(view) and name in _HTTP_METHODS and bool(owner) and not owner.endswith("<locals>")


class GuardedMethod:
    """A guarded function in the body of a class. Once the class is made, the function takes its place there."""

    __slots__ = ("__dict__", "function")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        # One dict for both: a mark that another decorator sets on this object is on the function too.
        self.__dict__ = function.__dict__
        self.__dict__.update(__doc__=function.__doc__, __module__=function.__module__)

    def __set_name__(self, owner: type[Any], name: str) -> None:
        setattr(owner, name, self.function)
        if not is_rest_class(owner):
            ask_in_view(owner)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self.function.__get__(instance, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

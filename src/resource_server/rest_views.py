"""Recognises views and requests of Django REST Framework without importing it, because it need not be installed."""

from functools import cache
from typing import Any

from django.http import HttpRequest

__all__ = ["is_rest_class", "is_rest_request", "rest"]


def is_rest_class(view: object) -> bool:
    """Whether a class is an APIView, judged by the methods that guards use."""
    return isinstance(view, type) and hasattr(view, "initial") and hasattr(view, "perform_authentication")


def is_rest_request(value: object) -> bool:
    """Whether a value is a request of REST framework, not a view that keeps Django's request under the same name."""
    return isinstance(getattr(value, "_request", None), HttpRequest) and hasattr(value, "authenticators")


@cache
def rest() -> Any:
    """The module `rest_authorization`, imported with the first view or request of REST framework."""
    from resource_server import rest_authorization

    return rest_authorization

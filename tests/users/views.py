"""One plain view that says who calls, and the functions that USERS names by dotted path."""

from django.contrib.auth import get_user_model
from django.http import JsonResponse
from django.urls import path

from resource_server import TokenUser, requires_scope


@requires_scope("read")
def me(request):
    user = request.user
    return JsonResponse(
        {
            "name": user.get_username(),
            "pk": user.pk,
            "is_token_user": isinstance(user, TokenUser),
            "is_staff": user.is_staff,
            "is_superuser": user.is_superuser,
        }
    )


def employee(token):
    """Find people by a claim of the project's own."""
    return get_user_model().objects.filter(username=token.claims.get("employee")).first()


class NoPerson:
    """What a careless finder may answer: it does not say that it is active."""


def no_person(token):
    return NoPerson()


not_a_function = "employee"

urlpatterns = [path("me", me)]

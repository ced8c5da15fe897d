"""Views that say who calls, one of each kind, and the functions that USERS names by dotted path."""

from django.contrib.auth import get_user_model
from django.http import JsonResponse
from django.urls import path
from rest_framework.views import APIView

from resource_server import TokenUser, requires_scope
from resource_server.drf import AccessTokenAuthentication, RequiresScope


def who(user):
    return JsonResponse(
        {
            "name": user.get_username(),
            "pk": user.pk,
            "is_token_user": isinstance(user, TokenUser),
            "is_staff": user.is_staff,
            "is_superuser": user.is_superuser,
        }
    )


@requires_scope("read")
def me(request):
    return who(request.user)


@requires_scope("read")
async def async_me(request):
    return who(await request.auser())


class RestMe(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [RequiresScope("read")]

    def get(self, request):
        return who(request.user)


def employee(token):
    """Find people by a claim of the project's own."""
    return get_user_model().objects.filter(username=token.claims.get("employee")).first()


class NoPerson:
    """What a careless finder may answer: it does not say that it is active."""


def no_person(token):
    return NoPerson()


not_a_function = "employee"

urlpatterns = [path("me", me), path("async", async_me), path("rest", RestMe.as_view())]

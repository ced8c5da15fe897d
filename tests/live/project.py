"""The smallest project that trusts an issuer, configured by its environment; for gunicorn, for scripts and for ASGI.

BRISK shortens the minutes of the product's constants, so that a test sees many lives of a key set.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from tests.servers import AUDIENCE

from resource_server.keys import discovery, document, refresh_schedule
from resource_server.keys import issuer_keys as issuer
from resource_server.keys import shared_documents as documents
from resource_server.keys import store as stores

env = os.environ.get

CACHES = {
    "": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "redis": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": env("REDIS_URL")},
}
settings.configure(
    DEBUG=True,
    SECRET_KEY="of the tests, guards nothing",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["tests.live.project.worker_named"],
    INSTALLED_APPS=["resource_server"],
    DATABASES={},
    CACHES={"default": CACHES["redis" if env("REDIS_URL") else ""]},
    RESOURCE_SERVER={
        "ISSUER": env("ISSUER"),
        "AUDIENCE": AUDIENCE,
        **({"CACHE": "default"} if env("REDIS_URL") else {}),
        **({"REVOCATION": env("REVOCATION"), "LOGOUT_AUDIENCE": "web-client"} if env("REVOCATION") else {}),
        **json.loads(env("MORE_SETTINGS", "{}")),
    },
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"nowhere": {"class": "logging.NullHandler"}},
        # The tests read reasons from answers, and output on stderr fails them.
        "loggers": {"resource_server": {"handlers": ["nowhere"], "propagate": False}},
    },
)

# A machine that is busy with other tests must not look like a cache that hangs.
stores.STORE_SECONDS = 5.0

if env("BRISK"):
    document.MIN_LIFE_SECONDS = 0.4
    discovery.FETCH_SECONDS = issuer.FETCH_SECONDS = 1.0
    documents.FRESH_SECONDS = 1
    refresh_schedule.MAX_BACKOFF_SECONDS = 0.3
    refresh_schedule.MAX_RETRY_AFTER_SECONDS = 0.3

django.setup()

from resource_server.authentication import authenticate  # noqa: E402 - after the settings
from resource_server.decorators import requires_scope  # noqa: E402
from resource_server.errors import AuthorizationError  # noqa: E402
from resource_server.logout import backchannel_logout  # noqa: E402
from resource_server.server import current  # noqa: E402


def worker_named(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Name the process in each answer, after a nap of `?nap=` seconds, so that another process gets the next request."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["X-Worker"] = str(os.getpid())
        time.sleep(float(request.GET.get("nap", "0")))
        return response

    return middleware


@requires_scope("read")
def private(request: HttpRequest) -> HttpResponse:
    return JsonResponse({})


@requires_scope("read")
async def private_async(request: HttpRequest) -> HttpResponse:
    return JsonResponse({})


def state(request: HttpRequest) -> HttpResponse:
    """The contents of this process's memory. Verifies nothing."""
    verifier = current().verifier
    verifier = getattr(verifier, "unchecked", verifier)
    seen, trusted = verifier._seen, verifier.issuers[0].keys.trusted
    return JsonResponse(
        {
            "tokens": len(seen) if seen is not None else 0,
            "keys": len(trusted.keys.keys) if trusted is not None else 0,
            "threads": [thread.name for thread in threading.enumerate()],
        }
    )


urlpatterns = [path("private", private), path("private-async", private_async), path("state", state)]
urlpatterns.append(path("backchannel-logout", backchannel_logout))


def verdict(token: str) -> dict[str, Any]:
    """The outcome of a request with this token, and the time that it took."""
    request = HttpRequest()
    request.META["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    started, reason = time.monotonic(), "accepted"
    try:
        authenticate(request)
    except AuthorizationError as error:
        reason = error.reason
    keys = current().verifier.issuers[0].keys
    return {"reason": reason, "seconds": time.monotonic() - started, "failure": keys.failure}


if env("FIRST_TOKEN"):
    # A parent that loads the application and verifies a token before it forks.
    assert verdict(os.environ["FIRST_TOKEN"])["reason"] == "accepted"

application = get_wsgi_application()
asgi = get_asgi_application()

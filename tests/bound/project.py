"""A project for servers whose edges are those of `views.py`. ISSUER, AUDIENCE, REDIS_URL and MORE_SETTINGS configure it."""

import json
import os

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

settings.configure(
    DEBUG=True,
    SECRET_KEY="of the tests, guards nothing",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="tests.bound.views",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "resource_server"],
    DATABASES={},
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": os.environ["REDIS_URL"],
        }
    },
    RESOURCE_SERVER={
        "ISSUER": os.environ["ISSUER"],
        "AUDIENCE": os.environ["AUDIENCE"],
        "CACHE": "default",
        **json.loads(os.environ["MORE_SETTINGS"]),
    },
    LOGGING={
        "version": 1,
        "handlers": {"nowhere": {"class": "logging.NullHandler"}},
        # The tests read reasons from answers.
        "loggers": {"resource_server": {"handlers": ["nowhere"], "propagate": False}},
    },
)
django.setup()

application = get_wsgi_application()
asgi = get_asgi_application()

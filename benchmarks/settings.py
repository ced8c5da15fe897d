"""Django settings of the benchmarks: no middleware but what a case asks for, JSON alone, databases that stay connected.

The peers' own settings are as their documentation says, and stand under their names.
"""

import json
import os

from benchmarks import databases, stores, tenant

_TENANT = tenant.load()

SECRET_KEY = "of the benchmarks, guards nothing"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.urls"
USE_TZ = True
LOGGING_CONFIG = None
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework",
    "oauth2_provider",
    "resource_server",
    "resource_server.accounts",
]
MIDDLEWARE = json.loads(os.environ.get("BENCHMARK_MIDDLEWARE", "[]"))
DATABASES = databases.configured()
DATABASE_ROUTERS = databases.routers(os.environ.get("BENCHMARK_DATABASE", "default"))
CACHES = stores.configured()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

RESOURCE_SERVER = {
    "ISSUER": _TENANT.issuer,
    "AUDIENCE": _TENANT.audience,
    "JWKS": _TENANT.jwks,
    **json.loads(os.environ.get("BENCHMARK_RESOURCE_SERVER", "{}")),
}
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
}

# django-rest-framework-simplejwt.readthedocs.io, "Settings": a verifying key, for tokens that others sign.
SIMPLE_JWT = {
    "ALGORITHM": "RS256",
    "SIGNING_KEY": None,
    "VERIFYING_KEY": _TENANT.public_pem,
    "AUDIENCE": _TENANT.audience,
    "ISSUER": _TENANT.issuer,
    "USER_ID_FIELD": "username",
    "USER_ID_CLAIM": "sub",
}

# The README of drf-oidc-auth. Its keys come from the endpoint once, and then from Django's cache in this process.
OIDC_AUTH = {
    "OIDC_ENDPOINT": _TENANT.documents,
    "OIDC_CLAIMS_OPTIONS": {"aud": {"values": [_TENANT.audience], "essential": True}},
    "OIDC_LEEWAY": 24 * 3600,
    "JWT_AUTH_HEADER_PREFIX": "Bearer",
}

OAUTH2_PROVIDER = {"SCOPES": {"read:orders": "Read orders"}}

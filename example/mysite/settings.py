"""Settings of the quickstart, all from the environment; `.env.example` lists the variables."""

import os
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from resource_server import auth0_issuer

BASE_DIR = Path(__file__).resolve().parent.parent


def env(name: str) -> str:
    return os.environ.get(name, "").strip()


def env_list(name: str) -> list[str]:
    return [item for item in (part.strip() for part in env(name).split(",")) if item]


# Off by default: a deployment that forgets the variable must not show tracebacks.
if env("DEBUG").lower() not in {"", "0", "1", "false", "true"}:
    raise ImproperlyConfigured("DEBUG must be 1 or 0")
DEBUG = env("DEBUG").lower() in {"1", "true"}

SECRET_KEY = env("SECRET_KEY")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("SECRET_KEY is not set: set it, or set DEBUG=1 on a development machine")
    SECRET_KEY = get_random_secret_key()  # one for each process, so a restart ends the sessions of the admin

ALLOWED_HOSTS = env_list("ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]

# The trusted issuer. Without ISSUER and AUTH0_DOMAIN it is the development issuer on this machine.
if env("ISSUER") and env("AUTH0_DOMAIN"):
    raise ImproperlyConfigured("ISSUER and AUTH0_DOMAIN are both set: keep the one that is meant")
DEVELOPMENT_ISSUER = not (env("ISSUER") or env("AUTH0_DOMAIN"))
if not (DEVELOPMENT_ISSUER or env("API_IDENTIFIER")):
    raise ImproperlyConfigured("API_IDENTIFIER is not set: it is the audience that the issuer writes into tokens")
if DEVELOPMENT_ISSUER:
    _issuer = f"http://127.0.0.1:{env('ISSUER_PORT') or 9000}"
elif env("ISSUER"):
    _issuer = env("ISSUER")
else:
    try:
        _issuer = auth0_issuer(env("AUTH0_DOMAIN"))
    except ValueError as error:
        raise ImproperlyConfigured(f"AUTH0_DOMAIN: {error}") from None
# Auth0 types its access tokens "JWT" by default and "at+jwt" where the API asks for the RFC 9068 profile.
_token_types = ["at+jwt", "JWT"] if env("AUTH0_DOMAIN") else ["at+jwt"]
_optional = {"ALGORITHMS": env_list("ALGORITHMS"), "JWKS_URI": env("JWKS_URI"), "USERS": env("USERS")}
# A provider knows the types of its vendor's tokens.
_optional["PROVIDER"] = env("PROVIDER")
_optional["TOKEN_TYPE"] = env_list("TOKEN_TYPE") or ([] if env("PROVIDER") else _token_types)
# The issuer is asked about opaque tokens (RFC 7662), as this client.
_introspection: dict[str, object] = {
    "ENDPOINT": env("INTROSPECTION_ENDPOINT"),
    "CLIENT_ID": env("INTROSPECTION_CLIENT_ID"),
    "CLIENT_SECRET": env("INTROSPECTION_CLIENT_SECRET"),
}
if seconds := env("INTROSPECTION_CACHE_SECONDS"):
    _introspection["CACHE_SECONDS"] = int(seconds) if seconds.isdecimal() else seconds
_optional["INTROSPECTION"] = {name: value for name, value in _introspection.items() if value != ""}
# With PUBLIC_ORIGIN, clients find the issuer by themselves (RFC 9728).
_optional["PUBLIC_ORIGIN"] = env("PUBLIC_ORIGIN")
_optional["DPOP"] = env("DPOP")

RESOURCE_SERVER = {
    "ISSUER": _issuer,
    "AUDIENCE": env("API_IDENTIFIER") or "https://api.example.test",
    **{name: value for name, value in _optional.items() if value},
    # Processes with a common cache share the issuer's keys through it, and the used proofs of DPoP.
    **({"CACHE": "default"} if env("REDIS_URL") or env("DPOP") not in {"", "off"} else {}),
}

REST_FRAMEWORK = {
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "resource_server.drf.AccessTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.BasicAuthentication",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "mysite.negotiation.NeverNotAcceptable",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "resource_server",
    "resource_server.accounts",
    "myapp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "mysite" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "mysite.urls"
WSGI_APPLICATION = "mysite.wsgi.application"

try:
    DATABASES = {"default": dj_database_url.config(default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
except ValueError as error:
    raise ImproperlyConfigured(f"DATABASE_URL: {error}") from None
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if env("REDIS_URL"):
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": env("REDIS_URL")}}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

# The application finds and serves its static files, also without DEBUG: no collectstatic and no second server.
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    # This log gets the reason of each refused token, and once a minute its remedy; never the token.
    "loggers": {"resource_server": {"handlers": ["console"], "level": "INFO"}},
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Quickstart API",
    "DESCRIPTION": "Three endpoints: for anyone, for a verified access token, for a token with a scope.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SORT_OPERATIONS": False,
    "POSTPROCESSING_HOOKS": ["resource_server.spectacular.describe_access"],
    "OAUTH2_SCOPES": {"example:scope": "call /api/private-scoped"},
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # No badge from swagger.io, and no list of schemas below three endpoints.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None, "defaultModelsExpandDepth": -1},
    "SWAGGER_UI_OAUTH2_CONFIG": {
        "clientId": "demo-browser" if DEVELOPMENT_ISSUER else "",
        "usePkceWithAuthorizationCodeGrant": True,
        "additionalQueryStringParams": {"audience": RESOURCE_SERVER["AUDIENCE"]},
    },
}
# Where Swagger UI signs in. For other issuers it uses OpenID Connect Discovery.
if DEVELOPMENT_ISSUER or env("AUTH0_DOMAIN"):
    _token_path = "/token" if DEVELOPMENT_ISSUER else "/oauth/token"
    SPECTACULAR_SETTINGS["OAUTH2_AUTHORIZATION_URL"] = f"{_issuer.rstrip('/')}/authorize"
    SPECTACULAR_SETTINGS["OAUTH2_TOKEN_URL"] = _issuer.rstrip("/") + _token_path

"""Settings of the MCP example, from the environment: ISSUER, PUBLIC_ORIGIN; optional PROVIDER, TOKEN_TYPE and DEBUG=1."""

import os
from urllib.parse import urlsplit

from django.core.management.utils import get_random_secret_key

PUBLIC_ORIGIN = os.environ["PUBLIC_ORIGIN"]
DEBUG = os.environ.get("DEBUG") == "1"
SECRET_KEY = os.environ.get("SECRET_KEY") or get_random_secret_key()  # signs nothing here
ALLOWED_HOSTS = [urlsplit(PUBLIC_ORIGIN).hostname or ""]
ROOT_URLCONF = "mcpsite.urls"
INSTALLED_APPS = ["resource_server"]
USE_TZ = True

RESOURCE_SERVER = {
    "ISSUER": os.environ["ISSUER"],
    **{key: os.environ[key] for key in ("PROVIDER", "TOKEN_TYPE") if os.environ.get(key)},
    "AUDIENCE": f"{PUBLIC_ORIGIN}/mcp",
    "PUBLIC_ORIGIN": PUBLIC_ORIGIN,
    # What a client asks for at first. A tool that needs more asks for it when it is called.
    "SCOPES_SUPPORTED": ["mcp:read"],
}

"""The metadata, by which a client finds the issuer. `/mcp` itself is in `asgi.py`."""

from django.urls import include, path

urlpatterns = [path("", include("resource_server.urls"))]

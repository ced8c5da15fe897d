"""The application for gunicorn; BENCHMARK_RESOURCE_SERVER, _MIDDLEWARE and _DATABASE say what this server's settings add."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
application = get_wsgi_application()

from benchmarks.urls import Request  # noqa: E402 - it needs the settings

application.request_class = Request

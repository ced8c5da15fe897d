"""One process that is one issuer: Django without models, a threaded server, a rotation timer."""

import ipaddress
import os
import secrets
import socketserver
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

from resource_server.devissuer.grants import Grants
from resource_server.devissuer.issuer import Issuer, IssuerOptions
from resource_server.devissuer.metadata_documents import MetadataDocuments
from resource_server.devissuer.storage import Storage
from resource_server.devissuer.views import Site
from resource_server.keys.http import fetch

__all__ = ["bind", "serve"]


class Handler(WSGIRequestHandler):
    # Headers and body are two writes. Nagle's algorithm holds the second back until the first is acknowledged, which
    # costs each answer on a kept connection 40 ms.
    disable_nagle_algorithm = True


class Listener(ThreadedWSGIServer):
    """A bound socket with a known port. It gets its application later."""

    request_queue_size = 128
    port: int

    def server_bind(self) -> None:
        # Not HTTPServer's method: it asks the name server for our name, which may take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.port = str(self.server_address[0]), int(self.server_address[1])
        self.server_port = self.port
        self.setup_environ()


def bind(host: str, port: int) -> Listener:
    """Listen on this address; port 0 is any free port. Raises OSError if that is impossible."""
    return Listener((host, port), Handler, ipv6=":" in host)


def serve(
    listener: Listener,
    options: IssuerOptions,
    *,
    rotate_seconds: float | None,
    verbose: bool,
    ready: Callable[[], None],
) -> None:
    """Answer requests until an exception, such as KeyboardInterrupt, ends it.

    Configures Django for the whole process, so a process can call it only once.
    """
    _configure(options, verbose=verbose)
    issuer = Issuer(options)
    loopback = ipaddress.ip_address(str(listener.server_address[0])).is_loopback
    documents = MetadataDocuments(fetch, issuer.scopes, public=not loopback)
    grants = Grants(issuer, Storage(access_token_seconds=options.token_seconds), documents)
    settings.ROOT_URLCONF = Site(issuer, grants)
    listener.set_app(get_wsgi_application())
    stop = threading.Event()
    if rotate_seconds is not None:
        threading.Thread(target=_rotate, args=(issuer, rotate_seconds, stop), name="rotation", daemon=True).start()
    try:
        ready()
        listener.serve_forever(poll_interval=60)  # nothing calls shutdown(), so nothing polls
    finally:
        stop.set()
        listener.server_close()


def _rotate(issuer: Issuer, seconds: float, stop: threading.Event) -> None:
    while not stop.wait(seconds):
        issuer.rotate()


def _configure(options: IssuerOptions, *, verbose: bool) -> None:
    host = urlsplit(options.issuer).hostname or ""
    loopback = ["127.0.0.1", "localhost", "[::1]"]
    if options.issuer.startswith("http:"):
        # Authlib refuses plain http except on loopback. The command line has decided where to listen, and behind a
        # proxy that terminates TLS this side is plain http too.
        os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    settings.configure(
        # Other host names are refused: a web site could rebind its own name to loopback (DNS rebinding).
        ALLOWED_HOSTS=[*loopback, f"[{host}]" if ":" in host else host],
        CSRF_COOKIE_HTTPONLY=True,
        # Cookies ignore the port: the API on another port of this host has a `csrftoken` too.
        CSRF_COOKIE_NAME="devissuer_csrf",
        DATABASES={},
        INSTALLED_APPS=[],
        LOGGING=_logging(verbose=verbose),
        LOGGING_CONFIG="logging.config.dictConfig",
        MIDDLEWARE=[
            "django.middleware.common.CommonMiddleware",  # checks the host of every request
            "django.middleware.csrf.CsrfViewMiddleware",
        ],
        SECRET_KEY=secrets.token_urlsafe(50),
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [Path(__file__).parent / "templates"],
            }
        ],
        USE_I18N=False,
        USE_TZ=True,
    )
    django.setup(set_prefix=False)


def _logging(*, verbose: bool) -> dict[str, object]:
    """Logs our own failures only; with `verbose` also one line for each request."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(message)s"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "stream": sys.stderr,
            },
            "nowhere": {"class": "logging.NullHandler"},
        },
        "loggers": {
            "django": {"handlers": ["stderr"], "level": "ERROR"},
            "django.security": {"handlers": ["nowhere"], "propagate": False},
            "django.server": {
                "handlers": ["stderr" if verbose else "nowhere"],
                "level": "INFO",
                "propagate": False,
            },
        },
    }

"""The page that shows what this API trusts, and the page to which the sign-in of Swagger UI returns."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from resource_server.trusted import trusted_issuers

ENDPOINTS = (
    {"path": "/api/public", "who": "anyone", "token": False},
    {"path": "/api/private", "who": "a verified access token, a Django session or HTTP Basic", "token": True},
    {"path": "/api/private-scoped", "who": "an access token with scope example:scope", "token": True},
)


def index(request: HttpRequest) -> HttpResponse:
    issuers = trusted_issuers()  # fetches keys that are not known yet, and answers if the issuer is down
    issuer = issuers[0]
    context = {
        "issuers": issuers,
        "token_endpoint": (issuer.metadata or {}).get("token_endpoint", f"{issuer.issuer}/token"),
        "endpoints": ENDPOINTS,
        "origin": f"{request.scheme}://{request.get_host()}",
        "development_issuer": settings.DEVELOPMENT_ISSUER,
    }
    return render(request, "index.html", context)


def oauth2_redirect(request: HttpRequest) -> HttpResponse:
    response = render(request, "oauth2-redirect.html")
    # This page is in a window that /docs/ opened, and must reach its opener. SecurityMiddleware would prevent that.
    response["Cross-Origin-Opener-Policy"] = "unsafe-none"
    return response

"""The views of the development issuer: metadata, keys, clients, tokens, the sign-in page, rotation.

Any origin may read the public documents (CORS protocol of the Fetch standard); only pages on loopback may read tokens.
The demonstration secret is public, so another web site could otherwise fetch tokens through a visitor's browser.
"""

import re
import secrets
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from resource_server.devissuer.client_metadata import MetadataError
from resource_server.devissuer.clients import PEOPLE
from resource_server.devissuer.grants import Consent, Grants, RefusedError
from resource_server.devissuer.issuer import Issuer
from resource_server.devissuer.metadata import metadata
from resource_server.devissuer.registration import register
from resource_server.devissuer.signing import ALGORITHMS

__all__ = ["Site"]

View = Callable[[HttpRequest], HttpResponse]

_LOOPBACK_ORIGIN = re.compile(r"https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?")
_MAX_SUBJECT = 255  # OpenID Connect Core 1.0 section 2


class Site:
    """The URL configuration of one issuer, and its views."""

    def __init__(self, issuer: Issuer, grants: Grants) -> None:
        self.issuer = issuer
        self.grants = grants
        redirects = map(urlsplit, issuer.options.redirect_uris)
        self._origins = {issuer.base_url} | {f"{uri.scheme}://{uri.netloc}" for uri in redirects}
        documents = self._public(self.metadata)
        self.urlpatterns = [
            path("", require_http_methods(["GET", "HEAD"])(self.home)),
            path(".well-known/openid-configuration", documents),
            path(".well-known/oauth-authorization-server", documents),
            path("jwks.json", self._public(self.jwks)),
            path("authorize", require_http_methods(["GET", "POST"])(self.authorize)),
            path("token", csrf_exempt(self._cross_origin("POST", self.token))),
            path("register", csrf_exempt(self._cross_origin("POST", self.register))),
            path("introspect", csrf_exempt(self._cross_origin("POST", self.introspect))),
            path("revoke", csrf_exempt(self._cross_origin("POST", self.revoke))),
            path("rotate", csrf_exempt(require_http_methods(["POST"])(self.rotate))),
        ]

    def home(self, request: HttpRequest) -> HttpResponse:
        return _page(request, "home.html", {"issuer": self.issuer, "clients": self.issuer.clients})

    def metadata(self, _request: HttpRequest) -> HttpResponse:
        return _public_json(metadata(self.issuer))

    def jwks(self, _request: HttpRequest) -> HttpResponse:
        return _public_json(self.issuer.keys.jwks())

    def token(self, request: HttpRequest) -> HttpResponse:
        return self.grants.token(request)

    def introspect(self, request: HttpRequest) -> HttpResponse:
        return self.grants.introspection(request)

    def revoke(self, request: HttpRequest) -> HttpResponse:
        return self.grants.revocation(request)

    def register(self, request: HttpRequest) -> HttpResponse:
        """The registration endpoint (RFC 7591 section 3)."""
        try:
            registered = register(request.body, self.grants.storage.clients, self.issuer.scopes)
        except MetadataError as error:
            return _error(400, error.error, str(error))
        response = JsonResponse(registered, status=201)
        response["Cache-Control"] = "no-store"
        return response

    def authorize(self, request: HttpRequest) -> HttpResponse:
        """The authorization endpoint (RFC 6749 section 3.1): a page to sign in, and its answer."""
        try:
            consent = self.grants.consent(request)
        except RefusedError as refused:
            return _page(request, "refused.html", {"refused": refused}, status=400)
        if not isinstance(consent, Consent):
            return consent
        if request.method != "POST":
            return self._sign_in_page(request, consent)
        if request.POST.get("decision") != "allow":
            return self.grants.decide(consent, None)
        subject = request.POST.get("other", "").strip() or request.POST.get("subject", "")
        if problem := _subject_problem(subject):
            return self._sign_in_page(request, consent, problem)
        # A script that fills in the form may leave the choice out: the first one is the default of the page.
        acr = request.POST.get("acr", next(iter(consent.acr_values), ""))
        return self.grants.decide(
            consent,
            subject,
            frozenset(request.POST.getlist("agreed")),
            acr if acr in consent.acr_values else None,
        )

    def rotate(self, request: HttpRequest) -> HttpResponse:
        """Make a new key current; `algorithm` and `withdraw=older` are optional."""
        if not self._is_ours(request.headers.get("Origin")):
            return _error(403, "access_denied", "only pages on loopback may rotate the keys")
        algorithm = request.POST.get("algorithm")
        withdraw = request.POST.get("withdraw")
        if algorithm is not None and algorithm not in ALGORITHMS:
            return _error(400, "invalid_request", f"algorithm is one of {', '.join(ALGORITHMS)}")
        if withdraw not in (None, "older"):
            return _error(400, "invalid_request", "withdraw is older, or absent")
        kid = self.issuer.rotate(algorithm, withdraw_older=withdraw is not None)
        published = [key["kid"] for key in self.issuer.keys.jwks()["keys"]]
        response = JsonResponse({"kid": kid, "algorithm": self.issuer.keys.algorithm, "published": published})
        response["Cache-Control"] = "no-store"
        return response

    def _sign_in_page(self, request: HttpRequest, consent: Consent, problem: str = "") -> HttpResponse:
        sent = request.POST if request.method == "POST" else None
        hint = request.GET.get("login_hint", "")  # OpenID Connect Core 1.0 section 3.1.2.1
        known = [person.subject for person in PEOPLE]
        agreed = sent.getlist("agreed") if sent else list(consent.scopes)
        context = {
            "consent": consent,
            "name": consent.client_name or consent.client_id,
            "people": PEOPLE,
            "chosen": hint if hint in known else known[0],
            "other": sent.get("other", "") if sent else ("" if hint in known else hint),
            "scopes": [(name, name in agreed) for name in consent.scopes],
            "acrs": consent.acr_values,
            "acr": sent["acr"] if sent and "acr" in sent else next(iter(consent.acr_values), ""),
            "problem": problem,
            "max_subject": _MAX_SUBJECT,
        }
        return _page(request, "sign_in.html", context, status=400 if problem else 200)

    def _is_ours(self, origin: str | None) -> bool:
        """Whether a request comes from a trusted page, or from no page."""
        return origin is None or origin in self._origins or bool(_LOOPBACK_ORIGIN.fullmatch(origin))

    def _public(self, view: View) -> View:
        allowed = require_http_methods(["GET", "HEAD", "OPTIONS"])(view)

        def answer(request: HttpRequest) -> HttpResponse:
            preflight = request.method == "OPTIONS"
            response = HttpResponse(status=204) if preflight else allowed(request)
            response["Access-Control-Allow-Origin"] = "*"
            if preflight:
                response["Access-Control-Allow-Methods"] = "GET, HEAD"
                response["Access-Control-Allow-Headers"] = "*"
                response["Access-Control-Max-Age"] = "600"
            return response

        return answer

    def _cross_origin(self, method: str, view: View) -> View:
        allowed = require_http_methods([method, "OPTIONS"])(view)

        def answer(request: HttpRequest) -> HttpResponse:
            preflight = request.method == "OPTIONS"
            response = HttpResponse(status=204) if preflight else allowed(request)
            response["Vary"] = "Origin"
            origin = request.headers.get("Origin")
            if origin is not None and self._is_ours(origin):
                response["Access-Control-Allow-Origin"] = origin
                response["Access-Control-Expose-Headers"] = "DPoP-Nonce, WWW-Authenticate"
                if preflight:
                    response["Access-Control-Allow-Methods"] = method
                    response["Access-Control-Allow-Headers"] = "Authorization, Content-Type, DPoP, X-Requested-With"
                    response["Access-Control-Max-Age"] = "600"
            return response

        return answer


def _subject_problem(subject: str) -> str:
    if not subject:
        return "Pick a person, or type a subject."
    if len(subject) > _MAX_SUBJECT:
        return f"A subject has at most {_MAX_SUBJECT} characters."
    if any(unicodedata.category(character).startswith("C") for character in subject):
        return "A subject has no control characters."
    return ""


def _public_json(document: dict[str, Any]) -> HttpResponse:
    response = JsonResponse(document)
    response["Cache-Control"] = "public, max-age=60"
    return response


def _error(status: int, error: str, description: str) -> HttpResponse:
    response = JsonResponse({"error": error, "error_description": description}, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    nonce = secrets.token_urlsafe(16)
    response = render(request, template, {**context, "nonce": nonce}, status=status)
    # No `form-action`: browsers apply it to the redirect after the form too, which goes to the client. `same-origin`:
    # without a referrer the form's `Origin` would be null.
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
    )
    response["X-Frame-Options"] = "DENY"
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "same-origin"
    response["Cache-Control"] = "no-store"
    return response

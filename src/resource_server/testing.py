"""An issuer for tests: it really signs, and serves its own documents without a network or a mock.

::

    issuer = FakeIssuer()
    with issuer.serving(), override_settings(RESOURCE_SERVER=issuer.settings()):
        client.get("/api/private", headers={"Authorization": f"Bearer {issuer.token(scope='read')}"})

Needs only the dependencies of the package. Not for production: it signs any claims.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from resource_server.clocks import time_of_day
from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import InvalidToken, Unavailable
from resource_server.keys.answer import Answer
from resource_server.keys.document import Document
from resource_server.keys.http import post
from resource_server.keys.key_set import parse_key_set
from resource_server.keys.metadata import metadata_urls
from resource_server.reasons import UnavailableReason
from resource_server.tokens.client_authentication import ClientAuthentication
from resource_server.tokens.introspection_answer import SIGNED_TYPE
from resource_server.tokens.jws import parse, verify_signature
from resource_server.tokens.policy import media_type

__all__ = ["FakeIssuer", "ProofKey"]

# Names that a test writes for a claim by mistake, and the claim.
_CLAIMS_MEANT = {"audience": "aud", "subject": "sub", "issuer": "iss"}
# The client as which an API asks about tokens.
_API = ClientAuthentication(client_id="api", method="client_secret_basic", secret="of the tests, guards nothing")


class FakeIssuer:
    """An issuer with its own keys. A verifier gets its documents by `fetch`, and its answers about tokens by `post`.

    `fetched` lists the addresses requested, one for each document and question.
    Set `failure` to a reason of `Unavailable` to let every fetch fail, with `retry_after` as the seconds until the next
    attempt; `failures` sets the reason for one address. `documents` serves other bytes at an address; `cache_control`
    is the header of every answer. Documents have an ETag; a fetch with that ETag gets the known document (304).
    """

    def __init__(
        self,
        issuer: str = "https://issuer.test/",
        audience: str = "https://api.test/",
        *,
        algorithm: str = "RS256",
        now: Callable[[], float] = time_of_day,
    ) -> None:
        self.issuer = issuer
        self.audience = audience
        self.keys = SigningKeys(algorithm)
        self.fetched: list[str] = []
        self.failure: str | None = None
        self.failures: dict[str, str] = {}
        self.retry_after = 1
        self.cache_control = ""
        self.documents: dict[str, bytes] = {}
        self._now = now
        self._opaque: dict[str, dict[str, Any]] = {}
        self._revoked: set[str] = set()

    @property
    def jwks_uri(self) -> str:
        return f"{self.issuer.rstrip('/')}/jwks.json"

    @property
    def introspection_endpoint(self) -> str:
        return f"{self.issuer.rstrip('/')}/introspect"

    def settings(self, **changes: Any) -> dict[str, Any]:
        """A value for `RESOURCE_SERVER` that trusts this issuer."""
        return {"ISSUER": self.issuer, "AUDIENCE": self.audience, **changes}

    def introspection(self, **changes: Any) -> dict[str, Any]:
        """A value for `INTROSPECTION` with which this issuer is asked about tokens: `settings(INTROSPECTION=...)`.

        No answer about an active token is remembered, so that `revoke` counts from the next request on.
        """
        given = {"ENDPOINT": self.introspection_endpoint, "CLIENT_ID": _API.client_id, "CLIENT_SECRET": _API.secret}
        return {**given, "CACHE_SECONDS": 0, **changes}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a person's valid access token (RFC 9068 section 2.2), with changes; None removes a claim.

        Raises TypeError for a name that stands for another claim, such as `audience` for `aud`.
        """
        for name, meant in _CLAIMS_MEANT.items():
            if name in changes:
                raise TypeError(f"the claim is {meant!r}, not {name!r}")
        now = int(self._now())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": "auth0|ada",
            "client_id": "client",
            "iat": now,
            "exp": now + 600,
            "jti": "id-1",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *, header: Mapping[str, Any] | None = None, kid: str | None = None, **claims: Any) -> str:
        """A signed access token: `header` and the claims change a valid one; None removes a member."""
        return self.keys.sign(self.claims(**claims), header=header, kid=kid)

    def opaque_token(self, **claims: Any) -> str:
        """An access token that only this issuer can read. The claims are those of `token`; see `introspection`."""
        token = f"opaque-{secrets.token_urlsafe(16)}"
        self._opaque[token] = self.claims(**claims)
        return token

    def revoke(self, token: str) -> None:
        """Answer from now on that a token, opaque or not, is not active."""
        self._revoked.add(token)

    def metadata(self) -> dict[str, Any]:
        """The discovery document."""
        endpoints = {"jwks_uri": self.jwks_uri, "introspection_endpoint": self.introspection_endpoint}
        return {"issuer": self.issuer, **endpoints}

    def fetch(self, url: str, /, *, seconds: float, known: Document | None = None, public: bool = False) -> Document:
        """The document at an address of this issuer. Raises Unavailable if there is none, or if a failure is set."""
        self._request(url)
        if url in self.documents:
            body = self.documents[url]
        elif url == self.jwks_uri:
            body = json.dumps(self.keys.jwks()).encode()
        elif url in metadata_urls(self.issuer):
            body = json.dumps(self.metadata()).encode()
        else:
            raise Unavailable(UnavailableReason.FETCH_STATUS)
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        if known is not None and known.etag == etag:
            return replace(known, cache_control=self.cache_control)
        return Document(body=body, cache_control=self.cache_control, etag=etag)

    def post(
        self, url: str, /, *, form: Mapping[str, str], headers: Mapping[str, str], accept: str, **_: Any
    ) -> Answer:
        """The answer about a token (RFC 7662), signed if `accept` asks for that (RFC 9701).

        401 for another client than that of `introspection`, which may send its secret in the header or in the form.
        Raises Unavailable at another address, or if a failure is set.
        """
        self._request(url)
        if url != self.introspection_endpoint:
            raise Unavailable(UnavailableReason.FETCH_STATUS)
        in_form = replace(_API, method="client_secret_post").fields(self.issuer, self._now())
        if headers != _API.headers() and not in_form.items() <= form.items():
            return Answer(status=401, content_type="application/json", body=b'{"error": "invalid_client"}')
        members = self._introspect(form["token"])
        if accept != SIGNED_TYPE:
            return Answer(status=200, content_type="application/json", body=json.dumps(members).encode())
        claims = {"iss": self.issuer, "aud": _API.client_id, "iat": int(self._now()), "token_introspection": members}
        signed = self.keys.sign(claims, header={"typ": media_type(SIGNED_TYPE)})
        return Answer(status=200, content_type=SIGNED_TYPE, body=signed.encode())

    def _introspect(self, token: str) -> dict[str, Any]:
        claims = self._opaque.get(token) or self._claims_of_jwt(token)
        ends = claims.get("exp") if claims is not None else None
        is_over = isinstance(ends, int | float) and ends <= self._now()
        if claims is None or is_over or token in self._revoked:
            return {"active": False}
        confirmation = claims.get("cnf")
        is_dpop = isinstance(confirmation, Mapping) and "jkt" in confirmation
        return {"active": True, "token_type": "DPoP" if is_dpop else "Bearer", **claims}

    def _claims_of_jwt(self, token: str) -> dict[str, Any] | None:
        with suppress(InvalidToken):
            jwt = parse(token)
            verify_signature(jwt, parse_key_set(self.keys.jwks()).keys)
            return jwt.unverified_claims
        return None

    def _request(self, url: str) -> None:
        self.fetched.append(url)
        failure = self.failure or self.failures.get(url)
        if failure is not None:
            raise Unavailable(UnavailableReason.of(failure), retry_after=self.retry_after)

    def has(self, url: str) -> bool:
        """Whether an address is one of this issuer's, or has a failure set."""
        documents = {self.jwks_uri, self.introspection_endpoint, *self.documents, *self.failures}
        with suppress(ValueError):  # the issuer is a name, not an address
            documents.update(metadata_urls(self.issuer))
        return url in documents

    @contextmanager
    def serving(self, *others: "FakeIssuer") -> Iterator["FakeIssuer"]:
        """Let this project fetch from this issuer and from `others`, and ask them. It forgets all keys before and after.

        The address of one issuer may be the beginning of another's.
        """
        from resource_server import server  # needs Django; the rest of this file does not

        def at(url: str) -> FakeIssuer:
            issuers = (self, *others)
            found = next((issuer for issuer in issuers if issuer.has(url)), None)
            # Otherwise it counts as a fetch of the issuer that it is nearest to.
            return found or max(issuers, key=lambda each: len(each.issuer) * url.startswith(each.issuer))

        def ask(url: str, /, **options: Any) -> Answer:
            # Another endpoint, of a project that introspects elsewhere, is asked over the network.
            return next((issuer.post for issuer in (self, *others) if issuer.has(url)), post)(url, **options)

        server.fetch_with(lambda url, /, **options: at(url).fetch(url, **options), ask)
        try:
            yield self
        finally:
            server.fetch_with(None)


class ProofKey:
    """The key of a DPoP client (RFC 9449): a token is bound to it, and each request brings a proof that it signs.

    ::

        key = ProofKey()
        token = issuer.token(scope="read", cnf=key.confirmation)
        client.get("/api/private", headers=key.headers("GET", "https://api.test/api/private", token))

    The origin of the address is that of `PUBLIC_ORIGIN`.
    """

    def __init__(self, algorithm: str = "ES256", *, now: Callable[[], float] = time_of_day) -> None:
        self._keys = SigningKeys(algorithm)
        self._now = now

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key (RFC 7517)."""
        (key,) = self._keys.jwks()["keys"]
        return {name: value for name, value in key.items() if name not in ("kid", "use", "alg")}

    @property
    def confirmation(self) -> dict[str, str]:
        """The `cnf` claim of a token that is bound to this key (RFC 9449 section 6.1)."""
        return {"jkt": self._keys.current_kid}

    def proof(
        self, method: str, url: str, token: str = "", *, header: Mapping[str, Any] | None = None, **claims: Any
    ) -> str:
        """A proof for one request (RFC 9449 section 4.2). `header` and the claims change a good one; None removes a member."""
        members: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url.partition("#")[0].partition("?")[0],
            "iat": int(self._now()),
            "ath": _base64url(hashlib.sha256(token.encode()).digest()) if token else None,
            **claims,
        }
        payload = {name: value for name, value in members.items() if value is not None}
        return self._keys.sign(payload, header={"typ": "dpop+jwt", "kid": None, "jwk": self.jwk, **(header or {})})

    def headers(self, method: str, url: str, token: str, **claims: Any) -> dict[str, str]:
        """The headers of a request with a bound token: the scheme DPoP and a proof; `claims` as for `proof`."""
        return {"Authorization": f"DPoP {token}", "DPoP": self.proof(method, url, token, **claims)}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

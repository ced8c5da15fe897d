"""How others authenticate the same request: the classes that their documentation tells a project to write."""

import hashlib
from base64 import urlsafe_b64decode
from binascii import a2b_base64
from functools import cache
from time import time
from types import SimpleNamespace
from typing import Any

import jwt as pyjwt
import requests
from authlib.integrations.django_oauth2 import ResourceProtector
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from benchmarks import tenant
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.db import connections, router
from jiter import from_json
from joserfc import jwt as jose
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

__all__ = [
    "ChecksRsa",
    "Constant",
    "Hashes",
    "HashesAndVaries",
    "Joserfc",
    "OneFunction",
    "PyJwt",
    "ReadsUser",
    "authlib_introspector",
    "authlib_protector",
    "authlib_validator",
    "joserfc_claims",
    "pyjwt_claims",
]

_TENANT = tenant.load()
_PERSON = SimpleNamespace(is_authenticated=True, is_active=True)


class Constant(BaseAuthentication):
    """Believes everybody, at no cost: what an authentication class costs in DRF, whatever it does."""

    def authenticate(self, request: Any) -> tuple[Any, None]:
        return _PERSON, None


class Hashes(BaseAuthentication):
    """Knows one token by its SHA-256: what it costs to recognise a token without keeping it."""

    known = hashlib.sha256(_TENANT.token.encode()).digest()

    def authenticate(self, request: Any) -> tuple[Any, None]:
        token = request._request.META["HTTP_AUTHORIZATION"][7:]
        if hashlib.sha256(token.encode()).digest() != self.known:
            raise AuthenticationFailed
        return _PERSON, None

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class HashesAndVaries(Hashes):
    """`Hashes`, and its answers say that they vary by the header, which a shared cache must know (RFC 9111 section 4.1)."""

    def authenticate(self, request: Any) -> tuple[Any, None]:
        request.parser_context["view"].headers["Vary"] = "Authorization"
        return super().authenticate(request)


class ReadsUser(Hashes):
    """Hashes the token and reads its person by SQL that is made once: what a user of the database cannot be below."""

    def __init__(self) -> None:
        self._model = get_user_model()
        self._columns = [field.attname for field in self._model._meta.concrete_fields]

    def authenticate(self, request: Any) -> tuple[Any, None]:
        super().authenticate(request)
        alias = router.db_for_read(self._model)
        sql, converters = _statement(alias)
        connection = connections[alias]
        with connection.cursor() as cursor:
            cursor.execute(sql, (_TENANT.subject,))
            row = list(cursor.fetchone())
        for place, column, functions in converters:
            for function in functions:
                row[place] = function(row[place], column, connection)
        user = self._model.from_db(alias, self._columns, row)
        if not user.is_active:
            raise AuthenticationFailed
        return user, None


@cache
def _statement(alias: str) -> tuple[str, list[tuple[int, Any, list[Any]]]]:
    found = get_user_model()._default_manager.using(alias).filter(username=_TENANT.subject)
    compiler = found.query.get_compiler(alias)
    sql, _parameters = compiler.as_sql()
    columns = [column for column, _sql, _alias in compiler.select]
    converters = compiler.get_converters(columns).items()
    return sql, [(place, column, functions) for place, (functions, column) in converters]


class ChecksRsa(BaseAuthentication):
    """Checks the signature and reads nothing: what no verification with RS256 can be below."""

    key = load_pem_public_key(_TENANT.public_pem.encode())

    def authenticate(self, request: Any) -> tuple[Any, None]:
        signed, _dot, signature = request._request.META["HTTP_AUTHORIZATION"][7:].rpartition(".")
        try:
            self.key.verify(urlsafe_b64decode(f"{signature}=="), signed.encode(), PKCS1v15(), SHA256())
        except InvalidSignature as error:
            raise AuthenticationFailed from error
        return _PERSON, None

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class OneFunction(BaseAuthentication):
    """Our rules for one issuer, one key and the usual claims, written out in one function, and the Vary header.

    Nothing can be configured, explained or replaced in it: what the same checks cost without any structure.
    """

    issuer, audience, key = _TENANT.issuer, _TENANT.audience, ChecksRsa.key
    headers: dict[bytes, Any] = {}
    to_base64 = bytes.maketrans(b"-_+/=", b"+/!!!")
    padding = (b"", b"", b"==", b"=")
    last = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")

    def authenticate(self, request: Any) -> tuple[Any, Any]:
        request.parser_context["view"].headers["Vary"] = "Authorization"
        raw = request._request.META["HTTP_AUTHORIZATION"].encode("ascii", "replace")
        try:
            if raw[:7] != b"Bearer " or len(raw) > 16 * 1024:
                raise ValueError
            raw = raw[7:]
            segments = raw.translate(self.to_base64).split(b".")
            header = self.headers.get(segments[0])
            parts = []
            for segment in segments[header is not None :]:
                beyond = len(segment) & 3
                if beyond and segment[-1] not in self.last[beyond]:
                    raise ValueError
                parts.append(a2b_base64(segment + self.padding[beyond], strict_mode=True))
            payload, signature = parts[-2:]
            if header is None:
                header = from_json(parts[0], allow_inf_nan=False, cache_mode="none", catch_duplicate_keys=True)
            if payload.count(b"[") + payload.count(b"{") > 32:
                raise ValueError
            claims = from_json(payload, allow_inf_nan=False, cache_mode="none", catch_duplicate_keys=True)
            now, expires_at, subject = time(), claims["exp"], claims["sub"]
            audience, scope = claims["aud"], claims.get("scope", "")
            if not (
                header["alg"] == "RS256"
                and header["typ"].lower() == "at+jwt"
                and isinstance(header["kid"], str)
                and "crit" not in header
                and "b64" not in header
                and claims["iss"] == self.issuer
                and type(expires_at) in (int, float)
                and now < expires_at + 30
                and claims.get("nbf", 0) <= now + 30
                and claims.get("iat", 0) <= now + 30
                and (audience == self.audience or self.audience in audience)
                and isinstance(subject, str)
                and subject.isprintable()
                and len(subject) <= 255
                and claims.get("jti", "id").isprintable()
                and claims.get("client_id", "id").isprintable()
                and isinstance(scope, str)
                and "cnf" not in claims
            ):
                raise ValueError
            self.key.verify(signature, raw[: -len(segments[2]) - 1], PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError, KeyError, TypeError) as error:
            raise AuthenticationFailed from error
        self.headers[segments[0]] = header
        token = SimpleNamespace(
            subject=subject, scopes=frozenset(scope.split(" ")), claims=claims, expires_at=expires_at
        )
        return _PERSON, token

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class _Bearer(BaseAuthentication):
    errors: tuple[type[Exception], ...] = ()

    def authenticate(self, request: Any) -> tuple[Any, Any] | None:
        words = get_authorization_header(request).split()
        if len(words) != 2 or words[0].lower() != b"bearer":
            return None
        try:
            claims = self.claims(words[1].decode("ascii"))
        except self.errors as error:
            raise AuthenticationFailed from error
        return SimpleNamespace(is_authenticated=True, is_active=True, username=claims["sub"]), claims

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"

    def claims(self, token: str) -> dict[str, Any]:
        raise NotImplementedError


# pyjwt.readthedocs.io, "Usage Examples": a key from a JWK set, audience, issuer, required claims.
_PYJWT_KEYS = {key.key_id: key for key in pyjwt.PyJWKSet.from_dict(_TENANT.jwks).keys}


def pyjwt_claims(token: str) -> dict[str, Any]:
    key = _PYJWT_KEYS[pyjwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = pyjwt.decode(
        token,
        key,
        algorithms=["RS256"],
        audience=_TENANT.audience,
        issuer=_TENANT.issuer,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )
    return claims


class PyJwt(_Bearer):
    errors = (pyjwt.InvalidTokenError, KeyError)

    def claims(self, token: str) -> dict[str, Any]:
        return pyjwt_claims(token)


# jose.authlib.org, "JSON Web Token": decode with a key set, then a claims registry.
_JOSE_KEYS = KeySet.import_key_set(_TENANT.jwks)
_JOSE_CLAIMS = jose.JWTClaimsRegistry(
    iss={"essential": True, "value": _TENANT.issuer},
    aud={"essential": True, "value": _TENANT.audience},
    sub={"essential": True},
    exp={"essential": True},
)


def joserfc_claims(token: str) -> dict[str, Any]:
    decoded = jose.decode(token, _JOSE_KEYS, algorithms=["RS256"])
    _JOSE_CLAIMS.validate(decoded.claims)
    return decoded.claims


class Joserfc(_Bearer):
    errors = (JoseError, ValueError)

    def claims(self, token: str) -> dict[str, Any]:
        return joserfc_claims(token)


# docs.authlib.org, "RFC9068: JWT Profile for OAuth 2.0 Access Tokens" and "Django OAuth 2.0 Resource Protector".
class _Validator(JWTBearerTokenValidator):
    def get_jwks(self) -> Any:
        return _JOSE_KEYS


authlib_validator = _Validator(issuer=_TENANT.issuer, resource_server=_TENANT.audience)
authlib_protector = ResourceProtector()
authlib_protector.register_token_validator(authlib_validator)


# docs.authlib.org, "RFC7662: OAuth 2.0 Token Introspection": a project writes how it asks, and so whether it keeps the
# answer. This one is kept under its digest in the memory of this process, as the cheapest place for it.
class _IntrospectionValidator(IntrospectTokenValidator):
    def introspect_token(self, token_string: str) -> Any:
        key = hashlib.sha256(token_string.encode()).hexdigest()
        answer = caches["default"].get(key)
        if answer is None:
            url, form = f"{_TENANT.documents}/introspect", {"token": token_string}
            answer = requests.post(url, data=form, timeout=5).json()
            caches["default"].set(key, answer, 60)
        return answer


authlib_introspector = ResourceProtector()
authlib_introspector.register_token_validator(_IntrospectionValidator())

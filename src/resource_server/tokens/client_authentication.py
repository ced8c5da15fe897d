"""How this API proves to an issuer who it is (RFC 6749 section 2.3.1, RFC 7523 section 2.2, RFC 8705 section 2)."""

import base64
import json
import secrets
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus

__all__ = ["METHODS", "ClientAuthentication", "ClientKey", "client_key"]

# The names of OpenID Connect Core section 9 and RFC 8705 section 2.1.1.
METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth")
ASSERTION_SECONDS = 60
MIN_RSA_BITS = 2048
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
_OF_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """A private key, and the algorithm and the `kid` that the issuer knows it by."""

    algorithm: str
    kid: str | None
    key: Any = field(repr=False)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a compact JWS (RFC 7515 section 7.1)."""
        from joserfc.jws import JWSRegistry  # imported late: start-up does not pay for it

        header = {"alg": self.algorithm, "typ": "JWT", **({"kid": self.kid} if self.kid is not None else {})}
        signing_input = f"{_segment(json.dumps(header).encode())}.{_segment(json.dumps(claims).encode())}"
        # Not through `jws.serialize_compact`, which warns of EdDSA (RFC 9864).
        signature = JWSRegistry.algorithms[self.algorithm].sign(signing_input.encode("ascii"), self.key)
        return f"{signing_input}.{_segment(signature)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAuthentication:
    """The client that the issuer knows this API as, and its credential, which `method` (one of METHODS) chooses.

    `certificate` is the path of a file with a certificate and its private key in PEM.
    """

    client_id: str
    method: str
    secret: str = field(default="", repr=False)
    key: ClientKey | None = None
    certificate: str | None = None

    def fields(self, issuer: str, now: float) -> dict[str, str]:
        """The fields of a form that prove the client; `now` is in seconds since 1970."""
        if self.method == "client_secret_basic":
            return {}
        if self.method == "client_secret_post":
            return {"client_id": self.client_id, "client_secret": self.secret}
        if self.key is None:
            return {"client_id": self.client_id}
        return {
            "client_id": self.client_id,
            "client_assertion_type": _ASSERTION_TYPE,
            # The audience is the issuer: its endpoints may be those of an attacker (RFC 9700 section 4.4).
            "client_assertion": self.key.sign(
                {
                    "iss": self.client_id,
                    "sub": self.client_id,
                    "aud": issuer,
                    "jti": secrets.token_urlsafe(16),
                    "iat": int(now),
                    "exp": int(now) + ASSERTION_SECONDS,
                }
            ),
        }

    def headers(self) -> dict[str, str]:
        """The headers that prove the client."""
        if self.method != "client_secret_basic":
            return {}
        # RFC 6749 section 2.3.1: both are encoded as in a form, and then as RFC 7617 says.
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode('ascii')).decode('ascii')}"}


def client_key(value: object) -> ClientKey:
    """The private key in a PEM text or a JWK. Raises ValueError, whose text repeats nothing of the key.

    Of an RSA key the algorithm is RS256, or the JWK's `alg`. Of another key its curve gives the algorithm.
    """
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry

    kid = algorithm = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of keys that are refused below
            if isinstance(value, str):
                key: Any = JWKRegistry.import_key(value, _type_of(value))
            elif isinstance(value, Mapping):
                kid, algorithm = value.get("kid"), value.get("alg")
                key = JWKRegistry.import_key(dict(value))
            else:
                raise ValueError("It is not text in PEM or a JWK")  # noqa: TRY004 - a setting's
        is_private = key.is_private
    except (JoseError, TypeError, KeyError, AttributeError):
        raise ValueError("It is not a private key in PEM without a password, or a JWK") from None
    if not is_private:
        raise ValueError("It is a public key")
    permitted = _algorithms(key)
    if not permitted or (algorithm is not None and algorithm not in permitted):
        raise ValueError("The key has no algorithm: RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519")
    if kid is not None and not isinstance(kid, str):
        raise ValueError("Its kid is not text")
    return ClientKey(algorithm=algorithm or permitted[0], kid=kid, key=key)


def _type_of(pem: str) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode("utf-8"), None)
    except (UnsupportedAlgorithm, TypeError):
        raise ValueError("It is not a private key in PEM without a password, or a JWK") from None
    except ValueError:
        raise ValueError("It is not a private key in PEM") from None
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "EC" if isinstance(key, ec.EllipticCurvePrivateKey) else "OKP"


def _algorithms(key: Any) -> tuple[str, ...]:
    if key.key_type == "RSA":
        return _OF_RSA if key.private_key.key_size >= MIN_RSA_BITS else ()
    members = key.as_dict(private=False)
    found = _CURVES.get(str(members.get("crv")))
    return (found,) if found is not None else ()


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")

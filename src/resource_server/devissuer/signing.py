"""Private keys that sign JWTs and the JWK set that verifies them (RFC 7515, 7517, 7518, 8037, 9864).

The development issuer and the tests sign with the same class. So it also signs tokens that no honest issuer would: any
bytes as the payload, any members in the header.
"""

import base64
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

__all__ = ["ALGORITHMS", "SigningKeys"]

# Bounds the memory of an issuer that rotates every second.
_MAX_WITHDRAWN = 32


def _rsa() -> Key:
    return RSAKey.generate_key(2048)


_GENERATORS: Mapping[str, Callable[[], Key]] = {
    "RS256": _rsa,
    "RS384": _rsa,
    "RS512": _rsa,
    "PS256": _rsa,
    "PS384": _rsa,
    "PS512": _rsa,
    "ES256": lambda: ECKey.generate_key("P-256"),
    "ES384": lambda: ECKey.generate_key("P-384"),
    "ES512": lambda: ECKey.generate_key("P-521"),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519"),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519"),
}

ALGORITHMS: tuple[str, ...] = tuple(_GENERATORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SigningKey:
    kid: str
    algorithm: str
    private: Key
    public: Mapping[str, Any]

    @classmethod
    def generate(cls, algorithm: str) -> "_SigningKey":
        private = _GENERATORS[algorithm]()
        kid = private.thumbprint()  # RFC 7638: reveals nothing, and differs for every key
        public = {**private.as_dict(private=False), "kid": kid, "use": "sig", "alg": algorithm}
        return cls(kid=kid, algorithm=algorithm, private=private, public=public)

    def signature(self, signing_input: bytes) -> bytes:
        # Not through `jws.serialize_compact`: it refuses the headers that a forged token needs, and warns of EdDSA
        # (RFC 9864).
        return JWSRegistry.algorithms[self.algorithm].sign(signing_input, self.private)


class SigningKeys:
    """The private keys of one issuer: one signs, the older ones stay published.

    `algorithm` is one of `ALGORITHMS`; another one raises ValueError. The first key is made at its first use. Instances
    share no key, and may be used from several threads.
    """

    def __init__(self, algorithm: str = "RS256") -> None:
        self._algorithm = _known(algorithm)
        self._lock = threading.RLock()
        self._keys: dict[str, _SigningKey] = {}  # oldest first; the last one made signs
        self._withdrawn: set[str] = set()

    def rotate(self, algorithm: str | None = None) -> str:
        """Make a new key current and return its `kid`; the older keys stay in `jwks()`.

        `algorithm` defaults to that of the current key.
        """
        with self._lock:
            self._current()  # makes the first key, so that there is an older one
            self._algorithm = _known(algorithm or self._algorithm)
            return self._add().kid

    def withdraw(self, kid: str) -> None:
        """Remove a key from `jwks()`. It can still sign, as a leaked key can.

        Raises KeyError if no such key is published.
        """
        with self._lock:
            self._current()
            if kid not in self._keys or kid in self._withdrawn:
                raise KeyError(kid)
            self._withdrawn.add(kid)
            if len(self._withdrawn) > _MAX_WITHDRAWN:
                oldest = next(kid for kid in self._keys if kid in self._withdrawn)
                self._withdrawn.remove(oldest)
                del self._keys[oldest]

    @property
    def algorithm(self) -> str:
        """The algorithm of the key that signs."""
        return self._algorithm

    @property
    def current_kid(self) -> str:
        """The `kid` of the key that signs."""
        with self._lock:
            return self._current().kid

    def jwks(self) -> dict[str, Any]:
        """The public keys that are not withdrawn, oldest first, as a JWK set (RFC 7517 section 5)."""
        with self._lock:
            self._current()
            published = [key for kid, key in self._keys.items() if kid not in self._withdrawn]
        return {"keys": [dict(key.public) for key in published]}

    def sign(
        self,
        claims: Mapping[str, Any] | bytes,
        *,
        kid: str | None = None,
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """Sign `claims` as a compact JWS (RFC 7515 section 7.1), by default of type `at+jwt`.

        Bytes are signed as they are. `kid` selects an older key (KeyError if there is none). `header` adds members or
        replaces `alg`, `kid` and `typ`; None removes one. The signature always uses the key's own algorithm, whatever
        the header claims. Does not check the claims or the header.
        """
        key = self._find(kid)
        members = {"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt", **(header or {})}
        protected = {name: value for name, value in members.items() if value is not None}
        payload = claims if isinstance(claims, bytes) else _json(dict(claims))
        return self.sign_parts(_json(protected), payload, kid=key.kid)

    def sign_parts(self, header: bytes, payload: bytes, *, kid: str | None = None) -> str:
        """Sign these exact bytes as header and payload, JSON or not."""
        key = self._find(kid)
        signing_input = _base64url(header) + b"." + _base64url(payload)
        return (signing_input + b"." + _base64url(key.signature(signing_input))).decode("ascii")

    def _find(self, kid: str | None) -> _SigningKey:
        with self._lock:
            current = self._current()
            return current if kid is None else self._keys[kid]

    def _current(self) -> _SigningKey:
        return next(reversed(self._keys.values())) if self._keys else self._add()

    def _add(self) -> _SigningKey:
        key = _SigningKey.generate(self._algorithm)
        self._keys[key.kid] = key
        return key


def _known(algorithm: str) -> str:
    if algorithm not in _GENERATORS:
        raise ValueError(f"unknown algorithm {algorithm}; one of {', '.join(ALGORITHMS)}")
    return algorithm


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")  # RFC 7515 section 2

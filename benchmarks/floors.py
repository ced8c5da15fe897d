"""Our class with the bare parts of what other tokens need: what nobody can be below, by the same libraries.

A proof costs the check of its signature and one question to a cache, a deny list one question.
"""

from base64 import urlsafe_b64decode
from typing import Any

from benchmarks import tenant
from benchmarks.proofs import Client
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.core.cache import caches

from resource_server.drf import AccessTokenAuthentication

__all__ = ["Adds", "ChecksEs256", "ChecksEs256AndAdds", "ReadsMany", "check_es256"]

_KEY: Any = load_pem_public_key(Client(tenant.load().proof_key).public_pem)
_ES256 = ECDSA(SHA256())
# As many as a deny list has names for a usual token, and as long.
_NAMES = [f"resource_server:revocation:{number:064x}" for number in range(6)]


def check_es256(proof: str) -> None:
    """Check the signature of a proof, and read nothing of it."""
    signed, _dot, signature = proof.rpartition(".")
    raw = urlsafe_b64decode(f"{signature}==")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    _KEY.verify(encode_dss_signature(r, s), signed.encode("ascii"), _ES256)


def _add(proof: str) -> None:
    # The signature is as good a name as any: each proof has another one.
    if caches[settings.BENCHMARK_CACHE].add(proof[-86:], 1, 75) is not True:
        raise RuntimeError("a proof comes again, or the cache does not work")


class ChecksEs256(AccessTokenAuthentication):
    def authenticate(self, request: Any) -> Any:
        check_es256(request._request.META["HTTP_DPOP"])
        return super().authenticate(request)


class Adds(AccessTokenAuthentication):
    def authenticate(self, request: Any) -> Any:
        _add(request._request.META["HTTP_DPOP"])
        return super().authenticate(request)


class ChecksEs256AndAdds(AccessTokenAuthentication):
    def authenticate(self, request: Any) -> Any:
        proof = request._request.META["HTTP_DPOP"]
        check_es256(proof)
        _add(proof)
        return super().authenticate(request)


class ReadsMany(AccessTokenAuthentication):
    def authenticate(self, request: Any) -> Any:
        caches[settings.BENCHMARK_CACHE].get_many(_NAMES)
        return super().authenticate(request)

"""A token alone, without a request: the bare RSA check, and what the libraries make of the same token.

Every call gets another token than the one before, so that nothing is remembered from the last.
"""

import base64
import gc
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from benchmarks import peers
from benchmarks.cases import CaseRefused
from benchmarks.results import Sample
from benchmarks.rounds import interleave
from benchmarks.tenant import Tenant
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.test import override_settings

from resource_server import server
from resource_server.flow import run
from resource_server.tokens.credentials import Credentials

__all__ = ["measure", "our_verifier"]


def measure(tenant: Tenant, *, rounds: int, tokens: int) -> list[Sample]:
    """Seconds per token."""
    cases: dict[str, tuple[str, Callable[[Any], object], Callable[[str], Any]]] = {
        "bare RSA check": ("cryptography", _bare_check(tenant), _signed_parts),
        "ours, all rules": ("django-resource-server", our_verifier(TOKEN_CACHE=0), _credentials),
        "ours, seen token": ("django-resource-server", our_verifier(), _credentials),
        "PyJWT": ("pyjwt", peers.pyjwt_claims, str),
        "joserfc": ("joserfc", peers.joserfc_claims, str),
        "Authlib": ("Authlib", _authlib, str),
    }
    blocks = {}
    for name, (_package, verify, prepare) in cases.items():
        _check(name, verify, prepare(tenant.token), prepare(tenant.forged))
        seen = [tenant.token] * tokens if "seen" in name else tenant.pool
        blocks[name] = _block(verify, [prepare(token) for token in seen], tokens)
    gc.collect()
    gc.freeze()
    values = interleave(blocks, rounds)
    return [
        Sample(
            part="verification",
            name=name,
            values=values[name],
            details={"package": package, "baseline": "bare RSA check"},
        )
        for name, (package, _verify, _prepare) in cases.items()
    ]


def our_verifier(**changes: Any) -> Callable[[Credentials], object]:
    """Our verifier, under the settings of the benchmarks with changes."""
    with override_settings(RESOURCE_SERVER={**settings.RESOURCE_SERVER, **changes}):
        made, problems = server.configure()
    if made is None:
        raise CaseRefused("; ".join(problem.message for problem in problems))
    verify = made.verifier.verify
    return lambda credentials: run(verify(credentials))


def _block(verify: Callable[[Any], object], prepared: Sequence[Any], tokens: int) -> Callable[[], float]:
    position = 0

    def timed() -> float:
        nonlocal position
        first, position = position, position + tokens
        chosen = [prepared[number % len(prepared)] for number in range(first, position)]
        gc.collect()
        begin = perf_counter()
        for token in chosen:
            verify(token)
        return (perf_counter() - begin) / tokens

    return timed


def _check(name: str, verify: Callable[[Any], object], good: Any, forged: Any) -> None:
    verify(good)
    try:
        verify(forged)
    except Exception:  # noqa: BLE001 - each library refuses in a kind of its own
        return
    raise CaseRefused(f"{name}: a forged token passes")


def _credentials(token: str) -> Credentials:
    return Credentials(unverified_token=token)


def _signed_parts(token: str) -> tuple[bytes, bytes]:
    signed, _dot, signature = token.rpartition(".")
    return base64.urlsafe_b64decode(signature + "=="), signed.encode("ascii")


def _bare_check(tenant: Tenant) -> Callable[[tuple[bytes, bytes]], object]:
    key: Any = load_pem_public_key(tenant.public_pem.encode("ascii"))
    scheme, digest = padding.PKCS1v15(), SHA256()
    return lambda parts: key.verify(*parts, scheme, digest)


def _authlib(token: str) -> object:
    claims = peers.authlib_validator.authenticate_token(token)
    peers.authlib_validator.validate_token(claims, ["read:orders"], None)
    return claims

"""What one issuer is trusted with: the rules that its tokens are judged by. Data only; `conf.py` makes it from the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ALGORITHMS", "Policy", "media_type"]

# RFC 7518 section 3.1, RFC 8037, RFC 9864. Asymmetric only: with a shared secret, whoever verifies can also sign.
ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)


def media_type(typ: str) -> str:
    """A `typ` in the form to compare: lower case, without the optional `application/` (RFC 7515 section 4.1.9)."""
    name = typ.lower()
    short = name.removeprefix("application/")
    return name if "/" in short else short


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules for one issuer.

    `issuer` is compared exactly. A token needs one of `audience`, one of `algorithms`, and one of `token_types` (in
    the form of `media_type`; `jwt` also admits a token without `typ`). Keys come from `key_set`, or from `jwks_uri`,
    or are discovered. `http_on_loopback` admits http addresses on this machine, for development.
    """

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...] = ALGORITHMS
    token_types: tuple[str, ...] = ("at+jwt",)
    clock_skew_seconds: int = 30
    jwks_uri: str | None = None
    key_set: Mapping[str, Any] | None = None
    http_on_loopback: bool = False

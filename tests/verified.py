"""Verified tokens for tests of what follows the verification, without an issuer and without a signature."""

from typing import Any

from resource_server.tokens.access_token import AccessToken, access_token


def token_of(subject: str = "auth0|ada", issuer: str = "https://issuer.test/", **claims: Any) -> AccessToken:
    """The verified token of a person, with these claims besides."""
    return access_token({"iss": issuer, "sub": subject, "aud": "api", "exp": 2_000_000_000, **claims})

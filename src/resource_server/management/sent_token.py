"""Standard input of `manage.py resource_server explain` -> a token, and how it was sent."""

import re
import sys
from typing import Final

from django.core.management.base import CommandError
from django.urls import get_script_prefix

from resource_server.explained_proof import Sent
from resource_server.tokens.credentials import MAX_TOKEN_CHARACTERS
from resource_server.tokens.dpop import MAX_PROOF_CHARACTERS

__all__ = ["read_sent_token"]

# Enough to refuse a token and a proof that are too large.
_MAX_BYTES: Final = 2 * (MAX_TOKEN_CHARACTERS + MAX_PROOF_CHARACTERS)
# What surrounds a token that is copied from a header, from JSON or from a command of curl.
_AROUND: Final = " \t\r\n\"'`"
_BEFORE: Final = re.compile(
    r"""(?:authorization["']?\s*:\s*["']?)?(?:(?P<scheme>bearer|dpop)(?:\s+|\Z))?""", re.IGNORECASE
)
_BEFORE_PROOF: Final = re.compile(r"""["']?dpop["']?\s*:\s*["']?""", re.IGNORECASE)


def read_sent_token(method: str, path: str | None) -> tuple[str, Sent]:
    """The token, as people paste it: a whole header, with quotes, or with blank lines around it; empty without one.

    Each further line is a proof, which is for the method and the path. Raises CommandError for a proof without a path.
    """
    text = sys.stdin.buffer.read(_MAX_BYTES).decode("utf-8", "replace")
    lines = [line for line in (line.strip(_AROUND) for line in text.splitlines()) if line]
    named = [line for line in lines if _BEFORE_PROOF.match(line)]
    token, *others = [line for line in lines if line not in named] or [""]
    proofs = tuple(_BEFORE_PROOF.sub("", line, count=1).strip(_AROUND) for line in (*named, *others))
    before = _BEFORE.match(token)
    scheme = before["scheme"] if before is not None else None
    token = _BEFORE.sub("", token, count=1).strip(_AROUND)
    if proofs and token and path is None:
        raise CommandError("a proof is for one request: give its --path, and its --method if that is not GET")
    return token, Sent(
        is_dpop=None if scheme is None else scheme.lower() == "dpop",
        proofs=proofs,
        method=method,
        path=get_script_prefix().rstrip("/") + (path or "/"),
    )

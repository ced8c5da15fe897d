"""The answer of a server to a form, and how the form is sent (RFC 9110)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Answer", "Post"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of any status. `content_type` has no parameters and is in lower case.

    `retry_after` is the wait in seconds that the server asks for, or 1.
    """

    status: int
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    retry_after: int = 1


class Post(Protocol):
    """Sends a form. Raises Unavailable, and nothing else, if there is no answer; follows no redirect.

    `accept` is the value of the Accept header, `headers` are others. `seconds` is the time for the whole exchange. With
    `public`, an address on this machine or its link is refused. `certificate` is the path of a file with the client's
    certificate and its private key in PEM, which is shown to the server (RFC 8705 section 2).
    """

    def __call__(
        self,
        url: str,
        /,
        *,
        form: Mapping[str, str],
        headers: Mapping[str, str],
        accept: str,
        seconds: float,
        public: bool = False,
        certificate: str | None = None,
    ) -> Answer: ...

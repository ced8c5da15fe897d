"""How an attempt to fetch a document ended, in words for the operator: the address, and the cause of the failure."""

import re
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

__all__ = ["failure_outcome", "printable", "seconds_text", "shown_address", "status_outcome"]

MAX_OUTCOME_CHARACTERS = 200

# By the name of the class: only http.py may import the HTTP client and sockets. The innermost error that is listed counts.
_CAUSES = {
    "ConnectionRefusedError": "connection refused",
    "RemoteDisconnected": "connection closed without an answer",
    "ConnectionResetError": "connection reset",
    "IncompleteRead": "answer ended early",
    "InvalidChunkLength": "answer ended early",
    "HTTPException": "not an HTTP answer",
    "HTTPParseError": "not an HTTP answer",
    "TimeoutError": "connection timed out",
}

# The words of http.client, which has no class for it. The rest of them is the proxy's own text.
_TUNNEL = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")


def shown_address(url: str) -> str:
    """An address without user name, password, query and fragment, which can hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return printable(f"{shown}?..." if parts.query else shown)


def status_outcome(status: int) -> str:
    """The outcome of an answer with a status that is of no use."""
    is_redirect = status in (301, 302, 303, 307, 308)
    return f"answered {status}, and redirects are not followed" if is_redirect else f"answered {status}"


def failure_outcome(error: BaseException) -> str:
    """The cause of a failure: what the certificate, the name look-up, the connection or the HTTP answer was refused for.

    Does not quote an error of an unknown kind, whose text can hold the whole address. Does not escape: see `printable`.
    """
    chain = [*_chain(error)]
    cause = next(filter(None, map(_cause, reversed(chain))), type(error).__name__)
    through_proxy = any(type(link).__name__ == "ProxyError" for link in chain)
    return f"the proxy failed: {cause}" if through_proxy else cause


def seconds_text(seconds: float) -> str:
    """A time in seconds, to a tenth."""
    return f"{round(seconds, 1):g} s"


def printable(text: str) -> str:
    """Text as printable ASCII on one line, cut to 200 characters."""
    # Between its quotes, ascii() has escaped control characters and all that is beyond ASCII.
    shown = ascii(text)[1:-1]
    return shown if len(shown) <= MAX_OUTCOME_CHARACTERS else f"{shown[: MAX_OUTCOME_CHARACTERS - 3]}..."


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _cause(error: BaseException) -> str:
    if isinstance(error, OSError) and (refused := _TUNNEL.match(str(error))) is not None:
        return f"it answered {refused[1]} to CONNECT"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or type(error).__name__}"
    if type(error).__name__ == "gaierror" and isinstance(error, OSError):
        return f"host name not found ({error.strerror})"
    named = next((_CAUSES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _CAUSES), "")
    return named or (error.strerror or "" if isinstance(error, OSError) else "")

"""The command line of the development issuer: `python -m resource_server.devissuer --help`."""

import argparse
import errno
import ipaddress
import math
import re
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from resource_server.devissuer.clients import redirect_uri_problem
from resource_server.devissuer.issuer import IssuerOptions
from resource_server.devissuer.signing import ALGORITHMS

_ANYONE = "--let-other-machines-get-tokens"
_MAX_PORT = 65535

_DESCRIPTION = """\
An OAuth 2.0 and OpenID issuer for development: it signs real tokens for any person you pick, asks
for no password, and keeps everything in memory until it stops.
"""

_EPILOG = """\
clients
  demo-machine   secret demo-machine-secret; client_credentials
  demo-opaque    secret demo-opaque-secret; client_credentials; opaque tokens
  demo-browser   public; authorization_code with PKCE (S256), refresh_token; any redirect URI on
                 loopback (http://127.0.0.1, http://localhost, http://[::1], any port and path)
  demo-api       secret demo-api-secret; no tokens of its own; the API that introspects
  others         register at /register (RFC 7591), or have as client_id the https address of their
                 metadata document; SSL_CERT_FILE names an authority for its certificate. They can
                 request every scope. "access_token_format": "opaque" is a member of this issuer alone

addresses
  /.well-known/openid-configuration, /.well-known/oauth-authorization-server, /jwks.json
  /authorize     the sign-in page; the parameter audience or resource chooses the audience, also with
                 a slash at its end. The page offers acr_values; max_age is always met
  /token         the parameter audience or resource chooses the audience here too. A DPoP proof binds
                 the tokens to its key, and a Client-Cert header (RFC 9440) to its certificate, as a
                 proxy that ends mutual TLS would send it. This issuer believes the header
  /register      clients register here
  /introspect    for clients with a secret; all access tokens, opaque or not; also signed (RFC 9701)
  /revoke        an access token, or a refresh token with its whole session
  POST /rotate   sign with a new key at once; the last five keys stay published.
                 algorithm=ES256 changes the algorithm, withdraw=older withdraws the older keys

examples
  python -m resource_server.devissuer --audience https://api.example.test --scope read write
  curl -u demo-machine:demo-machine-secret -d grant_type=client_credentials -d scope=read \\
      http://127.0.0.1:9000/token
  curl -d withdraw=older http://127.0.0.1:9000/rotate
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m resource_server.devissuer",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # so that the long flag below is always spelled out
    )
    default = IssuerOptions(issuer="")
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_port, default=9000, help="0 is any free port (default: %(default)s)")
    add(
        "--issuer",
        type=_issuer,
        metavar="URL",
        help="the issuer in iss and in the addresses, without a path (default: http://HOST:PORT)",
    )
    add(
        "--audience",
        type=_audience,
        action="extend",
        nargs="+",
        metavar="URI",
        help=f"the APIs that tokens are for; the first is the default ({default.audiences[0]})",
    )
    add(
        "--scope",
        type=_scope,
        action="extend",
        nargs="+",
        metavar="NAME",
        help=f"the scopes that a client can request (default: {default.scopes[0]}),"
        " in addition to openid, profile, email and offline_access",
    )
    add(
        "--algorithm",
        choices=ALGORITHMS,
        default=default.algorithm,
        metavar="ALG",
        help=f"one of {', '.join(ALGORITHMS)} (default: %(default)s)",
    )
    add(
        "--token-seconds",
        type=_seconds,
        default=default.token_seconds,
        metavar="N",
        help="lifetime of access and ID tokens (default: %(default)s)",
    )
    add(
        "--rotate-seconds",
        type=_seconds,
        metavar="N",
        help="sign with a new key every N seconds (default: only on POST /rotate)",
    )
    add(
        "--redirect-uri",
        type=_redirect_uri,
        action="extend",
        nargs="+",
        metavar="URI",
        help="further redirect URIs of demo-browser, compared exactly",
    )
    add(
        "--acr",
        type=_acr,
        action="extend",
        nargs="+",
        metavar="NAME",
        help="the authentication contexts that acr_values can name (default: any, and none is advertised)",
    )
    add("--opaque", action="store_true", help="opaque access tokens for all clients")
    add("--dpop-nonce", action="store_true", help="demand a nonce in DPoP proofs (RFC 9449 section 8)")
    add("--verbose", action="store_true", help="one line for each request, on stderr")
    add(
        _ANYONE,
        action="store_true",
        help="allow a --host that is not loopback, which needs --issuer too: any machine that"
        " reaches it can get any token for any person",
    )
    return parser


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > _MAX_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {_MAX_PORT}")
    return int(text)


def _seconds(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError("seconds are a whole number from 1 to 999999999")
    return int(text)


def _issuer(text: str) -> str:
    if not re.fullmatch(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?/?", text):
        raise argparse.ArgumentTypeError("an issuer here is http(s)://host[:port], in lower case")
    return text


def _audience(text: str) -> str:
    if not re.fullmatch("[!-~]+", text):
        raise argparse.ArgumentTypeError("an audience is printable ASCII without spaces")
    return text


def _scope(text: str) -> str:
    if not re.fullmatch(r"[!#-\[\]-~]+", text):  # RFC 6749 section 3.3
        raise argparse.ArgumentTypeError('a scope is printable ASCII without space, " and \\')
    return text


def _acr(text: str) -> str:
    if not re.fullmatch("[!-~]+", text):  # `acr_values` are separated by spaces
        raise argparse.ArgumentTypeError("an authentication context is printable ASCII without spaces")
    return text


def _redirect_uri(text: str) -> str:
    if problem := redirect_uri_problem(text):
        raise argparse.ArgumentTypeError(problem)
    return text


def _is_loopback(host: str) -> bool:
    """Whether all addresses of a host are loopback. Raises OSError for an unknown name."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return all(ipaddress.ip_address(str(info[4][0]).split("%")[0]).is_loopback for info in found)


class _Stop:
    """Ends the program at a signal. Ignores a second signal within a second, which would end it with a traceback."""

    def __init__(self) -> None:
        self._last = -math.inf

    def __call__(self, *_: object) -> None:
        now = time.monotonic()
        if now - self._last > 1:
            self._last = now
            # Python drops an exception raised in a callback of the garbage collector: a later signal must work.
            raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal stops it. Returns 0 after a signal, 1 if it cannot run; exits with 2 for wrong arguments."""
    parser = _parser()
    given = parser.parse_args(arguments)
    stop = _Stop()
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        return _run(parser, given)
    except KeyboardInterrupt:
        # The interpreter gives signals that have a handler back to the system as it ends, and a second one would kill it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return 0


def _run(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    try:
        loopback = _is_loopback(given.host)
    except (OSError, UnicodeError, ValueError):
        parser.error(f"argument --host: {given.host} is not an address of this machine")
    if not loopback and not given.let_other_machines_get_tokens:
        parser.error(f"argument --host: {given.host} is not loopback; that needs {_ANYONE}")
    if not loopback and given.issuer is None:
        parser.error(f"argument --host: with {given.host}, give --issuer too")
    try:
        from resource_server.devissuer.server import bind, serve
    except ModuleNotFoundError as missing:
        return _fail(
            parser, f"{str(missing.name).partition('.')[0]} is not installed; pip install 'django-resource-server[dev]'"
        )
    try:
        listener = bind(given.host, given.port)
    except OSError as error:
        where = f"port {given.port} of {given.host}"
        if error.errno == errno.EADDRINUSE:
            return _fail(parser, f"{where} is in use; choose another with --port")
        return _fail(parser, f"cannot listen on {where}: {error.strerror}")
    host = f"[{given.host}]" if ":" in given.host else given.host
    default = IssuerOptions(issuer=given.issuer or f"http://{host}:{listener.port}")
    options = IssuerOptions(
        issuer=default.issuer,
        audiences=tuple(given.audience or default.audiences),
        scopes=tuple(given.scope or default.scopes),
        algorithm=given.algorithm,
        token_seconds=given.token_seconds,
        redirect_uris=tuple(given.redirect_uri or ()),
        acrs=tuple(given.acr or ()),
        opaque_tokens=given.opaque,
        dpop_nonces=given.dpop_nonce,
    )

    def ready() -> None:
        sys.stdout.write(f"development issuer ready: {options.issuer}\n")
        sys.stdout.flush()

    serve(
        listener,
        options,
        rotate_seconds=given.rotate_seconds,
        verbose=given.verbose,
        ready=ready,
    )
    return 0


def _fail(parser: argparse.ArgumentParser, message: str) -> int:
    sys.stderr.write(f"{parser.prog}: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

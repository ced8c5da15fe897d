"""WebSockets of Channels and of any other ASGI application: a middleware that verifies the token of a connection.

The token stands in the `Authorization` header, or, because browsers cannot set it, in a subprotocol `bearer.<token>`. It
is never read from the query, which logs keep. The handshake is a GET of HTTP, so a bound token brings its proof with it
(RFC 9449 section 4.3, RFC 8705 section 3); a subprotocol carries none.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse

from resource_server.authentication import aauthorize, aends_at
from resource_server.errors import AuthorizationError
from resource_server.requirements import AnyToken, Operation, Requirement, requirement_of
from resource_server.responses import answer_proof, error_response
from resource_server.websocket_connection import EndingConnection, Receive, Send, TokenEndedError

__all__ = ["AccessTokenWebSocketMiddleware"]

Application: TypeAlias = Callable[[Any, Receive, Send], Awaitable[Any]]

_close_old_connections = sync_to_async(close_old_connections)

_BEARER: Final = "bearer"
_PREFIX: Final = f"{_BEARER}."
_CLOSING_SECONDS: Final = 10


class AccessTokenWebSocketMiddleware:
    """Admits WebSockets whose verified access token meets the requirement; sets `user` and `auth` in the scope.

    Takes what `requires` takes; without it any verified token is admitted. A refusal is the HTTP answer of the other
    edges if the server can send one, else a close with 4000 and the status. When the token ends, the connection is
    closed with 4401. A client that must name its subprotocols offers `bearer` beside `bearer.<token>`; the answer never
    has the token. The application sees neither. A proof is judged once, at the handshake. Other kinds of connections pass unchanged. A user that is deactivated
    later stays connected until the token ends.
    """

    def __init__(
        self, application: Application, declared: Requirement | str | Mapping[str, Requirement | str] | None = None
    ) -> None:
        self.application = application
        self.requirement = AnyToken() if declared is None else requirement_of(declared)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> Any:
        if scope["type"] != "websocket":
            return await self.application(scope, receive, send)
        request = _request(scope)
        operation = Operation(method="GET", arguments=scope.get("url_route", {}).get("kwargs", {}))
        # As Django does around a request: a connection of the database that has ended must not be used.
        await _close_old_connections()
        try:
            token = await aauthorize(request, self.requirement, operation=operation)
            ends_at = await aends_at(token)
        except AuthorizationError as error:
            return await _refuse(error, request, scope, receive, send)
        finally:
            await _close_old_connections()
        offered = scope.get("subprotocols") or []
        others = [name for name in offered if not name.startswith(_PREFIX) and name != _BEARER]
        inner = {
            **scope,
            "user": request.user,
            "auth": token,
            "subprotocols": others,
            "headers": [*_other_headers(scope), *([(_PROTOCOLS, ", ".join(others).encode())] if others else [])],
        }
        accepted = HttpResponse()
        answer_proof(accepted, request)
        connection = EndingConnection(
            receive,
            send,
            ends_at,
            _BEARER if _BEARER in offered else None,
            [each for each in _lines(accepted) if each[0] == b"dpop-nonce"],
        )
        closing = asyncio.create_task(connection.close_at_end())
        try:
            return await self.application(inner, connection.receive, connection.send)
        except TokenEndedError:
            # The application has not seen the end, and sent on. The close may still be under way.
            await asyncio.wait({closing}, timeout=_CLOSING_SECONDS)
            return None
        finally:
            closing.cancel()


_PROTOCOLS: Final = b"sec-websocket-protocol"


def _other_headers(scope: Any) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in scope["headers"] if name.lower() != _PROTOCOLS]


def _request(scope: Any) -> HttpRequest:
    """The handshake as a request of Django, so that proofs, logs and signals see what they see of any request."""
    request = ASGIRequest(
        {
            **scope,
            "type": "http",
            "method": "GET",
            "path": str(scope.get("path", "")),
            # Not read, and the subprotocols can hold tokens.
            "query_string": b"",
            "subprotocols": [],
            "headers": _other_headers(scope),
        },
        io.BytesIO(),
    )
    tokens = [name.removeprefix(_PREFIX) for name in scope.get("subprotocols") or [] if name.startswith(_PREFIX)]
    sent = request.META.get("HTTP_AUTHORIZATION")
    # Two credentials in one handshake are refused, as a repeated header is.
    credentials = [*([] if sent is None else [sent]), *(f"Bearer {token}" for token in tokens)]
    if credentials:
        request.META["HTTP_AUTHORIZATION"] = ",".join(credentials)
    return request


async def _refuse(error: AuthorizationError, request: HttpRequest, scope: Any, receive: Receive, send: Send) -> None:
    await receive()  # the event of the handshake
    response = error_response(error, request)
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 4000 + error.status, "reason": str(error)[:120]})
        return
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": _lines(response)})
    await send({"type": "websocket.http.response.body", "body": response.content})


def _lines(response: HttpResponse) -> list[tuple[bytes, bytes]]:
    """The headers of a response as ASGI has them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]

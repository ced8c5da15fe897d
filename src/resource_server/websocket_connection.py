"""An accepted WebSocket, which ends with its access token."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

__all__ = ["EndingConnection", "Receive", "Send", "TokenEndedError"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_ENDED: Final = 4401


class TokenEndedError(OSError):
    """The application sends after the connection has ended with its token."""


class EndingConnection:
    """The two ends of an accepted connection, which end with the token. `headers` are added to the answer that accepts it."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        expires_at: float,
        subprotocol: str | None,
        headers: list[tuple[bytes, bytes]],
    ) -> None:
        self._receive, self._send = receive, send
        self._subprotocol = subprotocol
        self._headers = headers
        self._ends = asyncio.get_running_loop().time() + max(0.0, expires_at - time.time())
        self._is_open = True
        self._has_ended = False

    async def receive(self) -> Message:
        try:
            async with asyncio.timeout_at(self._ends):
                message = await self._receive()
        except TimeoutError:
            return {"type": "websocket.disconnect", "code": _ENDED, "reason": "access token has expired"}
        if message["type"] == "websocket.disconnect":
            self._is_open = False
        return message

    async def send(self, message: Message) -> None:
        if self._has_ended:
            raise TokenEndedError  # as ASGI demands: an application that only sends would never stop
        if message["type"] == "websocket.accept":
            message = {
                **message,
                "subprotocol": message.get("subprotocol") or self._subprotocol,
                "headers": [*message.get("headers", ()), *self._headers],
            }
        if message["type"] == "websocket.close":
            self._is_open = False
        await self._send(message)

    async def close_at_end(self) -> None:
        await asyncio.sleep(self._ends - asyncio.get_running_loop().time())
        # Before the close is sent: a send can block or raise, and the application must not send on meanwhile.
        self._has_ended = True
        if self._is_open:
            with suppress(OSError):  # the client has left
                await self._send({"type": "websocket.close", "code": _ENDED, "reason": "access token has expired"})

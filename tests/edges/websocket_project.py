"""An ASGI project for uvicorn: a consumer of Channels, and a plain ASGI application, both behind access tokens.

ISSUER_SETTINGS holds RESOURCE_SERVER as JSON.
"""

import asyncio
import json
import os

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="of the tests, guards nothing",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="tests.urls",
    INSTALLED_APPS=["resource_server"],
    RESOURCE_SERVER=json.loads(os.environ["ISSUER_SETTINGS"]),
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402 - after setup
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402 - as above
from django.core.asgi import get_asgi_application  # noqa: E402 - as above
from django.urls import path  # noqa: E402 - as above

from resource_server.channels import AccessTokenWebSocketMiddleware  # noqa: E402 - as above


class Echo(AsyncWebsocketConsumer):
    """Says who the caller is and what the scope shows of the handshake, then repeats what it gets."""

    async def connect(self):
        await self.accept("chat" if "chat" in self.scope["subprotocols"] else None)
        headers = b" ".join(value for _, value in self.scope["headers"] if not value.startswith(b"Bearer "))
        seen = {"subject": self.scope["auth"].subject, "user": self.scope["user"].get_username()}
        seen |= {"subprotocols": self.scope["subprotocols"], "shows_token": b"eyJ" in headers}
        await self.send(json.dumps(seen))

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data)


async def talkative(scope, receive, send):
    """Sends without an end, and never looks whether the client is still there."""
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        await send({"type": "websocket.send", "text": "tick"})
        await asyncio.sleep(0.05)


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter(
            [
                path("echo", AccessTokenWebSocketMiddleware(Echo.as_asgi(), "chat:read")),
                path("talkative", AccessTokenWebSocketMiddleware(talkative)),
            ]
        ),
    }
)

"""`/mcp`, a Streamable HTTP endpoint behind access tokens; Django serves the rest: `uvicorn mcpsite.asgi:application`."""

import os
from io import BytesIO
from urllib.parse import urlsplit

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, JsonResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mcpsite.settings")
django = get_asgi_application()  # before the imports below, which need its settings

from mcp.server.transport_security import TransportSecuritySettings  # noqa: E402

from mcpsite.tools import SCOPES, server  # noqa: E402
from resource_server import AuthorizationError, aauthenticate, error_response  # noqa: E402
from resource_server.authentication import aauthorize  # noqa: E402
from resource_server.requirements import Scopes  # noqa: E402
from resource_server.strict_json import parse_object  # noqa: E402

MAX_BYTES = 1024 * 1024
security = TransportSecuritySettings(
    allowed_hosts=[urlsplit(settings.PUBLIC_ORIGIN).netloc], allowed_origins=[settings.PUBLIC_ORIGIN]
)
mcp = server.streamable_http_app(stateless_http=True, transport_security=security)


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await mcp(scope, receive, send)
    elif scope["type"] == "http" and scope["path"] == "/mcp":
        await endpoint(scope, receive, send)
    else:
        await django(scope, receive, send)


async def endpoint(scope, receive, send):
    request = ASGIRequest(scope, BytesIO())
    if request.headers.get("Origin", settings.PUBLIC_ORIGIN) != settings.PUBLIC_ORIGIN:
        await refuse(JsonResponse({"detail": "foreign origin"}, status=403), send)
        return
    try:
        # The token is judged before the body is read, and the right to a tool before the body is passed on.
        has_token = await aauthenticate(request) is not None
        body = await whole(receive) if has_token else b""
        tool = called_tool(body) if has_token and request.method == "POST" else None
        token = await aauthorize(request, Scopes((SCOPES.get(tool, "mcp:read"),)))
    except AuthorizationError as error:
        await refuse(error_response(error, request), send)
    except ValueError as error:
        await refuse(JsonResponse({"detail": str(error)}, status=400), send)
    else:
        await mcp(without_token(scope, token), replay(body, receive), not_stored(send))


def called_tool(body):
    """The tool that a message calls, None for another message. Raises ValueError unless the body has one reading."""
    message = parse_object(body)
    params = message.get("params")
    name = params.get("name") if message.get("method") == "tools/call" and isinstance(params, dict) else None
    return name if isinstance(name, str) else None


async def whole(receive):
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
        if len(body) > MAX_BYTES:
            raise ValueError("the message is too large")
    return body


def replay(body, receive):
    events = [{"type": "http.request", "body": body, "more_body": False}]

    async def again():
        return events.pop() if events else await receive()

    return again


def without_token(scope, token):
    """The scope for the tools: they get the verified token, and cannot pass on the one that was sent."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
    return {**scope, "headers": headers, "access_token": token}


def not_stored(send):
    async def with_header(event):
        if event["type"] == "http.response.start" and event["status"] >= 400:
            kept = [header for header in event["headers"] if header[0].lower() != b"cache-control"]
            event = {**event, "headers": [*kept, (b"cache-control", b"no-store")]}
        await send(event)

    return with_header


async def refuse(response: HttpResponse, send):
    response.headers["Cache-Control"] = "no-store"
    await django.send_response(response, send)

"""The MCP example with a recorder in place of its tools: it answers with all that they would get. For uvicorn."""

import json

import mcpsite.asgi as site


async def recorder(scope, receive, send):
    event = await receive()
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    got = {"headers": headers, "body": event["body"].decode(), "subject": scope["access_token"].subject}
    got["all"] = repr(scope)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(got).encode()})


async def application(scope, receive, send):
    if scope["type"] == "http":  # the session manager, which `lifespan` starts, is not there
        await site.application(scope, receive, send)


site.mcp = recorder

"""A program: the official MCP client walks from the 401 of a server to a call of each tool, by the sign-in of its issuer.

Arguments: the address of the MCP server, and the client's mode (`legacy` is the handshake of 2025). Prints what it got,
what it asked the issuer for, and its requests, as JSON.
"""

import asyncio
import json
import sys
from urllib.parse import parse_qs

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.official_mcp_client import Browser, Memory, signing_in


async def main(server: str, mode: str) -> None:
    browser, seen, requests = Browser(), [], []

    async def note(request: httpx2.Request) -> None:
        form = parse_qs(request.content.decode()) if request.url.path == "/token" else {}
        has_token = request.headers.get("Authorization", "").startswith("Bearer ")
        requests.append([request.method, str(request.url), has_token, form.get("resource")])

    async with (
        httpx2.AsyncClient(
            auth=signing_in(server, Memory(), browser), timeout=30, event_hooks={"request": [note]}
        ) as http,
        Client(streamable_http_client(server, http_client=http), mode=mode) as client,
    ):
        for tool in ("whoami", "delete_everything", "whoami"):
            result = await client.call_tool(tool)
            seen.append([result.content[0].text, len(browser.asked)])
        version = client.protocol_version
    sys.stdout.write(json.dumps({"seen": seen, "asked": browser.asked, "version": version, "requests": requests}))


asyncio.run(main(*sys.argv[1:]))

"""A program: the official MCP client finds its way from a 401 to a token, signs in, steps up and refreshes.

Arguments: the address of the MCP server; optionally the https address of the client's metadata. It prints what it got,
as JSON.
"""

import asyncio
import json
import sys
import time

import httpx2
from tests.official_mcp_client import Browser, Memory, signing_in


async def main(server: str, metadata_url: str | None) -> None:
    storage, browser = Memory(), Browser()
    provider = signing_in(server, storage, browser, metadata_url)
    version = {"MCP-Protocol-Version": "2025-11-25"}
    seen = []
    async with httpx2.AsyncClient(auth=provider, headers=version, timeout=30) as http:
        for needs in ("mcp:read", "mcp:write"):
            answer = await http.get(server, headers={"Needs": needs})
            seen.append([answer.status_code, answer.json()])
        provider.context.token_expiry_time = time.time() - 1
        answer = await http.get(server, headers={"Needs": "mcp:write"})
        seen.append([answer.status_code, answer.json()])
    assert storage.client is not None
    sys.stdout.write(json.dumps({"seen": seen, "asked": browser.asked, "client_id": storage.client.client_id}))


asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))

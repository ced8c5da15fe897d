"""A program: the official MCP client finds its way from a 401 to a token, signs in, steps up and refreshes.

Arguments: the address of the MCP server; optionally the https address of the client's metadata. It prints what it got,
as JSON. A process of its own, because it speaks with its own HTTP client.
"""

import asyncio
import html
import json
import re
import sys
import time
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken


class Memory:
    """The client's storage of what it was given."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Browser:
    """Signs in on the page of the development issuer and agrees to everything."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self._sent_back = ""

    async def open(self, url: str) -> None:
        self.asked.append(parse_qs(urlsplit(url).query))
        async with httpx2.AsyncClient() as http:
            page = await http.get(url)
            assert page.status_code == 200, page.text
            fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text))
            form = {name: html.unescape(value) for name, value in fields.items()}
            agreed = [html.unescape(name) for name in re.findall(r'name="agreed" value="([^"]*)"', page.text)]
            form |= {"subject": "auth0|ada", "decision": "allow", "agreed": agreed}
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
            answer = await http.post(url, data=form, headers={"Origin": origin})
            assert answer.status_code == 303, answer.text
            self._sent_back = answer.headers["Location"]

    async def callback(self) -> AuthorizationCodeResult:
        query = {name: value for name, [value] in parse_qs(urlsplit(self._sent_back).query).items()}
        return AuthorizationCodeResult(code=query["code"], state=query["state"], iss=query["iss"])


async def main(server: str, metadata_url: str | None) -> None:
    storage, browser = Memory(), Browser()
    provider = OAuthClientProvider(
        server_url=server,
        client_metadata=OAuthClientMetadata(
            client_name="A walking client",
            redirect_uris=["http://localhost:3030/callback"],
            grant_types=["authorization_code", "refresh_token"],
            token_endpoint_auth_method="none",
        ),
        storage=storage,
        redirect_handler=browser.open,
        callback_handler=browser.callback,
        client_metadata_url=metadata_url,
    )
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

"""A program: the official MCP client walks from the 401 of a server to a call of each tool, by the sign-in of its issuer.

Arguments: the address of the MCP server, and the client's mode (`legacy` is the handshake of 2025). Prints what it got and what it asked the issuer for, as JSON. A process of its
own, because it runs an event loop and an HTTP client of its own.
"""

import asyncio
import html
import json
import re
import sys
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
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


async def main(server: str, mode: str) -> None:
    browser, seen = Browser(), []
    provider = OAuthClientProvider(
        server_url=server,
        client_metadata=OAuthClientMetadata(
            client_name="A walking client",
            redirect_uris=["http://localhost:3030/callback"],
            grant_types=["authorization_code", "refresh_token"],
            token_endpoint_auth_method="none",
        ),
        storage=Memory(),
        redirect_handler=browser.open,
        callback_handler=browser.callback,
    )
    async with (
        httpx2.AsyncClient(auth=provider, timeout=30) as http,
        Client(streamable_http_client(server, http_client=http), mode=mode) as client,
    ):
        for tool in ("whoami", "delete_everything", "whoami"):
            result = await client.call_tool(tool)
            seen.append([result.content[0].text, len(browser.asked)])
        version = client.protocol_version
    sys.stdout.write(json.dumps({"seen": seen, "asked": browser.asked, "version": version}))


asyncio.run(main(*sys.argv[1:]))

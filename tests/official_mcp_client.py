"""The official MCP client, with a person who signs in on the page of the development issuer and agrees to everything.

For programs that are started with `python -m` in the root of the repository: each runs an event loop and an HTTP client
of its own.
"""

import html
import re
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
    """Signs in and agrees. `asked` are the authorization requests."""

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


def signing_in(server: str, storage: Memory, browser: Browser, metadata_url: str | None = None) -> OAuthClientProvider:
    """The client's authorization at a server; with `metadata_url`, its id is the https address of its metadata."""
    return OAuthClientProvider(
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

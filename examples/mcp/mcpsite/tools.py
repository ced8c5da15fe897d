"""The tools, with the scope that each needs."""

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

SCOPES = {"whoami": "mcp:read", "delete_everything": "mcp:write"}

server = MCPServer("mcpsite")


@server.tool()
def whoami(context: Context) -> str:
    """Say who is calling."""
    return str(context.request_context.request.scope["access_token"].subject)


@server.tool()
def delete_everything() -> str:
    """Delete everything that there is."""
    return "Everything is deleted."

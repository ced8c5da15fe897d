"""Runs the MCP example with the development issuer. Environment: PORT (8000), ISSUER_PORT (9000). Ctrl-C stops both."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PORT, ISSUER_PORT = os.environ.get("PORT") or "8000", os.environ.get("ISSUER_PORT") or "9000"
ORIGIN, ISSUER = f"http://127.0.0.1:{PORT}", f"http://127.0.0.1:{ISSUER_PORT}"
COMMANDS = (
    [
        "resource_server.devissuer",
        "--port",
        ISSUER_PORT,
        "--audience",
        f"{ORIGIN}/mcp",
        "--scope",
        "mcp:read",
        "mcp:write",
    ],
    ["uvicorn", "mcpsite.asgi:application", "--port", PORT, "--log-level", "warning"],
)


def main() -> int:
    environment = {**os.environ, "DEBUG": "1", "ISSUER": ISSUER, "PUBLIC_ORIGIN": ORIGIN}
    here = Path(__file__).resolve().parent
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    servers = [subprocess.Popen([sys.executable, "-m", *command], cwd=here, env=environment) for command in COMMANDS]
    status = 1  # of a server that ended by itself
    try:
        print(f"MCP endpoint  {ORIGIN}/mcp\nIssuer        {ISSUER}\nCtrl-C stops both.", flush=True)
        while all(server.poll() is None for server in servers):
            time.sleep(0.2)
    except KeyboardInterrupt:
        status = 0
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait()
    return status


if __name__ == "__main__":
    sys.exit(main())

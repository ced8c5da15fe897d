"""uvicorn with the project of `websocket_project.py`, on a port of this machine."""

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def websocket_server(folder, settings, *arguments, listener=None):
    """The address of a server with these settings. Its log must show no error and no token."""
    listener = listener or socket.create_server(("127.0.0.1", 0))
    environment = {**os.environ, "ISSUER_SETTINGS": json.dumps(settings)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-m", "uvicorn", "tests.edges.websocket_project:application"]
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--fd", str(listener.fileno()), "--lifespan", "off", *arguments],
            cwd=ROOT,
            env=environment,
            pass_fds=[listener.fileno()],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.terminate()
        server.wait(10)
        listener.close()
    shown = log.read_text(encoding="utf-8")
    assert "Traceback" not in shown, shown
    # No log has a token, but the server's own where a client puts one into the query.
    assert [line for line in shown.splitlines() if "eyJ" in line and "access_token=" not in line] == []

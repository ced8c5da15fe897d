"""Reports the events of issuers' keys to the log and to the receivers of signals."""

import logging
from collections.abc import Mapping

from resource_server import signals
from resource_server.keys.events import KeyEvent

__all__ = ["report"]

logger = logging.getLogger("resource_server")

_LINES: Mapping[str, tuple[int, str]] = {
    "started": (logging.DEBUG, "keys of issuer %(issuer)s are being fetched"),
    "refreshed": (logging.INFO, "keys of issuer %(issuer)s refreshed: %(number)d"),
    "failed": (logging.WARNING, "keys of issuer %(issuer)s not refreshed: %(reason)s"),
    "stale": (logging.WARNING, "issuer %(issuer)s is down (%(reason)s): the keys known of it go on serving"),
    "added": (logging.INFO, "issuer %(issuer)s has a new key: %(kids)s"),
    "withdrawn": (logging.WARNING, "issuer %(issuer)s has withdrawn a key: %(kids)s"),
}


def report(sender: type, event: KeyEvent) -> None:
    """Log an event and send its signal. `sender` is the sender of the signal."""
    level, line = _LINES[event.kind]
    values = {
        "issuer": event.issuer,
        "reason": event.reason,
        "number": len(event.kids),
        "kids": ", ".join(map(repr, event.kids)),
    }
    # Log an outage once; repeats go to DEBUG.
    logger.log(logging.DEBUG if event.repeated else level, line, values)
    issuer = event.issuer
    if event.kind == "started":
        signals.key_fetch_started.send_robust(sender, issuer=issuer)
    elif event.kind == "refreshed":
        signals.keys_refreshed.send_robust(sender, issuer=issuer, kids=event.kids)
    elif event.kind == "failed":
        signals.key_fetch_failed.send_robust(sender, issuer=issuer, reason=event.reason, repeated=event.repeated)
    elif event.kind == "stale":
        signals.keys_served_stale.send_robust(sender, issuer=issuer, kids=event.kids, reason=event.reason)
    else:
        signal = signals.key_added if event.kind == "added" else signals.key_withdrawn
        for kid in event.kids:
            signal.send_robust(sender, issuer=issuer, kid=kid)

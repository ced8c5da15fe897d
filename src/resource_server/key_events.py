"""Reports the events of issuers' keys to the log and to the receivers of signals."""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from resource_server import signals
from resource_server.keys.events import KeyEvent

__all__ = ["meanwhile", "report", "time_text"]

logger = logging.getLogger("resource_server")

_LINES: Mapping[str, tuple[int, str]] = {
    "started": (logging.DEBUG, "keys of issuer %(issuer)s are being fetched"),
    "refreshed": (logging.INFO, "keys of issuer %(issuer)s refreshed: %(number)d"),
    "failed": (logging.WARNING, "keys of issuer %(issuer)s not refreshed (%(reason)s): %(outcome)s; %(meanwhile)s"),
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
        "outcome": event.outcome,
        "meanwhile": _meanwhile(event) if event.kind == "failed" else "",
    }
    # Log an outage once; repeats go to DEBUG.
    logger.log(logging.DEBUG if event.repeated else level, line, values)
    issuer = event.issuer
    if event.kind == "started":
        signals.key_fetch_started.send_robust(sender, issuer=issuer)
    elif event.kind == "refreshed":
        signals.keys_refreshed.send_robust(sender, issuer=issuer, kids=event.kids)
    elif event.kind == "failed":
        signals.key_fetch_failed.send_robust(
            sender, issuer=issuer, reason=event.reason, repeated=event.repeated, outcome=event.outcome
        )
    elif event.kind == "stale":
        signals.keys_served_stale.send_robust(sender, issuer=issuer, kids=event.kids, reason=event.reason)
    else:
        signal = signals.key_added if event.kind == "added" else signals.key_withdrawn
        for kid in event.kids:
            signal.send_robust(sender, issuer=issuer, kid=kid)


def meanwhile(serves_until: datetime | None, retry_seconds: float) -> str:
    """What goes on after a failed attempt: until when the known keys serve, and when the issuer is asked again.

    `serves_until` is None if no key is known.
    """
    seconds = max(1, round(retry_seconds))
    if serves_until is None:
        return f"no key is known, so a token is answered 503; the first request after {seconds} s asks again"
    return f"the known keys serve until {time_text(serves_until)}; the next attempt is in {seconds} s"


def time_text(moment: datetime) -> str:
    """A moment for people to read. Expects UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _meanwhile(event: KeyEvent) -> str:
    serves_until = None
    if event.serve_seconds is not None:
        serves_until = datetime.fromtimestamp(time.time() + event.serve_seconds, UTC)
    return meanwhile(serves_until, event.retry_seconds)

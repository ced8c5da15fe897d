"""The events of an issuer's keys, each change reported once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from resource_server.reasons import UnavailableReason

__all__ = ["KeyEvent", "Kids", "OutageReporter"]

Kids: TypeAlias = tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvent:
    """An event of an issuer's keys, for the log and for receivers of signals.

    `failed` and `stale` have a `reason`; `repeated` marks a failure for a reason that this outage has had before.
    """

    kind: Literal["started", "refreshed", "failed", "stale", "added", "withdrawn"]
    issuer: str
    kids: Kids = ()
    reason: UnavailableReason | None = None
    repeated: bool = False


class OutageReporter:
    """Reports the events of one issuer's keys, and marks what an outage repeats.

    `on_event` gets each event in the thread that caused it, and may raise: nothing is lost by that.
    """

    def __init__(self, issuer: str, on_event: Callable[[KeyEvent], None]) -> None:
        self._issuer = issuer
        self._on_event = on_event
        self._reported: set[UnavailableReason] = set()  # the reasons of this outage
        self._is_stale = False

    def started(self) -> None:
        """An attempt begins."""
        self._on_event(KeyEvent(kind="started", issuer=self._issuer))

    def recovered(self) -> None:
        """The issuer has answered: the next failure is the first of another outage. Reports nothing."""
        self._reported.clear()
        self._is_stale = False

    def changed(self, *, added: Kids, withdrawn: Kids) -> None:
        """A key set has arrived, with these differences from the one before."""
        if added:
            self._on_event(KeyEvent(kind="added", issuer=self._issuer, kids=added))
        if withdrawn:
            self._on_event(KeyEvent(kind="withdrawn", issuer=self._issuer, kids=withdrawn))

    def refreshed(self, kids: Kids) -> None:
        """The issuer has answered with these keys."""
        self._on_event(KeyEvent(kind="refreshed", issuer=self._issuer, kids=kids))

    def failed(self, reason: UnavailableReason, *, stale: Kids | None) -> None:
        """An attempt has failed. `stale` are the keys that serve beyond their life, None if none do."""
        repeated = reason in self._reported
        self._reported.add(reason)
        becomes_stale = stale is not None and not self._is_stale
        self._is_stale |= becomes_stale
        self._on_event(KeyEvent(kind="failed", issuer=self._issuer, reason=reason, repeated=repeated))
        if stale is not None and becomes_stale:
            self._on_event(KeyEvent(kind="stale", issuer=self._issuer, reason=reason, kids=stale))

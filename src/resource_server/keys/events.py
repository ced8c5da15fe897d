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

    `failed` and `stale` have a `reason`. `failed` has the `outcome` of the attempt, with the address, how long the known
    keys go on serving (`serve_seconds`, None if there are none), and when the next attempt may be (`retry_seconds`);
    `repeated` marks a failure for a reason that this outage has had before, with the outcome that it had then.
    """

    kind: Literal["started", "refreshed", "failed", "stale", "added", "withdrawn"]
    issuer: str
    kids: Kids = ()
    reason: UnavailableReason | None = None
    repeated: bool = False
    outcome: str = ""
    serve_seconds: float | None = None
    retry_seconds: float = 0.0


class OutageReporter:
    """Reports the events of one issuer's keys, and marks what an outage repeats.

    `on_event` gets each event in the thread that caused it, and may raise: nothing is lost by that.
    """

    def __init__(self, issuer: str, on_event: Callable[[KeyEvent], None]) -> None:
        self._issuer = issuer
        self._on_event = on_event
        self._reported: dict[UnavailableReason, str] = {}  # the reasons of this outage, each with its last outcome
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

    def failed(
        self,
        reason: UnavailableReason,
        outcome: str = "",
        *,
        stale: Kids | None,
        serve_seconds: float | None = None,
        retry_seconds: float = 0.0,
    ) -> None:
        """An attempt has failed. `stale` are the keys that serve beyond their life, None if none do."""
        repeated = self._reported.get(reason) == outcome
        self._reported[reason] = outcome
        becomes_stale = stale is not None and not self._is_stale
        self._is_stale |= becomes_stale
        self._on_event(
            KeyEvent(
                kind="failed",
                issuer=self._issuer,
                reason=reason,
                repeated=repeated,
                outcome=outcome,
                serve_seconds=serve_seconds,
                retry_seconds=retry_seconds,
            )
        )
        if stale is not None and becomes_stale:
            self._on_event(KeyEvent(kind="stale", issuer=self._issuer, reason=reason, kids=stale))

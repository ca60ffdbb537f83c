"""Messages to and between the guards (also as `actors.messages.NAME`)."""

from __future__ import annotations

from attrs import frozen

from fsm.events import Event


@frozen(slots=True)
class GuardTick:
    """Time for every guard to look: an evaluation timer, no market tick."""


@frozen(slots=True)
class AtGate:
    """The start's gate is about to open: whatever is beyond its limit has to be said now."""


@frozen(slots=True)
class ResetGuard:
    """The operator opens a guard's latch by hand."""

    guard: str
    who: str
    why: str


@frozen(slots=True)
class ForGuards:
    """Something was recorded that a guard wants to hear of, in the turn that brought it."""

    event: Event


@frozen(slots=True, kw_only=True)
class HealthReport:
    """How the process is doing, from the service; None where a figure is not known."""

    turn_longest_s: float | None = None
    """Of the turns since the last report."""
    writer_lag_s: float | None = None
    """How long the oldest turn without a commit has been waiting."""
    wal_bytes: int | None = None
    disk_free_bytes: int | None = None
    clock_skew_s: float | None = None


@frozen(slots=True)
class PassEnded:
    """A reconciliation pass is over; `ok`: every query had an answer."""

    ok: bool
    why: str = ""

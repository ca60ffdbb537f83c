"""Messages to the mode, the kill switch and the guards. Imported as part of `actors.messages`."""

from __future__ import annotations

from attrs import frozen

from fsm.mode import ControlLevel
from fsm.vocabulary import ExitReason


@frozen(slots=True)
class Degrade:
    """A source asks for DEGRADED. `by_guard`: the trip is recorded already."""

    source: str
    condition: str = ""
    by_guard: bool = False


@frozen(slots=True)
class Recover:
    """A source's own test says that it is well again, or a person says so. `by_guard`: the guard
    has opened its latch already."""

    source: str
    who: str = ""
    why: str = ""
    by_guard: bool = False


@frozen(slots=True)
class Halt:
    """Stop trading for one precise reason. `by_guard`: the trip is recorded already."""

    reason: str
    by_guard: bool = False


@frozen(slots=True)
class Regime:
    """The anchor guard's view of the market: bad takes ACTIVE to IDLE, good takes IDLE back."""

    good: bool
    source: str
    condition: str = ""


@frozen(slots=True)
class Resume:
    """The operator lifts HALTED and the control level."""

    who: str
    why: str


@frozen(slots=True)
class SetControl:
    """The operator moves the kill switch."""

    level: ControlLevel
    who: str
    why: str


SWEEP_CHUNK = 64


@frozen(slots=True)
class Sweep:
    """Take every entry and quote back, and close what is open if asked to: `SWEEP_CHUNK` a turn, so
    that what is decided is durable and leaves chunk by chunk, however many there are (L9)."""

    reason: str
    names: tuple[str, ...]
    """Orders to look at, from `start` on; None: it has not begun."""
    start: int | None = None
    exits: tuple[ExitReason, str] | None = None
    """Why positions are closed afterwards, and in whose words; None: they are not."""
    tail: tuple[object, ...] = ()
    """What is left to be told, from `start` on, when no order is left; empty before that."""


@frozen(slots=True)
class WithdrawLeft:
    """Entries that are live although none may be: a sweep was cut off by the end of its process."""


@frozen(slots=True)
class StopSession:
    """End the session: sweep live orders, wait for evidence within a bound."""

    reason: str


@frozen(slots=True)
class BooksMatch:
    """The reconciler's start-up pass found books and venue equal. `guards_asked`: what stands and
    what is beyond its limit was told to the mode first, in the same turn."""

    guards_asked: bool = False


@frozen(slots=True)
class Divergence:
    """The reconciler's start-up pass found a difference."""

    detail: str
    accepted: bool

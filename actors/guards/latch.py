"""A guard's latch: the part of a guard that is in the journal, folded the same at every start (L7).

Set by the guard's own trip before anything else happens, opened by its own recovery, by a person,
or by a new session; after an unclean end a latch that only a person may open stays shut.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field

from fsm import events as ev
from fsm.mode import ModeTrigger

OPERATOR = "operator"
"""How a person opens a latch; else it `recovered`."""
DEGRADE, IDLE, HALT, SWITCH_OFF = "degrade", "idle", "halt", "strategy_off"


@define(slots=True)
class Latch:
    """Whether a guard has tripped, why and since when; and how often it did in this database."""

    tripped: bool = False
    breaker: str = ""
    condition: str = ""
    action: str = ""
    since_us: int = 0
    manual: bool = False
    context: dict[str, ev.ContextValue] = field(factory=dict)
    trips: int = 0
    recoveries: int = 0
    cleared_us: int | None = None
    off: dict[str, str] = field(factory=dict)
    """Strategies that it has switched off, and why."""
    acknowledged: dict[str, str] = field(factory=dict)
    """What the person who opened it last took note of."""

    def open(self, at_us: int) -> None:
        """It may trip again."""
        if self.tripped:
            self.tripped, self.recoveries, self.cleared_us = False, self.recoveries + 1, at_us


class Latches(dict[str, Latch]):
    """The latches of all guards that ever tripped, and of those that are configured."""

    def of(self, guard: str) -> Latch:
        """The latch of a guard, made at its first use."""
        return self.setdefault(guard, Latch())

    def evolve(self, event: ev.Event, at_us: int) -> None:
        """Copy what happened."""
        if isinstance(event, ev.GuardTripped):
            self._tripped(event, at_us)
        elif isinstance(event, ev.GuardCleared):
            latch = self.of(event.guard)
            latch.open(at_us)
            if event.how == OPERATOR:
                latch.off = {}  # the account's recovery says nothing about a strategy
            latch.acknowledged = dict(event.acknowledged) or latch.acknowledged
        elif isinstance(event, ev.ModeMoved):
            self._moved(event, at_us)
        elif isinstance(event, ev.SessionStarted):
            for latch in self.values():
                if not (event.recovery and latch.manual):
                    latch.tripped = False
                if not event.recovery:
                    latch.off = {}

    def _tripped(self, event: ev.GuardTripped, at_us: int) -> None:
        latch = self.of(event.guard)
        latch.trips += 1
        if event.action == SWITCH_OFF:
            latch.off = {**latch.off, str(event.context["strategy"]): event.condition}
            return
        latch.tripped, latch.since_us = True, at_us
        latch.breaker, latch.condition = event.breaker, event.condition
        latch.action, latch.manual = event.action, event.manual_reset
        latch.context = dict(event.context)

    @property
    def strategies_off(self) -> dict[str, str]:
        """Every strategy that a guard has switched off, and why."""
        return {name: why for latch in self.values() for name, why in latch.off.items()}

    def _moved(self, event: ev.ModeMoved, at_us: int) -> None:
        """A source that a person recovers opens its guard; `resume` opens those that halted."""
        if event.trigger == ModeTrigger.RECOVERED and event.source in self:
            self[event.source].open(at_us)
        elif event.trigger == ModeTrigger.RESUME:
            for latch in self.values():
                if latch.action == HALT:
                    latch.open(at_us)

    def restore(self, held: Mapping[str, Latch]) -> None:
        """Take over what a snapshot holds."""
        self.clear()
        self.update(held)

"""What all guards have in common: tick, latch, cool-down, recovery, and what is recorded of them.

A guard looks at every guard tick, and some at each fill. While its latch is open it may trip: one
`GuardTripped`, one alert, one step of the mode. While it is shut it looks whether it is well again.
What it has observed is transient and starts empty after a restart; the latch is in the journal.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from attrs import field, frozen

from actors import messages as msg
from actors.effects import Notify
from actors.guards.latch import HALT, Latch
from actors.runtime.actor import Decision, Refused
from actors.world import World
from fsm import events as ev
from fsm.events import ContextValue
from fsm.money import plain

DEGRADE, IDLE = "degrade", "idle"


@frozen(slots=True)
class Trip:
    """What a guard found: `condition` in words, and the figures it saw."""

    condition: str
    context: dict[str, ContextValue]
    suffix: str = ""
    """Which of the guard's conditions: `_A` makes the breaker `directional_drift_guard_A`."""


@frozen(slots=True)
class Gauge:
    """How near a guard is to its threshold: the value now, in the threshold's unit."""

    about: str
    value: Decimal | None
    threshold: Decimal | None
    context: dict[str, ContextValue] = field(factory=dict)


class Guard:
    """Base of all guards. A guard observes, trips and recovers; the rest is here.

    Subclasses state `name` (the source in the mode's set), `breaker`, `token` (of its log line),
    and implement `observe`, `trips` and `is_well`.
    """

    name: ClassVar[str]
    breaker: ClassVar[str]
    token: ClassVar[str]
    hears_fills: ClassVar[bool] = False
    action: str = DEGRADE
    halt_reason: ClassVar[str] = ""

    def __init__(self, settings: Any, latch: Latch, interval_us: int) -> None:
        self.settings, self.latch, self.interval_us = settings, latch, interval_us
        self.observations = 0
        self.ticks_since_trip = 0
        self.action = getattr(settings, "action", self.action)
        self._was_tripped = latch.tripped

    @property
    def address(self) -> str:
        """Its stream."""
        return f"guard/{self.name}"

    @property
    def is_manual(self) -> bool:
        """Whether only a person opens its latch."""
        return bool(self.settings.recovery == "manual")

    # --------------------------------------------------------------------------- of each guard

    def observe(self, world: World) -> None:
        """Take one observation at a guard tick; one that is missing is skipped, never zero."""

    def trips(self, world: World) -> Trip | None:
        """Whether it has to trip now; asked at each tick while its latch is open."""
        raise NotImplementedError

    def is_well(self, world: World) -> bool:
        """Whether it has recovered; asked at each tick while its latch is shut."""
        raise NotImplementedError

    def on_fill(self, fill: ev.OrderFilled, world: World) -> Trip | None:
        """A fill was booked in this turn; only for a guard that `hears_fills`."""
        return None

    def cleared(self) -> None:
        """Its latch was opened: forget what led to the trip."""

    def gauge(self, world: World) -> Gauge:
        """How far it is from tripping, for people."""
        raise NotImplementedError

    def refuses_reset(self, world: World) -> str | None:
        """Why a person cannot open it now; None when it may be opened."""
        return None

    # -------------------------------------------------------------------------------- decisions

    def decide(self, message: object, world: World) -> Decision:
        """What a tick, a fill or a person's reset means for this guard."""
        if self._was_tripped and not self.latch.tripped:
            self.cleared()
        self._was_tripped = self.latch.tripped
        if isinstance(message, msg.FillForGuards):
            return self._filled(message.fill, world)
        if isinstance(message, msg.ResetGuard):
            return self._reset(message, world)
        return self._tick(world)

    def _tick(self, world: World) -> Decision:
        self.observe(world)
        if self.latch.tripped:
            return self._recovery(world)
        found = self.trips(world)
        return Decision() if found is None else self._trip(found, world)

    def _filled(self, fill: ev.OrderFilled, world: World) -> Decision:
        found = self.on_fill(fill, world)
        return Decision() if found is None or self.latch.tripped else self._trip(found, world)

    def cooldown_ticks(self, world: World) -> int:
        """Ticks before recovery is looked at: from the second episode of a session on (N16)."""
        ticks: int = getattr(self.settings, "cooldown_ticks", 0)
        return ticks if world.episodes.get(self.name, 0) >= 2 else 0

    def is_cooling(self, world: World) -> bool:
        """Tripped, and not yet asked whether it is well again."""
        return self.latch.tripped and self.ticks_since_trip <= self.cooldown_ticks(world)

    def _trip(self, found: Trip, world: World) -> Decision:
        self._was_tripped, self.ticks_since_trip = True, 0
        breaker = f"{self.breaker}{found.suffix}"
        episodes = world.episodes.get(self.name, 0) + 1
        cooldown = getattr(self.settings, "cooldown_ticks", 0) if episodes >= 2 else 0
        event = ev.GuardTripped(
            guard=self.name,
            breaker=breaker,
            condition=found.condition,
            action=self.action,
            cooldown_us=cooldown * self.interval_us,
            manual_reset=self.is_manual,
            context=found.context,
        )
        alert = ev.AlertRaised(
            severity="critical" if self.action == HALT else "warning",
            token=f"[{self.token}]",
            text=f"{breaker}: {found.condition}",
        )
        return Decision(events=[event], effects=[Notify(alert)], tells=[self._asks(breaker, found)])

    def _asks(self, breaker: str, found: Trip) -> object:
        """What the trip wants of the mode."""
        if self.action == HALT:
            return msg.Halt(self.halt_reason, by_guard=True)
        condition = f"{breaker}: {found.condition}"
        if self.action == IDLE:
            return msg.Regime(False, self.name, condition)
        return msg.Degrade(self.name, condition, by_guard=True)

    def _recovery(self, world: World) -> Decision:
        self.ticks_since_trip += 1
        if self.is_manual or self.latch.action == HALT or self.is_cooling(world):
            return Decision()
        return self._opened("recovered", "") if self.is_well(world) else Decision()

    def _opened(self, how: str, detail: str) -> Decision:
        self._was_tripped = False
        self.cleared()
        told: object = msg.Recover(self.name)
        if self.latch.action == IDLE:
            told = msg.Regime(True, self.name, how)
        return Decision(
            events=[ev.GuardCleared(guard=self.name, how=how, detail=detail)], tells=[told]
        )

    def _reset(self, message: msg.ResetGuard, world: World) -> Decision:
        if not self.latch.tripped:
            raise Refused(f"guard {self.name}: it has not tripped")
        if self.latch.action == HALT:
            raise Refused(f"guard {self.name}: it halted; `holdfast control resume` lifts that")
        why = self.refuses_reset(world)
        if why is not None:
            raise Refused(f"guard {self.name}: {why}")
        return self._opened("operator", f"{message.who}: {message.why}")

    # ------------------------------------------------------------------------------------ people

    def view(self, world: World) -> dict[str, Any]:
        """Its entry in the state document."""
        gauge = self.gauge(world)
        shown = {k: plain(v) if v is not None else None for k, v in _figures(gauge).items()}
        return {"about": gauge.about, "observations": self.observations, **shown} | {
            "cooling": self.is_cooling(world),
            "now": gauge.context,
        }


def _figures(gauge: Gauge) -> dict[str, Decimal | None]:
    known = gauge.value is not None and gauge.threshold is not None
    distance = gauge.threshold - gauge.value if known else None  # type: ignore[operator]
    return {"value": gauge.value, "threshold": gauge.threshold, "distance": distance}

"""What all guards have in common: tick, latch, cool-down, recovery, and what is recorded of them.

A guard looks at every guard tick, and some at each fill. While its latch is open it may trip: one
`GuardTripped`, one alert, one step of the mode. While it is shut it looks whether it is well again.
What it has observed is transient and starts empty after a restart; the latch is in the journal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from attrs import field, frozen

from actors import messages as msg
from actors.effects import Notify
from actors.guards.latch import DEGRADE, HALT, IDLE, OPERATOR, SWITCH_OFF, Latch
from actors.runtime.actor import Decision, Refused
from actors.world import World
from fsm import events as ev
from fsm.events import ContextValue
from fsm.mode import RUNNING, ModeState
from fsm.money import plain

#: Where there is something to guard: before the start's gate and during the shutdown there is not.
_WATCHED = (*RUNNING, ModeState.HALTED)


@frozen(slots=True)
class Trip:
    """What a guard found: `condition` in words, and the figures it saw."""

    condition: str
    context: dict[str, ContextValue]
    suffix: str = ""
    """Which of the guard's conditions: `_A` makes the breaker `directional_drift_guard_A`."""
    action: str = ""
    """What it does instead of the guard's own action."""


@frozen(slots=True)
class Gauge:
    """How near a guard is to its threshold: the value now, in the threshold's unit."""

    about: str
    value: Decimal | None
    threshold: Decimal | None
    context: dict[str, ContextValue] = field(factory=dict)


class Guard(ABC):
    """Base of all guards. A guard observes, trips and recovers; the rest is here.

    Subclasses state `name` (the source in the mode's set), `breaker`, `token` (of its log line),
    and implement `observe`, `trips` and `is_well`.
    """

    name: ClassVar[str]
    breaker: ClassVar[str]
    token: ClassVar[str]
    hears: ClassVar[tuple[type, ...]] = ()
    """Events and messages that it is told, in the turn that brings them."""
    reported: ClassVar[bool] = False
    """Somebody else finds it out and says so (`Degrade`, `Recover`); it keeps the record."""
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

    def observe(self, world: World) -> None:  # noqa: B027 -- not every guard has windows
        """Take one observation at a guard tick; one that is missing is skipped, never zero."""

    @abstractmethod
    def trips(self, world: World) -> Trip | None:
        """Whether it has to trip now; asked at each tick while its latch is open."""

    @abstractmethod
    def is_well(self, world: World) -> bool:
        """Whether it has recovered; asked at each tick while its latch is shut."""

    def concerns(self, event: ev.Event, world: World) -> bool:
        """Whether it wants to hear of this event at all; asked before anything is set in motion."""
        return True

    def hear(self, what: object, world: World) -> Trip | None:
        """One of those that it `hears` was booked or said in this turn."""
        return None

    def cleared(self) -> None:  # noqa: B027 -- nor anything to forget
        """Its latch was opened: forget what led to the trip."""

    def would_breach(
        self, totals: Mapping[str, Decimal], prices: Mapping[str, Decimal], world: World
    ) -> str | None:
        """Which limit these balances would breach, before they are booked (N07); None: none that
        this guard knows of. `prices` are those that come with the command."""
        return None

    @abstractmethod
    def gauge(self, world: World) -> Gauge:
        """How far it is from tripping, for people."""

    def acknowledged(self, world: World) -> dict[str, str]:
        """What a person who opens it takes note of: figures from which it goes on."""
        return {}

    # -------------------------------------------------------------------------------- decisions

    def decide(self, message: object, world: World) -> Decision:
        """What a tick, a fill or a person's reset means for this guard."""
        if self._was_tripped and not self.latch.tripped:
            self.cleared()
        self._was_tripped = self.latch.tripped
        if isinstance(message, msg.ResetGuard):
            return self._reset(message, world)
        if world.mode not in _WATCHED:
            return Decision()
        if isinstance(message, msg.GuardTick):
            return self._tick(world)
        if isinstance(message, msg.AtGate):
            return self._at_gate(world)
        what = message.event if isinstance(message, msg.ForGuards) else message
        return self.told(what, world)

    def _tick(self, world: World) -> Decision:
        self.observe(world)
        if self.latch.tripped:
            decision = self._recovery(world)
        else:
            found = self.trips(world)
            decision = Decision() if found is None else self._trip(found, world)
        decision.tells[:0] = self.aside()
        return decision

    def _at_gate(self, world: World) -> Decision:
        """Before the first entry may leave: what is known already counts, nothing is observed."""
        found = None if self.latch.tripped else self.trips(world)
        return Decision() if found is None else self._trip(found, world)

    def aside(self) -> list[object]:
        """What this tick has to tell others, whether it trips or not."""
        return []

    def told(self, what: object, world: World) -> Decision:
        """What it heard, and what follows."""
        found = self.hear(what, world)
        return Decision() if found is None or self.latch.tripped else self._trip(found, world)

    def cooldown_ticks(self, world: World) -> int:
        """Ticks before recovery is looked at: from the second episode of a session on (N16); a
        person's resume begins the count of episodes, and so this, anew."""
        ticks: int = getattr(self.settings, "cooldown_ticks", 0)
        return ticks if world.episodes.get(self.name, 0) >= 2 else 0

    def is_cooling(self, world: World) -> bool:
        """Tripped, and not yet asked whether it is well again."""
        cooldown = self.cooldown_ticks(world)
        return self.latch.tripped and cooldown > 0 and self.ticks_since_trip <= cooldown

    def _trip(self, found: Trip, world: World) -> Decision:
        action = found.action or self.action
        if action != SWITCH_OFF:
            self._was_tripped, self.ticks_since_trip = True, 0
        breaker = f"{self.breaker}{found.suffix}"
        episodes = world.episodes.get(self.name, 0) + 1
        cooldown = getattr(self.settings, "cooldown_ticks", 0) if episodes >= 2 else 0
        event = ev.GuardTripped(
            guard=self.name,
            breaker=breaker,
            condition=found.condition,
            action=action,
            cooldown_us=cooldown * self.interval_us,
            manual_reset=self.is_manual or action == SWITCH_OFF,
            context=found.context,
        )
        alert = ev.AlertRaised(
            severity="critical" if action == HALT else "warning",
            token=f"[{self.token}]",
            text=f"{breaker}: {found.condition}",
        )
        tells = [*self._asks(action, breaker, found), *self.follow_up(found, world)]
        return Decision(events=[event], effects=[Notify(alert)], tells=tells)

    def _asks(self, action: str, breaker: str, found: Trip) -> list[object]:
        """What the trip wants of the mode."""
        condition = f"{breaker}: {found.condition}"
        if action == HALT:
            return [msg.Halt(self.halt_reason, by_guard=True)]
        if action == IDLE:
            return [msg.Regime(False, self.name, condition)]
        return [msg.Degrade(self.name, condition, by_guard=True)] if action == DEGRADE else []

    def follow_up(self, found: Trip, world: World) -> list[object]:
        """What else has to happen in the turn of a trip."""
        return []

    def _recovery(self, world: World) -> Decision:
        self.ticks_since_trip += 1
        if self.is_manual or self.latch.action == HALT or self.is_cooling(world):
            return Decision()
        return self._opened("recovered") if self.is_well(world) else Decision()

    def _opened(
        self, how: str, detail: str = "", acknowledged: dict[str, str] | None = None
    ) -> Decision:
        self._was_tripped = False
        self.cleared()
        told: object = msg.Recover(self.name, by_guard=True)
        if self.latch.action == IDLE:
            told = msg.Regime(True, self.name, how)
        event = ev.GuardCleared(
            guard=self.name, how=how, detail=detail, acknowledged=acknowledged or {}
        )
        return Decision(events=[event], tells=[told])

    def _reset(self, message: msg.ResetGuard, world: World) -> Decision:
        if not self.latch.tripped and not self.latch.off:
            raise Refused(f"guard {self.name}: it has not tripped")
        if self.latch.action == HALT and world.halt_reason is not None:
            raise Refused(f"guard {self.name}: it halted; `holdfast control resume` lifts that")
        said = f"{message.who}: {message.why}".strip(": ")
        return self._opened(OPERATOR, said, self.acknowledged(world))

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

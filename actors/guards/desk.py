"""The guards of an engine: built from the configuration, in a fixed order, asked one by one.

A new guard is one file, its section in `settings`, and its line in `KINDS`. The order matters where
two trip in one turn: both are recorded, in this order.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from actors import messages as msg
from actors.guards.anchor_saturation import AnchorSaturation
from actors.guards.base import Guard
from actors.guards.directional_drift import DirectionalDrift
from actors.guards.drawdown import Drawdown
from actors.guards.exposure_limit import ExposureLimit
from actors.guards.heartbeat import Heartbeat
from actors.guards.inventory_corridor import InventoryCorridor
from actors.guards.latch import HALT, IDLE, OPERATOR, Latch, Latches
from actors.guards.stale_feed import StaleFeed
from actors.guards.venue_health import VenueHealth
from actors.guards.wallet_truth import WalletTruth
from actors.runtime.actor import Decision, Refused
from actors.world import World
from fsm import events as ev
from fsm.timestamps import iso_utc

KINDS: dict[str, type[Guard]] = {
    kind.name: kind
    for kind in (
        AnchorSaturation,
        DirectionalDrift,
        InventoryCorridor,
        ExposureLimit,
        Drawdown,
        StaleFeed,
        Heartbeat,
        VenueHealth,
        WalletTruth,
    )
}


class GuardDesk:
    """All enabled guards."""

    def __init__(self, world: World, latches: Latches) -> None:
        self._world, self._latches = world, latches
        self.guards = {name: self._made(name) for name in KINDS if name in world.rules.guards}
        self.hearers: dict[type, list[str]] = {}
        """Who hears of which event or message, in the guards' order."""
        for name, guard in self.guards.items():
            for kind in guard.hears:
                self.hearers.setdefault(kind, []).append(name)

    def _made(self, name: str) -> Guard:
        rules = self._world.rules
        return KINDS[name](rules.guards[name], self._latches.of(name), rules.guard_interval_us)

    def renewed(self, name: str) -> Guard | None:
        """The guard anew, with empty windows; its latch is in the journal. None when it is off."""
        if name not in self.guards:
            return None
        self.guards[name] = self._made(name)
        return self.guards[name]

    def concerns(self, event: ev.Event) -> bool:
        """Whether any guard that hears of such events wants this one: most fills want nobody."""
        guards, world = self.guards, self._world
        return any(guards[name].concerns(event, world) for name in self.hearers[type(event)])

    def standing(self) -> list[object]:
        """At the start's gate: what the latches ask of the mode that are shut, and that it does not
        know of, because an unclean end or a halt is in between."""
        found: list[object] = []
        for name, guard in self.guards.items():
            latch = guard.latch
            if not latch.tripped:
                continue
            if latch.action == IDLE:
                found.append(msg.Regime(False, name, latch.condition))
            elif latch.action == HALT:
                found.append(msg.Halt(guard.halt_reason, by_guard=True))
            elif name not in self._world.sources:
                found.append(msg.Degrade(name, latch.condition, by_guard=True))
        return found

    def degrading(self, message: msg.Degrade) -> Guard | None:
        """The guard that keeps the record of what somebody else has found out."""
        guard = self.guards.get(message.source)
        is_its = guard is not None and guard.reported and not guard.latch.tripped
        return guard if is_its and not message.by_guard else None

    def recovering(self, message: msg.Recover) -> tuple[Guard, object] | None:
        """The guard whose latch this opens, and what it is told: a person's word is a reset."""
        guard = self.guards.get(message.source)
        if guard is None or message.by_guard or not (guard.latch.tripped or guard.latch.off):
            return None
        if guard.reported and not message.who:
            return guard, message
        return guard, msg.ResetGuard(message.source, message.who, message.why)

    def opened_while_off(self, message: msg.ResetGuard) -> Decision:
        """A latch from when the guard was on is opened all the same. Raises Refused."""
        latch = self._latches.get(message.guard)
        if latch is None or not (latch.tripped or latch.off):
            on = ", ".join(self.guards) or "none"
            raise Refused(f"no guard {message.guard!r} is on; there are: {on}")
        said = f"{message.who}: {message.why}".strip(": ")
        return Decision(events=[ev.GuardCleared(guard=message.guard, how=OPERATOR, detail=said)])

    def breaches(self, totals: Mapping[str, Decimal], prices: Mapping[str, Decimal]) -> list[str]:
        """Which limits these balances would breach, guard by guard."""
        found = []
        for name, guard in self.guards.items():
            said = guard.would_breach(totals, prices, self._world)
            if said is not None:
                found.append(f"{name}: {said}")
        return found

    def views(self) -> dict[str, dict[str, Any]]:
        """What each guard shows of itself, for the state document."""
        quarantined = self._world.quarantined
        return {
            name: guard.view(self._world) | {"quarantined": guard.address in quarantined}
            for name, guard in self.guards.items()
        }


def latch_view(latch: Latch, *, cooling: bool = False, quarantined: bool = False) -> dict[str, Any]:
    """A latch in the state document: armed, tripped, cooling, or quarantined: nobody looks."""
    state = "armed" if not latch.tripped else "cooling" if cooling else "tripped"
    if quarantined:
        state = "quarantined"
    return {
        "state": state,
        "condition": latch.condition if latch.tripped else None,
        "since": iso_utc(latch.since_us) if latch.tripped else None,
        "context": dict(latch.context) if latch.tripped else {},
        "breaker": latch.breaker or None,
        "manual": latch.manual if latch.tripped else None,
        "trips": latch.trips,
        "recoveries": latch.recoveries,
        "strategies_off": dict(latch.off),
    }

"""The guards of an engine: built from the configuration, in a fixed order, asked one by one.

A new guard is one file, its section in `settings`, and its line in `KINDS`. The order matters where
two trip in one turn: both are recorded, in this order.
"""

from __future__ import annotations

from typing import Any

from actors.guards.base import Guard
from actors.guards.latch import Latch, Latches
from actors.runtime.actor import Refused
from actors.world import World
from fsm.timestamps import iso_utc

KINDS: dict[str, type[Guard]] = {}


class GuardDesk:
    """All enabled guards."""

    def __init__(self, world: World, latches: Latches) -> None:
        self._world, self._latches = world, latches
        rules = world.rules
        self.guards: dict[str, Guard] = {
            name: kind(rules.guards[name], latches.of(name), rules.guard_interval_us)
            for name, kind in KINDS.items()
            if name in rules.guards
        }
        self.fill_hearers = [guard for guard in self.guards.values() if guard.hears_fills]

    def named(self, name: str) -> Guard:
        """The guard of this name. Raises Refused."""
        guard = self.guards.get(name)
        if guard is None:
            raise Refused(f"no guard {name!r} is on; there are: {', '.join(self.guards) or 'none'}")
        return guard

    def views(self) -> dict[str, dict[str, Any]]:
        """What each guard shows of itself, for the state document."""
        return {name: guard.view(self._world) for name, guard in self.guards.items()}


def latch_view(latch: Latch, *, cooling: bool = False) -> dict[str, Any]:
    """A latch in the state document: armed, tripped or cooling."""
    state = "armed" if not latch.tripped else "cooling" if cooling else "tripped"
    return {
        "state": state,
        "condition": latch.condition if latch.tripped else None,
        "since": iso_utc(latch.since_us) if latch.tripped else None,
        "context": dict(latch.context) if latch.tripped else {},
        "breaker": latch.breaker or None,
        "manual": latch.manual if latch.tripped else None,
        "trips": latch.trips,
        "recoveries": latch.recoveries,
    }

"""exposure_limit: hard caps on what is held; strictly above one of them the system halts.

An asset's cap is on its total balance, in units of the asset. An instrument's is on the absolute
net quantity of its open positions, in base units: so both are known without any quote. Looked at
in the turn of each fill and at each tick; the operator's `resume` opens the latch, and what is
still above trips again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from actors.guards.base import Gauge, Guard, Trip
from actors.guards.latch import HALT
from actors.world import World
from fsm import events as ev
from fsm.money import ZERO, plain


@frozen(slots=True)
class Held:
    """How much of what is held, against its cap."""

    kind: str
    name: str
    held: Decimal
    cap: Decimal


class ExposureLimit(Guard):
    """Halts with `risk_exposure`."""

    name = "exposure_limit"
    breaker = "exposure_limit_guard"
    token = "EXPOSURE_GUARD"
    hears = (ev.OrderFilled,)
    action = HALT
    halt_reason = "risk_exposure"

    @property
    def is_manual(self) -> bool:
        """Always: the operator resumes."""
        return True

    def _held(self, world: World) -> Iterator[Held]:
        for asset, cap in self.settings.asset_caps.items():
            yield Held("asset", asset, world.ledger.totals.get(asset, ZERO), cap)
        for name, cap in self.settings.instrument_caps.items():
            net = sum((position.qty for position in world.open_positions(name)), ZERO)
            yield Held("instrument", name, abs(net), cap)

    def concerns(self, event: ev.Event, world: World) -> bool:
        """Only where there is a cap."""
        return bool(self.settings.asset_caps or self.settings.instrument_caps)

    def hear(self, what: object, world: World) -> Trip | None:
        """A fill changed what is held."""
        return self._found(world)

    def observe(self, world: World) -> None:
        """What is held is known at every tick."""
        self.observations += 1

    def trips(self, world: World) -> Trip | None:
        """The first one above its cap; exactly at the cap is allowed."""
        return self._found(world)

    def _found(self, world: World) -> Trip | None:
        for one in self._held(world):
            if one.held > one.cap:
                return Trip(
                    f"{plain(one.held)} of {one.kind} {one.name} held, above {plain(one.cap)}",
                    {one.kind: one.name, "held": plain(one.held), "cap": plain(one.cap)},
                )
        return None

    def is_well(self, world: World) -> bool:
        """Nothing is above its cap; it is not asked, because only the operator resumes."""
        return self._found(world) is None

    def would_breach(
        self, totals: Mapping[str, Decimal], prices: Mapping[str, Decimal], world: World
    ) -> str | None:
        """An asset above its cap."""
        for asset, cap in self.settings.asset_caps.items():
            held = totals.get(asset, ZERO)
            if held > cap:
                return f"{plain(held)} {asset} would be above the cap of {plain(cap)}, and halt"
        return None

    def gauge(self, world: World) -> Gauge:
        """The one that is nearest to its cap, in its own unit."""
        worst: Held | None = None
        for one in self._held(world):
            if worst is None or one.held * worst.cap > worst.held * one.cap:
                worst = one
        if worst is None:
            return Gauge("no cap is configured", None, None)
        about = "base units" if worst.kind == "instrument" else "units"
        return Gauge(f"held of {worst.name}, {about}", worst.held, worst.cap, _named(worst))


def _named(one: Held) -> dict[str, Any]:
    return {one.kind: one.name}

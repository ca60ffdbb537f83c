"""An engine with guards, a venue that says what a test tells it, and short ways to move both."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from actors import messages as msg
from actors.guards.base import Guard
from actors.guards.settings import GuardsConfig
from fsm import events as ev
from fsm.vocabulary import OrderRole, OrderType, Side
from tests.unit.engine.handmade import PAIR, RULES, Bench

D = Decimal
TICK_S = 4


def guarded(folder: Path, rules: dict[str, Any] | None = None, **settings: dict[str, Any]) -> Bench:
    """A bench with these guards on, each with these settings on top of the defaults."""
    guards = {
        name: attrs.evolve(getattr(GuardsConfig(), name), **given)
        for name, given in settings.items()
    }
    bench = Bench(folder, attrs.evolve(RULES, guards=guards, **(rules or {})))
    bench.engine.release.connected = True
    return bench


def restarted(bench: Bench) -> None:
    """Killed, and started again."""
    bench.restart()
    bench.engine.release.connected = True
    bench.wait(1)


def guard(bench: Bench, name: str) -> Guard:
    return bench.engine.system.guards.guards[name]


def ticks(bench: Bench, count: int) -> None:
    bench.wait(TICK_S * count)


class Fills:
    """Quotes that are placed and filled, with ids of their own."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.count = bench, 0

    def __call__(
        self,
        side: Side = Side.BUY,
        qty: str = "1",
        price: str | None = "1",
        role: OrderRole = OrderRole.QUOTE,
        type_: OrderType = OrderType.LIMIT,
        age_s: int = 0,
    ) -> None:
        order_id = self.placed(side, qty, role, type_)
        self.filled(order_id, qty, price, age_s)

    def placed(
        self,
        side: Side = Side.BUY,
        qty: str = "1",
        role: OrderRole = OrderRole.QUOTE,
        type_: OrderType = OrderType.LIMIT,
    ) -> str:
        self.count += 1
        order_id = f"q{self.count}"
        limit = D(1) if type_ is OrderType.LIMIT else None
        self.bench.place(order_id, role=role, side=side, qty=D(qty), type=type_, limit_price=limit)
        return order_id

    def filled(self, order_id: str, qty: str, price: str | None = "1", age_s: int = 0) -> None:
        self.bench.fill(
            f"t{order_id}",
            qty,
            order_id,
            price=None if price is None else D(price),
            order_price=D(1),
            venue_us=self.bench.clock.now_us() - age_s * 1_000_000,
        )


def trips(bench: Bench) -> list[str]:
    """The breakers that tripped, in their order."""
    return [event.breaker for event in bench.events(ev.GuardTripped)]


def reset(bench: Bench, name: str) -> dict[str, object]:
    """A person opens the latch; what was answered."""
    bench.do(msg.ResetGuard(name, "ann", "looked"))
    return bench.answers[-1]


__all__ = ["PAIR", "Fills", "Side", "guard", "guarded", "reset", "restarted", "ticks", "trips"]

"""stale_feed: an instrument sends no quotes although the connection is open.

The door refuses entries on a stale instrument by itself (`fresh_quote`); the guard writes the gap
down as soon as it is there, and degrades when a position is open on the instrument. One that never
had a quote counts from the session's start, and only with an open position. While the connection
is cut there is nothing to observe: the venue's health has its own guard.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from actors import messages as msg
from actors.guards.base import Gauge, Guard, Trip
from actors.guards.latch import Latch
from actors.guards.quotes import has_open, stale_us
from actors.world import World
from fsm.events import ContextValue
from fsm.money import divide, plain
from fsm.timestamps import SECOND_US


class StaleFeed(Guard):
    """Watches the age of every instrument's last quote."""

    name = "stale_feed"
    breaker = "stale_feed_guard"
    token = "STALE_FEED"

    def __init__(self, settings: Any, latch: Latch, interval_us: int) -> None:
        super().__init__(settings, latch, interval_us)
        self.stale: dict[str, None] = {}
        self.fresh_ticks = 0
        self._gaps: list[object] = []
        self._due_us: int | None = None
        self._is_late = False

    def _since_us(self, instrument: str, world: World) -> int | None:
        """When the last quote came; the session's start before the first, if that matters."""
        view = world.markets.get(instrument)
        if view is not None and view.ticks:
            return view.seen_at_us
        return world.session.started_at_us if has_open(world, instrument) else None

    def _can_see(self, world: World) -> bool:
        """After a stall of our own the quotes that came meanwhile are still to be read: the first
        tick has not seen the feed (the stall is the heartbeat's)."""
        due_us, self._due_us = self._due_us, world.now_us + self.interval_us
        late_us = 0 if due_us is None else world.now_us - due_us
        self._is_late = late_us * 2 >= self.interval_us and not self._is_late
        return world.is_connected() and not self._is_late

    def observe(self, world: World) -> None:
        """Which instruments are stale now; a gap is told once, when it is first seen."""
        if not self._can_see(world):
            return
        self.observations += 1
        for name in world.instruments:
            since_us = self._since_us(name, world)
            if since_us is None or world.now_us - since_us <= stale_us(world):
                self.stale.pop(name, None)
            elif name not in self.stale:
                self.stale[name] = None
                self._gaps.append(self._gap(name, since_us, world))
        exposed = any(has_open(world, name) for name in self.stale)
        self.fresh_ticks = 0 if exposed else self.fresh_ticks + 1

    def _gap(self, name: str, since_us: int, world: World) -> msg.FeedGapSeen:
        """From the last quote's own time on."""
        quote = world.quote(name)
        from_us = since_us if quote is None else quote.event_us
        age_us = world.now_us - since_us
        limit = plain(divide(Decimal(stale_us(world)), Decimal(SECOND_US)))
        return msg.FeedGapSeen(name, from_us, from_us + age_us, f"no quote for more than {limit} s")

    def aside(self) -> list[object]:
        """The gaps that this tick has found."""
        found, self._gaps = self._gaps, []
        return found

    def trips(self, world: World) -> Trip | None:
        """A position is open where nobody quotes."""
        if not world.is_connected() or self._is_late:
            return None
        for name in self.stale:
            if has_open(world, name):
                since_us = self._since_us(name, world)
                assert since_us is not None
                age_ms = (world.now_us - since_us) // 1_000
                self.fresh_ticks = 0
                silent = f"no quote of {name} for {plain(Decimal(age_ms) / 1_000)} s"
                context: dict[str, ContextValue] = {"instrument": name, "age_ms": age_ms}
                return Trip(f"{silent}, a position is open", context)
        return None

    def is_well(self, world: World) -> bool:
        """Fresh for so many ticks, or nothing is open there any more."""
        return bool(self.fresh_ticks >= self.settings.fresh_ticks)

    def cleared(self) -> None:
        """Count anew; what is stale still is."""
        self.fresh_ticks = 0

    def gauge(self, world: World) -> Gauge:
        """The oldest last quote, milliseconds."""
        ages = {
            name: world.now_us - since_us
            for name in world.instruments
            if (since_us := self._since_us(name, world)) is not None
        }
        worst = max(ages, key=lambda name: ages[name], default=None)
        limit = Decimal(stale_us(world) // 1_000)
        if worst is None:
            return Gauge("age of the oldest last quote, ms", None, limit)
        context: dict[str, ContextValue] = {"instrument": worst, "stale": tuple(self.stale)}
        return Gauge(
            "age of the oldest last quote, ms", Decimal(ages[worst] // 1_000), limit, context
        )

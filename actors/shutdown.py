"""How a session ends: sweep live orders, wait for evidence within a bound, compare, write the end.

A function of the engine's state, called again and again by whoever owns the time; it says what it
waits for, and never claims what the venue has not confirmed (X19, N25).
"""

from __future__ import annotations

from attrs import define

from actors import messages as msg
from actors.engine import Engine
from fsm.mode import ModeState
from fsm.vocabulary import OrderRole


@define(slots=True)
class Shutdown:
    """One shutdown. `reason` is the session's halt reason: the first cause wins (N10)."""

    engine: Engine
    reason: str
    deadline_us: int
    started_us: int = 0
    stage: str = "sweep"
    exits_swept: bool = False
    compared_from: int = 0

    def begin(self) -> None:
        """Ask the mode actor to stop: entries and quotes are withdrawn at once."""
        self.started_us = self.engine.clock.now_us()
        self.engine.inbox.tell_local(msg.StopSession(self.reason))

    def step(self) -> bool:
        """Go on as far as possible; True when the session's end is written and durable."""
        engine, now_us = self.engine, self.engine.clock.now_us()
        if engine.world.mode is ModeState.STOPPED or engine.dispatcher.failed is not None:
            return not engine.dispatcher.in_flight
        if engine.world.mode is not ModeState.STOPPING:
            return False
        late = now_us >= self.deadline_us
        if self.stage == "sweep":
            self._sweep_exits(now_us)
            if late or not engine.world.live_orders():
                self._compare()
        elif self.stage == "compare":
            reconciler = engine.books.reconciler
            answered = reconciler.passes > self.compared_from and reconciler.current is None
            if late or (answered and not reconciler.truth.suspected):
                self._end()
        return False

    def waiting_for(self) -> str:
        """For people: what the shutdown waits for."""
        live = len(self.engine.world.live_orders())
        return f"{live} orders to be confirmed" if self.stage == "sweep" else "the venue's balances"

    def _sweep_exits(self, now_us: int) -> None:
        """Exits get half of the time to fill; then they are swept too, nobody would watch them."""
        if self.exits_swept or now_us < (self.started_us + self.deadline_us) // 2:
            return
        self.exits_swept = True
        for order in self.engine.world.live_orders():
            if order.role is OrderRole.EXIT:
                self.engine.inbox.tell_local(
                    msg.CancelOrder(order.client_order_id, "Shutdown cancel", by_engine=True)
                )

    def _compare(self) -> None:
        self.stage, self.compared_from = "compare", self.engine.books.reconciler.passes
        patience_us = self.engine.world.rules.query_timeout_us
        self.deadline_us = max(self.deadline_us, self.engine.clock.now_us() + patience_us)
        self.engine.inbox.tell_local(msg.PassDue("books"))

    def _end(self) -> None:
        self.stage = "end"
        live = len(self.engine.world.live_orders())
        ticks = self.engine.world.market_seen()
        self.engine.inbox.tell_local(
            msg.EndSession(reason=self.reason, clean=live == 0, ticks=ticks)
        )

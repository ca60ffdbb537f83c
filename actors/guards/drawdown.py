"""drawdown: losses of the session, of the UTC day and of a strategy beyond their limits.

Losses are of equity: realized PnL net of fees, as at the door, and open positions at their mark on
top. The limits are the door's: `risk.max_session_loss` and `risk.daily_drawdown`. A reset by a
person acknowledges the loss so far: it goes on from there, also after a restart (the figures are in
the journal). A strategy beyond `strategy_loss_max` is switched off, the system is not degraded.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from attrs import frozen

from actors import messages as msg
from actors.guards.base import Gauge, Guard, Trip
from actors.guards.latch import SWITCH_OFF
from actors.guards.quotes import open_profit
from actors.runtime.actor import Decision
from actors.world import World
from fsm.money import ZERO, plain
from fsm.timestamps import SECOND_US

_DAY_US = 86_400 * SECOND_US
SESSION, DAY, STRATEGY = "session", "day", "strategy"


@frozen(slots=True)
class Loss:
    """One loss: `since` says of which session, day or strategy; `total` includes what a person
    has acknowledged, `loss` does not. Above zero is a loss."""

    kind: str
    since: str
    total: Decimal
    loss: Decimal
    limit: Decimal
    strategy: str = ""

    @property
    def key(self) -> str:
        """What it is acknowledged by."""
        return f"{self.kind} {self.since}"


class Drawdown(Guard):
    """DEGRADED for the account's losses; a strategy's own switches that one off."""

    name = "drawdown"
    breaker = "drawdown_guard"
    token = "DRAWDOWN_GUARD"

    def _losses(self, world: World) -> Iterator[Loss]:
        open_pnl: dict[str | None, Decimal] = {}
        for position in world.positions.values():
            if position.qty:
                so_far = open_pnl.get(position.strategy, ZERO)
                open_pnl[position.strategy] = so_far + open_profit(position, world)
        unrealized, ledger, rules = sum(open_pnl.values(), ZERO), world.ledger, world.rules
        if rules.max_session_loss is not None:
            total = ledger.session_fees - ledger.session_realized - unrealized
            yield self._loss(SESSION, world.session.session_id, total, rules.max_session_loss)
        if rules.daily_drawdown is not None:
            net = ledger.realized_pnl - ledger.fees_paid
            total = world.day_start_pnl() - net - unrealized
            yield self._loss(DAY, str(world.now_us // _DAY_US), total, rules.daily_drawdown)
        limit = self.settings.strategy_loss_max
        if limit is None:
            return
        for name in dict.fromkeys((*world.strategy_pnl, *open_pnl)):
            if name is not None:
                total = -world.strategy_pnl.get(name, ZERO) - open_pnl.get(name, ZERO)
                kind, since = f"{STRATEGY} {name}", world.session.session_id
                yield self._loss(kind, since, total, limit, name)

    def _loss(
        self, kind: str, since: str, total: Decimal, limit: Decimal, strategy: str = ""
    ) -> Loss:
        known = Decimal(self.latch.acknowledged.get(f"{kind} {since}", 0))
        return Loss(kind, since, total, total - known, limit, strategy)

    def observe(self, world: World) -> None:
        """The books are known at every tick."""
        self.observations += 1

    def trips(self, world: World) -> Trip | None:
        """The account first, then each strategy; exactly at the limit is allowed."""
        for one in self._losses(world):
            if one.loss > one.limit and one.strategy not in self.latch.off:
                return self._found(one)
        return None

    def _found(self, one: Loss) -> Trip:
        context = {"loss": plain(one.loss), "limit": plain(one.limit), "total": plain(one.total)}
        condition = f"{one.kind} loss {plain(one.loss)} beyond {plain(one.limit)}"
        if one.strategy:
            context["strategy"] = one.strategy
            return Trip(condition, {**context}, f"_{STRATEGY}", SWITCH_OFF)
        return Trip(condition, {**context}, f"_{one.kind}")

    def follow_up(self, found: Trip, world: World) -> list[object]:
        """Entries of a strategy that is off are taken back."""
        strategy = found.context.get("strategy")
        if strategy is None:
            return []
        names = tuple(o.client_order_id for o in world.orders.values() if o.strategy == strategy)
        return [msg.Sweep("Strategy off, entry cancel", names)]

    def _recovery(self, world: World) -> Decision:
        """A strategy may be beyond its limit while the account's latch is shut already."""
        decision = super()._recovery(world)
        if decision.events:
            return decision
        for one in self._losses(world):
            if one.strategy and one.loss > one.limit and one.strategy not in self.latch.off:
                return self._trip(self._found(one), world)
        return decision

    def is_well(self, world: World) -> bool:
        """With `recovery = auto`: no loss of the account is beyond its limit any more."""
        return not any(o.loss > o.limit for o in self._losses(world) if not o.strategy)

    def acknowledged(self, world: World) -> dict[str, str]:
        """What a person takes note of: every loss as it is now."""
        return {o.key: plain(o.total) for o in self._losses(world) if o.total > 0}

    def gauge(self, world: World) -> Gauge:
        """The loss that is nearest to its limit."""
        worst: Loss | None = None
        for one in self._losses(world):
            if worst is None or one.limit - one.loss < worst.limit - worst.loss:
                worst = one
        if worst is None:
            return Gauge("no limit is in force", None, None)
        return Gauge(f"{worst.kind} loss, quote units", worst.loss, worst.limit)

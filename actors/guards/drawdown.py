"""drawdown: losses of the session, of the UTC day and of a strategy beyond their limits.

Losses are of equity: realized PnL net of fees, as at the door, and open positions at their mark on
top. The limits are the door's: `risk.max_session_loss` and `risk.daily_drawdown`. A reset by a
person acknowledges the loss so far: it goes on from there, also after a restart or on a new day
(the figures are in the journal). A strategy beyond `strategy_loss_max` is switched off, the system
is not degraded.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from attrs import frozen

from actors import messages as msg
from actors.entities.door import losses_refused
from actors.guards.base import Gauge, Guard, Trip
from actors.guards.latch import SWITCH_OFF, Latch
from actors.guards.quotes import is_fresh, side_mark
from actors.runtime.actor import Decision
from actors.world import World
from fsm.events import ContextValue
from fsm.money import ZERO, plain
from fsm.pnl import unrealized
from fsm.timestamps import SECOND_US

_DAY_US = 86_400 * SECOND_US
SESSION, DAY, STRATEGY = "session", "day", "strategy"
_EQUITY, _OPEN = "equity", "open"


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

    def __init__(self, settings: Any, latch: Latch, interval_us: int) -> None:
        super().__init__(settings, latch, interval_us)
        self._marks: dict[tuple[str, bool], Decimal] = {}
        """The last mark of each instrument, for long and for short."""

    # ---------------------------------------------------------------------------- what was lost

    def _open(self, world: World) -> dict[str | None, Decimal]:
        """Open profit of each strategy. A mark that is missing now is the last one, not zero."""
        found: dict[str | None, Decimal] = {}
        for position in world.positions.values():
            if position.qty:
                key = position.instrument, position.qty > 0
                mark = side_mark(position, world)
                if mark is not None:
                    self._marks[key] = mark
                profit = unrealized(position.holding, self._marks.get(key))
                found[position.strategy] = found.get(position.strategy, ZERO) + profit
        return found

    def _losses(self, world: World) -> Iterator[Loss]:
        open_pnl = self._open(world)
        unrealized_sum, ledger, rules = sum(open_pnl.values(), ZERO), world.ledger, world.rules
        net = _net(world)
        if rules.max_session_loss is not None:
            start = net - ledger.session_realized + ledger.session_fees
            total = start - net - unrealized_sum
            known = self._known(f"{SESSION} {world.session.session_id}", start)
            yield Loss(
                SESSION, world.session.session_id, total, total - known, rules.max_session_loss
            )
        if rules.daily_drawdown is not None:
            start, day = world.day_start_pnl(), str(world.now_us // _DAY_US)
            total = start - net - unrealized_sum
            known = self._known(f"{DAY} {day}", start)
            yield Loss(DAY, day, total, total - known, rules.daily_drawdown)
        yield from self._of_strategies(open_pnl, world)

    def _of_strategies(self, open_pnl: dict[str | None, Decimal], world: World) -> Iterator[Loss]:
        limit = self.settings.strategy_loss_max
        if limit is None:
            return
        for name in dict.fromkeys((*world.strategy_pnl, *open_pnl)):
            if name is not None:
                open_loss = -open_pnl.get(name, ZERO)
                total = open_loss - world.strategy_pnl.get(name, ZERO)
                kind, since = f"{STRATEGY} {name}", world.session.session_id
                said = self.latch.acknowledged.get(f"{kind} {since}")
                # In a later session: what is still open of it.
                still = min(-self._acknowledged(f"{_OPEN} {name}"), open_loss)
                known = max(still, ZERO) if said is None else Decimal(said)
                yield Loss(kind, since, total, total - known, limit, name)

    def _acknowledged(self, key: str) -> Decimal:
        return Decimal(self.latch.acknowledged.get(key, 0))

    def _known(self, key: str, start: Decimal) -> Decimal:
        """How much of the account's loss a person took note of; `start` is the realized PnL at
        which the session or day began. In a later one that is what lies between `start` and the
        equity of then, up to what was lost in positions that were open."""
        held = self.latch.acknowledged
        if key in held:
            return Decimal(held[key])
        if _EQUITY not in held:
            return ZERO
        between = start - self._acknowledged(_EQUITY)
        return max(min(between, -self._acknowledged(_OPEN)), ZERO)

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
        """With `recovery = auto`: every loss of the account is well within its limit again, and
        every open position has a fresh mark: what is not seen has not recovered."""
        if not all(is_fresh(p, world) for p in world.positions.values() if p.qty):
            return False
        share = self.settings.exit_pct / 100
        return not any(o.loss > o.limit * share for o in self._losses(world) if not o.strategy)

    def acknowledged(self, world: World) -> dict[str, str]:
        """What a person takes note of: every loss as it is now, and what of it is open."""
        open_pnl = self._open(world)
        sum_open = sum(open_pnl.values(), ZERO)
        found = {o.key: plain(o.total) for o in self._losses(world) if o.total > 0}
        found |= {_EQUITY: plain(_net(world) + sum_open), _OPEN: plain(sum_open)}
        return found | {f"{_OPEN} {name}": plain(v) for name, v in open_pnl.items() if name}

    def gauge(self, world: World) -> Gauge:
        """The loss that is nearest to its limit; `door_refuses`: what the door refuses all the
        same, because it goes by the realized figures."""
        worst: Loss | None = None
        for one in self._losses(world):
            if worst is None or one.limit - one.loss < worst.limit - worst.loss:
                worst = one
        if worst is None:
            return Gauge("no limit is in force", None, None)
        context: dict[str, ContextValue] = {"door_refuses": tuple(losses_refused(world))}
        return Gauge(f"{worst.kind} loss, quote units", worst.loss, worst.limit, context)


def _net(world: World) -> Decimal:
    return world.ledger.realized_pnl - world.ledger.fees_paid

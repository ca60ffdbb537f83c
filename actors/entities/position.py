"""One position: its quantity, its basis, its protection. Exits are decided in `exits.py`.

The position is the one owner of its exit (L6): stop, target, trailing stop, expiry, operator and
guards only express wishes. It knows which of its orders may still fill, because their events are
folded into it as well.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import define, field

from actors import messages as msg
from actors.effects import CancelTimer, SetTimer
from actors.entities import ended_by_venue, exits, provenance, quantity
from actors.entities.order import Order
from actors.runtime.actor import Decision, Refused
from actors.world import World
from fsm import events as ev
from fsm import position as machine
from fsm.money import ONE, ZERO
from fsm.order import TERMINAL
from fsm.pnl import Holding
from fsm.position import ENDED, TABLE, PositionState, PositionTrigger
from fsm.vocabulary import ExitReason, OrderRole, PnlSource, Side, TradingMode

S, T = PositionState, PositionTrigger


@define(slots=True)
class LiveOrder:
    """An order of this position that may still fill."""

    role: OrderRole
    side: Side
    rest: Decimal
    is_limit: bool


@define(slots=True)
class Position:
    """A position's state: the fold of its stream and of its orders' events."""

    position_id: str
    instrument: str
    side: Side
    strategy: str | None
    session_id: str
    mode: TradingMode
    min_qty: Decimal
    signal_id: str | None = None
    stop: Decimal | None = None
    take_profit: Decimal | None = None
    trailing: Decimal | None = None
    expires_at_us: int | None = None
    leverage: Decimal = ONE
    inventory: bool = False
    state: PositionState = S.ENTRY
    qty: Decimal = ZERO
    basis: Decimal | None = None
    last_basis: Decimal | None = None
    entry_qty: Decimal = ZERO
    exit_qty: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    pnl_source: PnlSource = PnlSource.KERNEL_ESTIMATE
    trail_stop: Decimal | None = None
    watermark: Decimal | None = None
    exit_reason: ExitReason | None = None
    rung: int = 0
    failures: int = 0
    live: dict[str, LiveOrder] = field(factory=dict)
    unpriced: dict[str, tuple[Decimal, Decimal | None]] = field(factory=dict)
    """Exits whose price nobody told -> what they moved, and the basis that it was taken from."""
    booked: dict[str, str] = field(factory=dict)
    """(order/trade) -> the last cause booked for it: a message delivered again changes nothing.
    It grows with the fills of an open position: what was kept in quarantine may come back late."""
    estimates: dict[str, Decimal] = field(factory=dict)
    """(order/trade) -> what we make of it, until the venue states its own figure."""
    estimated: int = 0
    """How many closing trades rest on an estimate, those that left `estimates` included."""
    stated: dict[str, tuple[Decimal, Decimal, Decimal | None]] = field(factory=dict)
    """(order/trade) without a price -> the venue's realized PnL, what it moved in quote, and the
    basis that its quantity was taken from."""
    turn: int = field(default=0, eq=False)
    """The last turn that changed it: it may be forgotten when that one is durable."""

    @property
    def address(self) -> str:
        """Its stream."""
        return f"position/{self.position_id}"

    @property
    def holding(self) -> Holding:
        """Quantity and basis for the arithmetic."""
        return Holding(self.qty, self.basis)

    @property
    def is_open(self) -> bool:
        """Not ended."""
        return self.state not in ENDED

    @property
    def effective_stop(self) -> Decimal | None:
        """The tighter of the fixed and the trailing stop."""
        if self.stop is None or self.trail_stop is None:
            return self.stop if self.trail_stop is None else self.trail_stop
        return max(self.stop, self.trail_stop) if self.qty >= 0 else min(self.stop, self.trail_stop)

    def live_of(self, *roles: OrderRole) -> list[str]:
        """Ids of its live orders with one of these roles, oldest first."""
        return [order_id for order_id, order in self.live.items() if order.role in roles]

    def adopt(self, order: Order) -> None:
        """Take a live order back in when the position is folded anew."""
        self.live[order.client_order_id] = LiveOrder(
            order.role, order.side, order.rest, order.limit_price is not None
        )

    # ------------------------------------------------------------------------------------ evolve

    def evolve(self, event: ev.Event) -> None:
        """Copy what happened to the position or to one of its orders."""
        handler: Any = _EVOLVE.get(type(event))
        if handler is not None:
            handler(self, event)

    def _order_intended(self, event: ev.OrderIntended) -> None:
        is_limit = event.limit_price is not None
        self.live[event.client_order_id] = LiveOrder(event.role, event.side, event.qty, is_limit)

    def _order_filled(self, event: ev.OrderFilled) -> None:
        order = self.live.get(event.client_order_id)
        if order is not None:
            order.rest -= event.qty
            if event.state in TERMINAL:
                del self.live[event.client_order_id]

    def _order_moved(self, event: ev.OrderMoved) -> None:
        if event.state in TERMINAL:
            self.live.pop(event.client_order_id, None)

    def _order_voided(self, event: ev.OrderFillVoided) -> None:
        order = self.live.get(event.client_order_id)
        if order is not None:
            order.rest += event.qty  # as the order itself counts: it may fill again

    def _changed(self, event: ev.PositionChanged) -> None:
        self.state, self.qty, self.basis = event.state, event.qty, event.basis_price
        known = event.basis_price if event.basis_price is not None else event.basis_before
        if known is not None:  # what comes after the end (a fee, a figure) knows of none
            self.last_basis = known
        self.entry_qty, self.exit_qty = event.entry_qty, event.exit_qty
        self.realized_pnl, self.fees, self.pnl_source = (
            event.realized_pnl,
            event.fees,
            event.pnl_source,
        )
        if event.trade_id is not None:
            self._book(event, f"{event.client_order_id}/{event.trade_id}", event.trade_id)
        if event.state is S.MONITORING and event.flags and "reopened" in event.flags:
            self.exit_reason, self.rung, self.failures = None, 0, 0

    def _book(self, event: ev.PositionChanged, key: str, trade_id: str) -> None:
        """What is remembered of a trade: that it counted, and whose figure its profit is."""
        if event.cause == "settlement_fee":
            return
        exchange = event.realized_source is PnlSource.EXCHANGE and event.cause != "void"
        self.booked[key] = provenance.STATED if exchange else event.cause
        if self.estimates.pop(key, None) is not None:
            self.estimated -= 1
        before = event.qty - event.qty_delta
        closes = before != 0 and (before > 0) != (event.qty_delta > 0) and event.qty_delta != 0
        if "realized_skipped_no_price" in event.flags:
            told = event.basis_before if event.basis_before is not None else self.last_basis
            gone = provenance.closed(before, event.qty_delta)
            self.unpriced[trade_id] = gone, told if event.price is None else None
        elif exchange and (event.price is None or event.basis_before is None):
            _, basis = self.unpriced.pop(trade_id, (ZERO, event.basis_before))
            self.stated[key] = event.realized_delta, event.cash_delta, basis
        elif event.cause == "void":
            self.unpriced.pop(trade_id, None)
            self.stated.pop(key, None)
        elif closes and event.realized_source is PnlSource.KERNEL_ESTIMATE:
            self.estimated += 1
            if provenance.NETTED not in event.flags:
                self.estimates[key] = event.realized_delta
            if len(self.estimates) > provenance.ESTIMATES_MAX:
                del self.estimates[next(iter(self.estimates))]

    def taken_at(self, void: ev.OrderFillVoided) -> Decimal | None:
        """The basis from which an exit without a price took its quantity; None: it had a price."""
        kept = self.stated.get(f"{void.client_order_id}/{void.trade_id}")
        if kept is not None:
            return kept[2]
        return self.unpriced.get(void.trade_id, (ZERO, None))[1]

    def _compared(self, event: ev.PnlCompared) -> None:
        key = f"{event.client_order_id}/{event.trade_id}"
        if event.agrees and self.estimates.pop(key, None) is not None:
            self.estimated -= 1
            self.booked[key] = provenance.STATED
            self.pnl_source = event.pnl_source

    def _moved(self, event: ev.PositionMoved) -> None:
        self.state = event.state
        if event.trigger == T.EXIT_FAILED:
            self.failures += 1

    def _exit_decided(self, event: ev.ExitDecided) -> None:
        self.state, self.exit_reason, self.rung = event.state, event.reason, event.rung

    def _protection(self, event: ev.ProtectionMoved) -> None:
        self.trail_stop, self.watermark = event.stop, event.watermark

    # ------------------------------------------------------------------------------------ decide

    def decide(self, message: object, world: World) -> Decision:
        """Pure: what this message means for this position."""
        handler: Any = _DECIDE.get(type(message))
        if handler is None:
            raise Refused(f"{self.address}: no handling for {type(message).__name__}")
        decision: Decision = handler(self, message, world)
        return decision

    def next_state(self, trigger: PositionTrigger, guard: str | None = None) -> PositionState:
        """The state that follows by the table. Raises IllegalTrigger."""
        return TABLE.next(self.address, self.state, trigger, guard)

    def quantity_guard(self, qty: Decimal) -> str:
        """Which quantity case holds; an inventory position is never over while it quotes."""
        minimum = self.min_qty if self.min_qty > 0 else ZERO
        return machine.quantity_guard(qty, minimum, bool(self.live) or self.inventory)

    def closed(self, decision: Decision, world: World) -> None:
        """What follows from the end: timers go, the account is published."""
        decision.effects += (
            CancelTimer(f"exit/{self.position_id}"),
            CancelTimer(f"expiry/{self.position_id}"),
        )
        decision.tells.append(msg.SnapshotAccount("position_closed"))
        stuck = f"exit_stuck/{self.position_id}"
        if stuck in world.sources:
            decision.tells.append(msg.Recover(stuck))

    # -------------------------------------------------------------------------- orders that ended

    def _on_order_ended(self, message: msg.OrderEnded, world: World) -> Decision:
        if self.state in ENDED:
            return Decision.ignore("order_ended: the position has ended")
        if self.state is S.ENTRY:
            return self._entries_ended(world)
        guard = self.quantity_guard(self.qty)
        state = self.next_state(T.ORDER_ENDED, guard)
        decision = Decision()
        if state is S.CLOSED:
            flags = ("dust",) if self.qty != 0 else ()
            decision.events.append(
                ev.PositionMoved(
                    position_id=self.position_id,
                    trigger=T.ORDER_ENDED,
                    state=state,
                    reason=f"{message.client_order_id} ended {message.ended_as}",
                    flags=flags,
                )
            )
            self.closed(decision, world)
        elif state is S.EXIT_PENDING and message.role is OrderRole.EXIT:
            exits.exit_ended(self, decision, world, message)
        elif state is S.EXIT_PENDING:
            exits.cover(self, decision, world, self.qty)
        return decision

    def _entries_ended(self, world: World) -> Decision:
        if self.live or self.qty != 0 or (self.inventory and self.exit_reason is None):
            return Decision.ignore("order_ended: more of it may still fill")
        state = self.next_state(T.ENTRIES_DEAD)
        decision = Decision(
            events=[
                ev.PositionMoved(
                    position_id=self.position_id,
                    trigger=T.ENTRIES_DEAD,
                    state=state,
                    reason="nothing was filled",
                )
            ]
        )
        decision.effects.append(CancelTimer(f"expiry/{self.position_id}"))
        return decision

    def _on_entries_cancelled(self, message: msg.EntriesCancelled, world: World) -> Decision:
        if self.state is not S.ENTRY or self.qty != 0 or self.inventory:
            return Decision.ignore("engine_cancel: something is filled, or it is an inventory")
        return Decision(
            events=[
                ev.PositionMoved(
                    position_id=self.position_id,
                    trigger=T.ENGINE_CANCEL,
                    state=self.next_state(T.ENGINE_CANCEL),
                    reason=message.reason,
                )
            ],
            effects=[CancelTimer(f"expiry/{self.position_id}")],
        )

    # ------------------------------------------------------------------------------ after a start

    def expiry_timer(self, world: World) -> list[SetTimer]:
        """The timer of its expiry, due at once when that has passed; empty when it has none."""
        if self.expires_at_us is None:
            return []
        delay = max(self.expires_at_us - world.now_us, 0)
        return [SetTimer(f"expiry/{self.position_id}", delay, msg.ExpiryDue(self.position_id))]

    def rearm(self, world: World) -> list[SetTimer]:
        """The timers that a restart has to bring back before trading resumes (X13)."""
        timers = self.expiry_timer(world) if self.state in (S.ENTRY, S.MONITORING) else []
        if self.state is S.EXIT_PENDING:
            timers.append(exits.check_timer(self, world))
        return timers


def opened(event: ev.PositionOpened) -> Position:
    """The position that an entry brings into being."""
    return Position(
        position_id=event.position_id,
        instrument=event.instrument,
        side=event.side,
        strategy=event.strategy,
        session_id=event.session_id,
        mode=event.mode,
        min_qty=event.min_qty,
        signal_id=event.signal_id,
        stop=event.stop,
        take_profit=event.take_profit,
        trailing=event.trailing,
        expires_at_us=event.expires_at_us,
        leverage=event.leverage,
        inventory=event.inventory,
    )


_EVOLVE: dict[type, Any] = {
    ev.OrderIntended: Position._order_intended,
    ev.OrderFilled: Position._order_filled,
    ev.OrderFillVoided: Position._order_voided,
    ev.OrderMoved: Position._order_moved,
    ev.PositionChanged: Position._changed,
    ev.PnlCompared: Position._compared,
    ev.PositionMoved: Position._moved,
    ev.ExitDecided: Position._exit_decided,
    ev.ProtectionMoved: Position._protection,
}
_DECIDE: dict[type, Any] = {
    msg.FillForPosition: quantity.on_fill,
    msg.VoidForPosition: quantity.on_void,
    msg.ReplacedForPosition: quantity.on_replaced,
    msg.GoneAtVenue: quantity.on_gone,
    msg.SettlementForPosition: quantity.on_settlement,
    msg.ClosedAtVenue: ended_by_venue.on_closed,
    msg.ClosureSettled: ended_by_venue.on_closure_settled,
    msg.ResolvedForPosition: ended_by_venue.on_resolved,
    msg.OrderEnded: Position._on_order_ended,
    msg.EntriesCancelled: Position._on_entries_cancelled,
    msg.PriceCrossed: exits.on_price,
    msg.RequestExit: exits.on_request,
    msg.ExpiryDue: exits.on_expiry,
    msg.ExitCheck: exits.on_check,
    msg.PlaceExit: exits.on_place,
}

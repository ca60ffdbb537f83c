"""A believable life of an account, told turn by turn: what the tests of storage are fed with.

The story keeps its own small books with the project's arithmetic and machines, so that whatever it
tells is legal; tests that need a lie change one event of it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from attrs import define, field

from fsm import events as ev
from fsm.instrument import Instrument
from fsm.money import ZERO, divide
from fsm.order import TABLE, TERMINAL, OrderState, OrderTrigger, fill_guard
from fsm.pnl import Holding, apply_fill
from fsm.position import PositionState, PositionTrigger
from fsm.vocabulary import (
    FillStatus,
    InstrumentKind,
    Liquidity,
    OrderRole,
    OrderType,
    PnlSource,
    Side,
    TradingMode,
)
from storage.codec import encode
from storage.writer import JournalWriter, TurnBatch

SPOT = Instrument(name="XRP/RLUSD", base="XRP", quote="RLUSD")
PERP = Instrument(
    name="FET-PERP",
    base="FET",
    quote="USDT",
    kind=InstrumentKind.PERPETUAL,
    max_leverage=Decimal(5),
)
NOW_US = 1_700_000_000_000_000


def D(value: str | int) -> Decimal:  # noqa: N802
    """A Decimal, short enough to read in a list of figures."""
    return Decimal(value)


@define
class _Order:
    position_id: str
    instrument: Instrument
    side: Side
    role: OrderRole
    qty: Decimal
    state: OrderState = OrderState.INTENDED
    filled: Decimal = ZERO
    value: Decimal = ZERO
    fees: Decimal = ZERO
    intended: Decimal | None = None
    trades: dict[str, ev.OrderFilled] = field(factory=dict)


@define
class _Position:
    state: PositionState = PositionState.ENTRY
    holding: Holding = field(factory=Holding)
    entry_qty: Decimal = ZERO
    exit_qty: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO


@define
class Story:
    """Methods tell one turn each; `turns` is what they told."""

    turns: list[list[ev.Event]] = field(factory=list)
    orders: dict[str, _Order] = field(factory=dict)
    positions: dict[str, _Position] = field(factory=dict)
    trades: int = 0

    @classmethod
    def begun(cls, **opening: str) -> Story:
        """A session with its opening capital."""
        story = cls()
        story.session("s1")
        for asset, amount in (opening or {"RLUSD": "100", "XRP": "50", "USDT": "1000"}).items():
            story.tell(ev.CapitalRecorded(kind="opening", asset=asset, amount=D(amount)))
        return story

    def tell(self, *events: ev.Event) -> None:
        self.turns.append(list(events))

    def session(self, session_id: str, started_at_us: int = NOW_US) -> None:
        self.tell(
            ev.SessionStarted(
                session_id=session_id, mode=TradingMode.PAPER, venue="sim", holder="h",
                recovery=False, started_at_us=started_at_us, version="0.1",
                instruments=(SPOT, PERP),
            )
        )  # fmt: skip

    def end(self, session_id: str = "s1") -> None:
        self.tell(
            ev.SessionEnded(
                session_id=session_id, halt_reason="duration_elapsed", clean=True,
                ended_at_us=NOW_US + 10**12, ticks=7,
            )
        )  # fmt: skip

    def signal(self, signal_id: str) -> None:
        nothing: dict[str, Any] = dict.fromkeys(
            ("notional", "stop", "take_profit", "trailing", "expires_in_us", "bid", "ask")
        )
        raised = ev.SignalRaised(
            signal_id=signal_id, strategy="vwap", instrument=SPOT.name, side=Side.BUY, qty=D(1),
            event_us=NOW_US, inputs={"vwap": "1.3"}, **nothing,
        )  # fmt: skip
        decided = ev.SignalDecided(
            signal_id=signal_id, strategy="vwap", instrument=SPOT.name, approved=False,
            rule="max_position_usd",
            checks=(ev.RuleCheck(rule="max", limit="5", value="6", passed=False),),
        )  # fmt: skip
        self.tell(raised, decided)

    # ---------------------------------------------------------------------------------- orders

    def intend(
        self, order_id: str, side: Side, qty: str | Decimal, price: str | Decimal | None = "1.3", *,
        position_id: str | None = None, role: OrderRole = OrderRole.ENTRY,
        instrument: Instrument = SPOT, leverage: str = "1", reserve: str | None = None,
    ) -> None:  # fmt: skip
        """An intent, with its position when that does not exist yet."""
        position_id = position_id or f"p/{order_id}"
        told: list[ev.Event] = []
        if position_id not in self.positions:
            self.positions[position_id] = _Position()
            told.append(
                ev.PositionOpened(
                    position_id=position_id, session_id="s1", mode=TradingMode.PAPER,
                    instrument=instrument.name, side=side, strategy="vwap", signal_id=None,
                    stop=D("0.5"), take_profit=None, trailing=None, expires_at_us=NOW_US,
                    min_qty=ZERO, leverage=D(leverage),
                )
            )  # fmt: skip
        limit = None if price is None else Decimal(price)
        self.orders[order_id] = _Order(
            position_id, instrument, side, role, Decimal(qty),
            intended=(None if reserve is None else D(reserve)) if limit is None else limit,
        )  # fmt: skip
        told.append(
            ev.OrderIntended(
                client_order_id=order_id, role=role, instrument=instrument.name, side=side,
                type=OrderType.MARKET if limit is None else OrderType.LIMIT, qty=Decimal(qty),
                limit_price=limit, session_id="s1", mode=TradingMode.PAPER,
                position_id=position_id, strategy="vwap", leverage=D(leverage),
                reserve_price=None if reserve is None else D(reserve),
            )
        )  # fmt: skip
        self.tell(*told)

    def sent(self, order_id: str) -> None:
        self.orders[order_id].state = OrderState.SUBMITTED
        self.tell(ev.OrderSent(client_order_id=order_id, state=OrderState.SUBMITTED))

    def acknowledged(self, order_id: str) -> None:
        order = self.orders[order_id]
        guard = "something_filled" if order.filled else "nothing_filled"
        order.state = OrderState(TABLE.next(order_id, order.state, OrderTrigger.ACCEPTED, guard))
        self.tell(
            ev.OrderAcknowledged(
                client_order_id=order_id, position_id=order.position_id, state=order.state,
                venue_order_id=f"V-{order_id}",
            )
        )  # fmt: skip

    def working(self, order_id: str, side: Side, qty: str | Decimal, **more: Any) -> None:
        """Intended, sent and acknowledged."""
        self.intend(order_id, side, qty, **more)
        self.sent(order_id)
        self.acknowledged(order_id)

    def moved(self, order_id: str, trigger: OrderTrigger, guard: str | None = None) -> None:
        order = self.orders[order_id]
        order.state = OrderState(TABLE.next(order_id, order.state, trigger, guard))
        self.tell(
            ev.OrderMoved(
                client_order_id=order_id, position_id=order.position_id, trigger=trigger,
                state=order.state, reason="as the story goes",
            )
        )  # fmt: skip

    def fill(
        self, order_id: str, qty: str | Decimal, price: str | Decimal | None = "1.3", *,
        fee: str = "0", fee_asset: str | None = None, status: FillStatus = FillStatus.SETTLED,
    ) -> str:  # fmt: skip
        """One execution with its position change, in one turn; returns the trade's id."""
        order, self.trades = self.orders[order_id], self.trades + 1
        amount, at = Decimal(qty), None if price is None else Decimal(price)
        was_live = order.state not in TERMINAL
        guard = fill_guard(order.qty - order.filled, amount)
        order.state = OrderState(TABLE.next(order_id, order.state, OrderTrigger.FILL, guard))
        order.filled += amount
        order.value += amount * (at or ZERO)
        order.fees += D(fee)
        event = ev.OrderFilled(
            client_order_id=order_id, position_id=order.position_id, trade_id=f"T{self.trades}",
            instrument=order.instrument.name, side=order.side, role=order.role, qty=amount,
            price=at, fee=D(fee), fee_asset=fee_asset or order.instrument.quote, status=status,
            liquidity=Liquidity.TAKER, venue_us=NOW_US, session_id="s1", state=order.state,
            filled_qty=order.filled, avg_price=divide(order.value, order.filled),
            fees=order.fees, late=not was_live, overfill=order.filled > order.qty,
            slippage_quote=None if at is None or order.intended is None
            else order.side.sign * (at - order.intended) * amount,
        )  # fmt: skip
        order.trades[event.trade_id] = event
        self.tell(event, self._changed(order, event, order.side.sign * amount, at, D(fee)))
        return event.trade_id

    def void(self, order_id: str, trade_id: str) -> None:
        """A fill is taken back."""
        order = self.orders[order_id]
        fill = order.trades.pop(trade_id)
        order.filled -= fill.qty
        order.value -= fill.qty * (fill.price or ZERO)
        order.fees -= fill.fee
        guard = "something_left" if order.filled > 0 else "nothing_left"
        order.state = OrderState(TABLE.next(order_id, order.state, OrderTrigger.FILL_VOIDED, guard))
        event = ev.OrderFillVoided(
            client_order_id=order_id, position_id=order.position_id, trade_id=trade_id,
            instrument=fill.instrument, side=fill.side, qty=fill.qty, price=fill.price,
            fee=fill.fee, fee_asset=fill.fee_asset, state=order.state, filled_qty=order.filled,
            avg_price=divide(order.value, order.filled) if order.filled else None, fees=order.fees,
            slippage_quote=fill.slippage_quote,
        )  # fmt: skip
        self.tell(
            event, self._changed(order, event, -fill.side.sign * fill.qty, fill.price, -fill.fee)
        )

    def _changed(
        self, order: _Order, event: ev.OrderFilled | ev.OrderFillVoided, delta: Decimal,
        price: Decimal | None, fee: Decimal,
    ) -> ev.PositionChanged:  # fmt: skip
        position = self.positions[order.position_id]
        before = position.holding
        step = apply_fill(before, delta, price)
        position.holding = step.holding
        fee_quote = fee if event.fee_asset == order.instrument.quote else fee * (price or ZERO)
        position.realized += step.realized
        position.fees += fee_quote
        moved = event.qty if isinstance(event, ev.OrderFilled) else -event.qty
        if order.role is OrderRole.EXIT:
            position.exit_qty += moved
        else:
            position.entry_qty += moved
        live = any(
            o.position_id == order.position_id and o.state not in TERMINAL
            for o in self.orders.values()
        )
        flat = step.holding.qty == 0
        if not flat:
            position.state = PositionState.MONITORING
        elif not live:
            position.state = PositionState.CLOSED
        return ev.PositionChanged(
            position_id=order.position_id, instrument=order.instrument.name, cause="entry_fill",
            client_order_id=event.client_order_id, trade_id=event.trade_id, state=position.state,
            qty_delta=delta, price=price, fee_quote=fee_quote, qty=step.holding.qty,
            entry_qty=position.entry_qty, exit_qty=position.exit_qty,
            basis_price=step.holding.basis, basis_before=before.basis, realized_delta=step.realized,
            realized_pnl=position.realized, fees=position.fees,
            pnl_source=PnlSource.KERNEL_ESTIMATE, stop=D("0.5"),
        )  # fmt: skip

    def entries_dead(self, position_id: str) -> None:
        self.positions[position_id].state = PositionState.CLOSED
        self.tell(
            ev.PositionMoved(
                position_id=position_id, trigger=PositionTrigger.ENTRIES_DEAD,
                state=PositionState.CLOSED,
            )
        )  # fmt: skip

    @property
    def events(self) -> list[ev.Event]:
        """Everything told, in order."""
        return [event for turn in self.turns for event in turn]


def long_story() -> Story:
    """A bit of everything that a session sees."""
    s = Story.begun()
    s.signal("g1")
    s.working("A", Side.BUY, "10", price="1.30")
    s.fill("A", "4", "1.29", fee="0.01")
    s.fill("A", "6", "1.30", fee="0.02", fee_asset="XRP", status=FillStatus.PROVISIONAL)
    s.tell(ev.OrderFillSettled(client_order_id="A", position_id="p/A", trade_id="T2",
                               realized_pnl=None, fee=None))  # fmt: skip
    s.working("B", Side.SELL, "10", price="1.40", position_id="p/A", role=OrderRole.EXIT)
    s.moved("B", OrderTrigger.CANCEL_REQUESTED)
    s.moved("B", OrderTrigger.CANCEL_REFUSED)
    s.fill("B", "10", "1.41", fee="0.03")
    s.working("C", Side.BUY, "5", price="1.2")
    taken_back = s.fill("C", "2", "1.2", status=FillStatus.PROVISIONAL)
    s.moved("C", OrderTrigger.ENGINE_CANCEL)
    s.void("C", taken_back)
    s.moved("C", OrderTrigger.CANCELED)
    s.working("E", Side.SELL, "100", price="0.1878", instrument=PERP, leverage="3")
    s.fill("E", "60", "0.1878", fee="0.02")
    s.fill("E", "40", "0.1880", fee="0.02")
    s.tell(ev.FundingBooked(instrument=PERP.name, asset="USDT", amount=D("-0.5"), funding_id="f1"))
    s.working("F", Side.BUY, "100", price=None, position_id="p/E", role=OrderRole.EXIT,
              instrument=PERP)  # fmt: skip
    s.fill("F", "100", "0.1866", fee="0.04")
    s.working("G", Side.BUY, "1", price="1.1")
    s.moved("G", OrderTrigger.EXPIRED)
    s.entries_dead("p/G")
    s.intend("H", Side.BUY, "1")
    s.moved("H", OrderTrigger.OUTCOME_UNKNOWN)
    s.moved("H", OrderTrigger.HELD)
    s.tell(
        ev.AnomalyRecorded(kind="held_pending_review", seen="nothing", done="held",
                           client_order_id="H"),
        ev.BooksCompared(status="ok", deltas={"XRP": "0"}),
        ev.FeedGapRecorded(instrument=SPOT.name, from_us=NOW_US, to_us=NOW_US + 9, reason="shed"),
    )  # fmt: skip
    s.tell(
        ev.AccountSnapshotTaken(
            session_id="s1", reason="session_end", capital=D(1), capital_source="seed",
            realized_pnl=ZERO, fees_paid=ZERO, balances={"XRP": D("50")}, reserved={},
        )
    )  # fmt: skip
    s.end()
    return s


def batches(turns: Iterable[Iterable[ev.Event]], seq: int = 0, turn: int = 0) -> list[TurnBatch]:
    """Turns as the dispatcher hands them over, after the given seq and turn."""
    out = []
    for told in turns:
        events = tuple(told)
        turn += 1
        numbered = list(enumerate(events, seq + 1))
        keys = [(key, at) for at, event in numbered if (key := dedup_key(event))]
        identities = [
            (e.venue_order_id, e.client_order_id, at)
            for at, e in numbered
            if isinstance(e, ev.OrderAcknowledged) and e.venue_order_id is not None
        ]
        out.append(
            TurnBatch(
                turn=turn, first_seq=seq + 1, at_us=NOW_US + turn * 1000, events=events,
                payloads=tuple(encode(event) for event in events), dedup_keys=tuple(keys),
                identities=tuple(identities),
            )
        )  # fmt: skip
        seq += len(events)
    return out


def dedup_key(event: ev.Event) -> str | None:
    """The key of a venue fact, as orders make them."""
    if isinstance(event, ev.OrderFilled):
        order = f"{event.instrument}|{event.client_order_id}"
        return f"sim|main|{order}|fill|{event.trade_id}|{event.status}"
    if isinstance(event, ev.OrderFillVoided):
        return f"voided|{event.client_order_id}|{event.trade_id}"
    return None


def write(writer: JournalWriter, turns: Iterable[Iterable[ev.Event]]) -> None:
    """Commit turns, one transaction each, behind what the writer holds."""
    for batch in batches(turns, writer.head.seq, writer.head.turn):
        writer.commit([batch])

"""The matching engine: what a submit, a cancel, a quote or a trade does to orders and funds.

Responsible for the venue's truth as it changes; not for latency (venue.py) nor for where it is
kept (store.py). Everything is synchronous and takes its time from `now_us`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from actors.venues.sim.admission import Plan, admit
from actors.venues.sim.book import Book
from actors.venues.sim.funds import Funds
from actors.venues.sim.orders import (
    CANCELED,
    EXPIRED,
    FILLED,
    OPEN,
    REJECTED,
    SimOrder,
    refusal,
)
from actors.venues.sim.settings import MONEY_STEP, SimSettings
from actors.venues.sim.store import DUPLICATES, TRANSFER, Store, VenueState
from fsm.facts import (
    CancelRefused,
    FundingPaid,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFill,
    OrderRejected,
    VenueMessage,
)
from fsm.instrument import Instrument
from fsm.market import MarketTrade, Tick
from fsm.money import ZERO, divide
from fsm.requests import Cancel, Submit
from fsm.vocabulary import Liquidity, OrderType, Side, TimeInForce


class Exchange:
    """Books, funds and open orders of one account. Messages go to `emit` in order."""

    def __init__(
        self,
        instruments: Iterable[Instrument],
        balances: Mapping[str, Decimal],
        settings: SimSettings,
        store: Store,
        emit: Callable[[VenueMessage], None],
    ) -> None:
        self.books = {instrument.name: Book(instrument) for instrument in instruments}
        self.settings = settings
        self.store = store
        self.emit = emit
        self.open: dict[str, SimOrder] = {}
        self.maker_rate = settings.maker_rate
        self.taker_rate = settings.taker_rate
        self.worst_rate = settings.worst_rate
        earlier = store.restore()
        state = earlier or VenueState(balances=dict(balances))
        self.now_us = state.now_us
        self.order_number = state.order_number
        self.trade_number = state.trade_number
        self.funding_number = state.funding_number
        self.counters = state.counters
        self.funds = Funds(state.balances)
        #: Something is to be written before the next answer leaves; a first life at once.
        self.dirty = earlier is None
        self._resume(state)

    def _resume(self, state: VenueState) -> None:
        for name, position in state.positions.items():
            self.funds.positions[name] = position
            self.funds.hold_margin(self._book_of(name).instrument, position)
        for order in state.orders:
            book = self._book_of(order.instrument)
            self.open[order.client_order_id] = order
            book.insert(order)
            self._reserve(order, book.instrument)

    def _book_of(self, name: str) -> Book:
        book = self.books.get(name)
        if book is None:
            raise ValueError(f"the venue's truth holds {name!r}, which is not an instrument here")
        return book

    def state(self) -> VenueState:
        """The state as a store keeps it; orders are kept one by one and not repeated here."""
        return VenueState(
            balances=self.funds.totals,
            positions=self.funds.positions,
            order_number=self.order_number,
            trade_number=self.trade_number,
            funding_number=self.funding_number,
            now_us=self.now_us,
            counters=self.counters,
        )

    # ---------------------------------------------------------------------------- requests

    def transfer(self, ref: str, amounts: Mapping[str, Decimal]) -> bool:
        """Somebody moved funds in or out; each `ref` counts once. False when it has.

        Raises ValueError when more is taken than is free.
        """
        if self.counters.get(TRANSFER + ref):
            return False
        for asset, amount in amounts.items():
            if self.funds.free(asset) + amount < 0:
                raise ValueError(f"the venue has {self.funds.free(asset)} {asset} free")
        for asset, amount in amounts.items():
            self.funds.move(asset, amount)
        self.counters[TRANSFER + ref] = 1
        self.dirty = True
        return True

    def take_back(self, ref: str, amounts: Mapping[str, Decimal]) -> bool:
        """The transfer never was: the same `ref` may come again. False when it was not there."""
        if not self.counters.get(TRANSFER + ref):
            return False
        for asset, amount in amounts.items():
            self.funds.move(asset, -amount)
        self.counters[TRANSFER + ref] = 0
        self.dirty = True
        return True

    def submit(self, submit: Submit) -> None:
        """Accept and match, or reject for good. A client id is good for one submit, ever."""
        self.dirty = True
        known = self.find(submit.client_order_id)
        if known is not None:
            known.submits += 1
            self.counters[DUPLICATES] = self.counters.get(DUPLICATES, 0) + 1
            self.store.save_order(known)
            self.emit(
                OrderRejected(
                    client_order_id=submit.client_order_id,
                    reason="duplicate client_order_id",
                    venue_us=self.now_us,
                )
            )
            return
        self.order_number += 1
        order = SimOrder(
            client_order_id=submit.client_order_id,
            number=self.order_number,
            instrument=submit.instrument,
            side=submit.side,
            type=submit.type,
            qty=submit.qty,
            limit_price=submit.limit_price if submit.type is OrderType.LIMIT else None,
            reduce_only=submit.reduce_only,
            leverage=submit.leverage,
            created_us=self.now_us,
            target=submit.qty,
        )
        book = self.books.get(submit.instrument)
        reason = refusal(submit, book.instrument if book else None)
        plan: Plan = []
        if reason is None:
            assert book is not None
            reason, plan = admit(order, submit.post_only, book, self.funds, self.settings)
        if reason is not None:
            order.state, order.reason = REJECTED, reason
            self.store.save_order(order)
            self.emit(
                OrderRejected(
                    client_order_id=order.client_order_id,
                    venue_order_id=order.venue_order_id,
                    reason=reason,
                    venue_us=self.now_us,
                )
            )
            return
        assert book is not None
        self._place(order, submit.time_in_force, plan, book)

    def cancel(self, cancel: Cancel) -> None:
        """Take an open order off the book, or say why not."""
        order = self.find(cancel.client_order_id, cancel.venue_order_id)
        if order is not None and cancel.venue_order_id not in (None, order.venue_order_id):
            order = None
        if order is None or order.state != OPEN:
            known = {FILLED: "filled", CANCELED: "already canceled", EXPIRED: "already expired"}
            self.emit(
                CancelRefused(
                    client_order_id=cancel.client_order_id,
                    venue_order_id=order.venue_order_id if order else cancel.venue_order_id,
                    reason=known.get(order.state, "unknown order") if order else "unknown order",
                    venue_us=self.now_us,
                )
            )
            return
        self.dirty = True
        self._leave(order, CANCELED, "canceled by the client")
        self.emit(
            OrderCanceled(
                client_order_id=order.client_order_id,
                venue_order_id=order.venue_order_id,
                venue_us=self.now_us,
            )
        )

    def find(self, client_order_id: str, venue_order_id: str | None = None) -> SimOrder | None:
        """An order by its client id, in whatever state; else an open one by the venue's id, as
        whoever did not place it knows it."""
        order = self.open.get(client_order_id) or self.store.find(client_order_id)
        if order is None and venue_order_id is not None:
            by_venue = (o for o in self.open.values() if o.venue_order_id == venue_order_id)
            order = next(by_venue, None)
        return order

    def _place(self, order: SimOrder, time_in_force: TimeInForce, plan: Plan, book: Book) -> None:
        self.emit(
            OrderAccepted(
                client_order_id=order.client_order_id,
                venue_order_id=order.venue_order_id,
                venue_us=self.now_us,
            )
        )
        for price, qty in plan:
            if self.settings.partial_fill:
                book.take(order.side, qty)
            self._execute(order, price, qty, Liquidity.TAKER, book)
        if order.state == OPEN:
            if order.limit_price is None or time_in_force is TimeInForce.IOC:
                self._expire(order, "nothing more to take")
            else:
                book.rest(order)
                self.open[order.client_order_id] = order
                self._reserve(order, book.instrument)
        self.store.save_order(order)

    # ---------------------------------------------------------------------------- matching

    def on_tick(self, tick: Tick) -> None:
        """A new quote: our resting orders that it crosses are filled at their own price."""
        book = self.books.get(tick.instrument)
        if book is None:
            return
        book.quote(tick)
        if not book.bids and not book.asks:
            return
        for side in (Side.BUY, Side.SELL):
            while (order := book.best(side)) is not None:
                price = order.limit_price
                assert price is not None
                if not book.crosses(side, price):
                    break
                qty = self._fillable(order, book)
                if self.settings.partial_fill:
                    displayed = book.displayed(side)
                    qty = qty if displayed is None else min(qty, displayed)
                if qty <= 0:
                    break
                if self.settings.partial_fill:
                    book.take(side, qty)
                self._execute(order, price, qty, Liquidity.MAKER, book)

    def on_trade(self, trade: MarketTrade) -> None:
        """A public trade fills resting orders that it went through, or whose turn it was."""
        book = self.books.get(trade.instrument)
        if book is None:
            return
        left = trade.qty
        for side in (Side.BUY, Side.SELL):
            # A seller's trade hits bids, a buyer's lifts asks; of unknown side, both may be hit.
            if trade.side is not side and left > 0:
                left = self._hit(book, side, trade.price, left)

    def _hit(self, book: Book, side: Side, price: Decimal, left: Decimal) -> Decimal:
        reached = []
        for _, _, order in book.resting(side):
            limit = order.limit_price
            assert limit is not None
            if limit < price if side is Side.BUY else limit > price:
                break
            reached.append((limit, order))
        sized = self.settings.partial_fill
        at_price, ours = left, ZERO
        for limit, order in reached:
            if order.state != OPEN:
                continue  # a reduce-only order that an earlier fill of this trade made void
            if limit != price:  # through: what printed must have met our better price first
                room = left
                order.queue_ahead = ZERO
            else:
                room = min(left, at_price - order.queue_ahead - ours)
                order.queue_ahead = max(ZERO, order.queue_ahead - at_price)
                self._touched(order)
            qty = self._fillable(order, book)
            qty = min(qty, room) if sized or room <= 0 else qty
            if qty <= 0:
                continue
            self._execute(order, limit, qty, Liquidity.MAKER, book)
            left -= min(qty, left)
            if limit != price:
                at_price = left
            else:
                ours += qty
        return left

    def _fillable(self, order: SimOrder, book: Book) -> Decimal:
        if order.reduce_only and book.instrument.is_margined:
            return min(order.rest, self.funds.closable(order.instrument, order.side))
        return order.rest

    def _execute(
        self, order: SimOrder, price: Decimal, qty: Decimal, liquidity: Liquidity, book: Book
    ) -> None:
        """Book one fill: funds, order, record and message; all or nothing, so assert first."""
        assert order.state == OPEN, order
        assert ZERO < qty <= order.rest, (order, qty)
        self.dirty = True
        instrument = book.instrument
        maker = liquidity is Liquidity.MAKER
        rate = self.maker_rate if maker else self.taker_rate
        fee = (qty * price * rate).quantize(MONEY_STEP).normalize() if rate else ZERO
        realized: Decimal | None = None
        if instrument.is_margined:
            realized = self.funds.book_perpetual(instrument, order, price, qty, fee)
        else:
            self.funds.book_spot(instrument, order.side, price, qty, fee)
        order.filled_qty += qty
        order.closing = max(ZERO, order.closing - qty)
        self.trade_number += 1
        fill = OrderFill(
            trade_id=f"T{self.trade_number:06d}",
            qty=qty,
            price=price,
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            instrument=order.instrument,
            side=order.side,
            fee=fee,
            fee_asset=instrument.quote,
            liquidity=liquidity,
            order_price=order.limit_price,
            realized_pnl=realized,
            venue_us=self.now_us,
        )
        self.store.save_fill(self.trade_number, fill)
        self.emit(fill)
        if order.filled_qty == order.qty:
            self._leave(order, FILLED, "")
        elif not order.rest:
            self._expire(order, "reduce only: capped to what there was to reduce")
        elif maker:
            self._reserve(order, instrument)
            self._touched(order)
        if book.reduce_only and instrument.is_margined:
            self._drop_void_reductions(book)

    def _touched(self, order: SimOrder) -> None:
        self.dirty = True
        self.store.save_order(order)

    def _drop_void_reductions(self, book: Book) -> None:
        """A resting reduce-only order ends when there is nothing left that it could reduce."""
        for order in list(book.reduce_only.values()):
            if not self.funds.closable(order.instrument, order.side):
                self._expire(order, "reduce only: nothing left to reduce")

    def _expire(self, order: SimOrder, reason: str) -> None:
        self._leave(order, EXPIRED, reason)
        self.emit(
            OrderExpired(
                client_order_id=order.client_order_id,
                venue_order_id=order.venue_order_id,
                reason=reason,
                venue_us=self.now_us,
            )
        )

    def _leave(self, order: SimOrder, state: str, reason: str) -> None:
        """End an order, and set its funds free if it was resting."""
        order.state, order.reason = state, reason
        if self.open.pop(order.client_order_id, None) is not None:
            book = self.books[order.instrument]
            book.remove(order)
            self._reserve(order, book.instrument)
            self.store.save_order(order)

    def _reserve(self, order: SimOrder, instrument: Instrument) -> None:
        """Hold what the rest of a resting order may cost at its limit, fee included."""
        price, rest = order.limit_price, order.rest
        assert price is not None
        if order.state != OPEN:
            rest = ZERO
        if instrument.is_margined:
            opening = max(ZERO, rest - order.closing)
            amount = divide(opening * price, order.leverage) + opening * price * self.worst_rate
        elif order.side is Side.BUY:
            amount = rest * price * (1 + self.worst_rate)
        else:
            self.funds.reserve(order, instrument.base, rest)
            return
        self.funds.reserve(order, instrument.quote, amount.quantize(MONEY_STEP))

    # ----------------------------------------------------------------------------- funding

    def apply_funding(self, name: str, rate: Decimal) -> None:
        """Longs pay `rate` of their notional at mid to shorts (a negative rate: receive).

        Raises ValueError when the instrument is not margined, or without any market to price it.
        """
        book = self._book_of(name)
        if not book.instrument.is_margined:
            raise ValueError(f"{name} is not margined: there is no funding on it")
        position = self.funds.positions.get(name)
        if position is None or not position.qty:
            return
        mark = book.mid()
        if mark is None:
            raise ValueError(f"no market for {name}: its position has no price for funding")
        self.dirty = True
        amount = (-position.qty * mark * rate).quantize(MONEY_STEP).normalize()
        self.funds.move(book.instrument.quote, amount)
        self.funding_number += 1
        paid = FundingPaid(
            instrument=name,
            amount=amount,
            funding_id=f"F{self.funding_number:06d}",
            venue_us=self.now_us,
        )
        self.store.save_funding(self.funding_number, paid)
        self.emit(paid)

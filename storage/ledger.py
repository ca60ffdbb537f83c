"""The account as the fold of the journal: balances, reserved funds, realized PnL, fees, margin.

The one place where money is summed (L7). Spot fills move base and quote; a perpetual's fill moves
its wallet by realized PnL and fee only, and its position costs margin. Opening capital is an event
like any other (X12); nothing here reads a clock, a venue or a table.

Reserved funds, margin and open notional are running totals: each event moves them by the exact
difference that it makes, so that neither an event nor a read costs more with more orders. The
running sums are kept without rounding and rounded once, when they are read.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

from attrs import define, field, frozen

from fsm import events as ev
from fsm.instrument import Instrument
from fsm.money import DIVISION, ONE, ZERO, divide
from fsm.order import TERMINAL
from fsm.pnl import Holding, apply_fill
from fsm.position import ENDED
from fsm.vocabulary import OrderRole, Side

#: What is added here is taken away again later; enough digits that nothing is lost in between.
_EXACT = Context(prec=200)
#: Causes of a position's change that no order of ours stands behind.
AT_VENUE = frozenset({"manual_trade", "liquidation", "adl"})


@frozen(slots=True)
class Balance:
    """One asset: what is there, what open orders hold back, and the difference."""

    total: Decimal
    reserved: Decimal

    @property
    def free(self) -> Decimal:
        """What a new order may use."""
        return self.total - self.reserved


@frozen(slots=True, kw_only=True)
class AccountView:
    """The published account: frozen, swapped by one reference."""

    capital: Decimal
    capital_source: str
    realized_pnl: Decimal
    fees_paid: Decimal
    event_seq: int
    balances: dict[str, Balance]
    wac: dict[str, Decimal]
    margin_used: Decimal
    open_notional: Decimal


@define(slots=True)
class Reserve:
    """What one live order holds back: its rest at the price by which funds are reserved."""

    asset: str
    price: Decimal
    rest: Decimal

    @property
    def amount(self) -> Decimal:
        return _EXACT.multiply(self.rest, self.price) if self.rest > 0 else ZERO


@define(slots=True)
class Exposure:
    """What one open position has in the market, quote units."""

    notional: Decimal
    margin: Decimal


@define(slots=True)
class Ledger:
    """The account's state; `apply` is the fold. A function of the events alone."""

    seq: int = 0
    instruments: dict[str, Instrument] = field(factory=dict)
    totals: dict[str, Decimal] = field(factory=dict)
    seed: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees_paid: Decimal = ZERO
    funding: Decimal = ZERO
    session_realized: Decimal = ZERO
    session_fees: Decimal = ZERO
    wac: dict[str, tuple[Decimal, Decimal]] = field(factory=dict)
    oversold: dict[str, Decimal] = field(factory=dict)
    """Sold since the last buy beyond what was bought here: it took nothing off `wac`."""
    reserves: dict[str, Reserve] = field(factory=dict)
    exposures: dict[str, Exposure] = field(factory=dict)
    leverages: dict[str, Decimal] = field(factory=dict)
    nets: dict[str, Holding] = field(factory=dict)
    reserved: dict[str, Decimal] = field(factory=dict)
    margin: Decimal = ZERO
    notional: Decimal = ZERO
    resolved: dict[str, Decimal] = field(factory=dict)
    """What a unit of an instrument that was settled for good paid, quote units."""

    def apply(self, event: ev.Event, seq: int) -> None:
        """Fold one event in."""
        self.seq = seq
        handler = _FOLDS.get(type(event))
        if handler is not None:
            handler(self, event)

    # ---------------------------------------------------------------------------- what it says

    def balance(self, asset: str) -> Balance:
        """One asset's total and reserved; zero for an asset never seen."""
        reserved = self.reserved.get(asset)
        held = ZERO if reserved is None else DIVISION.plus(reserved)
        return Balance(self.totals.get(asset, ZERO), held)

    @property
    def margin_used(self) -> Decimal:
        """Initial margin of the open perpetual positions, quote units."""
        return DIVISION.plus(self.margin)

    @property
    def open_notional(self) -> Decimal:
        """Open quantity at basis, over all positions that a strategy opened, quote units."""
        return DIVISION.plus(self.notional)

    @property
    def capital(self) -> Decimal:
        """Opening capital plus realized PnL and funding minus fees, quote units."""
        return self.seed + self.realized_pnl + self.funding - self.fees_paid

    def net(self, instrument: str) -> Holding:
        """What a margin venue sees of an instrument: all positions netted, at average cost."""
        return self.nets.get(instrument, Holding())

    def view(self) -> AccountView:
        """The account as published."""
        assets = sorted(self.totals.keys() | self.reserved.keys())
        return AccountView(
            capital=self.capital,
            capital_source="seed"
            if self.realized_pnl == 0 and self.fees_paid == 0
            else "k_bridged",
            realized_pnl=self.realized_pnl,
            fees_paid=self.fees_paid,
            event_seq=self.seq,
            balances={asset: self.balance(asset) for asset in assets},
            wac={asset: price for asset, (qty, price) in self.wac.items() if qty > 0},
            margin_used=self.margin_used,
            open_notional=self.open_notional,
        )

    # --------------------------------------------------------------------------------- the folds

    def _move(self, asset: str, delta: Decimal) -> None:
        self.totals[asset] = self.totals.get(asset, ZERO) + delta

    def _session_started(self, event: ev.SessionStarted) -> None:
        self.instruments |= {instrument.name: instrument for instrument in event.instruments}
        self.session_realized = self.session_fees = ZERO

    def _capital(self, event: ev.CapitalRecorded) -> None:
        self._move(event.asset, event.amount)
        quotes = {instrument.quote for instrument in self.instruments.values()}
        if event.asset in quotes or not quotes:
            self.seed += event.amount
        elif event.price is not None:
            self.seed += event.amount * event.price

    def _funding(self, event: ev.FundingBooked) -> None:
        self._move(event.asset, event.amount)
        self.funding += event.amount

    def _instrument_settled(self, event: ev.InstrumentSettled) -> None:
        """Everything of it becomes cash, in a position or not; realized PnL is the positions'."""
        self.resolved[event.instrument] = event.payout
        self._move(event.asset, event.cash)
        instrument = self.instruments.get(event.instrument)
        if instrument is None:
            return
        if instrument.is_margined:
            self.nets.pop(instrument.name, None)
            return
        self._move(instrument.base, -event.qty)
        self.wac.pop(instrument.base, None)
        self.oversold.pop(instrument.base, None)

    def _intended(self, event: ev.OrderIntended) -> None:
        instrument = self.instruments.get(event.instrument)
        if instrument is None:
            return
        price = event.limit_price if event.limit_price is not None else event.reserve_price
        if instrument.is_margined:
            if event.role is OrderRole.EXIT or event.reduce_only or price is None:
                return
            a_unit = price if event.leverage == ONE else divide(price, event.leverage)
            reserve = Reserve(instrument.quote, a_unit, event.qty)
        elif event.side is Side.BUY:
            reserve = Reserve(instrument.quote, price or ZERO, event.qty)
        else:
            reserve = Reserve(instrument.base, ONE, event.qty)
        self._release(event.client_order_id)
        self.reserves[event.client_order_id] = reserve
        self._hold(reserve.asset, reserve.amount)

    def _hold(self, asset: str, delta: Decimal) -> None:
        held = _EXACT.add(self.reserved.get(asset, ZERO), delta)
        if held == 0:
            self.reserved.pop(asset, None)
        else:
            self.reserved[asset] = held

    def _release(self, client_order_id: str) -> None:
        reserve = self.reserves.pop(client_order_id, None)
        if reserve is not None:
            self._hold(reserve.asset, _EXACT.minus(reserve.amount))

    def _move_rest(self, client_order_id: str, delta: Decimal) -> None:
        reserve = self.reserves.get(client_order_id)
        if reserve is not None:
            before = reserve.amount
            reserve.rest += delta
            self._hold(reserve.asset, _EXACT.subtract(reserve.amount, before))

    def _release_on_end(self, event: ev.OrderMoved) -> None:
        if event.state in TERMINAL:
            self._release(event.client_order_id)

    def _filled(self, event: ev.OrderFilled) -> None:
        if event.state in TERMINAL:
            self._release(event.client_order_id)
        else:
            self._move_rest(event.client_order_id, -event.qty)
        self._cash(event, event.qty, event.fee)
        self._average_cost(event, event.side.sign * event.qty)

    def _voided(self, event: ev.OrderFillVoided) -> None:
        if event.state in TERMINAL:
            self._release(event.client_order_id)
        else:
            self._move_rest(event.client_order_id, event.qty)
        self._cash(event, -event.qty, -event.fee)
        self._reverse_average_cost(event)

    def _cash(self, event: ev.OrderFilled | ev.OrderFillVoided, qty: Decimal, fee: Decimal) -> None:
        instrument = self.instruments.get(event.instrument)
        if instrument is None:
            return
        if event.fee_asset is not None and fee != 0:
            self._move(event.fee_asset, -fee)
        signed = event.side.sign * qty
        if instrument.is_margined:
            self._net(instrument, signed, event.price)
            return
        self._move(instrument.base, signed)
        if event.price is not None:
            self._move(instrument.quote, -signed * event.price)

    def _net(self, instrument: Instrument, signed: Decimal, price: Decimal | None) -> None:
        """A margin venue nets all fills of an instrument and pays what *that* realizes, at its
        average cost: the wallet follows it, while each position keeps its own basis and PnL. Both
        sums agree whenever nothing is open."""
        step = apply_fill(self.net(instrument.name), signed, price)
        self.nets[instrument.name] = step.holding
        self._move(instrument.quote, step.realized)

    def _average_cost(self, event: ev.OrderFilled, signed: Decimal) -> None:
        """A buy moves the average; a sale leaves it as it is, also when nothing is left."""
        instrument = self.instruments.get(event.instrument)
        if instrument is None or instrument.is_margined or event.price is None:
            return
        qty, average = self.wac.get(instrument.base, (ZERO, ZERO))
        after = qty + signed
        if signed > 0:
            average = divide(qty * average + signed * event.price, after)
            self.oversold.pop(instrument.base, None)
        elif instrument.base not in self.wac:
            return  # sold out of what was there before any fill: no cost is known
        if after < 0:
            self.oversold[instrument.base] = self.oversold.get(instrument.base, ZERO) - after
        self.wac[instrument.base] = (max(after, ZERO), average)

    def _reverse_average_cost(self, event: ev.OrderFillVoided) -> None:
        """A voided buy leaves the average; a voided sale comes back at the average it left at."""
        instrument = self.instruments.get(event.instrument)
        if instrument is None or instrument.is_margined or event.price is None:
            return
        if instrument.base not in self.wac:
            return
        qty, average = self.wac[instrument.base]
        if event.side is Side.SELL:
            beyond = min(self.oversold.get(instrument.base, ZERO), event.qty)
            if beyond:
                self.oversold[instrument.base] -= beyond
            self.wac[instrument.base] = (qty + event.qty - beyond, average)
            return
        after = qty - event.qty
        if after <= 0:
            del self.wac[instrument.base]
            return
        left = divide(qty * average - event.qty * event.price, after)
        self.wac[instrument.base] = (after, left if left > 0 else average)

    def _opened(self, event: ev.PositionOpened) -> None:
        self.leverages[event.position_id] = event.leverage

    def _position(self, event: ev.PositionChanged) -> None:
        instrument = self.instruments.get(event.instrument)
        self.realized_pnl += event.realized_delta
        self.fees_paid += event.fee_quote
        self.session_realized += event.realized_delta
        self.session_fees += event.fee_quote
        if instrument is not None and instrument.is_margined and event.cause == "settlement":
            self._move(
                instrument.quote, event.realized_delta
            )  # its fill came without a price (P01)
        if instrument is not None and event.cause in AT_VENUE:
            self._traded_away(instrument, event.qty_delta, event.price)
        if instrument is not None and event.client_order_id is None and event.fee_quote:
            self._move(instrument.quote, -event.fee_quote)  # no order's fill has taken it
        self._expose(event, margined=instrument is not None and instrument.is_margined)

    def _traded_away(self, instrument: Instrument, delta: Decimal, price: Decimal | None) -> None:
        """Somebody traded at the venue (X17): the quantity is evident. What it brought is booked
        where the venue told the price, else left for the comparison with the wallet to show."""
        if instrument.is_margined:
            self._net(instrument, delta, price)
            return
        self._move(instrument.base, delta)
        if price is not None:
            self._move(instrument.quote, -delta * price)
        if instrument.base in self.wac:
            qty, average = self.wac[instrument.base]
            self.wac[instrument.base] = (max(qty + delta, ZERO), average)

    def _expose(self, event: ev.PositionChanged, *, margined: bool) -> None:
        if event.state in ENDED:
            self._forget(event.position_id)
            return
        self._unexpose(event.position_id)
        if event.qty == 0 or event.basis_price is None:
            return
        notional = _EXACT.multiply(_EXACT.abs(event.qty), event.basis_price)
        # A position that was over and is open again has lost its leverage: 1 asks for the most.
        leverage = self.leverages.get(event.position_id, ONE)
        margin = divide(notional, leverage) if margined else ZERO
        self.exposures[event.position_id] = Exposure(notional, margin)
        self.notional = _EXACT.add(self.notional, notional)
        self.margin = _EXACT.add(self.margin, margin)

    def _unexpose(self, position_id: str) -> None:
        exposure = self.exposures.pop(position_id, None)
        if exposure is not None:
            self.notional = _EXACT.subtract(self.notional, exposure.notional)
            self.margin = _EXACT.subtract(self.margin, exposure.margin)

    def _forget(self, position_id: str) -> None:
        self._unexpose(position_id)
        self.leverages.pop(position_id, None)

    def _position_moved(self, event: ev.PositionMoved) -> None:
        if event.state in ENDED:
            self._forget(event.position_id)

    # ---------------------------------------------------------------------------------- checking

    def recomputed(self) -> dict[str, Decimal]:
        """The running totals summed anew from what they stand for; `verify` and tests compare."""
        sums: dict[str, Decimal] = {}
        for reserve in self.reserves.values():
            key = f"reserved {reserve.asset}"
            sums[key] = _EXACT.add(sums.get(key, ZERO), reserve.amount)
        for name in ("margin", "notional"):
            sums[name] = ZERO
            for exposure in self.exposures.values():
                sums[name] = _EXACT.add(sums[name], getattr(exposure, name))
        return {key: value for key, value in sums.items() if value}

    def running(self) -> dict[str, Decimal]:
        """The running totals as they are kept, named as in `recomputed`."""
        sums = {f"reserved {asset}": held for asset, held in self.reserved.items()}
        sums |= {"margin": self.margin, "notional": self.notional}
        return {key: value for key, value in sums.items() if value}


_FOLDS: dict[type, Callable[[Ledger, Any], None]] = {
    ev.SessionStarted: Ledger._session_started,
    ev.CapitalRecorded: Ledger._capital,
    ev.FundingBooked: Ledger._funding,
    ev.InstrumentSettled: Ledger._instrument_settled,
    ev.OrderIntended: Ledger._intended,
    ev.OrderMoved: Ledger._release_on_end,
    ev.OrderFilled: Ledger._filled,
    ev.OrderFillVoided: Ledger._voided,
    ev.PositionOpened: Ledger._opened,
    ev.PositionChanged: Ledger._position,
    ev.PositionMoved: Ledger._position_moved,
}

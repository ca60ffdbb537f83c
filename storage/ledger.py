"""The account as the fold of the journal: balances, reserved funds, realized PnL, fees, margin.

The one place where money is summed (L7). Spot fills move base and quote; a perpetual's fill moves
its wallet by realized PnL and fee only, and its position costs margin. Capital that came or went
by itself is `storage.capital`'s, how well a figure is known `storage.provenance`'s; nothing here
reads a clock, a venue or a table.

Reserved funds, margin and open notional are running totals: each event moves them by the exact
difference that it makes, so that neither an event nor a read costs more with more orders. The
running sums are kept without rounding and rounded once, when they are read.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from attrs import define, field

from fsm import events as ev
from fsm.instrument import Instrument
from fsm.money import DIVISION, ONE, ZERO, divide
from fsm.order import TERMINAL
from fsm.pnl import Holding, apply_fill
from fsm.position import ENDED
from fsm.vocabulary import OrderRole, Side
from storage.account_view import AccountView, Balance
from storage.capital import Capital
from storage.inventory import Inventory
from storage.provenance import Provenance
from storage.reserves import EXACT, Exposure, Reserve, summed

#: Causes of a position's change that no order of ours stands behind.
AT_VENUE = frozenset({"manual_trade", "liquidation", "adl"})


@define(slots=True)
class Ledger:
    """The account's state; `apply` is the fold. A function of the events alone."""

    seq: int = 0
    instruments: dict[str, Instrument] = field(factory=dict)
    totals: dict[str, Decimal] = field(factory=dict)
    funds: Capital = field(factory=Capital)
    provenance: Provenance = field(factory=Provenance)
    realized_pnl: Decimal = ZERO
    fees_paid: Decimal = ZERO
    funding: Decimal = ZERO
    session_realized: Decimal = ZERO
    session_fees: Decimal = ZERO
    session_funding: Decimal = ZERO
    inventory: Inventory = field(factory=Inventory)
    reserves: dict[str, Reserve] = field(factory=dict)
    exposures: dict[str, Exposure] = field(factory=dict)
    leverages: dict[str, Decimal] = field(factory=dict)
    nets: dict[str, Holding] = field(factory=dict)
    others: dict[str, Holding] = field(factory=dict)
    """What of `nets` orders of somebody else hold: no position of ours realizes it."""
    last_net: tuple[str, Decimal] = ("", ZERO)
    """The last fill on a margined instrument (order/trade), and what the net position realized."""
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
        """What was put in plus realized PnL and funding minus fees, what somebody else's orders did
        to the margin wallets, and what these held beyond all that; quote units."""
        funds = self.funds
        earned = self.realized_pnl + self.funding - self.fees_paid + funds.converted
        return funds.contributed + earned + funds.others + funds.drift

    @property
    def net_basis(self) -> Decimal:
        """The denominator of every performance figure, quote units: no market moves it."""
        return self.funds.net_basis

    @property
    def quotes(self) -> set[str]:
        """The account's quote assets; empty before the first session."""
        return {instrument.quote for instrument in self.instruments.values()}

    @property
    def margin_assets(self) -> set[str]:
        """The assets whose balance is a margin wallet."""
        return {spec.quote for spec in self.instruments.values() if spec.is_margined}

    @property
    def wallet(self) -> Decimal | None:
        """The margin wallets by the venue's word and the facts since; None where there are none."""
        assets = self.margin_assets
        if not assets:
            return None
        return sum((self.totals.get(asset, ZERO) for asset in assets), ZERO) + self.funds.drift

    def net(self, instrument: str) -> Holding:
        """What a margin venue sees of an instrument: all positions netted, at average cost."""
        return self.nets.get(instrument, Holding())

    def view(self) -> AccountView:
        """The account as published."""
        assets = sorted(self.totals.keys() | self.reserved.keys())
        sources = self.provenance
        return AccountView(
            capital=self.capital,
            capital_source=self.funds.source,
            capital_seq=self.funds.seq,
            net_basis=self.net_basis,
            realized_pnl=self.realized_pnl,
            realized_by={
                "exchange": sources.exchange,
                "kernel_estimate": sources.kernel_estimate,
                "inferred": sources.inferred,
            },
            realized_provisional=sources.provisional_sum,
            fees_paid=self.fees_paid,
            funding=self.funding,
            wallet=self.wallet,
            unpriced=dict(self.funds.unpriced),
            event_seq=self.seq,
            balances={asset: self.balance(asset) for asset in assets},
            wac=self.inventory.prices(),
            margin_used=self.margin_used,
            margin_free=self._margin_free(),
            open_notional=self.open_notional,
        )

    def _margin_free(self) -> Decimal:
        """What an entry may still ask for: the wallets less margin and open orders' reserves."""
        wallets = [self.balance(asset) for asset in self.margin_assets]
        return max(sum((one.free for one in wallets), ZERO) - self.margin_used, ZERO)

    # --------------------------------------------------------------------------------- the folds

    def _move(self, asset: str, delta: Decimal) -> None:
        self.totals[asset] = self.totals.get(asset, ZERO) + delta

    def _session_started(self, event: ev.SessionStarted) -> None:
        self.instruments |= {instrument.name: instrument for instrument in event.instruments}
        self.session_realized = self.session_fees = self.session_funding = ZERO

    def _capital(self, event: ev.CapitalRecorded) -> None:
        quotes = self.quotes or {event.asset}
        self.funds.record(event, self.seq, quotes)
        if event.amount:
            self._move(event.asset, event.amount)
        for asset, price in event.prices.items():
            uncosted = self.totals.get(asset, ZERO) - self.inventory.qty(asset)
            self.inventory.valued(asset, uncosted, price)
        if event.asset not in quotes and event.price is not None:
            self.inventory.valued(event.asset, event.amount, event.price)

    def _converted(self, event: ev.ConversionBooked) -> None:
        self.funds.convert(event, self.seq)
        self._move(event.from_asset, -event.from_amount)
        self._move(event.to_asset, event.to_amount)
        quotes = self.quotes
        cost = self.inventory.converted(event.from_asset, event.from_amount)
        if event.from_asset in quotes:
            cost = event.from_amount, event.from_amount
        if event.to_asset not in quotes and cost is not None:
            share, paid = cost
            came = divide(event.to_amount * share, event.from_amount)
            self.inventory.came(event.to_asset, came, divide(paid, came))

    def _anchored(self, event: ev.CapitalAnchored) -> None:
        self.funds.anchor(event, self.seq)

    def _funding(self, event: ev.FundingBooked) -> None:
        self._move(event.asset, event.amount)
        self.funding += event.amount
        self.session_funding += event.amount
        if event.amount:
            self.funds.moved(self.seq)
            self.funds.explain(event.asset, event.amount, event.venue_us)

    def _instrument_settled(self, event: ev.InstrumentSettled) -> None:
        """Everything of it becomes cash, in a position or not; realized PnL is the positions'."""
        self.resolved[event.instrument] = event.payout
        self._move(event.asset, event.cash)
        instrument = self.instruments.get(event.instrument)
        if instrument is None:
            return
        self.funds.explain(event.asset, event.cash, event.venue_us)
        if instrument.is_margined:
            self._others(instrument, -self.others.get(instrument.name, Holding()).qty, event.payout)
            self.nets.pop(instrument.name, None)
            return
        self._move(instrument.base, -event.qty)
        self.inventory.forget(instrument.base)

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
        held = EXACT.add(self.reserved.get(asset, ZERO), delta)
        if held == 0:
            self.reserved.pop(asset, None)
        else:
            self.reserved[asset] = held

    def _release(self, client_order_id: str) -> None:
        reserve = self.reserves.pop(client_order_id, None)
        if reserve is not None:
            self._hold(reserve.asset, EXACT.minus(reserve.amount))

    def _move_rest(self, client_order_id: str, delta: Decimal) -> None:
        reserve = self.reserves.get(client_order_id)
        if reserve is not None:
            before = reserve.amount
            reserve.rest += delta
            self._hold(reserve.asset, EXACT.subtract(reserve.amount, before))

    def _release_on_end(self, event: ev.OrderMoved) -> None:
        if event.state in TERMINAL:
            self._release(event.client_order_id)

    def _filled(self, event: ev.OrderFilled) -> None:
        if event.state in TERMINAL:
            self._release(event.client_order_id)
        else:
            self._move_rest(event.client_order_id, -event.qty)
        self.provenance.filled(event)
        self._cash(event, event.qty, event.fee, 0 if event.timeless else event.venue_us)
        self._average_cost(event)

    def _voided(self, event: ev.OrderFillVoided) -> None:
        if event.state in TERMINAL:
            self._release(event.client_order_id)
        else:
            self._move_rest(event.client_order_id, event.qty)
        self.provenance.final(event)
        self._cash(event, -event.qty, -event.fee, 0)
        self._average_cost(event)

    def _settled(self, event: ev.OrderFillSettled) -> None:
        self.provenance.final(event)
        if event.fee_asset is not None and event.fee_delta:
            self._move(event.fee_asset, -event.fee_delta)

    def _cash(
        self,
        event: ev.OrderFilled | ev.OrderFillVoided,
        qty: Decimal,
        fee: Decimal,
        venue_us: int,
    ) -> None:
        instrument = self.instruments.get(event.instrument)
        if instrument is None:
            return
        if event.fee_asset is not None and fee != 0:
            self._move(event.fee_asset, -fee)
        signed = event.side.sign * qty
        paid = fee if event.fee_asset == instrument.quote else ZERO
        if instrument.is_margined:
            realized = self._net(instrument, signed, event.price)
            self.last_net = f"{event.client_order_id}/{event.trade_id}", realized
            self.funds.explain(instrument.quote, realized - paid, venue_us)
            if event.position_id is None:
                self._others(instrument, signed, event.price, paid)
            return
        self._move(instrument.base, signed)
        if event.price is None:
            return
        cash = -signed * event.price
        self._move(instrument.quote, cash)
        self.funds.explain(instrument.quote, cash - paid, venue_us)

    def _others(
        self, instrument: Instrument, signed: Decimal, price: Decimal | None, fee: Decimal = ZERO
    ) -> None:
        """A fill of an order that no position of ours stands behind: the wallet has what it brings,
        so that capital has it too."""
        step = apply_fill(self.others.get(instrument.name, Holding()), signed, price)
        self.others[instrument.name] = step.holding
        self.funds.others += step.realized - fee
        if step.realized or fee:
            self.funds.moved(self.seq)

    def _net(self, instrument: Instrument, signed: Decimal, price: Decimal | None) -> Decimal:
        """A margin venue nets all fills of an instrument and pays what *that* realizes, at its
        average cost: the wallet follows it, while each position keeps its own basis and PnL. Both
        sums agree whenever nothing is open."""
        step = apply_fill(self.net(instrument.name), signed, price)
        self.nets[instrument.name] = step.holding
        self._move(instrument.quote, step.realized)
        return step.realized

    def _average_cost(self, event: ev.OrderFilled | ev.OrderFillVoided) -> None:
        """What a fee took of the asset itself never came, or went too."""
        instrument = self.instruments.get(event.instrument)
        if instrument is None or instrument.is_margined:
            return
        in_base = event.fee if event.fee_asset == instrument.base else ZERO
        qty, is_void = event.qty - event.side.sign * in_base, type(event) is ev.OrderFillVoided
        self.inventory.traded(instrument.base, event.side, qty, event.price, is_void=is_void)

    def _opened(self, event: ev.PositionOpened) -> None:
        self.leverages[event.position_id] = event.leverage

    def _position(self, event: ev.PositionChanged) -> None:
        instrument = self.instruments.get(event.instrument)
        self.realized_pnl += event.realized_delta
        self.fees_paid += event.fee_quote
        self.session_realized += event.realized_delta
        self.session_fees += event.fee_quote
        self.provenance.changed(event)
        if event.realized_delta or event.fee_quote:
            self.funds.moved(self.seq)
        if instrument is not None:
            # What a fill without a price brought is known with its settlement (P01).
            repaired = instrument.is_margined and event.cause == "settlement"
            cash = event.realized_delta if repaired else event.cash_delta
            if event.client_order_id is None:
                cash -= event.fee_quote  # no order's fill has taken it
            if cash:
                self._move(instrument.quote, cash)
            if event.cause in AT_VENUE:
                cash += self._traded_away(instrument, event.qty_delta, event.price)
            if cash:
                self.funds.explain(instrument.quote, cash, event.venue_us)
            if instrument.is_margined and event.cause == "void":
                net = self.net(instrument.name)
                if net.qty and net.basis is None:
                    # It came back without a price; what it cost is the position's to know.
                    self.nets[instrument.name] = Holding(net.qty, event.basis_price)
        self._expose(event, margined=instrument is not None and instrument.is_margined)

    def _traded_away(
        self, instrument: Instrument, delta: Decimal, price: Decimal | None
    ) -> Decimal:
        """Somebody traded at the venue (X17): the quantity is evident. What it brought is booked
        where the venue told the price, else left for the comparison with the wallet to show.
        Returns what the wallet got."""
        if instrument.is_margined:
            return self._net(instrument, delta, price)
        self._move(instrument.base, delta)
        self.inventory.lost(instrument.base, -delta)
        if price is None:
            return ZERO
        self._move(instrument.quote, -delta * price)
        return -delta * price

    def _expose(self, event: ev.PositionChanged, *, margined: bool) -> None:
        if event.state in ENDED:
            self._forget(event.position_id)
            return
        self._unexpose(event.position_id)
        if event.qty == 0 or event.basis_price is None:
            return
        notional = EXACT.multiply(EXACT.abs(event.qty), event.basis_price)
        # A position that was over and is open again has lost its leverage: 1 asks for the most.
        leverage = self.leverages.get(event.position_id, ONE)
        margin = divide(notional, leverage) if margined else ZERO
        self.exposures[event.position_id] = Exposure(notional, margin)
        self.notional = EXACT.add(self.notional, notional)
        self.margin = EXACT.add(self.margin, margin)

    def _unexpose(self, position_id: str) -> None:
        exposure = self.exposures.pop(position_id, None)
        if exposure is not None:
            self.notional = EXACT.subtract(self.notional, exposure.notional)
            self.margin = EXACT.subtract(self.margin, exposure.margin)

    def _forget(self, position_id: str) -> None:
        self._unexpose(position_id)
        self.leverages.pop(position_id, None)

    def _compared(self, event: ev.PnlCompared) -> None:
        self.provenance.compared(event)

    def _position_moved(self, event: ev.PositionMoved) -> None:
        if event.state in ENDED:
            self._forget(event.position_id)

    # ---------------------------------------------------------------------------------- checking

    def recomputed(self) -> dict[str, Decimal]:
        """The running totals summed anew from what they stand for; `verify` and tests compare."""
        return summed(self.reserves.values(), self.exposures.values())

    def running(self) -> dict[str, Decimal]:
        """The running totals as they are kept, named as in `recomputed`."""
        sums = {f"reserved {asset}": held for asset, held in self.reserved.items()}
        sums |= {"margin": self.margin, "notional": self.notional}
        return {key: value for key, value in sums.items() if value}


_FOLDS: dict[type, Callable[[Ledger, Any], None]] = {
    ev.SessionStarted: Ledger._session_started,
    ev.CapitalRecorded: Ledger._capital,
    ev.ConversionBooked: Ledger._converted,
    ev.CapitalAnchored: Ledger._anchored,
    ev.FundingBooked: Ledger._funding,
    ev.InstrumentSettled: Ledger._instrument_settled,
    ev.OrderIntended: Ledger._intended,
    ev.OrderMoved: Ledger._release_on_end,
    ev.OrderFilled: Ledger._filled,
    ev.OrderFillVoided: Ledger._voided,
    ev.OrderFillSettled: Ledger._settled,
    ev.PositionOpened: Ledger._opened,
    ev.PositionChanged: Ledger._position,
    ev.PnlCompared: Ledger._compared,
    ev.PositionMoved: Ledger._position_moved,
}

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
from fsm.figures import net_of
from fsm.instrument import Instrument
from fsm.money import DIVISION, EXACT, ONE, ZERO, divide
from fsm.order import TERMINAL
from fsm.pnl import Holding, apply_fill
from fsm.position import ENDED
from fsm.vocabulary import CapitalKind, OrderRole, Side
from storage.account_view import AccountView, Balance, account_view
from storage.capital import Capital
from storage.exposures import Exposures
from storage.inventory import Inventory
from storage.provenance import Provenance
from storage.reserves import Reserve
from storage.session_sums import Before, session_began, since

#: Causes of a position's change that no order of ours stands behind.
AT_VENUE = frozenset({"manual_trade", "liquidation", "adl"})
#: Adopted or valued late: it was there all along.
_FROM_THE_START = (CapitalKind.OPENING, CapitalKind.INIT_BASIS)


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
    slippage: Decimal = ZERO
    """What fills cost against the price that was intended, positive where worse; quote units."""
    slippage_unknown: int = 0
    """Fills of which no slippage can be stated."""
    before: Before = field(factory=Before)
    inventory: Inventory = field(factory=Inventory)
    reserves: dict[str, Reserve] = field(factory=dict)
    exposures: Exposures = field(factory=Exposures)
    nets: dict[str, Holding] = field(factory=dict)
    others: dict[str, Holding] = field(factory=dict)
    """What of `nets` orders of somebody else hold: no position of ours realizes it."""
    last_net: tuple[str, Decimal] = ("", ZERO)
    """The last fill on a margined instrument (order/trade), and what the net position realized."""
    trade_us: int = 0
    """When the venue made the trade that was told of last; 0: it is not known."""
    reserved: dict[str, Decimal] = field(factory=dict)
    resolved: dict[str, Decimal] = field(factory=dict)
    """What a unit of an instrument that was settled for good paid, quote units."""

    def apply(self, event: ev.Event, seq: int) -> None:
        """Fold one event in. `seq` stays that of the last event that the account heeds."""
        handler = _FOLDS.get(type(event))
        if handler is not None:
            self.seq = seq
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
        return DIVISION.plus(self.exposures.margin)

    @property
    def open_notional(self) -> Decimal:
        """Open quantity at basis, over all positions that a strategy opened, quote units."""
        return DIVISION.plus(self.exposures.notional)

    @property
    def capital(self) -> Decimal:
        """What was put in plus realized PnL and funding minus fees, what somebody else's orders did
        to the margin wallets, and what these held beyond all that; quote units."""
        return self.funds.contributed + self.net_pnl + self.funds.others + self.funds.drift

    @property
    def net_pnl(self) -> Decimal:
        """Realized PnL, conversions and funding less fees, quote units."""
        return net_of(self.realized_pnl, self.funds.converted, self.funding, self.fees_paid)

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
        return account_view(self)

    @property
    def session_realized(self) -> Decimal:
        """Gross, of the session so far; quote units."""
        return since(self.realized_pnl, self.before.realized)

    @property
    def session_fees(self) -> Decimal:
        """Of the session so far; a cost is positive."""
        return since(self.fees_paid, self.before.fees)

    @property
    def margin_free(self) -> Decimal:
        """What an entry may still ask for: the wallets less margin and open orders' reserves."""
        wallets = [self.balance(asset) for asset in self.margin_assets]
        return max(sum((one.free for one in wallets), ZERO) - self.margin_used, ZERO)

    # --------------------------------------------------------------------------------- the folds

    def _move(self, asset: str, delta: Decimal) -> None:
        self.totals[asset] = self.totals.get(asset, ZERO) + delta

    def _session_started(self, event: ev.SessionStarted) -> None:
        self.instruments |= {instrument.name: instrument for instrument in event.instruments}
        self.provenance.session_started(self.seq)
        self.before = session_began(event.session_id, self)

    def _capital(self, event: ev.CapitalRecorded) -> None:
        quotes = self.quotes or {event.asset}
        basis_before = self.net_basis
        self.funds.record(event, self.seq, quotes)
        if event.kind in _FROM_THE_START:
            self.before.basis += self.net_basis - basis_before
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
        self.funding = EXACT.add(self.funding, event.amount)
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
        if event.gain:
            self.funds.converted += event.gain
            self.funds.moved(self.seq)

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
        self._slipped(event.slippage_quote, 1)
        self.provenance.filled(event, self.seq)
        self.trade_us = 0 if event.timeless else event.venue_us
        self._cash(event, event.qty, event.fee)
        self._average_cost(event)

    def _voided(self, event: ev.OrderFillVoided) -> None:
        if event.state in TERMINAL:
            self._release(event.client_order_id)
        else:
            self._move_rest(event.client_order_id, event.qty)
        self._slipped(event.slippage_quote, -1)
        self.provenance.final(event)
        self.trade_us = 0  # an anchor cannot have held what nobody knew
        self._cash(event, -event.qty, -event.fee)
        self._average_cost(event)

    def _slipped(self, slippage: Decimal | None, sign: int) -> None:
        if slippage is None:
            self.slippage_unknown += sign
        elif slippage:
            self.slippage = EXACT.add(self.slippage, slippage if sign > 0 else -slippage)

    def _settled(self, event: ev.OrderFillSettled) -> None:
        self.provenance.final(event)
        self.trade_us = event.venue_us
        if event.fee_asset is not None and event.fee_delta:
            self._move(event.fee_asset, -event.fee_delta)
            instrument = self.instruments.get(event.instrument)
            if instrument is not None and event.fee_asset != instrument.quote:
                self.inventory.paid(event.fee_asset, event.fee_delta)
            self.funds.explain(event.fee_asset, -event.fee_delta, event.venue_us)

    def _cash(self, event: ev.OrderFilled | ev.OrderFillVoided, qty: Decimal, fee: Decimal) -> None:
        instrument = self.instruments.get(event.instrument)
        if instrument is None:
            return
        if event.fee_asset is not None and fee != 0:
            self._move(event.fee_asset, -fee)
            if event.fee_asset not in (instrument.base, instrument.quote):
                self.inventory.paid(event.fee_asset, fee)
        signed = event.side.sign * qty
        paid = fee if event.fee_asset == instrument.quote else ZERO
        if instrument.is_margined:
            realized = self._net(instrument, signed, event.price)
            self.last_net = f"{event.client_order_id}/{event.trade_id}", realized
            self.funds.explain(instrument.quote, realized - paid, self.trade_us)
            if event.position_id is None:
                self._others(instrument, signed, event.price, paid)
            return
        self._move(instrument.base, signed)
        if event.price is None:
            return
        cash = -signed * event.price
        self._move(instrument.quote, cash)
        self.funds.explain(instrument.quote, cash - paid, self.trade_us)

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
        self.exposures.opened(event)

    def _position(self, event: ev.PositionChanged) -> None:
        instrument = self.instruments.get(event.instrument)
        self.provenance.changed(event)
        if event.realized_delta or event.fee_quote:
            self.realized_pnl = EXACT.add(self.realized_pnl, event.realized_delta)
            self.fees_paid = EXACT.add(self.fees_paid, event.fee_quote)
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
                of_order = event.client_order_id is not None
                told_us = self.trade_us if of_order else event.venue_us
                self.funds.explain(instrument.quote, cash, told_us)
            if instrument.is_margined and event.cause == "void":
                net = self.net(instrument.name)
                if net.qty and net.basis is None:
                    # It came back without a price; what it cost is the position's to know.
                    self.nets[instrument.name] = Holding(net.qty, event.basis_price)
        self.exposures.changed(event, instrument)

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

    def _compared(self, event: ev.PnlCompared) -> None:
        self.provenance.compared(event)

    def _position_moved(self, event: ev.PositionMoved) -> None:
        if event.state in ENDED:
            self.exposures.forget(event.position_id)

    # ---------------------------------------------------------------------------------- checking

    def recomputed(self) -> dict[str, Decimal]:
        """The running totals summed anew from what they stand for; `verify` and tests compare."""
        sums: dict[str, Decimal] = {}
        for reserve in self.reserves.values():
            key = f"reserved {reserve.asset}"
            sums[key] = EXACT.add(sums.get(key, ZERO), reserve.amount)
        sums |= self.exposures.recomputed()
        return {key: value for key, value in sums.items() if value}

    def running(self) -> dict[str, Decimal]:
        """The running totals as they are kept, named as in `recomputed`."""
        sums = {f"reserved {asset}": held for asset, held in self.reserved.items()}
        sums |= self.exposures.running()
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

"""Balances, fees, positions: totals are exact sums of what was reported."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_builders import (
    PERP,
    SPOT,
    a_cancel,
    a_submit,
    a_tick,
    a_trade,
    a_venue,
    ask_venue,
    buy,
    sell,
)

from fsm.facts import FundingPaid, OrderFill
from fsm.requests import QueryBalances, QueryPositions
from fsm.vocabulary import Liquidity, Side


def test_fees_are_costs_in_the_quote_asset_for_maker_and_taker():
    venue = a_venue(taker_fee_bps=Decimal(10), maker_fee_bps=Decimal(-2))
    venue.market(a_tick("1.29", "1.30"), 1)
    taker = ask_venue(venue, buy("B", "10"))[1]
    ask_venue(venue, sell("S", "10", "1.40"))
    venue.market(a_tick("1.45", "1.50"), 2)
    (maker,) = ask_venue(venue)

    assert (Decimal("0.013"), "RLUSD") == (taker.fee, taker.fee_asset)
    assert (Decimal("-0.0028"), Liquidity.MAKER) == (maker.fee, maker.liquidity)
    (answer,) = ask_venue(venue, QueryBalances(request_id="q"))
    expected = Decimal(1000) - Decimal("13.013") + Decimal("14.0028")
    assert {"XRP": Decimal(100), "RLUSD": expected} == answer.result.value


def test_a_perpetual_keeps_an_average_entry_and_realizes_into_the_wallet():
    venue = a_venue(taker_fee_bps=Decimal(10))
    venue.market(a_tick("100", "100", "100", instrument=PERP), 1)
    ask_venue(venue, buy("B1", "1", instrument=PERP, leverage="5"))
    venue.market(a_tick("110", "110", "100", instrument=PERP), 2)
    ask_venue(venue, buy("B2", "3", instrument=PERP, leverage="5"))
    (positions,) = ask_venue(venue, QueryPositions(request_id="q"))
    assert Decimal("86") == venue.exchange.funds.margin["RLUSD"]
    venue.market(a_tick("120", "120", "100", instrument=PERP), 3)
    _, flip = ask_venue(venue, sell("S", "6", instrument=PERP, leverage="5"))

    (position,) = positions.result.value
    assert (Decimal(4), Decimal("107.5")) == (position.qty, position.avg_price)
    assert Decimal(50) == flip.realized_pnl
    after = venue.exchange.funds.positions[PERP.name]
    assert (Decimal(-2), Decimal(120)) == (after.qty, after.avg_price)
    fees = Decimal("0.1") + Decimal("0.33") + Decimal("0.72")
    assert Decimal(1050) - fees == venue.exchange.funds.totals["RLUSD"]
    assert Decimal(48) == venue.exchange.funds.margin["RLUSD"]


def test_closing_needs_no_margin_even_when_nothing_is_free():
    venue = a_venue(balances={"RLUSD": "100"})
    venue.market(a_tick("100", "100", "100", instrument=PERP), 1)
    ask_venue(venue, buy("B", "10", instrument=PERP, leverage="10"))
    assert Decimal(0) == venue.exchange.funds.free("RLUSD")
    resting = ask_venue(venue, sell("S1", "6", "200", instrument=PERP))
    opening = ask_venue(venue, sell("S2", "6", "200", instrument=PERP))

    assert "OrderAccepted" == type(resting[0]).__name__
    assert "insufficient margin" == opening[0].reason, "4 close what is left, 2 would open"


def test_funding_is_paid_by_longs_on_the_mid_and_received_by_shorts():
    venue = a_venue()
    venue.market(a_tick("100", "102", instrument=PERP), 1)
    ask_venue(venue, sell("S", "2", instrument=PERP, leverage="10"))
    venue.apply_funding(PERP.name, Decimal("0.001"), 15)
    (paid,) = ask_venue(venue, now_us=15)

    assert (
        FundingPaid(
            instrument=PERP.name, amount=Decimal("0.202"), funding_id="F000001", venue_us=15
        )
        == paid
    )
    assert Decimal("1000.202") == venue.exchange.funds.totals["RLUSD"]
    with pytest.raises(ValueError, match="not margined"):
        venue.apply_funding(SPOT.name, Decimal("0.001"), 6)


sides = st.sampled_from(Side)
prices = st.decimals("0.90", "1.10", places=2).map(str)
sizes = st.one_of(st.none(), st.decimals("0.1", "30", places=1).map(str))
quantities = st.decimals("0.5", "40", places=1).map(str)
steps = st.one_of(
    st.tuples(st.just("tick"), prices, prices, sizes),
    st.tuples(st.just("trade"), prices, quantities, st.sampled_from([None, *Side])),
    st.tuples(
        st.just("submit"),
        sides,
        quantities,
        st.one_of(st.none(), prices),
        st.booleans(),
        st.booleans(),
        st.sampled_from([SPOT, PERP]),
    ),
    st.tuples(st.just("cancel"), st.integers(1, 30)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=60), st.booleans())
def test_balances_are_exactly_the_sum_of_what_the_fills_say(script, sized):
    """Conservation: no movement without a fill, and nothing is reserved when no order is open."""
    perp = PERP.__class__(
        name=PERP.name,
        base="BTC",
        quote="RLUSD",
        kind=PERP.kind,
        price_tick=SPOT.price_tick,
        qty_step=SPOT.qty_step,
        max_leverage=Decimal(10),
    )
    venue = a_venue(
        instruments=(SPOT, perp),
        taker_fee_bps=Decimal("7.5"),
        maker_fee_bps=Decimal("1.3"),
        partial_fill=sized,
    )
    expected = dict(venue.exchange.funds.totals)
    filled: dict[str, Decimal] = {}
    number = 0
    for now_us, (what, *values) in enumerate(script, start=1):
        if what == "tick":
            low, high = sorted(values[:2], key=Decimal)
            for instrument in (SPOT, perp):
                venue.market(a_tick(low, high, values[2], instrument=instrument), now_us)
        elif what == "trade":
            venue.market(a_trade(*values), now_us)
        elif what == "submit":
            number += 1
            side, qty, price, ioc, reduce_only, instrument = values
            venue.send(
                a_submit(
                    str(number),
                    side,
                    qty,
                    price,
                    ioc=ioc,
                    reduce_only=reduce_only,
                    instrument=instrument,
                    leverage="3",
                ),
                now_us,
            )
        else:
            venue.send(a_cancel(str(values[0])), now_us)
        for message in venue.advance(now_us):
            if isinstance(message, OrderFill):
                _book(message, expected, filled)
        assert expected == venue.exchange.funds.totals
        assert all(total >= 0 for asset, total in expected.items() if asset == "XRP")
        for order_id, qty in filled.items():
            order = venue.exchange.find(order_id)
            assert qty == order.filled_qty <= order.qty
    for order_id in list(venue.exchange.open):
        venue.send(a_cancel(order_id))
    venue.advance(1000)
    assert not any(venue.exchange.funds.held.values())
    position = venue.exchange.funds.positions.get(perp.name)
    margin = position.margin if position else Decimal(0)
    assert margin == venue.exchange.funds.margin.get("RLUSD", Decimal(0))


def _book(fill: OrderFill, balances: dict[str, Decimal], filled: dict[str, Decimal]) -> None:
    filled[fill.client_order_id] = filled.get(fill.client_order_id, Decimal(0)) + fill.qty
    if fill.instrument == SPOT.name:
        balances["XRP"] += fill.qty * fill.side.sign
        balances["RLUSD"] -= fill.qty * fill.side.sign * fill.price + fill.fee
    else:
        balances["RLUSD"] += fill.realized_pnl - fill.fee

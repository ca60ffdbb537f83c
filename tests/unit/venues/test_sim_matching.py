"""Matching: takers against displayed size, resting orders in price-time priority."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sim_builders import (
    PERP,
    SPOT,
    a_cancel,
    a_tick,
    a_trade,
    a_venue,
    ask_venue,
    buy,
    fills_page,
    names,
    sell,
    traded,
)

from actors.venues.sim import SimVenue
from fsm.facts import Absent, CancelRefused, Found, OrderExpired, OrderFill
from fsm.requests import QueryOpenOrders, QueryOrder
from fsm.vocabulary import Liquidity, Side


@pytest.fixture
def venue() -> SimVenue:
    venue = a_venue()
    venue.market(a_tick("1.29", "1.30"), 1)
    return venue


def test_a_market_order_takes_the_touch_and_then_walks_a_tick_per_displayed_size(venue):
    messages = ask_venue(venue, buy("B", "25"))

    assert ["OrderAccepted", "OrderFill", "OrderFill", "OrderFill"] == names(messages)
    assert [("B", "10", "1.30"), ("B", "10", "1.31"), ("B", "5", "1.32")] == traded(messages)
    assert all(fill.liquidity is Liquidity.TAKER for fill in messages[1:])


def test_a_sell_never_walks_below_one_price_tick():
    venue = a_venue()
    venue.market(a_tick("0.02", "0.03", "1"), 1)

    prices = [price for _, _, price in traded(ask_venue(venue, sell("S", "4")))]

    assert ["0.02", "0.01", "0.01", "0.01"] == prices


def test_the_walk_is_bounded_and_its_last_level_holds_any_size():
    venue = a_venue(walk_levels_max=3)
    venue.market(a_tick("1.29", "1.30", "1"), 1)

    messages = ask_venue(venue, buy("B", "50"))

    assert [("B", "1", "1.30"), ("B", "1", "1.31"), ("B", "48", "1.32")] == traded(messages)


def test_displayed_size_is_not_taken_twice_until_that_side_of_the_quote_changes(venue):
    ask_venue(venue, buy("B1", "8"))
    second = ask_venue(venue, buy("B2", "4"))
    venue.market(a_tick("1.28", "1.30"), 2)  # the bid moved, the ask is the same
    third = ask_venue(venue, buy("B3", "1"))
    venue.market(a_tick("1.28", "1.30", "11"), 3)
    fourth = ask_venue(venue, buy("B4", "1"))

    assert [("B2", "2", "1.30"), ("B2", "2", "1.31")] == traded(second)
    assert [("B3", "1", "1.31")] == traded(third)
    assert [("B4", "1", "1.30")] == traded(fourth)


def test_a_limit_taker_goes_up_to_its_limit_and_its_rest_rests(venue):
    messages = ask_venue(venue, buy("B", "25", "1.31"))
    (answer,) = ask_venue(venue, QueryOpenOrders(request_id="q"))

    assert [("B", "10", "1.30"), ("B", "10", "1.31")] == traded(messages)
    (order,) = answer.result.value
    assert Decimal(20) == order.filled_qty
    assert "open" == order.state


def test_the_rest_of_an_ioc_order_expires_and_one_that_takes_nothing_expires_whole(venue):
    partly = ask_venue(venue, buy("B1", "15", "1.30", ioc=True))
    nothing = ask_venue(venue, buy("B2", "15", "1.20", ioc=True))

    assert ["OrderAccepted", "OrderFill", "OrderExpired"] == names(partly)
    assert ["OrderAccepted", "OrderExpired"] == names(nothing)
    assert {} == venue.exchange.open


def test_without_partial_fill_sizes_do_not_limit_anything():
    venue = a_venue(partial_fill=False)
    venue.market(a_tick("1.29", "1.30", "1"), 1)
    taken = ask_venue(venue, buy("B", "50"))
    ask_venue(venue, sell("S", "50", "1.35"))
    venue.market(a_tick("1.35", "1.36", "1"), 2)

    assert [("B", "50", "1.30")] == traded(taken)
    assert [("S", "50", "1.35")] == traded(ask_venue(venue))


def test_a_tick_that_crosses_fills_resting_orders_in_price_time_priority(venue):
    ask_venue(venue, buy("low", "4", "1.26"), buy("first", "4", "1.27"), buy("second", "4", "1.27"))
    venue.market(a_tick("1.24", "1.26", "9"), 2)
    messages = ask_venue(venue)

    expected = [("first", "4", "1.27"), ("second", "4", "1.27"), ("low", "1", "1.26")]
    assert expected == traded(messages)
    assert all(fill.liquidity is Liquidity.MAKER for fill in messages)
    venue.market(a_tick("1.23", "1.26", "9"), 3)
    assert [] == traded(ask_venue(venue)), "the ask did not change: its size is used up"
    venue.market(a_tick("1.23", "1.25", "9"), 4)
    assert [("low", "3", "1.26")] == traded(ask_venue(venue))


def test_a_trade_through_our_price_fills_up_to_what_was_traded(venue):
    ask_venue(venue, buy("B", "5", "1.29"))
    venue.market(a_trade("1.28", "3"), 2)
    first = traded(ask_venue(venue))
    venue.market(a_trade("1.28", "3"), 3)

    assert [("B", "3", "1.29")] == first
    assert [("B", "2", "1.29")] == traded(ask_venue(venue))


def test_a_trade_at_our_price_fills_only_after_the_queue_ahead(venue):
    ask_venue(venue, buy("B", "5", "1.29"))  # joins behind the 10 that are displayed
    venue.market(a_trade("1.29", "7"), 2)
    venue.market(a_trade("1.29", "3"), 3)
    before = traded(ask_venue(venue))
    venue.market(a_trade("1.29", "2"), 4)

    assert [] == before
    assert [("B", "2", "1.29")] == traded(ask_venue(venue))


def test_two_of_our_orders_at_one_price_share_a_trade_in_time_order(venue):
    ask_venue(venue, sell("S1", "2", "1.35"), sell("S2", "5", "1.35"))
    venue.market(a_trade("1.35", "3", Side.BUY), 2)

    assert [("S1", "2", "1.35"), ("S2", "1", "1.35")] == traded(ask_venue(venue))


@pytest.mark.parametrize(("taker", "filled"), [(Side.SELL, 0), (Side.BUY, 1), (None, 1)])
def test_a_trade_hits_the_side_that_its_taker_takes_from(venue, taker, filled):
    ask_venue(venue, sell("S", "2", "1.35"))
    venue.market(a_trade("1.36", "2", taker), 2)

    assert filled == len(traded(ask_venue(venue)))


def test_our_own_orders_never_match_each_other(venue):
    ask_venue(venue, sell("S", "5", "1.30"))
    refused = ask_venue(venue, buy("B1", "5", "1.30"), buy("B2", "5"))
    passes = ask_venue(venue, buy("B3", "5", "1.29"))

    assert ["self trade", "self trade"] == [message.reason for message in refused]
    assert ["OrderAccepted"] == names(passes)


def test_a_market_order_that_does_not_reach_our_own_quote_is_no_self_trade(venue):
    ask_venue(venue, sell("S", "5", "1.32"))

    assert [("B", "10", "1.30")] == traded(ask_venue(venue, buy("B", "10")))


def test_post_only_rests_or_is_rejected(venue):
    taking = ask_venue(venue, buy("B1", "1", "1.30", post_only=True))
    resting = ask_venue(venue, buy("B2", "1", "1.29", post_only=True))

    assert "post only order would take" == taking[0].reason
    assert ["OrderAccepted"] == names(resting)


def test_cancels_say_what_became_of_the_order(venue):
    ask_venue(venue, buy("filled", "1"), buy("open", "1", "1.20"), buy("ioc", "1", "1.2", ioc=True))
    first = ask_venue(venue, a_cancel("open"))
    refused = ask_venue(venue, *map(a_cancel, ("open", "filled", "ioc", "never")))

    assert ["OrderCanceled"] == names(first)
    assert all(isinstance(message, CancelRefused) for message in refused)
    expected = ["already canceled", "filled", "already expired", "unknown order"]
    assert expected == [message.reason for message in refused]


def test_an_order_query_finds_or_proves_absence(venue):
    ask_venue(venue, buy("B", "1"))
    found, absent = ask_venue(
        venue,
        QueryOrder(request_id="1", client_order_id="B", instrument=SPOT.name),
        QueryOrder(request_id="2", client_order_id="X", instrument=SPOT.name),
    )

    assert isinstance(found.result, Found)
    assert ("filled", "V000001") == (found.result.value.state, found.result.value.venue_order_id)
    assert Absent("no such client order id") == absent.result


def test_a_spot_reduce_only_sell_is_capped_at_what_is_free(venue):
    ask_venue(venue, sell("reserved", "97", "2.00"))
    messages = ask_venue(venue, sell("exit", "50", reduce_only=True))
    nothing = ask_venue(
        venue, sell("more", "1", reduce_only=True), buy("buy", "1", reduce_only=True)
    )

    assert [("exit", "3", "1.29")] == [
        (i, str(Decimal(q).normalize()), p) for i, q, p in traded(messages)
    ]
    assert isinstance(messages[-1], OrderExpired)
    assert {"reduce only: nothing to reduce"} == {message.reason for message in nothing}


def test_a_perpetual_reduce_only_order_never_flips_the_position():
    venue = a_venue()
    venue.market(a_tick("100", "101", instrument=PERP), 1)
    ask_venue(venue, buy("open", "2", instrument=PERP, leverage="10"))
    messages = ask_venue(venue, sell("exit", "5", instrument=PERP, reduce_only=True))
    again = ask_venue(venue, sell("again", "1", instrument=PERP, reduce_only=True))

    assert ["OrderAccepted", "OrderFill", "OrderExpired"] == names(messages)
    assert Decimal(0) == venue.exchange.funds.positions[PERP.name].qty
    assert "reduce only: nothing to reduce" == again[0].reason


def test_a_resting_reduce_only_order_ends_with_the_position():
    venue = a_venue()
    venue.market(a_tick("100", "101", instrument=PERP), 1)
    ask_venue(venue, buy("open", "2", instrument=PERP, leverage="10"))
    ask_venue(venue, sell("target", "2", "120", instrument=PERP, reduce_only=True))
    messages = ask_venue(venue, sell("stop", "2", instrument=PERP))

    assert ["OrderAccepted", "OrderFill", "OrderExpired"] == names(messages)
    assert "target" == messages[-1].client_order_id
    assert {} == venue.exchange.open


def test_fill_pages_never_lose_a_fill_when_many_share_a_microsecond():
    venue = a_venue(balances={"RLUSD": "1000000"})
    for now_us, count in ((100, 5), (200, 1), (300, 7), (400, 1)):
        venue.market(a_tick("1.29", "1.30", "1000"), now_us)
        for index in range(count):
            venue.send(buy(f"B{now_us}-{index}", "1"))
    venue.advance(500)
    seen: dict[str | None, OrderFill] = {}
    since_us, pages = 0, 0
    while True:
        page = fills_page(venue, since_us, limit=2)
        seen |= {fill.trade_id: fill for fill in page.fills}
        pages += 1
        if page.complete:
            break
        assert page.fills[-1].venue_us > since_us, "every page gets on"
        since_us = page.fills[-1].venue_us

    assert 14 == len(seen)
    assert pages < 6
    assert fills_page(venue, 401, 10).fills == ()
    assert fills_page(venue, 401, 10).complete


def test_late_fills_are_hidden_from_the_query_for_as_long_as_configured():
    venue = a_venue(fills_lateness_us=1000)
    venue.market(a_tick("1.29", "1.30"), 100)
    ask_venue(venue, buy("B", "1"), now_us=100)

    assert () == fills_page(venue, 0, 10, now_us=1099).fills
    assert 1 == len(fills_page(venue, 0, 10, now_us=1100).fills)

"""What the venue refuses, and with which words."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from sim_builders import BINARY, PERP, SPOT, a_tick, a_venue, ask_venue, buy, names, sell

from actors.venues.sim import SimSettings
from actors.venues.sim.store import DUPLICATES
from fsm.facts import OrderRejected

RICH = attrs.evolve(SPOT, min_notional=Decimal(10))


@pytest.mark.parametrize(
    ("submit", "reason"),
    [
        (buy("B", "0", "1.2"), "qty must be positive"),
        (buy("B", "NaN", "1.2"), "qty must be positive"),
        (buy("B", "1e20", "1.2"), "below 1e15"),
        (buy("B", "1.05", "1.2"), "qty is not a multiple of 0.1"),
        (buy("B", "0.4", "1.2"), "qty is below the minimum 0.5"),
        (buy("B", "1", "1.205"), "price is not a multiple of 0.01"),
        (buy("B", "1", "-1"), "without a positive price"),
        (buy("B", "1", "1.2"), "notional is below the minimum 10"),
        (buy("B", "1"), "notional is below the minimum 10"),
        (buy("B", "1", post_only=True), "post only order would take"),
        (buy("B", "1000", "1.2"), "insufficient balance"),
        (buy("B", "1000"), "insufficient balance"),
        (sell("B", "101", "1.4"), "insufficient balance"),
        (buy("B", "1", instrument=BINARY), "binary instruments are not simulated yet"),
        (buy("B", "1", "100", instrument=PERP, leverage="11"), "leverage is not within 0..10"),
        (buy("B", "101", "100", instrument=PERP, leverage="10"), "insufficient margin"),
        (buy("B", "1", instrument=PERP), "no market"),
        (attrs.evolve(buy("B", "1"), instrument="DOGE"), "unknown instrument 'DOGE'"),
        (attrs.evolve(buy("B", "1", "1"), limit_price=None), "without a positive price"),
    ],
)
def test_a_refused_order_is_rejected_with_its_reason_and_changes_nothing(submit, reason):
    venue = a_venue(instruments=(RICH, PERP, BINARY))
    venue.market(a_tick("1.29", "1.30", "10000"), 1)
    (message,) = ask_venue(venue, submit)

    assert isinstance(message, OrderRejected)
    assert reason in message.reason
    assert {} == venue.exchange.open
    assert {"XRP": 100, "RLUSD": 1000} == venue.exchange.funds.totals
    assert not any(venue.exchange.funds.held.values())
    assert "rejected" == venue.exchange.find("B").state


def test_a_client_order_id_is_good_once_even_when_the_order_is_done():
    venue = a_venue()
    venue.market(a_tick("1.29", "1.30"), 1)
    ask_venue(venue, buy("done", "1"), buy("open", "1", "1.2"), buy("bad", "0"))
    again = ask_venue(venue, buy("done", "1"), buy("open", "1"), buy("bad", "1"))

    assert {"duplicate client_order_id"} == {message.reason for message in again}
    assert 3 == venue.exchange.counters[DUPLICATES]
    assert 2 == venue.exchange.find("open").submits
    assert "open" == venue.exchange.find("open").state, "the order itself is untouched"


def test_reserved_funds_are_set_free_by_cancel_and_by_fill():
    venue = a_venue(taker_fee_bps=Decimal(10), maker_fee_bps=Decimal(10))
    funds = venue.exchange.funds
    ask_venue(venue, buy("B", "100", "1.20"))

    assert Decimal("120.12") == funds.held["RLUSD"]
    venue.market(a_tick("1.10", "1.20", "40"), 2)
    assert Decimal("72.072") == funds.held["RLUSD"]
    venue.market(a_tick("1.10", "1.20", "60"), 3)
    assert Decimal(0) == funds.held["RLUSD"]
    assert Decimal("1000") - Decimal("120.12") == funds.free("RLUSD")


def test_a_turned_away_request_never_reached_the_venue():
    venue = a_venue(in_flight_max=1, latency_us=10)
    venue.send(buy("first", "1", "1.2"))
    venue.send(buy("second", "1", "1.2"))

    assert ["OrderRejected"] == names(list(venue.advance(0)))
    venue.advance(100)
    assert venue.exchange.find("first") is not None
    assert venue.exchange.find("second") is None
    assert 1 == venue.statistics().turned_away


@pytest.mark.parametrize(
    "wrong", [{"latency_us": -1}, {"walk_levels_max": 0}, {"taker_fee_bps": 1.5}]
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SimSettings(**wrong)

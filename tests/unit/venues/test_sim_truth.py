"""The venue's own file: written before it answers, restored after a kill, read from outside."""

from __future__ import annotations

import random
import sqlite3
import threading
from decimal import Decimal
from pathlib import Path

import pytest
from sim_builders import (
    PERP,
    SPOT,
    a_cancel,
    a_tick,
    a_venue,
    ask_venue,
    buy,
    fills_page,
    names,
    sell,
    traded,
)

from actors.venues.sim import SimVenue, VenueTruth, read_truth
from fsm.requests import QueryOpenOrders, QueryOrder
from fsm.vocabulary import Side


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "truth.db"


def kill(venue: SimVenue) -> None:
    """What a SIGKILL leaves: the file as it was at the last commit."""
    venue.store.close()


def test_what_was_answered_is_in_the_file_before_the_answer_is_seen(path):
    venue = a_venue(truth=VenueTruth(path), taker_fee_bps=Decimal(10))
    venue.market(a_tick("1.29", "1.30"), 1)
    ask_venue(venue, buy("B", "2"), buy("R", "3", "1.20"), buy("bad", "0"), buy("B", "2"))
    truth = read_truth(path)
    kill(venue)

    assert {"B": "filled", "R": "open", "bad": "rejected"} == {
        order.client_order_id: order.state for order in truth.orders.values()
    }
    assert {"B": 2, "R": 1, "bad": 1} == truth.submits
    assert {"duplicate_client_order_id": 1} == truth.counters
    (fill,) = truth.fills
    assert ("T000001", "B", SPOT.name, Side.BUY) == (
        fill.trade_id,
        fill.client_order_id,
        fill.instrument,
        fill.side,
    )
    assert (Decimal(2), Decimal("1.3"), Decimal("0.0026")) == (fill.qty, fill.price, fill.fee)
    assert {"XRP": Decimal(102), "RLUSD": Decimal("997.3974")} == truth.balances


def test_a_request_that_was_not_answered_may_be_lost_by_a_kill(path):
    venue = a_venue(truth=VenueTruth(path))
    venue.send(buy("B", "2", "1.20"))
    kill(venue)

    assert {} == read_truth(path).orders


def test_a_restarted_venue_goes_on_where_it_was(path):
    venue = a_venue(truth=VenueTruth(path))
    venue.market(a_tick("1.29", "1.30"), 1)
    venue.market(a_tick("100", "101", instrument=PERP), 1)
    ask_venue(venue, buy("done", "2"), buy("R1", "3", "1.20"), buy("R2", "3", "1.20"))
    ask_venue(venue, buy("P", "2", instrument=PERP, leverage="5"))
    ask_venue(venue, sell("PX", "2", "150", instrument=PERP, reduce_only=True))
    funds = venue.exchange.funds
    kill(venue)
    again = a_venue(truth=VenueTruth(path), balances={"RLUSD": "5"})

    assert funds.totals == again.exchange.funds.totals
    assert funds.held == again.exchange.funds.held
    assert funds.margin == again.exchange.funds.margin
    assert ["R1", "R2", "PX"] == list(again.exchange.open)
    assert 10 == again.exchange.now_us
    (duplicate,) = ask_venue(again, buy("done", "2", "1.20"))
    assert "duplicate client_order_id" == duplicate.reason
    again.market(a_tick("1.10", "1.15", "4"), 20)
    assert [("R1", "3", "1.2"), ("R2", "1", "1.2")] == traded(list(again.advance(20)))
    (accepted,) = ask_venue(again, buy("new", "1", "1.00"))
    assert "V000006" == accepted.venue_order_id
    assert ["T000001", "T000003", "T000004"] == [
        fill.trade_id for fill in fills_page(again, 0, 10).fills
    ]
    again.close()


def test_done_orders_leave_memory_and_are_looked_up_in_the_file(path):
    venue = a_venue(truth=VenueTruth(path))
    venue.market(a_tick("1.29", "1.30"), 1)
    ask_venue(venue, buy("B", "2"), buy("C", "1", "1.20"))
    ask_venue(venue, a_cancel("C"))

    assert {} == venue.exchange.open
    assert {} == venue.store._orders
    (answer,) = ask_venue(
        venue, QueryOrder(request_id="q", client_order_id="B", instrument=SPOT.name)
    )
    assert ("filled", Decimal(2)) == (answer.result.value.state, answer.result.value.filled_qty)
    (refused,) = ask_venue(venue, a_cancel("C"))
    assert "already canceled" == refused.reason
    venue.close()


def test_a_query_sees_what_is_not_committed_yet(path):
    venue = a_venue(truth=VenueTruth(path))
    venue.market(a_tick("1.29", "1.30"), 1)
    venue.send(buy("B", "2"))

    assert 1 == len(fills_page(venue, 0, 10).fills)
    venue.close()


def test_truth_in_a_file_and_in_memory_behave_the_same(path):
    results = []
    for truth in (VenueTruth(path), None):
        rng = random.Random(5)
        venue = a_venue(truth=truth, taker_fee_bps=Decimal(5), latency_us=30)
        said = []
        for step in range(400):
            if step % 7 == 0:
                low = Decimal(rng.randrange(90, 110)) / 100
                size = str(rng.randrange(1, 9))
                venue.market(a_tick(str(low), str(low + Decimal("0.01")), size), step * 10)
            price = rng.choice([None, str(Decimal(rng.randrange(90, 110)) / 100)])
            make = rng.choice([buy, sell])
            qty = str(rng.randrange(1, 6))
            venue.send(make(f"C{step}", qty, price, reduce_only=rng.random() < 0.1))
            venue.send(a_cancel(f"C{rng.randrange(400)}"))
            if rng.random() < 0.1:
                venue.send(QueryOpenOrders(request_id=str(step)))
            said += venue.advance(step * 10)
        for limit in (1, 3, 50, 1000):
            for since_us in range(0, 4000, 111):
                said.append(fills_page_at_once(venue, since_us, limit))
        results.append((said, venue.exchange.funds.totals))
        venue.close()

    assert results[0] == results[1]
    assert len(names(results[0][0])) > 800


def fills_page_at_once(venue: SimVenue, since_us: int, limit: int) -> object:
    return venue.store.fills(SPOT.name, since_us, 10**9, limit)


def test_instruments_of_the_truth_must_be_known(path):
    venue = a_venue(truth=VenueTruth(path))
    ask_venue(venue, buy("R", "3", "1.20"))
    venue.close()

    truth = VenueTruth(path)
    with pytest.raises(ValueError, match="XRP/RLUSD"):
        a_venue(truth=truth, instruments=(PERP,))
    truth.close()


def test_reading_goes_on_beside_a_writing_venue(path):
    venue = a_venue(truth=VenueTruth(path), balances={"RLUSD": "100000"})
    venue.market(a_tick("1.29", "1.30", "100000"), 1)
    stop, problems, reads = threading.Event(), [], []

    def read() -> None:
        while not stop.is_set():
            truth = read_truth(path)
            spent = sum((fill.qty * fill.price for fill in truth.fills), Decimal(0))
            if Decimal(100000) - spent != truth.balances["RLUSD"]:
                problems.append(truth.balances)
            reads.append(len(truth.fills))

    reader = threading.Thread(target=read)
    reader.start()
    for index in range(300):
        ask_venue(venue, buy(f"B{index}", "1"))
    stop.set()
    reader.join()
    venue.close()

    assert [] == problems
    assert reads


def test_a_file_that_is_not_there_or_too_new_is_a_clear_error(path):
    with pytest.raises(FileNotFoundError, match="no venue truth"):
        read_truth(path)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(ValueError, match="version 99"):
        VenueTruth(path)

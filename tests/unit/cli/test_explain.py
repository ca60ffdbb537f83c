"""`holdfast explain`: complete, in order, and with arithmetic that is redone, not repeated."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors import explain as explain_module
from actors.explain_pnl import recompute
from actors.world import Rules
from fsm import events as ev
from fsm.events import Recorded
from fsm.order import OrderState
from fsm.timestamps import SECOND_US
from fsm.vocabulary import FillStatus, Liquidity, OrderRole, Side
from storage.journal import JournalReader
from tests.engines import run_synthetic, simulated_engine
from tests.unit.cli.conftest import Hold


def _row(database: Path, sql: str) -> Any:
    conn = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return conn.execute(sql).fetchone()[0]
    finally:
        conn.close()


@pytest.fixture
def closed(history: Path) -> str:
    """A position that was closed."""
    return str(_row(history, "SELECT position_id FROM positions WHERE state = 'CLOSED'"))


def test_a_position_has_its_whole_story_in_order(hold: Hold, history: Path, closed: str) -> None:
    story = hold("explain", closed, "--db", history, "--json").document
    assert ("position", closed) == (story["kind"], story["id"])
    seqs = [step["seq"] for step in story["steps"]]
    assert sorted(set(seqs)) == seqs
    types = [step["type"] for step in story["steps"]]
    expected = ["SignalRaised", "SignalDecided", "PositionOpened", "OrderIntended", "OrderSent"]
    assert expected == types[:5]
    assert {"OrderAcknowledged", "OrderFilled", "PositionChanged", "ExitDecided"} <= set(types)
    assert types.count("OrderIntended") >= 2
    assert "AccountSnapshotTaken" == types[-1]


def test_a_position_says_every_rule_of_the_door(hold: Hold, history: Path, closed: str) -> None:
    story = hold("explain", closed, "--db", history, "--json").document
    decided = next(step for step in story["steps"] if step["type"] == "SignalDecided")
    assert len(decided["event"]["checks"]) == len(decided["lines"]) > 5
    text = hold("explain", closed, "--db", history).out
    assert all(check["rule"] in text for check in decided["event"]["checks"])


def test_every_position_of_the_history_adds_up(history: Path) -> None:
    reader = JournalReader.open(history)
    try:
        for (name,) in reader.conn.execute("SELECT position_id FROM positions").fetchall():
            pnl = explain_module.explain(reader, name).pnl
            assert pnl is None or pnl.equal
    finally:
        reader.close()


def test_the_arithmetic_is_written_out(hold: Hold, history: Path, closed: str) -> None:
    story = hold("explain", closed, "--db", history, "--json").document
    pnl = story["pnl"]
    assert pnl["equal"] is True
    assert pnl["booked"] == pnl["recomputed"]
    assert "closes" == pnl["lines"][-1]["does"]
    text = hold("explain", closed, "--db", history).out
    assert pnl["lines"][-1]["formula"] in text
    assert f"net {pnl['recomputed']['net']}" in text


def test_an_order_says_why_it_exists(hold: Hold, history: Path) -> None:
    entry = _row(history, "SELECT client_order_id FROM orders WHERE role = 'entry'")
    types = [s["type"] for s in hold("explain", entry, "--db", history, "--json").document["steps"]]
    assert ["SignalRaised", "SignalDecided", "PositionOpened", "OrderIntended"] == types[:4]
    leave = _row(history, "SELECT client_order_id FROM orders WHERE role = 'exit'")
    story = hold("explain", f"order/{leave}", "--db", history, "--json").document
    types = [step["type"] for step in story["steps"]]
    assert types.index("ExitDecided") < types.index("OrderIntended")
    assert 1 == types.count("OrderIntended")


def test_the_venues_id_names_the_order(hold: Hold, history: Path) -> None:
    venue_id = _row(history, "SELECT venue_order_id FROM orders")
    order = hold("explain", venue_id, "--db", history, "--json").document
    assert "order" == order["kind"]


def test_a_seq_shows_its_turn_and_its_causes(hold: Hold, history: Path) -> None:
    seq = _row(history, "SELECT seq FROM journal WHERE type = 'OrderFilled' ORDER BY seq DESC")
    story = hold("explain", seq, "--db", history, "--json").document
    assert [seq] == [step["seq"] for step in story["steps"] if step.get("mark")]
    assert {step["turn"] for step in story["steps"]} == {story["steps"][0]["turn"]}
    causes = [step["type"] for step in story["causes"]]
    assert "SignalRaised" == causes[0]
    assert "OrderIntended" in causes
    assert all(step["seq"] < seq for step in story["causes"])


@pytest.mark.parametrize("name", ["0", "999999999", "99999999999999999999999999", "zzz", "", "²"])
def test_what_is_not_there_is_one_line(hold: Hold, history: Path, name: str) -> None:
    outcome = hold("explain", name, "--db", history)
    assert 2 == outcome.code
    assert outcome.error


def test_an_unknown_id_names_the_nearest(hold: Hold, history: Path, closed: str) -> None:
    assert closed in hold("explain", closed + "x", "--db", history).error


def test_a_refused_signal_says_which_rule(hold: Hold, tmp_path: Path) -> None:
    rules = Rules(max_in_flight_us=2 * SECOND_US, max_position_usd=Decimal("0.01"))
    running = simulated_engine(tmp_path, rules=rules)
    run_synthetic(running, 5)
    running.end()
    signal = _row(running.database, "SELECT signal_id FROM decisions WHERE approved = 0")
    story = hold("explain", signal, "--db", running.database, "--json").document
    assert "max_position_usd" in story["summary"]
    assert "REFUSED  max_position_usd" in hold("explain", signal, "--db", running.database).out


# -------------------------------------------------------------------------------- arithmetic


def _fill(seq: int, side: Side, qty: str, price: str | None, **more: Any) -> Recorded:
    values: dict[str, Any] = {
        "client_order_id": "o1",
        "position_id": "p1",
        "trade_id": f"t{seq}",
        "instrument": "XRP/USD",
        "side": side,
        "role": OrderRole.ENTRY,
        "qty": Decimal(qty),
        "price": None if price is None else Decimal(price),
        "fee": Decimal("0.1"),
        "fee_asset": "USD",
        "status": FillStatus.SETTLED,
        "liquidity": Liquidity.TAKER,
        "venue_us": 0,
        "session_id": "s",
        "state": OrderState.FILLED,
        "filled_qty": Decimal(qty),
        "avg_price": None,
        "fees": Decimal(0),
    }
    return Recorded(seq, seq, 0, "order/o1", ev.OrderFilled(**(values | more)))


def test_adding_and_reducing_by_average_cost() -> None:
    fills = [
        _fill(1, Side.BUY, "10", "1"),
        _fill(2, Side.BUY, "10", "2"),
        _fill(3, Side.SELL, "5", "3"),
        _fill(4, Side.SELL, "20", "1"),
    ]
    pnl = recompute(fills, "p1", None)
    assert pnl is not None
    assert ["opens", "adds", "reduces", "turns"] == [line.does for line in pnl.lines]
    assert Decimal("0") == pnl.realized
    assert Decimal("0.4") == pnl.fees
    assert "5 x (3 - 1.5) = 7.5" == pnl.lines[2].formula


def test_a_voided_execution_counts_nothing() -> None:
    void = ev.OrderFillVoided(
        client_order_id="o1",
        position_id="p1",
        trade_id="t2",
        instrument="XRP/USD",
        side=Side.SELL,
        qty=Decimal(10),
        price=Decimal(2),
        fee=Decimal("0.1"),
        fee_asset="USD",
        state=OrderState.FILLED,
        filled_qty=Decimal(0),
        avg_price=None,
        fees=Decimal(0),
    )
    fills = [_fill(1, Side.BUY, "10", "1"), _fill(2, Side.SELL, "10", "2")]
    pnl = recompute([*fills, Recorded(3, 3, 0, "order/o1", void)], "p1", None)
    assert pnl is not None
    assert (Decimal(0), Decimal("0.1"), 1) == (pnl.realized, pnl.fees, len(pnl.remarks))


def test_a_wrong_book_is_called_different(hold: Hold, history: Path, closed: str) -> None:
    reader = JournalReader.open(history)
    try:
        story = explain_module.explain(reader, closed)
    finally:
        reader.close()
    assert story.pnl is not None
    assert story.pnl.booked_realized is not None
    story.pnl.booked_realized += 1
    assert story.pnl.document()["equal"] is False

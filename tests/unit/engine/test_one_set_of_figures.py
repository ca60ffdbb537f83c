"""Every place that shows money shows the same figures, in either session and after a kill (N28)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors import messages as msg
from actors.cli.main import main
from actors.summary import summarise
from fsm import facts
from fsm.vocabulary import ExitReason, FillStatus, OrderRole, OrderType, Side
from storage.journal import JournalReader
from storage.ledger import Ledger
from storage.session_sums import session_figures
from tests.unit.engine.handmade import PAIR, Bench

D = Decimal
#: A figure of a session -> the account's name for it.
ACCOUNT = {
    "realized_pnl": "realized_pnl",
    "net_pnl": "net_pnl",
    "fees": "fees_paid",
    "funding": "funding",
    "converted": "converted",
    "slippage_quote": "slippage_quote",
    "slippage_unknown_fills": "slippage_unknown_fills",
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A market entry that slipped, half of it sold provisionally; then the engine is killed, and
    the next session sells the rest."""
    bench = Bench(tmp_path, opening={"USD": D(1000)})
    bench.quote("0.99", "1.00")
    bench.place(type=OrderType.MARKET, limit_price=D("1.50"), stop=D("0.5"))
    bench.accept()
    bench.fill("t1", "10", price=D("1.01"), fee=D("0.013"), fee_asset="USD")
    bench.quote("1.30", "1.31")
    bench.tell(msg.RequestExit("a", ExitReason.OPERATOR, "test"))
    order_id = bench.exits()[-1].client_order_id
    bench.accept(order_id)
    bench.fill(
        "t2", "4", order_id, price=D("1.28"), fee=D("0.007"), fee_asset="USD",
        status=FillStatus.PROVISIONAL,
    )  # fmt: skip
    bench.kill()
    bench.venue.open = {
        order_id: facts.VenueOrder(
            venue_order_id=f"V-{order_id}", client_order_id=order_id, instrument=PAIR,
            side=Side.SELL, qty=D(10), filled_qty=D(4), state="open",
        )
    }  # fmt: skip
    bench.start()
    # A fill without a price: nothing is known of its slippage.
    bench.fill("t3", "2", order_id, price=None, fee=D("0.001"), fee_asset="USD")
    bench.fill("t4", "4", order_id, price=D("1.33"), fee=D("0.005"), fee_asset="USD")
    yield bench
    bench.engine.writer.conn.close()


def printed(capsys: pytest.CaptureFixture[str], *tokens: str) -> Any:
    capsys.readouterr()
    assert 0 == main([*tokens, "--json"])
    return json.loads(capsys.readouterr().out)


def same(figures: dict[str, Any], other: dict[str, Any], names: dict[str, str]) -> None:
    for name, theirs in names.items():
        assert D(str(figures[name])) == D(str(other[theirs])), name


def test_sessions_tell_what_was_booked_in_them(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.engine.writer.project_all()
    first, second = printed(capsys, "sessions", "--db", str(bench.database))
    assert (None, None) == (first["ended_at"], second["ended_at"])
    # 4 x (1.28 - 1.01); paid 0.01 x 10 more than the ask, got 0.02 x 4 less than the bid.
    assert ["1.08", "0.02", "1.06", "0.18", "0.106"] == [
        first[name] for name in ("realized_pnl", "fees", "net_pnl", "slippage_quote", "return_pct")
    ]
    assert ["1.08", "0.007", "0.08"] == [
        first[f"{name}_provisional"] for name in ("realized", "fees", "slippage")
    ]
    # 4 x (1.33 - 1.01): the order is of the first session, and counts where it was booked (N27).
    assert ["1.28", "0.006", "1.274", "-0.12", 1] == [
        second[name]
        for name in ("realized_pnl", "fees", "net_pnl", "slippage_quote", "slippage_unknown_fills")
    ]
    conn = sqlite3.connect(bench.database)
    rows = dict(conn.execute("SELECT trade_id, slippage_quote FROM fills").fetchall())
    orders = dict(conn.execute("SELECT role, slippage_quote FROM orders").fetchall())
    conn.close()
    assert {"t1": "0.1", "t2": "0.08", "t3": None, "t4": "-0.12"} == rows
    assert {"entry": "0.1", "exit": "-0.04"} == orders


def test_account_status_sessions_summary_tables_and_fold_say_the_same(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--db", str(bench.database))
    bench.tell(msg.EndSession(reason="operator_stop", clean=True, ticks=2))
    engine = bench.engine
    engine.writer.project_all()
    account = printed(capsys, "account", *place)
    status = printed(capsys, "status", *place)
    sessions = printed(capsys, "sessions", *place)
    summary = summarise(engine, "operator_stop").to_json()
    assert account == status["account"] == engine.document()["account"]

    # The sessions add up to the account.
    for name, theirs in ACCOUNT.items():
        assert D(str(account[theirs])) == sum(D(str(row[name])) for row in sessions), name
    # The last one is told alike by its table, the state, and the summary of `run`.
    last = sessions[-1]
    assert last["session_id"] == status["session"]["id"] == summary["session"]
    for name, value in status["session"]["figures"].items():
        assert (value, value) == (last[name], summary[name]), name
    assert (2, 2) == (last["ticks"], summary["ticks"])  # the market went on, the session had ended
    assert sum(row["fills"] for row in sessions) == 4

    # So does the snapshot that the session's end wrote.
    conn = sqlite3.connect(bench.database)
    conn.row_factory = sqlite3.Row
    written = dict(conn.execute("SELECT * FROM account_snapshots ORDER BY seq DESC").fetchone())
    fills = conn.execute("SELECT slippage_quote, fee FROM fills").fetchall()
    positions = conn.execute("SELECT realized_pnl, fees FROM positions").fetchall()
    conn.close()
    names = "capital net_basis realized_pnl fees_paid funding net_pnl slippage_quote"
    for name in [*names.split(), "realized_provisional"]:
        assert D(account[name]) == D(written[name]), name
    # And so do the rows below them.
    assert D(account["slippage_quote"]) == sum(D(row[0] or 0) for row in fills)
    assert D(account["fees_paid"]) == sum(D(row[1]) for row in fills)
    assert D(account["realized_pnl"]) == sum(D(row[0]) for row in positions)

    # A fold of the journal from nothing says the same.
    ledger, reader = Ledger(), JournalReader.open(bench.database)
    for recorded in reader.events():
        ledger.apply(recorded.event, recorded.seq)
    reader.close()
    assert ledger.view() == engine.world.account
    assert session_figures(ledger) == engine.world.account.session
    same(status["session"]["figures"], last, {name: name for name in ACCOUNT})
    capital = D(account["net_basis"]) + D(account["net_pnl"])
    assert capital == D(account["capital"]) == D(account["equity"])


def test_the_limit_of_a_market_order_is_not_what_was_intended(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    slippages = {}
    for name, bid_ask, fields in (
        ("no book", None, {"type": OrderType.MARKET, "limit_price": D("1.50")}),
        ("buy", ("0.99", "1.00"), {"type": OrderType.MARKET, "limit_price": D("1.50")}),
        ("sell", ("0.99", "1.00"), {"type": OrderType.MARKET, "limit_price": None,
                                    "side": Side.SELL}),
        ("limit", ("0.99", "1.00"), {"type": OrderType.LIMIT, "limit_price": D("1.03")}),
    ):  # fmt: skip
        if bid_ask is not None:
            bench.quote(*bid_ask)
        bench.place(name, role=OrderRole.ENTRY, **fields)
        bench.accept(name)
        bench.fill(f"t-{name}", "10", name, price=D("1.02"))
        bench.engine.writer.project_all()
        document = bench.engine.document(everything=True)
        slippages[name] = document["orders"][name]["slippage_quote"]
    assert {"no book": None, "buy": "0.2", "sell": "-0.3", "limit": "-0.1"} == slippages
    assert 1 == bench.engine.document()["account"]["slippage_unknown_fills"]


def test_a_stop_is_measured_by_the_quote_that_crossed_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, opening={"USD": D(1000)})
    bench.quote("0.99", "1.00")
    bench.place(stop=D("0.90"))
    bench.accept()
    bench.fill("t1", "10", price=D(1))
    bench.quote("0.86", "0.87")  # jumps over the level: nobody offered 0.90
    (out,) = bench.exits()
    bench.fill("x", "10", out.client_order_id, price=D("0.85"))
    bench.engine.writer.project_all()
    orders = bench.engine.document(everything=True)["orders"]
    assert "0.1" == orders[out.client_order_id]["slippage_quote"]


def test_a_voided_fill_takes_its_slippage_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path, opening={"USD": D(1000)})
    bench.place()
    bench.accept()
    bench.fill("t1", "4", price=D("1.02"), status=FillStatus.PROVISIONAL)
    bench.fill("t2", "6", price=D("1.01"))
    assert "0.14" == bench.engine.document()["account"]["slippage_quote"]
    bench.say(facts.FillVoided(trade_id="t1", client_order_id="a"))
    bench.engine.writer.project_all()
    document = bench.engine.document(everything=True)
    assert ("0.06", "0") == (
        document["account"]["slippage_quote"], document["account"]["slippage_provisional"],
    )  # fmt: skip
    assert "0.06" == document["orders"]["a"]["slippage_quote"]


def test_an_order_of_somebody_else_has_no_slippage_of_ours(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.venue.open = {
        "x": facts.VenueOrder(
            venue_order_id="V-x", client_order_id=None, instrument=PAIR, side=Side.BUY,
            qty=D(10), filled_qty=D(0), state="open", price=D("1.00"),
        )
    }  # fmt: skip
    bench.wait(10)
    (theirs,) = [o for o in bench.engine.world.orders.values() if o.role is OrderRole.EXTERNAL]
    bench.fill("t", "10", theirs.client_order_id, price=D("1.10"))
    account = bench.engine.document()["account"]
    assert ("0", 1) == (account["slippage_quote"], account["slippage_unknown_fills"])


def test_a_killed_session_that_nobody_followed_tells_its_figures_from_the_fold(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """And so it does after the tables are made anew."""
    place = ("--db", str(bench.database))
    bench.engine.writer.project_all()
    live = printed(capsys, "sessions", *place)
    bench.kill()
    assert live == printed(capsys, "sessions", *place)
    assert "1.28" == live[-1]["realized_pnl"]
    conn = sqlite3.connect(bench.database)
    assert (None,) == conn.execute(
        "SELECT realized_pnl FROM sessions WHERE session_id = ?", (live[-1]["session_id"],)
    ).fetchone()
    conn.close()
    assert 0 == main(["rebuild", *place])
    assert live == printed(capsys, "sessions", *place)

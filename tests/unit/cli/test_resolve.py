"""`control resolve` on a database that no service is running on, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.chaos.reading import read_scenario
from actors.chaos.runner import run_scenario
from actors.cli.main import main

_HELD = """
name = "one order is held"
[[instrument]]
name = "XRP/RLUSD"
base = "XRP"
quote = "RLUSD"
[balances]
RLUSD = "1000"
[config]
"reconciler.age_threshold_s" = 1
"venue.max_in_flight_s" = 3600
[[step]]
answer = { query = "submit", result = "unavailable" }
[[step]]
answer = { query = "open_orders", result = "found", orders = [] }
[[step]]
answer = { query = "fills", result = "found", fills = [] }
[[step]]
answer = { query = "order", result = "absent" }
[[step]]
[step.submit]
client_order_id = "Q1"
role = "quote"
instrument = "XRP/RLUSD"
side = "buy"
qty = "10"
type = "limit"
limit_price = "1"
[[step]]
wait = "3s"
[[step]]
expect = { "orders.Q1.state" = "HELD_FOR_REVIEW" }
"""


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """A database that an engine left behind with one order held."""
    file = tmp_path / "held.toml"
    file.write_text(_HELD)
    assert run_scenario(read_scenario(file), keep=tmp_path / "kept").passed
    return tmp_path / "kept" / "held.db"


def _orders(database: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    assert main(["orders", "--all", "--json", "--db", str(database)]) == 0
    return {row["client_order_id"]: row for row in json.loads(capsys.readouterr().out)}


def _resolve(database: Path, *more: str) -> int:
    return main(["control", "resolve", "Q1", *more, "--db", str(database)])


def test_held_orders_are_listed_with_why_and_with_the_way_out(
    held: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["orders", "--held", "--db", str(held)]) == 0
    shown = capsys.readouterr().out
    assert "Q1" in shown
    assert "absent without proof" in shown
    assert "holdfast control resolve ORDER --as" in shown


def test_a_person_cancels_it_and_the_journal_says_who(
    held: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _resolve(held, "--as", "canceled", "--evidence", "order page", "--who", "ana") == 0
    order = _orders(held, capsys)["Q1"]
    assert ("CANCELED", "resolved as canceled: order page") == (order["state"], order["reason"])
    assert main(["explain", "Q1", "--db", str(held)]) == 0
    assert "ana" in capsys.readouterr().out
    assert main(["verify", "--db", str(held)]) == 0


def test_trades_of_a_file_are_booked_once(held: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trades = held.parent / "trades.csv"
    trades.write_text(
        "Trade_ID,qty,price,fee,fee_asset,timestamp\nT1,4,1,,,\n"
        "T2,6,0.9,0.01,RLUSD,2026-01-01T00:00:01Z\n"
    )
    named = ("--as", "filled", "--trades", str(trades), "--why", "history", "--who", "ana")
    assert _resolve(held, *named) == 0
    order = _orders(held, capsys)["Q1"]
    assert ("FILLED", "10") == (order["state"], order["filled_qty"])
    assert _resolve(held, *named) == 3
    assert "is FILLED: only HELD_FOR_REVIEW" in capsys.readouterr().err
    assert main(["fills", "--json", "--db", str(held)]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("qty,price\n1,1\n", "no column trade_id"),
        ("trade_id,qty,price,colour\nT1,1,1,red\n", "column colour"),
        ("trade_id,qty,price\n", "no trade in it"),
        ("trade_id,qty,price\nT1,x,1\n", ":2: qty"),
        ("trade_id,qty,price\n,1,1\n", ":2: trade_id"),
        ("trade_id,qty,price,timestamp\nT1,1,1,noon\n", ":2: timestamp"),
        ("trade_id,qty,price\nT1,-1,1\n", "above zero"),
        ("trade_id,qty,price\nT1,5,1\nT1,5,1\n", "named twice"),
        ("trade_id,qty,price\nT1,4,1\n", "exactly what is left, 10"),
    ],
)
def test_a_wrong_file_of_trades_changes_nothing(
    held: Path, content: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trades = held.parent / "trades.csv"
    trades.write_text(content)
    code = _resolve(held, "--as", "filled", "--trades", str(trades), "--why", "x")
    assert code in (2, 3)
    assert words in capsys.readouterr().err
    assert "HELD_FOR_REVIEW" == _orders(held, capsys)["Q1"]["state"]


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["resolve"], "which order?"),
        (["resolve", "Q1", "--why", "x"], "as what? --as canceled|expired|rejected|filled"),
        (["resolve", "Q1", "--as", "canceled"], "say why"),
        (["resolve", "Q1", "--as", "filled", "--why", "x"], "needs the venue's own trades"),
        (["resolve", "none", "--as", "canceled", "--why", "x"], "no order none"),
        (["pause", "Q1"], "takes no name"),
        (["pause", "--as", "canceled"], "belong to `resolve`"),
        (["recover"], "which source?"),
        (["reset", "drawdown", "--why", "x"], "no service answers"),
    ],
)
def test_what_is_missing_is_named(
    held: Path, tokens: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["control", *tokens, "--db", str(held)]) in (2, 3, 4)
    assert words in capsys.readouterr().err


def test_a_database_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _resolve(tmp_path / "none.db", "--as", "canceled", "--why", "x") == 4
    assert not (tmp_path / "none.db").exists()

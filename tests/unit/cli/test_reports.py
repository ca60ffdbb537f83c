"""`account`, `sessions` and the summary of `run`: one set of figures, rounded for people only."""

from __future__ import annotations

import json
import re
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.cli import overview
from tests.unit.cli.conftest import Hold

_LONG = re.compile(r"\d\.\d{9,}(?!\d*Z)")
CONTRACT = [
    "capital",
    "capital_source",
    "e_wallet_balance",
    "equity",
    "net_basis",
    "realized_pnl",
    "fees_paid",
    "event_seq",
    "balances",
    "wac",
    "margin",
]


def account_of(hold: Hold, database: Path, **changed: Any) -> dict[str, Any]:
    account: dict[str, Any] = hold("account", "--db", database, "--json").document
    return account | changed


def test_the_account_keeps_the_keys_of_the_contract(hold: Hold, history: Path) -> None:
    account = account_of(hold, history)
    assert set(CONTRACT) <= account.keys()
    assert Decimal(account["net_pnl"]) == Decimal(account["realized_pnl"]) - Decimal(
        account["fees_paid"]
    )
    parts = sum(Decimal(part) for part in account["realized_by"].values())
    assert Decimal(account["realized_pnl"]) == parts


@pytest.mark.parametrize("command", ["account", "sessions", "status", "positions", "orders"])
def test_people_never_see_more_than_eight_decimals(
    hold: Hold, database: Path, command: str
) -> None:
    conn = sqlite3.connect(database)
    long = "0.9503495862353320463320463"
    conn.execute("UPDATE sessions SET realized_pnl = ?, net_pnl = ?", (long, long))
    conn.execute("UPDATE positions SET basis_price = ?", (long,))
    conn.execute("UPDATE orders SET avg_price = ?", (long,))
    conn.commit()
    conn.close()
    printed = hold(command, "--db", database).out
    assert [] == _LONG.findall(printed), printed
    if command in ("sessions", "orders", "positions"):
        assert "0.95034959" in printed
        assert long in hold(command, "--db", database, "--json").out


def test_the_account_for_people_says_how_well_each_figure_is_known(
    hold: Hold, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = account_of(
        hold,
        history,
        realized_pnl="3.50",
        realized_by={"exchange": "1.50", "kernel_estimate": "2.25", "inferred": "-0.25"},
        realized_provisional="0.75",
        fees_paid="0.4",
        fees_provisional="0.1",
        funding="-0.2",
        converted="0.3",
        net_pnl="3.2",
        slippage_quote="0.06",
        slippage_provisional="0.01",
        slippage_unknown_fills=3,
        return_pct="0.32",
    )
    overview.print_account_in_full(account)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for line in (
        "realized, gross 3.50 (exchange 1.50, kernel_estimate 2.25, inferred -0.25, "
        "provisional 0.75)",
        "fees 0.4 (provisional 0.1)",
        "funding -0.2",
        "conversions 0.3",
        "net 3.2",
        "return on net basis +0.32 %",
        "slippage 0.06 (provisional 0.01, 3 fills unknown)",
    ):
        assert line in lines


def test_the_account_says_what_it_cannot_say(
    hold: Hold, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = "opening balance of XRP has no price: holdfast capital init-basis"
    account = account_of(
        hold,
        history,
        return_pct=None,
        return_note=note,
        unpriced={"XRP": "50"},
        unmarked=["XRP/RLUSD"],
        proposals=[{"event": "deposit", "amount": "5", "asset": "XRP", "command": "holdfast x"}],
    )
    overview.print_account_in_full(account)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert f"return on net basis none: {note}" in lines
    assert "XRP 50" in lines
    assert "deposit 5 XRP holdfast x" in lines
    assert any("NO QUOTE of XRP/RLUSD: counted at basis" in line for line in lines)


def test_sessions_say_what_else_may_change_or_is_not_known(hold: Hold, database: Path) -> None:
    conn = sqlite3.connect(database)
    conn.execute(
        "UPDATE sessions SET fees_provisional = '0.05', slippage_provisional = '0', "
        "converted = '0.3', slippage_unknown_fills = 3"
    )
    conn.commit()
    conn.close()
    lines = [
        " ".join(line.split()[1:]) for line in hold("sessions", "--db", database).out.splitlines()
    ]
    assert [
        "provisional fees: 0.05",
        "conversions: 0.3, in the net",
        "slippage of 3 fills is not known",
    ] == lines[-3:]


def test_a_session_of_an_older_version_has_no_figures_and_says_so(
    hold: Hold, database: Path
) -> None:
    conn = sqlite3.connect(database)
    columns = ("realized_pnl", "fees", "net_pnl", "return_pct", "basis")
    conn.execute(f"UPDATE sessions SET {', '.join(f'{name} = NULL' for name in columns)}")
    conn.commit()
    conn.close()
    row = hold("sessions", "--db", database, "--json").document[0]
    assert [None] * 5 == [row[name] for name in columns]
    last = hold("sessions", "--db", database).out.splitlines()[-1].split()
    assert "-" == last[1]


def test_the_summary_of_run_and_the_session_say_the_same(hold: Hold, tmp_path: Path) -> None:
    database = tmp_path / "run.db"
    outcome = hold(
        "run", "--db", database, "--for", "40s", "--speed", "max", "--no-web", "--seed", 3, "--json"
    )
    summary = outcome.document
    (session,) = hold("sessions", "--db", database, "--json").document
    account = account_of(hold, database)
    names = [
        "realized_pnl",
        "fees",
        "funding",
        "converted",
        "net_pnl",
        "slippage_quote",
        "slippage_unknown_fills",
        "return_pct",
        "return_note",
        "basis",
        "net_basis",
        "ticks",
    ]
    assert [summary[name] for name in names] == [session[name] for name in names]
    assert (summary["session"], summary["orders"], summary["fills"]) == (
        session["session_id"], session["orders"], session["fills"],
    )  # fmt: skip
    assert (summary["realized_pnl"], summary["fees"], summary["net_pnl"]) == (
        account["realized_pnl"], account["fees_paid"], account["net_pnl"],
    )  # fmt: skip
    assert summary["fills"] > 0
    assert Decimal(summary["slippage_quote"]) != 0
    assert [] == _LONG.findall(outcome.err)
    assert json.loads(outcome.out) == summary

"""Commands that read: shapes, filters, live and copied databases."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from actors.runtime import control_socket
from tests.engines import run_synthetic, simulated_engine
from tests.unit.cli.conftest import Hold

READS = ("status", "orders", "positions", "fills", "account", "sessions", "events")
PARTS = {"mode", "session", "orders", "positions", "account", "guards", "assertions", "feeds"}


MORE = {"venue", "journal", "sent", "counters", "lanes", "services", "recorder"}


@pytest.mark.parametrize("command", READS)
def test_json_is_one_document_and_nothing_else(hold: Hold, history: Path, command: str) -> None:
    outcome = hold(command, "--db", history, "--json")
    assert (0, "") == (outcome.code, outcome.err)
    assert outcome.document


@pytest.mark.parametrize("command", READS)
def test_people_get_text(hold: Hold, history: Path, command: str) -> None:
    outcome = hold(command, "--db", history)
    assert (0, "") == (outcome.code, outcome.err)
    assert len(outcome.out.splitlines()) > 1


def test_status_is_the_state_document(hold: Hold, history: Path) -> None:
    document = hold("status", "--db", history, "--json").document
    assert PARTS | MORE == set(document)
    assert "ACTIVE" == document["mode"]["state"]
    assert document["session"]["uptime_s"] is None
    assert Decimal(document["account"]["capital"]) < 1000
    assert all(isinstance(p["realized_pnl"], str) for p in document["positions"].values())


def test_positions_and_fills_add_up_to_the_account(hold: Hold, history: Path) -> None:
    account = hold("account", "--db", history, "--json").document
    positions = hold("positions", "--all", "--db", history, "--json").document
    fills = hold("fills", "--db", history, "--json").document
    assert any(p["state"] == "CLOSED" for p in positions)
    assert Decimal(account["realized_pnl"]) == sum(Decimal(p["realized_pnl"]) for p in positions)
    assert Decimal(account["fees_paid"]) == sum(Decimal(f["fee"]) for f in fills)


def test_orders_are_filtered_by_state_and_limit(hold: Hold, history: Path) -> None:
    every = hold("orders", "--all", "--db", history, "--json").document
    filled = hold("orders", "--state", "filled", "--db", history, "--json").document
    assert filled == [order for order in every if order["state"] == "FILLED"]
    newest = hold("orders", "--all", "--limit", 2, "--db", history, "--json").document
    assert every[-2:] == newest
    assert [] == hold("orders", "--held", "--db", history, "--json").document


def test_orders_of_no_state_name_the_nearest(hold: Hold, history: Path) -> None:
    outcome = hold("orders", "--state", "CANCELLED", "--db", history)
    assert 2 == outcome.code
    assert "CANCELED" in outcome.error


def test_events_are_filtered(hold: Hold, history: Path) -> None:
    every = hold("events", "--db", history, "--json").document
    assert list(range(1, len(every) + 1)) == [event["seq"] for event in every]
    after = hold("events", "--after", 10, "--limit", 3, "--db", history, "--json").document
    assert every[10:13] == after
    filled = hold("events", "--type", "OrderFilled", "--db", history, "--json").document
    assert filled == [event for event in every if event["type"] == "OrderFilled"]
    stream = filled[0]["stream"]
    own = hold("events", "--stream", stream, "--db", history, "--json").document
    assert own == [event for event in every if event["stream"] == stream]


def test_followed_events_are_a_document_a_line(hold: Hold, history: Path) -> None:
    outcome = hold("events", "--follow", "--limit", 3, "--db", history, "--json")
    assert 3 == len(outcome.out.splitlines())


def test_no_events_are_an_empty_list(hold: Hold, history: Path) -> None:
    assert [] == hold("events", "--stream", "order/none", "--db", history, "--json").document


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (("--type", "OrderFiled"), "OrderFilled"),
        (("--after", "-1"), "--after"),
        (("--limit", "0"), "--limit"),
        (("--after", "9" * 30), "--after"),
        (("--limit", "many"), "--limit"),
    ],
)
def test_events_refuse_nonsense(
    hold: Hold, history: Path, tokens: tuple[str, ...], says: str
) -> None:
    outcome = hold("events", *tokens, "--db", history)
    assert 2 == outcome.code
    assert says in outcome.error


def test_the_database_comes_from_the_configuration(hold: Hold, history: Path) -> None:
    Path("holdfast.toml").write_text(f'[engine]\ndb = "{history}"\n')
    assert hold("sessions", "--json").document[0]["clean"] is True


@pytest.mark.parametrize("command", READS)
def test_a_live_database_and_its_copy_are_read(hold: Hold, tmp_path: Path, command: str) -> None:
    running = simulated_engine(tmp_path)
    try:
        run_synthetic(running, 15)
        live = hold(command, "--db", running.database, "--json")
        copy = tmp_path / "copy"
        copy.mkdir()
        for file in tmp_path.glob("holdfast.db*"):
            shutil.copy(file, copy / file.name)
        copied = hold(command, "--db", copy / "holdfast.db", "--json")
        assert (0, 0) == (live.code, copied.code)
        assert live.out == copied.out.replace(str(copy), str(tmp_path))
    finally:
        running.close()


def test_tables_that_lag_are_brought_up_to_date_in_private(hold: Hold, tmp_path: Path) -> None:
    running = simulated_engine(tmp_path)
    try:
        for _ in range(300):
            running.simulation.feed(next(running.market))
        assert running.engine.writer.projection_lag > 0
        lagging = hold("orders", "--db", running.database, "--json").document
        running.engine.writer.project_all()
        assert lagging
        assert hold("orders", "--db", running.database, "--json").document == lagging
    finally:
        running.close()


def test_a_running_service_is_asked(
    hold: Hold, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = hold("status", "--db", database, "--json").document
    position = next(iter(document["positions"]))
    document["positions"][position]["mark_price"] = "42"
    document["session"]["uptime_s"] = 12.5
    answers = {"ok": True, "document": document}
    monkeypatch.setattr(control_socket, "ask", lambda path, request, timeout_s: answers)
    control_socket.socket_path(database).touch()
    assert 12.5 == hold("status", "--db", database, "--json").document["session"]["uptime_s"]
    rows = hold("positions", "--db", database, "--json").document
    assert "42" == next(r for r in rows if r["position_id"] == position)["mark_price"]


def test_a_socket_without_a_service_is_no_obstacle(hold: Hold, database: Path) -> None:
    control_socket.socket_path(database).touch()
    assert hold("status", "--db", database, "--json").document["session"]["uptime_s"] is None

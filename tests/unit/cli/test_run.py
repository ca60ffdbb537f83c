"""`holdfast run` as a process: how it ends, what it refuses, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from actors.venues import wire
from fsm.facts import VenueConnected

ROOT = Path(__file__).resolve().parents[3]
Process = subprocess.Popen[str]


def start(folder: Path, *arguments: str, **environ: str) -> Process:
    return subprocess.Popen(
        [sys.executable, "-m", "actors.cli.main", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: Process) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def holdfast(folder: Path, *arguments: str, **environ: str) -> tuple[int, str, str]:
    return finish(start(folder, *arguments, **environ))


def wait_for(path: Path, size: int = 1) -> None:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.stat().st_size >= size):
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


def quotes(folder: Path, name: str = "quotes.csv", start_ms: int = 1_700_000_000_000) -> Path:
    """A minute of a market that swings by a percent every few seconds."""
    lines = ["timestamp,instrument,bid,ask,bid_size,ask_size"]
    for row in range(600):
        middle = 10_000 + (row * 7) % 100
        lines.append(f"{start_ms + row * 100},ABC/USD,{middle}.0,{middle}.5,50,50")
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def replay(folder: Path, *extra: str) -> dict[str, Any]:
    code, out, err = holdfast(
        folder, "run", "--data", "quotes.csv", "--speed", "max", "--json", *extra
    )
    assert 0 == code, err
    document: dict[str, Any] = json.loads(out)
    return document


def test_it_ends_by_itself_with_one_document_on_standard_output(tmp_path: Path) -> None:
    code, out, err = holdfast(tmp_path, "run", "--for", "3s", "--json")
    assert 0 == code, err
    summary = json.loads(out)
    assert "duration_elapsed" == summary["halt_reason"]
    assert "ok" == summary["truth"]
    assert summary["orders"] > 0
    code, out, _ = holdfast(tmp_path, "verify")
    assert 0 == code, out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "run", "--json")
    wait_for(tmp_path / "holdfast.db.sock", size=0)
    process.send_signal(number)
    code, out, err = finish(process)
    assert 0 == code, err
    assert f"interrupted_{number.name.lower()}" == json.loads(out)["halt_reason"]


@pytest.mark.slow
def test_a_second_run_observes_and_says_who_trades(tmp_path: Path) -> None:
    first = start(tmp_path, "run", "--for", "6s")
    wait_for(tmp_path / "holdfast.db.sock", size=0)
    code, out, err = holdfast(tmp_path, "run", "--for", "1s")
    assert 0 == code, err
    assert f"process {first.pid} already runs on holdfast.db" in err
    assert "seq" in out
    assert 0 == finish(first)[0]
    conn_sessions = holdfast(tmp_path, "sessions", "--json")[1]
    assert 1 == len(json.loads(conn_sessions)), "the observer wrote no session"


@pytest.mark.slow
def test_one_file_and_one_seed_give_one_journal(tmp_path: Path) -> None:
    quotes(tmp_path)
    first = replay(tmp_path, "--db", "a.db")
    second = replay(tmp_path, "--db", "b.db")
    again = replay(tmp_path, "--db", "a.db")
    other = replay(tmp_path, "--db", "c.db", "--seed", "2")
    assert first["journal"] == second["journal"]
    assert first["journal"] == again["journal"], "a finished replay is set aside, not appended to"
    assert first["journal"]["hash"] != other["journal"]["hash"]
    assert 600 == first["feed"]["quotes"]
    assert 2 == len(list(tmp_path.glob("a*.db"))), "what was there is kept"


@pytest.mark.slow
def test_older_data_is_not_replayed_into_the_records_of_a_service(tmp_path: Path) -> None:
    quotes(tmp_path)
    assert 0 == holdfast(tmp_path, "run", "--for", "1s")[0]
    before = (tmp_path / "holdfast.db.head").read_text()
    code, _, err = holdfast(tmp_path, "run", "--data", "quotes.csv", "--speed", "max")
    assert 3 == code
    assert "--db" in err
    assert 1 == len(err.strip().splitlines())
    assert before == (tmp_path / "holdfast.db.head").read_text()


@pytest.mark.slow
def test_younger_data_follows_on_the_same_account(tmp_path: Path) -> None:
    quotes(tmp_path)
    first = replay(tmp_path)
    quotes(tmp_path, start_ms=1_700_000_100_000)
    second = replay(tmp_path)
    assert second["journal"]["seq"] > first["journal"]["seq"]
    assert 0 == holdfast(tmp_path, "verify")[0]


@pytest.mark.slow
def test_data_without_the_symbol_of_an_open_position_is_refused(tmp_path: Path) -> None:
    """Its stop would wait for a price that never comes."""
    (tmp_path / "holdfast.toml").write_text("[strategies.buy_and_hold]\ninstrument = 'ABC/USD'\n")
    quotes(tmp_path)
    replay(tmp_path)
    code, out, _ = holdfast(tmp_path, "positions", "--json")
    (position,) = json.loads(out)
    assert (0, "MONITORING") == (code, position["state"])
    (tmp_path / "holdfast.toml").unlink()
    later = quotes(tmp_path, "later.csv", start_ms=1_700_000_100_000)
    later.write_text(later.read_text().replace("ABC/USD", "ABC-EUR"))
    code, out, err = holdfast(tmp_path, "run", "--data", "later.csv", "--speed", "max")
    assert (3, "") == (code, out)
    assert "is open on ABC/USD, and no symbol of this file answers to it (it has ABC-EUR)" in err
    # The same under another spelling is the same instrument, and the session goes on.
    later.write_text(later.read_text().replace("ABC-EUR", "abcusd"))
    code, _, err = holdfast(tmp_path, "run", "--data", "later.csv", "--speed", "max")
    assert 0 == code, err


@pytest.mark.slow
def test_rows_without_a_symbol_are_named_on_the_command_line(tmp_path: Path) -> None:
    rows = [f"{n},{10_000 + n % 9},1,10001,2,{1_700_000_000_000 + n * 100},0" for n in range(600)]
    header = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,x"
    (tmp_path / "dump.csv").write_text("\n".join([header, *rows]) + "\n")
    command = ("run", "--data", "dump.csv", "--speed", "max", "--json")
    code, out, err = holdfast(tmp_path, *command)
    assert (2, "") == (code, out)
    assert "--symbol" in err
    code, out, err = holdfast(tmp_path, *command, "--symbol", "ABCUSDT")
    assert 0 == code, err
    feed = json.loads(out)["feed"]
    assert ("binance-bookticker", 600) == (feed["format"], feed["quotes"])
    code, _, err = holdfast(tmp_path, *command, "--format", "trades")
    assert 2 == code
    assert "trades" in err


def test_strict_stops_at_the_first_bad_row_and_ends_the_session(tmp_path: Path) -> None:
    path = quotes(tmp_path)
    lines = path.read_text().splitlines()
    lines[300] = "nonsense"
    path.write_text("\n".join(lines))
    code, _, err = holdfast(
        tmp_path, "run", "--data", "quotes.csv", "--speed", "max", "--strict", "--json"
    )
    assert 2 == code
    assert "quotes.csv" in err
    assert "301" in err
    sessions = json.loads(holdfast(tmp_path, "sessions", "--json")[1])
    assert ["data_error"] == [session["halt_reason"] for session in sessions]


def test_a_time_that_jumps_by_years_ends_the_session_and_is_told(tmp_path: Path) -> None:
    """Every pass in between would be made: it never ended."""
    row = "BTC-USDT,100,101,1,1"
    text = f"timestamp,instrument,bid,ask,bid_size,ask_size\n1,{row}\n1700000000,{row}\n"
    (tmp_path / "quotes.csv").write_text(text)
    code, _, err = holdfast(tmp_path, "run", "--data", "quotes.csv", "--speed", "max", "--json")
    assert 2 == code
    assert "jumps from 1970-01-01T00:00:01.000000Z to 2023-11-14T22:13:20.000000Z" in err
    sessions = json.loads(holdfast(tmp_path, "sessions", "--json")[1])
    assert ["data_error"] == [session["halt_reason"] for session in sessions]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--for", "soon"), 2, "30s"),
        (("--mode", "live"), 2, "later version"),
        (("--mode", "papr"), 2, "paper"),
        (("--speed", "fast"), 2, "--speed"),
        (("--data", "missing.csv"), 4, "missing.csv"),
        (("--config", "missing.toml"), 2, "missing.toml"),
        (("--db", "no/such/folder/x.db"), 4, "--db"),
    ],
)
def test_what_cannot_be_run_is_one_clear_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    found, out, err = holdfast(tmp_path, "run", *arguments)
    assert (code, "") == (found, out), err
    assert 1 == len(err.strip().splitlines()), err
    assert words in err
    assert [] == list(tmp_path.iterdir()), "nothing half-written"


def test_an_unknown_strategy_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text("[strategies.momentm]\ninstrument = 'BTC/USDT'\n")
    code, _, err = holdfast(tmp_path, "run", "--for", "1s")
    assert 2 == code
    assert "did you mean 'momentum'?" in err
    assert ["holdfast.toml"] == [path.name for path in tmp_path.iterdir()]


def test_a_second_signal_cuts_the_shutdown_short(tmp_path: Path) -> None:
    """With a venue that never answers the shutdown waits for its bound; nobody has to."""
    silent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    silent.bind(str(tmp_path / "silent.sock"))
    silent.listen()
    process = start(
        tmp_path,
        "run",
        HOLDFAST_VENUE__SOCKET="silent.sock",
        HOLDFAST_ENGINE__SHUTDOWN_DEADLINE_S="60",
    )
    silent.settimeout(20)
    connection, _ = silent.accept()
    connection.sendall(wire.encode(VenueConnected()))
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None, "it waits for the venue"
    process.send_signal(signal.SIGINT)
    assert 130 == finish(process)[0]
    connection.close()
    silent.close()


def test_the_operator_pauses_flattens_and_resumes_the_running_service(tmp_path: Path) -> None:
    service = start(tmp_path, "run", "--for", "20s", "--json")
    wait_for(tmp_path / "holdfast.db.sock", size=0)
    deadline = time.monotonic() + 10
    while not json.loads(holdfast(tmp_path, "status", "--json")[1])["orders"]:
        assert time.monotonic() < deadline, "no order came"
    assert 0 == holdfast(tmp_path, "control", "flatten", "--why", "rehearsal")[0]
    deadline = time.monotonic() + 10
    while True:
        state = json.loads(holdfast(tmp_path, "status", "--json")[1])
        held = [p for p in state["positions"].values() if p["qty"] != "0"]
        if not held:
            break
        assert time.monotonic() < deadline, held
    assert "flatten" == state["mode"]["control"]
    assert "flatten" in holdfast(tmp_path, "control")[1]
    assert 0 == holdfast(tmp_path, "control", "resume", "--who", "me")[0]
    code, _, err = holdfast(tmp_path, "control", "resume")
    assert (3, 1) == (code, len(err.splitlines()))
    assert 0 == holdfast(tmp_path, "control", "stop")[0]
    code, out, _ = finish(service)
    assert (0, "operator_stop") == (code, json.loads(out)["halt_reason"])
    assert 4 == holdfast(tmp_path, "control", "pause")[0]
    assert 0 == holdfast(tmp_path, "verify")[0]

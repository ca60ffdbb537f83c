"""`holdfast data check`: what it prints, its document, its exit codes and its one-line errors."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.market_data import market_data
from tests.unit.cli.conftest import Hold
from tests.unit.feeds.frames import write

QUOTES = "timestamp,instrument,bid,ask,bid_size,ask_size"
START = 1_700_000_000
ROOT = Path(__file__).resolve().parents[3]


def quote(second: float, rest: str = "BTCUSDT,100,101,1,2") -> str:
    return f"{START + second},{rest}"


def quotes(path: Path, *rows: str) -> Path:
    return write(path / "a.csv", [QUOTES, *rows])


def test_it_prints_what_it_found_for_people(hold: Hold, tmp_path: Path) -> None:
    done = hold("data", "check", quotes(tmp_path, quote(0), quote(0), quote(70), "bad"))
    assert 1 == done.code
    lines = done.out.splitlines()
    assert f"{tmp_path}/a.csv: damaged, do not trade on it: 1 unreadable row" == lines[0]
    assert "  rows         4: 2 quotes, 0 trades" in lines
    assert "  instruments  1: BTCUSDT 2" in lines
    assert "  line 3: duplicate: quote of BTCUSDT at 1700000000" in lines
    assert "  line 5: 1 fields where the header has 6" in lines
    assert "" == done.err


def test_it_prints_one_document_for_scripts(hold: Hold, tmp_path: Path) -> None:
    rows = [quote(n) for n in (0, 1, 2, 3, 30)]
    done = hold("data", "check", quotes(tmp_path, *rows), "--gap", "20s", "--json")
    assert 0 == done.code
    found = done.document
    assert ("quotes", "usable", 5) == (found["format"], found["verdict"], found["quotes"])
    stretch = {"from": "2023-11-14T22:13:23.000000Z", "to": "2023-11-14T22:13:50.000000Z"}
    assert [stretch | {"seconds": 27.0}] == found["outages"]["longest"]
    assert {"instrument": "BTCUSDT", **stretch, "seconds": 27.0} == found["gaps"]["longest"]
    assert "" == done.err


@pytest.mark.parametrize(
    ("make", "options", "code", "says"),
    [
        (None, (), 4, "no such file"),
        ("", (), 2, "empty"),
        ("hello\n", (), 2, "not recognised"),
        (f"{QUOTES}\n{quote(0)}\n", ("--format", "xml"), 2, "no format 'xml'"),
        (f"{QUOTES}\n{quote(0)}\n", ("--format", "trades"), 2, "no column price"),
        (f"{QUOTES}\n{quote(0)}\n", ("--gap", "soon"), 2, "--gap soon: a time such as"),
        (f"{QUOTES}\n{quote(0)}\n", ("--symbol", "A"), 2, "--symbol A is not for it"),
        (f"{QUOTES}\n{quote(0)}\nbad\n", ("--strict",), 1, "line 3: "),
        (f"{QUOTES}\n{quote(0)}\n", ("--windows", "none.jsonl"), 4, "none.jsonl: no such file"),
        (f"{QUOTES}\n{quote(0)}\n", ("--windows", "a.csv"), 2, "a.csv: no prediction window"),
    ],
)
def test_what_cannot_be_checked_is_one_line_and_a_code(
    hold: Hold,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: str | None,
    options: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if make is not None:
        (tmp_path / "a.csv").write_text(make)
    done = hold("data", "check", "a.csv", *options)
    assert code == done.code
    assert says in done.error


def test_windows_are_reported_alone_and_with_their_feed(hold: Hold, tmp_path: Path) -> None:
    windows = [
        {"slug": f"w{n}", "start_sec": START + n * 300, "end_sec": START + n * 300 + 300}
        | {"strike_value": "100" + "0" * 18, "outcome_prices": ["1", "0"]}
        for n in range(3)
    ]
    markets = write(tmp_path / "m.jsonl", [json.dumps(window) for window in windows])
    alone = hold("data", "check", markets)
    assert 0 == alone.code
    assert "  windows         3" in alone.out.splitlines()
    assert "data check PRICES --windows" in alone.out
    rows = []
    for second in range(-5, 601):
        price = 101 if second < 600 else 99
        ms = (START + second) * 1_000
        rows.append(f"{ms},{price},{price}{'0' * 18},{ms + 90}")
    feed = ["feed_ts_ms,value,full_accuracy_value,recv_ms", *rows]
    prices = write(tmp_path / "btcusd.csv", feed)
    both = hold("data", "check", prices, "--windows", markets, "--json")
    assert 0 == both.code
    found = both.document["windows"]
    # The price of second 600 belongs to the third window, and settles the second.
    assert [300, 300, 1] == [row["prices"] for row in found["coverage"]]
    assert ["up", "down", None] == [row["recomputed"] for row in found["coverage"]]
    assert {"up": 3, "down": 0, "open": 0} == found["outcomes"]
    reasons = both.document["reasons"]
    assert ["1 window settled otherwise by the feed, the official outcome stands"] == reasons
    assert "looks at their prices" not in hold("data", "check", prices, "--windows", markets).out
    wrong = hold("data", "check", markets, "--windows", markets)
    assert 2 == wrong.code
    assert "name their price feed first" in wrong.error


def test_a_damaged_windows_file_is_told_with_its_lines(hold: Hold, tmp_path: Path) -> None:
    good = {"start_sec": START, "end_sec": START + 300, "strike_value": "1" + "0" * 18}
    markets = write(tmp_path / "m.jsonl", [json.dumps(good), json.dumps(good)[:40]])
    done = hold("data", "check", markets)
    assert 1 == done.code
    assert any(line.startswith("  line 2: ") for line in done.out.splitlines())
    strict = hold("data", "check", markets, "--strict")
    assert 1 == strict.code
    assert "m.jsonl: line 2: " in strict.error
    assert 1 == hold("data", "check", markets, "--json").code


def on_a_terminal(*arguments: object) -> tuple[str, str]:
    """(standard output of a pipe, standard error of a terminal) of `holdfast`."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "actors.cli.main", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    out, _ = child.communicate(timeout=60)
    seen = b""
    os.set_blocking(ours, False)
    try:
        while chunk := os.read(ours, 65_536):
            seen += chunk
    except OSError:
        pass  # the other end is closed, or there is nothing more
    os.close(ours)
    return out.decode(), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())


def test_a_terminal_sees_a_bar_and_a_script_does_not(tmp_path: Path) -> None:
    path = quotes(tmp_path, *(quote(n / 10) for n in range(9_000)))
    out, shown = on_a_terminal("data", "check", path)
    assert out.startswith(f"{path}: good to trade on")
    assert re.search(r"a\.csv .* \d+% [\d,]+ rows", shown), shown
    out, shown = on_a_terminal("data", "check", path, "--json")
    assert ("good", "") == (json.loads(out)["verdict"], shown)


def test_a_replay_shows_the_same_bar(tmp_path: Path) -> None:
    path = quotes(tmp_path, *(quote(n / 10) for n in range(3_000)))
    command = ("run", "--data", path, "--speed", "max", "--db", tmp_path / "a.db")
    out, shown = on_a_terminal(*command)
    assert "ended: data_ended" in out
    assert re.search(r"a\.csv .* \d+% [\d,]+ rows .*open positions \d+  seq \d+", shown), shown


@pytest.mark.slow
def test_the_recorded_day_is_checked_in_bounded_memory() -> None:
    """Also what it finds in it; the figures were taken from the file by other means."""
    path = market_data("polymarket_us_quotes_2026-07-22.parquet")
    script = (
        "import pathlib, re, sys\n"
        "from actors.cli.main import main\n"
        "code = main(['data', 'check', sys.argv[1], '--json'])\n"
        # Not getrusage: that counts what the process was before it became this program, too.
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', status)[1], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert 400 * 1024 > int(done.stderr)
    found = json.loads(done.stdout)
    assert (4_444_613, 4_444_613, "usable") == (found["rows"], found["quotes"], found["verdict"])
    assert 19_526 == found["instruments"]["count"]
    empty = {"bid": 2_249_633, "ask": 1_907_011, "both": 1_888_434}
    assert empty == found["empty_sides"]
    # One round of the collector is missing: nothing came between 23:04:35 and 23:09:10.
    (outage,) = found["outages"]["longest"]
    assert ("2026-07-22T23:04:35.000000Z", 275.0) == (outage["from"], outage["seconds"])
    # And for an hour it had lost all but two instruments: rows came, and nearly nothing in them.
    (thin,) = found["thinnings"]["list"]
    assert ("2026-07-22T15:50:00.000000Z", 3_600.0) == (thin["from"], thin["seconds"])
    assert 12_502 == found["thinnings"]["usual_instruments"]
    gaps = found["gaps"]
    assert (124, 124) == (gaps["usual_s"], found["outages"]["usual_s"])
    assert (4_425_087, 30_578) == (gaps["count"], gaps["beyond_usual"])

"""`holdfast record`: feeds by name, one file or a folder, signals, refusals, exit codes."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from actors.feeds.files import open_market_file
from actors.feeds.recording import RecordedFeed
from actors.feeds.synthetic import SyntheticMarket
from actors.recording.files import recording_files
from actors.settings import DEFAULT_INSTRUMENTS
from fsm.market import MarketData, Tick
from tests.market_data import market_data
from tests.unit.cli.test_run import ROOT, finish, holdfast, quotes, start


def recorded(folder: Path, *arguments: str, **environ: str) -> dict[str, Any]:
    code, out, err = holdfast(folder, "record", "--json", *arguments, **environ)
    assert 0 == code, err
    document: dict[str, Any] = json.loads(out)
    return document


def same(one: MarketData, other: MarketData) -> bool:
    """Equal but for the times."""
    names = ("bid", "ask", "bid_size") if isinstance(one, Tick) else ("price", "qty", "trade_id")
    return all(getattr(one, name) == getattr(other, name) for name in names[:2])


def test_the_synthetic_market_in_real_time(tmp_path: Path) -> None:
    document = recorded(tmp_path, "--feed", "synthetic", "--out", "out.gz", "--for", "1s")
    assert ("duration_elapsed", "synthetic", 0) == (
        document["ended"],
        document["feed"],
        document["lost"],
    )
    feed = RecordedFeed(tmp_path / "out.gz")
    rows = list(feed)
    assert document["recorded"] == len(rows) > 5
    assert feed.report.is_clean
    assert DEFAULT_INSTRUMENTS == feed.instruments
    market = SyntheticMarket(DEFAULT_INSTRUMENTS, random.Random("1/market/0"), rows[0].event_us)
    assert all(same(row, next(market)) for row in rows), "the seed's own market"
    assert 1_000_000 > rows[-1].recv_us - rows[0].recv_us
    assert {"out.gz", "out.gz.windows.jsonl"} == {path.name for path in tmp_path.iterdir()}


def test_made_up_minutes_take_a_moment_and_end_now(tmp_path: Path) -> None:
    arguments = ("--feed", "synthetic", "--out", "made.gz", "--for", "20m", "--speed", "max")
    document = recorded(tmp_path, *arguments)
    assert document["recorded"] > 30_000
    rows = RecordedFeed(tmp_path / "made.gz")
    first = next(iter(rows))
    assert abs(time.time() - 1_200 - first.event_us / 1e6) < 60
    assert len((tmp_path / "made.gz.windows.jsonl").read_text().splitlines()) in (20, 21)


def test_a_market_data_file_becomes_a_recording_with_its_own_times(tmp_path: Path) -> None:
    quotes(tmp_path)
    document = recorded(tmp_path, "--feed", "quotes.csv", "--out", "q.gz", "--speed", "max")
    assert ("data_ended", "file:quotes.csv") == (document["ended"], document["feed"])
    expected = list(open_market_file(tmp_path / "quotes.csv"))
    assert expected == list(RecordedFeed(tmp_path / "q.gz"))
    recorded(tmp_path, "--feed", "q.gz", "--out", "again.gz", "--speed", "max")
    assert expected == list(RecordedFeed(tmp_path / "again.gz"))


def test_a_capture_keeps_both_of_its_clocks(tmp_path: Path) -> None:
    capture = market_data("binance_usdm_btcusdt_20240808.capture.gz")
    arguments = ("--feed", str(capture), "--out", "c.gz", "--speed", "max", "--for", "5s")
    document = recorded(tmp_path, *arguments)
    rows = list(RecordedFeed(tmp_path / "c.gz"))
    assert document["recorded"] == len(rows) > 100
    assert any(row.recv_us != row.event_us for row in rows)
    (feed,) = document["feeds"].values()
    assert feed["clock_offset_ms"] not in (None, 0.0)


def test_a_folder_gets_rotated_files(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    arguments = ("--feed", "synthetic", "--out", "out", "--for", "30s", "--speed", "max")
    document = recorded(tmp_path, *arguments, HOLDFAST_RECORDER__FILE_S_MAX="5")
    files = recording_files(tmp_path / "out")
    assert 5 <= len(files) <= 7
    assert [str(path.relative_to(tmp_path)) for path in files] == document["paths"]
    assert document["recorded"] == len(list(RecordedFeed(tmp_path / "out")))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_completes_the_file(tmp_path: Path, number: signal.Signals) -> None:
    arguments = ("record", "--feed", "synthetic", "--out", "out.gz", "--json")
    process = start(tmp_path, *arguments, HOLDFAST_RECORDER__FLUSH_S="0.05")
    deadline = time.monotonic() + 20
    while not (tmp_path / "out.gz").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    code, out, err = finish(process)
    assert 0 == code, err
    document = json.loads(out)
    assert f"interrupted_{number.name.lower()}" == document["ended"]
    with gzip.open(tmp_path / "out.gz") as whole:
        assert document["recorded"] + 1 == len(whole.read().splitlines())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--feed", "binance", "--out", "x"), 2, "synthetic"),
        (("--feed", "missing.csv", "--out", "x"), 4, "no such file"),
        (("--feed", "notes.txt", "--out", "x"), 2, "notes.txt"),
        (("--feed", "synthetic", "--out", "notes.txt", "--for", "1s"), 2, "another"),
        (("--feed", "synthetic", "--out", "no/folder/x", "--for", "1s"), 4, "no such folder"),
        (("--feed", "synthetic", "--out", "x", "--for", "soon"), 2, "30s"),
        (("--feed", "synthetic", "--out", "x", "--speed", "2"), 2, "1 or max"),
        (("--feed", "synthetic", "--out", "x", "--speed", "max"), 2, "--for"),
        (
            (
                "--feed",
                "synthetic",
            ),
            2,
            "--out",
        ),
        (("--feed", "synthetic", "--out", "x", "--config", "missing.toml"), 2, "missing.toml"),
    ],
)
def test_what_cannot_be_recorded_is_one_clear_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    (tmp_path / "notes.txt").write_text("no market data\n")
    found, out, err = holdfast(tmp_path, "record", *arguments)
    assert (code, "") == (found, out), err
    assert 1 == len(err.strip().splitlines()), err
    assert words in err
    assert ["notes.txt"] == [path.name for path in tmp_path.iterdir()]
    assert "no market data\n" == (tmp_path / "notes.txt").read_text()


def test_rows_that_could_not_be_written_are_an_exit_code(tmp_path: Path) -> None:
    code, out, err = holdfast(
        tmp_path,
        "record",
        *("--feed", "synthetic", "--out", "x.gz", "--for", "10s", "--speed", "max", "--json"),
        HOLDFAST_RECORDER__FREE_MB_MIN="10000000",
    )
    assert 4 == code
    document = json.loads(out)
    assert (0, document["received"]) == (document["recorded"], document["lost"])
    assert "recorder.free_mb_min" in document["problem"]
    assert 1 == err.count("RECORDER_FAILS")


def test_a_feed_that_breaks_off_is_said_and_what_came_is_kept(tmp_path: Path) -> None:
    path = quotes(tmp_path)
    (tmp_path / "q.csv.gz").write_bytes(gzip.compress(path.read_bytes())[:-200])
    document = recorded(tmp_path, "--feed", "q.csv.gz", "--out", "q.gz", "--speed", "max")
    assert document["recorded"] == len(list(RecordedFeed(tmp_path / "q.gz"))) > 10
    assert "the compressed file ends in the middle" in document["source"]


def test_for_people_it_says_how_much_and_where(tmp_path: Path) -> None:
    arguments = ("--feed", "synthetic", "--out", "x.gz", "--for", "20s", "--speed", "max")
    code, out, err = holdfast(tmp_path, "record", *arguments)
    assert 0 == code, err
    assert "recorded synthetic: duration_elapsed" in out
    assert "x.gz" in out
    assert "none lost" in out


def test_a_real_disk_that_refuses_in_the_middle_of_a_write_costs_no_row(tmp_path: Path) -> None:
    """No file may grow beyond 8 KiB (`ulimit -f`): the write that crosses it is cut short by the
    system, what it left is taken back, and the batch goes into the next file."""
    (tmp_path / "out").mkdir()
    command = 'ulimit -f 8; exec "$0" -m actors.cli.main record --feed synthetic --speed max '
    done = subprocess.run(
        ["bash", "-c", command + "--for 90s --out out --json", sys.executable],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    document = json.loads(done.stdout)
    files = recording_files(tmp_path / "out")
    assert len(files) >= 10
    assert document["retried_batches"] >= 9
    feed = RecordedFeed(tmp_path / "out")
    rows = list(feed)
    assert (document["received"], 0) == (len(rows), document["lost"])
    market = SyntheticMarket(DEFAULT_INSTRUMENTS, random.Random("1/market/0"), rows[0].event_us)
    assert all(row == next(market) for row in rows), "each once, in order"
    assert feed.report.is_clean, "every file is complete"

"""A recorded session replays to the same decisions; the whole journal is compared, hash by hash."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from actors.feeds.recording import RecordedFeed
from actors.pacing import due_by, moved_to_now
from actors.recording.files import recording_files
from fsm.market import MarketTrade, Tick
from tests.unit.cli.test_run import holdfast, start
from tests.unit.recording.rigs import START_US, record, tick, trade

#: A synthetic hour takes half a minute on a machine with nothing else to do.
PATIENCE_S = 400


def run(folder: Path, *arguments: str, **environ: str) -> dict[str, Any]:
    process = start(folder, "run", "--speed", "max", "--json", *arguments, **environ)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert 0 == process.returncode, err
    document: dict[str, Any] = json.loads(out)
    return document


def journal(database: Path) -> list[tuple[Any, ...]]:
    """Every event: when, about what, what it says, and the chain's hash."""
    conn = sqlite3.connect(database)
    try:
        return conn.execute(
            "SELECT seq, at_us, stream, type, payload, hash FROM journal"
        ).fetchall()
    finally:
        conn.close()


def recorded_and_replayed(folder: Path, length: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A synthetic market of this length in simulated time, and the replay of its recording."""
    live = run(folder, "--for", length, "--db", "live.db")
    again = run(folder, "--for", length, "--db", "again.db", "--data", "live.db.ticks")
    return live, again


def check_same(folder: Path, live: dict[str, Any], again: dict[str, Any]) -> None:
    feed, recorder = again.pop("feed"), live.pop("recorder")
    assert live == again, "session, orders, fills, profit, and the hash over all"
    assert journal(folder / "live.db") == journal(folder / "again.db")
    assert live["ticks"] == recorder["recorded"] == recorder["received"]
    assert live["ticks"] == feed["rows"] == feed["quotes"] + feed["trades"]


@pytest.mark.slow
def test_a_recorded_session_replays_to_the_same_journal(tmp_path: Path) -> None:
    live, again = recorded_and_replayed(tmp_path, "45s")
    assert live["orders"] > 10
    check_same(tmp_path, live, again)
    other = run(tmp_path, "--db", "other.db", "--data", "live.db.ticks", "--seed", "2")
    assert other["journal"]["hash"] != live["journal"]["hash"], "the comparison can fail"


@pytest.mark.slow
def test_a_recorded_synthetic_hour_replays_to_the_same_decisions(tmp_path: Path) -> None:
    live, again = recorded_and_replayed(tmp_path, "1h")
    assert live["ticks"] > 100_000
    assert live["orders"] > 1_000
    check_same(tmp_path, live, again)


def test_without_its_length_only_the_reason_of_the_end_differs(tmp_path: Path) -> None:
    run(tmp_path, "--for", "20s", "--db", "live.db")
    run(tmp_path, "--db", "again.db", "--data", "live.db.ticks")
    live, again = journal(tmp_path / "live.db"), journal(tmp_path / "again.db")
    different = [(a, b) for a, b in zip(live, again, strict=True) if a[:5] != b[:5]]
    for one, other in different:
        assert one[:4] == other[:4]
        changed = one[4].replace("duration_elapsed", "data_ended")
        assert changed == other[4]
    assert different
    assert "SessionEnded" == different[-1][0][3]


@pytest.mark.slow
def test_a_recording_that_was_rotated_replays_as_one(tmp_path: Path) -> None:
    small = {"HOLDFAST_RECORDER__FILE_S_MAX": "5"}
    live = run(tmp_path, "--for", "30s", "--db", "live.db", **small)
    assert len(recording_files(tmp_path / "live.db.ticks")) >= 5
    again = run(tmp_path, "--for", "30s", "--db", "again.db", "--data", "live.db.ticks")
    assert live["journal"] == again["journal"]
    (folder,) = (tmp_path / "live.db.ticks").iterdir()
    named = run(tmp_path, "--for", "30s", "--db", "named.db", "--data", str(folder))
    assert live["journal"] == named["journal"]


@pytest.mark.slow
def test_the_recorder_changes_nothing_about_the_session(tmp_path: Path) -> None:
    """The same rows with and without it: a replay does not record."""
    live = run(tmp_path, "--for", "20s", "--db", "live.db")
    run(tmp_path, "--for", "20s", "--db", "again.db", "--data", "live.db.ticks")
    assert not (tmp_path / "again.db.ticks").exists()
    off = {"HOLDFAST_RECORDER__ENABLED": "false"}
    silent = run(tmp_path, "--for", "20s", "--db", "silent.db", **off)
    assert not (tmp_path / "silent.db.ticks").exists()
    assert silent["orders"] == live["orders"]


def test_simulated_time_needs_a_length(tmp_path: Path) -> None:
    code, out, err = holdfast(tmp_path, "run", "--speed", "max")
    assert (2, "") == (code, out)
    assert "--for" in err
    assert "--data" in err
    assert 1 == len(err.strip().splitlines())


def test_a_replay_goes_by_the_times_of_receipt(tmp_path: Path) -> None:
    """The source's clock is two minutes ahead of ours: the session is dated by ours."""
    rows = [tick(n * 100, "BTC/USDT", ahead_us=120_000_000) for n in range(1, 50)]
    record(tmp_path / "ahead", *rows)
    (tmp_path / "holdfast.toml").write_text(
        '[instruments."BTC/USDT"]\nbase = "BTC"\nquote = "USDT"\n'
    )
    document = run(tmp_path, "--data", "ahead", "--db", "x.db")
    assert 49 == document["ticks"]
    assert "our clock is 120.0 s behind the source's" == document["feed"]["clock"]
    first = journal(tmp_path / "x.db")[0]
    assert START_US + 100_000 == first[1]


def test_played_in_real_time_the_distance_of_the_clocks_stays(tmp_path: Path) -> None:
    rows = [tick(0, ahead_us=5_000), trade(100), tick(300, ahead_us=-7_000)]
    feed = RecordedFeed(record(tmp_path / "r", *rows))
    moved = list(moved_to_now(iter(feed), due_by(feed), 1_000_000, 2.0))
    assert [1_000_000, 1_050_000, 1_150_000] == [row.recv_us for row in moved]
    assert [5_000, 0, -7_000] == [row.event_us - row.recv_us for row in moved]
    assert isinstance(moved[0], Tick)
    assert isinstance(moved[1], MarketTrade)


@pytest.mark.slow
def test_a_recording_of_which_something_is_missing_says_so_in_the_summary(tmp_path: Path) -> None:
    run(tmp_path, "--for", "20s", "--db", "live.db")
    (path,) = recording_files(tmp_path / "live.db.ticks")
    path.write_bytes(path.read_bytes()[:-200])
    document = run(tmp_path, "--db", "again.db", "--data", str(path))
    assert document["feed"]["truncated"]
    assert "killed" in document["feed"]["truncated_message"]
    code, out, err = holdfast(
        tmp_path, "run", "--speed", "max", "--data", str(path), "--strict", "--db", "strict.db"
    )
    assert (2, "") == (code, out)
    assert "killed" in err

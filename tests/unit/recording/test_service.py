"""The recorder inside a running service: on by default, shown, and never in the way of trading."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.feeds.recording import RecordedFeed
from actors.recording.files import recording_files
from actors.runtime.supervision import Intensity
from actors.service import Service, ServiceOptions
from tests.unit.cli.test_run import finish, holdfast, start, wait_for
from tests.unit.engine.handmade import PAIR, SPOT
from tests.unit.engine.test_service_feed import ROWS, Rig, _the_process_is_left_as_it_was
from tests.unit.recording.rigs import inline, record, tick

__all__ = ["_the_process_is_left_as_it_was"]


def recorder_of(folder: Path, *arguments: str) -> dict[str, Any]:
    code, out, err = holdfast(folder, "status", "--json", *arguments)
    assert 0 == code, err
    section: dict[str, Any] = json.loads(out)["recorder"]
    return section


def when_recorded(folder: Path, least: int) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while (section := recorder_of(folder)).get("recorded", 0) < least:
        assert time.monotonic() < deadline, section
    return section


@pytest.mark.slow
def test_a_service_records_what_it_trades_on_and_status_shows_it(tmp_path: Path) -> None:
    service = start(tmp_path, "run", "--for", "30s", "--json", HOLDFAST_RECORDER__FLUSH_S="0.1")
    wait_for(tmp_path / "holdfast.db.sock", size=0)
    section = when_recorded(tmp_path, 10)
    assert "recording" == section["state"]
    assert section["received"] == section["recorded"]
    feed = section["feeds"]["synthetic"]
    assert {"BTC/USDT", "XRP/RLUSD"} >= feed["instruments"].keys()
    assert 0.0 == feed["clock_offset_ms"]
    assert feed["windows"]
    code, out, _ = holdfast(tmp_path, "status")
    assert 0 == code
    assert "recorded of" in out
    assert "our clock and the source's agree" in out
    assert 0 == holdfast(tmp_path, "control", "stop")[0]
    code, out, err = finish(service)
    assert 0 == code, err

    summary = json.loads(out)
    feed_read = RecordedFeed(tmp_path / "holdfast.db.ticks")
    assert summary["ticks"] <= len(list(feed_read)) <= summary["ticks"] + 2
    assert feed_read.report.is_clean, "the file is complete"
    after = recorder_of(tmp_path)
    assert "no service answers" == after["state"]
    assert feed_read.report.rows == after["recorded"] == after["feeds"]["synthetic"]["recorded"]
    assert after["feeds"]["synthetic"]["clock"].startswith("our clock")


@pytest.mark.slow
def test_a_killed_service_leaves_a_recording_and_the_next_one_begins_another(
    tmp_path: Path,
) -> None:
    service = start(tmp_path, "run", HOLDFAST_RECORDER__FLUSH_S="0.05")
    wait_for(tmp_path / "holdfast.db.sock", size=0)
    recorded = when_recorded(tmp_path, 20)["recorded"]
    service.kill()
    finish(service)
    (torn,) = recording_files(tmp_path / "holdfast.db.ticks")
    before = torn.read_bytes()
    assert len(list(RecordedFeed(torn))) >= recorded
    assert 0 == holdfast(tmp_path, "run", "--for", "1s")[0]
    first, second = recording_files(tmp_path / "holdfast.db.ticks")
    assert (torn, before) == (first, first.read_bytes())
    feed = RecordedFeed(second)
    assert list(feed)
    assert feed.report.is_clean


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_warns_once_and_trading_goes_on(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file, not a folder")
    environ = {"HOLDFAST_RECORDER__FOLDER": "blocked", "HOLDFAST_RECORDER__FLUSH_S": "0.1"}
    service = start(tmp_path, "run", "--for", "2s", "--json", **environ)
    wait_for(tmp_path / "holdfast.db.sock", size=0)
    section = recorder_of(tmp_path)
    assert "failing" == section["state"]
    assert "blocked" in section["problem"]
    code, out, err = finish(service)
    assert 0 == code, err
    assert json.loads(out)["orders"] > 0
    assert 1 == err.count("RECORDER_FAILS")


@pytest.mark.slow
def test_switched_off_it_writes_nothing_and_says_so(tmp_path: Path) -> None:
    off = {"HOLDFAST_RECORDER__ENABLED": "false"}
    service = start(tmp_path, "run", "--for", "2s", "--json", **off)
    wait_for(tmp_path / "holdfast.db.sock", size=0)
    assert {"state": "off"} == recorder_of(tmp_path)
    assert "off" in holdfast(tmp_path, "status")[1]
    assert 0 == finish(service)[0]
    assert not (tmp_path / "holdfast.db.ticks").exists()


@pytest.mark.slow
def test_a_recording_played_in_real_time_is_recorded_again_with_its_clock(tmp_path: Path) -> None:
    rows = [tick(n * 10, ahead_us=40_000) for n in range(1, 101)]
    record(tmp_path / "old", *rows)
    code, _, err = holdfast(tmp_path, "run", "--data", "old", "--json")
    assert 0 == code, err
    section = recorder_of(tmp_path)
    assert "our clock is 40 ms behind the source's" == section["feeds"]["file:old"]["clock"]
    again = list(RecordedFeed(tmp_path / "holdfast.db.ticks"))
    assert [row.bid for row in rows] == [row.bid for row in again]  # type: ignore[union-attr]
    distances = [b.recv_us - a.recv_us for a, b in pairwise(again)]
    assert {10_000} == set(distances)


async def test_what_a_full_lane_sheds_is_recorded_and_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path)
    rig.engine.inbox.market.limit = 3
    monkeypatch.setattr(rig.engine.dispatcher, "may_turn", lambda: rig.given == ROWS)
    recorder = inline(tmp_path / "ticks")
    service = Service(
        rig.engine,
        rig.venue,
        ServiceOptions(market=rig.rows(), shutdown_deadline_s=2, tap=recorder.tap("here")),
    )
    with trio.fail_after(20):
        await service.run()
    recorder.close()
    rig.engine.close()

    feed = RecordedFeed(tmp_path / "ticks", [SPOT])
    assert ROWS == len(list(feed)), "everything that arrived"
    shed = feed.report.other["shed"]
    assert shed == rig.engine.inbox.market.shed > ROWS // 2
    assert shed == recorder.document()["shed"]
    assert ROWS == rig.engine.world.markets[PAIR].ticks + shed


async def test_a_row_that_the_venue_failed_on_is_recorded_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path)
    market, seen = rig.venue.market, 0

    def raises_once(data: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise RuntimeError("the venue's record cannot be written")
        market(data)

    monkeypatch.setattr(rig.venue, "market", raises_once)
    recorder = inline(tmp_path / "ticks")
    options = ServiceOptions(
        market=rig.rows(),
        shutdown_deadline_s=2,
        tap=recorder.tap("here"),
        intensity=Intensity(backoff_initial_s=0.001),
    )
    with trio.fail_after(20):
        await Service(rig.engine, rig.venue, options).run()
    recorder.close()
    rig.engine.close()
    assert ROWS == len(list(RecordedFeed(tmp_path / "ticks", [SPOT])))

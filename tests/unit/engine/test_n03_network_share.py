"""N03: two sessions vanished from a database on a network share. The place is warned about, pages
are looked at by every start or right after it, and there is a backup to go back to."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from loguru import logger

from actors import doctor, opening, upkeep
from actors import messages as msg
from actors.launch import LaunchError
from actors.upkeep import Upkeep
from storage import page_check
from storage.journal import JournalDamaged
from tests.engines import run_synthetic, simulated_engine
from tests.unit.engine.test_opening import _zeroed, launched


@pytest.fixture
def database(tmp_path: Path) -> Path:
    running = simulated_engine(tmp_path)
    run_synthetic(running, 30)
    running.end()
    return running.database


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_a_network_share_is_warned_about_at_each_start_and_fails_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(doctor, "file_system_of", lambda folder, mounts: kind)
    told: list[str] = []
    sink = logger.add(lambda line: told.append(str(line)), level="ERROR", format="{message}")
    launch = launched(tmp_path / "a.db")
    launch.lock()
    launch.unlock()
    logger.remove(sink)
    (line,) = told
    assert line.startswith("NETWORK_FILE_SYSTEM")
    assert kind in line
    assert "move the database to a local disk" in line
    assert "fail" == doctor.check_file_system(tmp_path / "a.db").state


def test_a_local_disk_is_not_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "file_system_of", lambda folder, mounts: "ext4")
    told: list[str] = []
    sink = logger.add(lambda line: told.append(str(line)), level="WARNING")
    launch = launched(tmp_path / "a.db")
    launch.lock()
    launch.unlock()
    logger.remove(sink)
    assert [] == told


def test_a_page_that_was_lost_is_found_before_anything_is_traded(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that trusts the chain alone reads past an index whose pages are gone."""
    _zeroed("idx_fills_position_id")(database)
    with monkeypatch.context() as naive:
        naive.setattr(page_check, "check_pages", lambda path: None)
        opening.check_pages(database)
    with pytest.raises(LaunchError, match="no backup in") as caught:
        launched(database).run()
    assert 3 == caught.value.exit_code


@pytest.mark.parametrize("damaged", [False, True])
async def test_the_pages_of_a_large_file_are_looked_at_beside_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    monkeypatch.setattr(upkeep, "PAGES_AT_ONCE_BYTES_MAX", 4096)
    running = simulated_engine(tmp_path)
    run_synthetic(running, 30)
    if damaged:
        running.engine.writer.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _zeroed("idx_fills_position_id")(running.database)
    with trio.fail_after(60):
        await Upkeep(running.engine, snapshot_events=0).run()
    engine = running.engine
    assert ([msg.Halt("journal_damaged")] if damaged else []) == list(engine.inbox.local)
    told = [alert.text for alert in engine.release.alerts if alert.token == "JOURNAL_DAMAGED"]
    assert damaged == bool(told)
    assert damaged == any("holdfast.db" in text for text in told)
    engine.reader.close()
    engine.writer.conn.close()


def test_the_process_that_looks_says_what_is_broken(database: Path) -> None:
    page_check.check_pages(database)
    _zeroed("idx_fills_position_id")(database)
    with pytest.raises(JournalDamaged, match=r"holdfast\.db"):
        page_check.check_pages(database)
    assert 3 == page_check.main([str(database)])

"""Backups on a schedule: made beside the service, told, an alert when they fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from actors import backups as scheduled
from actors import messages as msg
from actors.backups import BackupPlan, Backups, last_backup
from actors.engine import Engine
from storage import backup_process
from storage.backup import examined, make_backup
from storage.backup_folder import SCHEDULED, backups_in, default_folder
from tests.engines import START_US, run_synthetic, simulated_engine

PATIENCE_S = 60


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    running = simulated_engine(tmp_path)
    run_synthetic(running, 30)
    yield running.engine
    running.engine.close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduled, "FIRST_S", 0.01)


def plan(engine: Engine, interval_s: float = 3_600, **more: object) -> BackupPlan:
    folder = default_folder(engine.settings.database)
    return BackupPlan(folder=folder, interval_s=interval_s, **more)  # type: ignore[arg-type]


async def until(count: int, backups: Backups, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run until so many attempts were made and their outcome is told."""
    ended, real, seen = trio.Event(), Backups._make, 0

    async def watched(self: Backups) -> bool:
        nonlocal seen
        done = await real(self)
        seen += 1
        if seen == count:
            ended.set()
        return done

    with monkeypatch.context() as patch, trio.fail_after(PATIENCE_S):
        patch.setattr(Backups, "_make", watched)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(backups.run)
            await ended.wait()
            nursery.cancel_scope.cancel()


def alerts(engine: Engine, token: str) -> list[str]:
    return [alert.text for alert in engine.release.alerts if alert.token == token]


async def test_the_first_is_made_soon_and_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = Backups(engine, plan(engine))
    engine.backups = backups.document
    assert engine.document()["journal"]["backup"]["last_at"] is None
    await until(1, backups, monkeypatch)
    (only,) = backups_in([backups.plan.folder], engine.settings.database)
    assert SCHEDULED == only.reason
    assert engine.writer.head.seq == only.seq == examined(only.path).head.seq
    told = engine.document()["journal"]["backup"]
    assert (only.seq, str(backups.plan.folder), None) == (
        told["last_seq"],
        told["folder"],
        told["failed"],
    )
    assert told["last_at"].startswith("20")
    assert [] == alerts(engine, "BACKUP_FAILED")


async def test_a_recent_one_is_waited_out(engine: Engine, tmp_path: Path) -> None:
    folder = default_folder(engine.settings.database)
    folder.mkdir()
    made = make_backup(engine.settings.database, folder, reason="manual", folder=True)
    assert made.manifest is not None
    (only,) = backups_in([folder], engine.settings.database)
    engine.clock.move_to(only.made_at_us + 600 * 1_000_000)  # type: ignore[attr-defined]
    backups = Backups(engine, plan(engine))
    assert 3_000 == backups._due_s()
    assert made.head.seq == backups.document["last_seq"]
    engine.clock.move_to(only.made_at_us + 4_000 * 1_000_000)  # type: ignore[attr-defined]
    assert backups._due_s() < 0


@pytest.mark.parametrize("seq", [0, 10**6])
async def test_books_that_are_older_than_a_backup_are_told(engine: Engine, seq: int) -> None:
    """Rolled back together with the head that is kept outside: nothing else would say so."""
    folder = default_folder(engine.settings.database)
    folder.mkdir()
    name = f"holdfast.db-20260101T000000Z-seq{seq}-scheduled.backup"
    (folder / name).write_text("x")
    await Backups(engine, plan(engine, 0)).run()
    told = alerts(engine, "OLDER_THAN_ITS_BACKUP")
    assert (seq > 0) == bool(told)
    assert all(name in text for text in told)


async def test_an_interval_of_zero_makes_none(engine: Engine) -> None:
    await Backups(engine, plan(engine, 0)).run()
    assert not default_folder(engine.settings.database).exists()


async def test_nothing_new_makes_no_other_one(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = Backups(engine, plan(engine, 0.01))
    await until(3, backups, monkeypatch)
    assert 1 == len(backups_in([backups.plan.folder], engine.settings.database))


async def test_a_failed_one_is_an_alert_and_is_tried_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = default_folder(engine.settings.database)
    folder.write_text("in the way")
    monkeypatch.setattr(scheduled, "_RETRY_S", 0.01)
    backups = Backups(engine, plan(engine))
    waiting = len(engine.inbox)
    await until(2, backups, monkeypatch)
    first, second = alerts(engine, "BACKUP_FAILED")
    assert first == second
    assert "holdfast.db.backups" in first
    assert "the last one: none" in first
    assert "holdfast.db.backups" in backups.document["failed"]
    folder.unlink()
    await until(1, backups, monkeypatch)
    assert backups.document["failed"] is None
    assert engine.writer.head.seq == backups.document["last_seq"]
    assert waiting == len(engine.inbox), "a failed backup hurts nothing"


@pytest.mark.parametrize("command", [["/nowhere/python"], ["python3", "-c", "raise SystemExit(9)"]])
async def test_a_process_that_does_not_run_is_a_failed_backup(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(backup_process, "command", lambda *_: command)
    backups = Backups(engine, plan(engine))
    await until(1, backups, monkeypatch)
    assert 1 == len(alerts(engine, "BACKUP_FAILED"))


async def test_a_process_that_hangs_is_ended(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduled, "_LONGEST_S", 0.1)
    monkeypatch.setattr(backup_process, "command", lambda *_: ["sleep", "60"])
    backups = Backups(engine, plan(engine))
    await until(1, backups, monkeypatch)
    (told,) = alerts(engine, "BACKUP_FAILED")
    assert "hangs" in told


async def test_a_database_that_proves_damaged_halts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = "UPDATE journal SET at_us = at_us + ? WHERE seq = 5"
    engine.writer.conn.execute(change, (1,))
    backups = Backups(engine, plan(engine))
    await until(1, backups, monkeypatch)
    assert [msg.Halt("journal_damaged")] == list(engine.inbox.local)
    (told,) = alerts(engine, "JOURNAL_DAMAGED")
    assert "seq 5" in told
    assert [] == backups_in([backups.plan.folder], engine.settings.database)
    engine.writer.conn.execute(change, (-1,))


async def test_old_ones_go(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    database = engine.settings.database
    backups = Backups(engine, plan(engine, keep=1, keep_days=0))
    backups.plan.folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("storage.backup.wall_us", lambda: START_US)
        old = make_backup(database, backups.plan.folder, reason=SCHEDULED, folder=True)
    engine.clock.move_to(START_US + 2 * 3_600 * 1_000_000)  # type: ignore[attr-defined]
    await until(1, backups, monkeypatch)
    (only,) = backups_in([backups.plan.folder], database)
    assert old.path != only.path
    assert only.made_at_us > START_US


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    folder = tmp_path / "a.db.backups"
    folder.mkdir()
    monkeypatch.setattr(Path, "iterdir", refused)
    assert "Permission denied" in last_backup(folder, tmp_path / "a.db")["failed"]

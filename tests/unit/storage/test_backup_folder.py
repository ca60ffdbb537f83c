"""Which backups stay, which one is the best, and what a migration waits for."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from fsm.timestamps import iso_utc
from storage import backup_folder
from storage.backup import BackupFailed, examined, make_backup
from storage.backup_folder import (
    BEFORE_MIGRATION,
    MANUAL,
    SCHEDULED,
    Kept,
    backups_in,
    best_backup,
    default_folder,
    prune,
    surplus,
)
from storage.journal import JournalDamaged
from storage.schema import MIGRATIONS, SCHEMA_VERSION, migrate, version_of
from storage.writer import JournalWriter
from tests.unit.storage.stories import long_story, write
from tests.unit.storage.test_schema import old_database
from tests.unit.storage.test_writer import alerts

HOUR_US = 3_600 * 1_000_000
START_US = 1_700_006_400_000_000  # a midnight


def kept(hours: int, reason: str = SCHEDULED) -> Kept:
    return Kept(
        path=Path(f"{hours}-{reason}"),
        made_at_us=START_US + hours * HOUR_US,
        seq=hours,
        reason=reason,
    )


def newest_first(*found: Kept) -> list[Kept]:
    return sorted(found, key=lambda each: each.made_at_us, reverse=True)


def test_the_newest_and_the_last_of_each_day_stay() -> None:
    backups = newest_first(*(kept(hours) for hours in range(0, 24 * 10, 6)))
    gone = surplus(backups, keep=4, keep_days=3)
    stay = [each for each in backups if each not in gone]
    assert [234, 228, 222, 216, 210, 186] == [each.seq for each in stay]


@pytest.mark.parametrize(("keep", "keep_days"), [(0, 0), (1, 0), (1, 1)])
def test_the_newest_always_stays(keep: int, keep_days: int) -> None:
    backups = newest_first(kept(1), kept(2), kept(3))
    assert [kept(2), kept(1)] == surplus(backups, keep, keep_days)


def test_what_a_person_made_and_the_last_before_a_migration_stay() -> None:
    backups = newest_first(
        kept(1, MANUAL), kept(2, BEFORE_MIGRATION), kept(3, BEFORE_MIGRATION), kept(4), kept(5)
    )
    gone = surplus(backups, keep=1, keep_days=0)
    assert [kept(4), kept(2, BEFORE_MIGRATION)] == gone


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    writer = JournalWriter(path)
    write(writer, long_story().turns)
    writer.close()
    return path


def grown(database: Path, events: int = 3) -> None:
    writer = JournalWriter(database)
    write(writer, [alerts(events)])
    writer.close()


def series(
    database: Path, patch: pytest.MonkeyPatch, count: int, reason: str = SCHEDULED
) -> list[Path]:
    """Backups an hour apart, oldest first, a few events more in each."""
    folder = default_folder(database)
    folder.mkdir(exist_ok=True)
    done = []
    for number in range(count):
        patch.setattr("storage.backup.wall_us", lambda at=number: START_US + at * HOUR_US)
        done.append(make_backup(database, folder, reason=reason, folder=True).path)
        grown(database)
    return done


def test_pruning_deletes_a_backup_with_what_lies_beside_it_and_nothing_else(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = series(database, monkeypatch, 3)
    folder = first.parent
    ours = {
        folder / f"{first.name.replace('seq', 'seq9')}.venue",
        folder / f"{first.name.replace('seq', 'seq9')}.head",
    }
    others = {
        folder / f".{first.name}.{os.getpid()}.partial",
        folder / "a.db",
        folder / "a.db-20200101T000000Z-seq1-scheduled.backup.zip",
        folder / "b.db-20200101T000000Z-seq1-scheduled.backup",
        folder / "a.db-20200101T000000Z-seq1-scheduled.backup",
        folder / "a.db-20200101T000000Z-seq1-manual.backup.venue",
    }
    for path in ours | others:
        path.write_text("something")
    assert [first] == prune(folder, database, keep=2, keep_days=0)
    left = set(folder.iterdir())
    assert others < left
    assert not ours & left
    assert {second, third} < left
    assert {Path(f"{second}.head"), Path(f"{third}.head")} < left
    assert Path(f"{first}.head") not in left


def test_backups_of_another_database_are_not_ours(
    database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (only,) = series(database, monkeypatch, 1)
    (tmp_path / "a.db.backups" / only.name.replace("a.db-", "a.db-x-")).write_text("x")
    assert [only] == [each.path for each in backups_in([only.parent, only.parent], database)]
    (found,) = backups_in([only.parent], database)
    assert (SCHEDULED, iso_utc(START_US)) == (found.reason, iso_utc(found.made_at_us))
    assert [] == backups_in([only.parent], tmp_path / "b.db")


# -------------------------------------------------------------------------------- the best of them


def test_the_best_is_the_newest_whole_one(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = series(database, monkeypatch, 3)
    folders = [first.parent]

    def best() -> Path | None:
        found = best_backup(folders, database)
        return None if found is None else found.path

    assert third == best()
    conn = sqlite3.connect(third)
    conn.execute("DELETE FROM journal WHERE seq > 20")
    conn.commit()
    conn.close()
    assert second == best()
    second.write_bytes(b"")
    assert first == best()
    first.unlink()
    assert best() is None


def test_one_of_this_history_is_better_than_a_newer_one_of_another(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = series(database, monkeypatch, 2)
    other = examined(second)
    found = best_backup([first.parent], database, {other.head.seq: "00" * 32})
    assert found is not None
    assert first == found.path
    first.unlink()
    found = best_backup([first.parent], database, {other.head.seq: "00" * 32})
    assert found is not None
    assert second == found.path


def test_only_so_many_are_looked_at(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *later = series(database, monkeypatch, 7)
    for path in later[-5:]:
        path.write_bytes(b"x")
    assert best_backup([first.parent], database) is None


# ------------------------------------------------------------------------------ before a migration


def test_a_migration_keeps_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    head = old_database(path, 2)
    writer = JournalWriter(path)
    assert SCHEMA_VERSION - 2 == writer.migrated
    writer.close()
    (only,) = backups_in([default_folder(path)], path)
    found = examined(only.path)
    assert (BEFORE_MIGRATION, 2, head) == (only.reason, found.schema_version, found.head.hash)
    JournalWriter(path).close()
    assert 1 == len(backups_in([default_folder(path)], path))


def test_a_new_database_and_one_without_events_need_none(tmp_path: Path) -> None:
    JournalWriter(tmp_path / "new.db").close()
    empty = sqlite3.connect(tmp_path / "empty.db", isolation_level=None)
    MIGRATIONS[0](Database(empty))
    empty.execute("PRAGMA user_version = 1")
    empty.close()
    JournalWriter(tmp_path / "empty.db").close()
    assert not list(tmp_path.glob("*.backups"))


def test_without_its_backup_a_migration_does_not_happen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.db"
    old_database(path, 2)
    before = path.read_bytes()
    default_folder(path).write_text("in the way")
    with pytest.raises(BackupFailed, match=r"old\.db\.backups"):
        JournalWriter(path)
    default_folder(path).unlink()

    def full(*_: object, **__: object) -> None:
        raise BackupFailed("no room")

    with monkeypatch.context() as patch:
        patch.setattr(backup_folder, "make_backup", full)
        with pytest.raises(BackupFailed, match="no room"):
            JournalWriter(path)
    conn = sqlite3.connect(path)
    assert 2 == version_of(conn)
    conn.close()
    assert before == path.read_bytes()
    JournalWriter(path, backups=tmp_path / "elsewhere").close()
    assert 1 == len(backups_in([tmp_path / "elsewhere"], path))


def test_a_damaged_old_database_is_not_migrated(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old_database(path, 2)
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("UPDATE journal SET at_us = at_us + 1 WHERE seq = 9")
    assert 2 == version_of(conn)
    conn.close()
    with pytest.raises(JournalDamaged, match="seq 9"):
        JournalWriter(path)
    conn = sqlite3.connect(path, isolation_level=None)
    assert 2 == version_of(conn)
    assert SCHEMA_VERSION - 2 == migrate(conn, "")
    conn.close()

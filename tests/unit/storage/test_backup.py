"""A backup is one whole file with its proof, or it is not there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fsm.timestamps import micros_from_iso
from storage import backup, copying
from storage.backup import BackupExists, BackupFailed, examined, make_backup, venue_beside
from storage.journal import (
    Head,
    JournalDamaged,
    JournalReader,
    check_head,
    head_path,
    write_head,
)
from storage.process_journal import ProcessJournal
from storage.schema import MANIFEST, SCHEMA_VERSION, ForeignDatabase, SchemaTooNew
from storage.verify import verify
from storage.writer import JournalWriter
from tests.unit.storage.stories import batches, long_story, write
from tests.unit.storage.test_writer import alerts


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[JournalWriter]:
    """An open database with a history, most of it in its log."""
    writer = JournalWriter(tmp_path / "a.db")
    write(writer, long_story().turns)
    writer.project_all()
    yield writer
    writer.close()


def made(writer: JournalWriter, name: str = "b.db", **more: object) -> Path:
    name_path = writer.path.with_name(name)
    return make_backup(writer.path, name_path, reason="manual", **more).path  # type: ignore[arg-type]


def test_a_backup_of_a_live_database_is_one_file_that_says_what_it_holds(
    writer: JournalWriter, tmp_path: Path
) -> None:
    assert Path(f"{writer.path}-wal").stat().st_size > 0
    copy = made(writer)
    assert 0o600 == stat.S_IMODE(copy.stat().st_mode)
    assert {"b.db", "b.db.head"} == {path.name for path in tmp_path.glob("*b.db*")}
    alone = tmp_path / "alone" / "b.db"
    alone.parent.mkdir()
    shutil.copy(copy, alone)
    found = examined(alone)
    assert found.manifest is not None
    assert (writer.head.seq, writer.head.hash) == (found.head.seq, found.head.hash)
    manifest = found.manifest
    assert (writer.head.seq, writer.head.hash.hex()) == (manifest.seq, manifest.head_hash)
    assert (SCHEMA_VERSION, "manual", "a.db", "") == (
        manifest.schema_version,
        manifest.reason,
        manifest.source,
        manifest.venue_sha256,
    )
    assert micros_from_iso(manifest.made_at) > 0
    assert {"b.db"} == {path.name for path in alone.parent.iterdir()}
    report = verify(copy)
    assert ((), 1, 1) == (report.problems, report.checks["manifest"], report.checks["head"])


def test_a_backup_can_be_read_where_nothing_can_be_written(
    writer: JournalWriter, tmp_path: Path
) -> None:
    folder = tmp_path / "shelf"
    folder.mkdir()
    copy = make_backup(writer.path, folder, reason="manual", folder=True).path
    folder.chmod(0o500)
    try:
        assert writer.head.seq == examined(copy).head.seq
    finally:
        folder.chmod(0o700)


def test_a_writer_beside_it_goes_on_and_the_copy_is_of_one_moment(tmp_path: Path) -> None:
    """Commits during the copy neither get into it nor make it begin again."""
    path = tmp_path / "a.db"
    writer = JournalWriter(path)
    (first,) = batches([alerts(4_000)])
    writer.commit([first])
    steps, real = 0, os.fdatasync

    def committing(fd: int) -> None:
        nonlocal steps
        steps += 1
        write(writer, [alerts(50)])
        real(fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "_PAGES_A_STEP", 16)
        patch.setattr(backup.os, "fdatasync", committing)
        copy = make_backup(path, tmp_path / "b.db", reason="manual")
    assert steps > 10
    assert 4_000 == copy.head.seq == examined(copy.path).head.seq
    assert 4_000 + 50 * steps == writer.head.seq
    writer.close()


def test_a_database_that_its_own_process_writes_is_backed_up(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    failures: list[object] = []
    journal = ProcessJournal(JournalWriter(path), lambda turn: None, failures.append)
    for batch in batches([alerts(100) for _ in range(20)]):
        journal.append(batch)
    journal.close()
    assert [] == failures
    assert 2_000 == make_backup(path, tmp_path / "b.db", reason="manual").head.seq
    journal.writer.close()


def test_a_backup_of_a_backup_says_what_it_holds_itself(
    writer: JournalWriter, tmp_path: Path
) -> None:
    copy = made(writer)
    traded_on = JournalWriter(copy)
    write(traded_on, [alerts(3)])
    traded_on.close()
    assert () == verify(copy).problems
    second = make_backup(copy, tmp_path / "c.db", reason="manual").path
    conn = sqlite3.connect(second)
    assert [(writer.head.seq + 3,)] == conn.execute(f"SELECT seq FROM {MANIFEST}").fetchall()
    conn.close()


def test_the_venue_record_goes_with_it(writer: JournalWriter, tmp_path: Path) -> None:
    venue = tmp_path / "a.db.venue"
    conn = sqlite3.connect(venue)
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("CREATE TABLE orders (a)")
    conn.execute("INSERT INTO orders VALUES (7)")
    conn.commit()
    copy = made(writer, venue=venue)
    conn.close()
    kept = sqlite3.connect(venue_beside(copy))
    assert [(7,)] == kept.execute("SELECT a FROM orders").fetchall()
    kept.execute("UPDATE orders SET a = 8")
    kept.commit()
    kept.close()
    with pytest.raises(JournalDamaged, match="not the venue's record"):
        examined(copy)


# ------------------------------------------------------------------------------- what is found out


def _flip(path: Path, sql: str) -> None:
    conn = sqlite3.connect(path)
    conn.execute(sql)
    conn.commit()
    conn.close()


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _scribble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 5] = bytes(8192)
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: _flip(path, "UPDATE journal SET at_us = at_us + 1 WHERE seq = 9"),
        lambda path: _flip(path, "DELETE FROM journal WHERE seq > 20"),
        lambda path: _flip(path, "DELETE FROM journal WHERE seq = 20"),
        _cut,
        _scribble,
        lambda path: path.write_bytes(b"nothing that SQLite knows" * 999),
    ],
    ids=["changed", "tail", "hole", "half", "zeroed", "nonsense"],
)
def test_a_damaged_backup_is_found_out_alone(
    writer: JournalWriter, damage: Callable[[Path], None]
) -> None:
    copy = made(writer)
    head_path(copy).unlink()
    examined(copy)
    damage(copy)
    with pytest.raises(JournalDamaged, match=r"b\.db"):
        examined(copy)


def test_a_damaged_database_is_not_backed_up(writer: JournalWriter, tmp_path: Path) -> None:
    writer.conn.execute("UPDATE journal SET at_us = at_us + 1 WHERE seq = 9")
    with pytest.raises(JournalDamaged, match="seq 9"):
        made(writer)
    assert [] == list(tmp_path.glob("*b.db*"))


def test_a_copy_that_comes_out_damaged_is_a_failed_backup(
    writer: JournalWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = backup.copy_pages

    def bad(source: sqlite3.Connection, target: Path) -> None:
        real(source, target)
        _flip(target, "UPDATE journal SET at_us = at_us + 1 WHERE seq = 9")

    monkeypatch.setattr(backup, "copy_pages", bad)
    with pytest.raises(BackupFailed, match="the database is whole"):
        made(writer)
    assert [] == list(tmp_path.glob("*b.db*"))


def test_what_killed_backups_left_is_removed_by_the_next_one(
    writer: JournalWriter, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        check=True,
        text=True,
    )
    dead = ended.stdout.strip()
    left = [f".b.db.{dead}.partial", f".a.db-x.{dead}.partial.venue", f".b.db.{dead}.partial-wal"]
    others = [f".other.db.{dead}.partial", f".b.db.{os.getppid()}.partial", ".b.db.partial"]
    for name in (*left, *others):
        (tmp_path / name).write_text("x")
    made(writer)
    assert not [name for name in left if (tmp_path / name).exists()]
    assert all((tmp_path / name).exists() for name in others)


def test_a_database_without_its_tail_is_not_backed_up(writer: JournalWriter) -> None:
    write_head(writer.path, Head(writer.head.seq + 1, b"x"))
    with pytest.raises(JournalDamaged, match="its tail is lost"):
        made(writer)


def test_a_live_database_may_go_on_while_it_is_examined(
    writer: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = backup.manifest_of

    def slow(conn: sqlite3.Connection) -> object:
        write(writer, [alerts(3)])
        writer.keep_head(force=True)
        return real(conn)

    writer.keep_head(force=True)
    monkeypatch.setattr(backup, "manifest_of", slow)
    before = writer.head.seq
    assert before == examined(writer.path).head.seq
    assert before + 3 == writer.head.seq


@pytest.mark.parametrize("damaged", [False, True])
def test_whose_damage_it_is_is_looked_at(
    writer: JournalWriter, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    """A bad disk under the copy must not be taken for a damaged journal, which halts."""

    def malformed(file: Path) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(backup, "drop_manifest", malformed)
    if damaged:
        writer.conn.execute("UPDATE journal SET at_us = at_us + 1 WHERE seq = 9")
    with pytest.raises(JournalDamaged if damaged else BackupFailed):
        made(writer)


# ------------------------------------------------------------------------------- what is refused


def test_nothing_is_replaced(writer: JournalWriter, tmp_path: Path) -> None:
    (tmp_path / "b.db").write_text("mine")
    with pytest.raises(BackupExists, match="exists"):
        made(writer)
    assert "mine" == (tmp_path / "b.db").read_text()
    (tmp_path / "c.db").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BackupExists):
        made(writer, "c.db")


def test_a_name_that_is_taken_meanwhile_is_not_replaced(
    writer: JournalWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = backup.examined

    def slow(path: Path) -> object:
        (tmp_path / "b.db").write_text("mine")
        return real(path)

    monkeypatch.setattr(backup, "examined", slow)
    with pytest.raises(BackupExists):
        made(writer)
    assert {"b.db"} == {path.name for path in tmp_path.glob("*b.db*")}
    assert "mine" == (tmp_path / "b.db").read_text()


def test_a_disk_without_hard_links_will_do(
    writer: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: object, target: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(backup.os, "link", no_links)
    assert writer.head.seq == examined(made(writer)).head.seq


def test_what_is_no_database_is_not_backed_up(tmp_path: Path) -> None:
    target = tmp_path / "b.db"
    with pytest.raises(FileNotFoundError):
        make_backup(tmp_path / "none.db", target, reason="manual")
    foreign = tmp_path / "foreign.db"
    _flip(foreign, "CREATE TABLE recipes (a)")
    with pytest.raises(ForeignDatabase, match="foreign"):
        make_backup(foreign, target, reason="manual")
    _flip(foreign, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(SchemaTooNew):
        make_backup(foreign, target, reason="manual")
    assert not target.exists()


def test_a_missing_folder_and_a_full_disk_are_said_before_anything_is_written(
    writer: JournalWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BackupFailed, match="no such folder"):
        make_backup(writer.path, tmp_path / "none" / "b.db", reason="manual")
    usage = shutil.disk_usage(tmp_path)
    full = type(usage)(usage.total, usage.used, backup.FREE_BYTES_MIN)
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda path: full)
    with pytest.raises(BackupFailed, match="MiB free"):
        made(writer)
    assert [] == list(tmp_path.glob("*b.db*"))


def test_a_disk_that_fills_up_leaves_nothing(
    writer: JournalWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sqlite3.connect

    def small(path: object, **how: object) -> sqlite3.Connection:
        conn = real(path, **how)  # type: ignore[call-overload]
        if str(path).endswith(".partial"):
            conn.execute("PRAGMA max_page_count = 10")
        return conn  # type: ignore[no-any-return]

    monkeypatch.setattr(backup.sqlite3, "connect", small)
    with pytest.raises(BackupFailed, match="the disk is full"):
        made(writer)
    assert [] == list(tmp_path.glob("*b.db*"))
    reader = JournalReader.open(writer.path)
    check_head(reader, writer.path)
    reader.close()

"""A restore puts all of a backup in place or nothing, whatever ends it, and deletes nothing."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import frozen

from storage import restore as restoring
from storage.backup import examined, make_backup, venue_beside
from storage.journal import (
    JournalDamaged,
    JournalReader,
    RestorePending,
    check_head,
    head_path,
    read_head,
    restore_marker,
)
from storage.restore import finish_restore, present_files, restore, staged
from storage.restore_loss import loss
from storage.schema import MANIFEST
from storage.verify import verify
from storage.writer import JournalWriter
from tests.unit.storage.stories import long_story, write
from tests.unit.storage.test_writer import alerts


@frozen
class Case:
    """A database that went on after its backup, as a kill left it: part of it is in its log."""

    database: Path
    backup: Path
    kept_seq: int
    last_seq: int

    @property
    def venue(self) -> Path:
        return Path(f"{self.database}.venue")


def _venue(path: Path, value: int) -> None:
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("CREATE TABLE IF NOT EXISTS orders (a)")
    conn.execute("DELETE FROM orders")
    conn.execute("INSERT INTO orders VALUES (?)", (value,))
    conn.close()


def venue_says(path: Path) -> int:
    conn = sqlite3.connect(path)
    (value,) = conn.execute("SELECT a FROM orders").fetchone()
    conn.close()
    return int(value)


def make_case(folder: Path) -> Case:
    database = folder / "a.db"
    writer = JournalWriter(database)
    write(writer, long_story().turns)
    writer.project_all()
    writer.keep_head(force=True)
    _venue(Path(f"{database}.venue"), 1)
    kept = make_backup(
        database, folder / "kept.db", reason="scheduled", venue=Path(f"{database}.venue")
    )
    _venue(Path(f"{database}.venue"), 2)
    write(writer, [alerts(40)])
    writer.keep_head(force=True)
    _copied_with_its_log(writer, folder)
    Path(f"{database}.spill").write_text('{"cancel": "x"}\n')
    Path(f"{database}.snapshot").write_text("of the old one")
    return Case(database, kept.path, kept.head.seq, kept.head.seq + 40)


def _copied_with_its_log(writer: JournalWriter, folder: Path) -> None:
    """Closing would fold the log in: it is copied while the database is open."""
    aside = folder / "copied"
    aside.mkdir()
    for ending in ("", "-wal", ".head"):
        shutil.copy(f"{writer.path}{ending}", aside / f"a.db{ending}")
    assert (aside / "a.db-wal").stat().st_size > 0
    writer.close()
    for file in aside.iterdir():
        shutil.move(file, folder / file.name)
    aside.rmdir()
    Path(f"{writer.path}-shm").unlink(missing_ok=True)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return make_case(tmp_path)


def seq_of(database: Path) -> int:
    """Open it as a start does, and say where it ends."""
    JournalWriter(database).close()
    reader = JournalReader.open(database)
    try:
        check_head(reader, database)
        return reader.head().seq
    finally:
        reader.close()


def test_what_was_there_is_kept_whole_under_another_name(case: Case) -> None:
    aside = restore(examined(case.backup), case.database, case.venue)
    assert aside is not None
    assert aside.name.startswith("a-replaced-")
    assert '{"cancel": "x"}\n' == Path(f"{aside}.spill").read_text()
    assert case.last_seq == seq_of(aside)
    assert 2 == venue_says(Path(f"{aside}.venue"))
    assert case.kept_seq == seq_of(case.database)
    assert 1 == venue_says(case.venue)
    for ending in (".spill", ".snapshot"):
        assert not Path(f"{case.database}{ending}").exists()
    assert not restore_marker(case.database).exists()
    assert not staged(case.database).exists()
    conn = sqlite3.connect(case.database)
    names = {name for (name,) in conn.execute("SELECT name FROM sqlite_schema")}
    conn.close()
    assert MANIFEST not in names
    assert () == verify(case.database).problems


def test_there_and_back_again(case: Case) -> None:
    aside = restore(examined(case.backup), case.database, case.venue)
    assert aside is not None
    second = restore(examined(aside), case.database, case.venue)
    assert case.last_seq == seq_of(case.database)
    assert 2 == venue_says(case.venue)
    assert second is not None
    assert second != aside
    assert case.kept_seq == seq_of(second)


def test_without_the_venues_record_the_venue_stays_as_it_is(case: Case) -> None:
    restore(examined(case.backup), case.database, None)
    assert 2 == venue_says(case.venue)
    venue_beside(case.backup).unlink()
    restore(examined(case.backup), case.database, case.venue)
    assert 2 == venue_says(case.venue)


def test_a_database_that_is_gone_is_restored(case: Case, tmp_path: Path) -> None:
    fresh = tmp_path / "elsewhere" / "b.db"
    fresh.parent.mkdir()
    assert restore(examined(case.backup), fresh, Path(f"{fresh}.venue")) is None
    assert case.kept_seq == seq_of(fresh)
    case.database.unlink()
    aside = restore(examined(case.backup), case.database)
    assert aside is not None
    assert Path(f"{aside}-wal").exists()
    assert case.kept_seq == seq_of(case.database)


def test_a_backup_that_changes_under_the_restore_changes_nothing(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = examined(case.backup)
    writer = JournalWriter(case.backup)
    write(writer, [alerts(1)])
    writer.close()
    with pytest.raises(JournalDamaged, match="has changed"):
        restore(found, case.database, case.venue)
    assert case.last_seq == seq_of(case.database)
    assert not staged(case.database).exists()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restoring, "copy_pages", full)
    with pytest.raises(OSError, match="No space"):
        restore(examined(case.backup), case.database, case.venue)
    assert case.last_seq == seq_of(case.database)
    assert not staged(case.database).exists()


# -------------------------------------------------------------------------------------- cut off


Attempt = Callable[[str, Path, Path, int], int]


@pytest.fixture
def attempt(root: Path) -> Iterator[Attempt]:
    """Make a backup or restore one, killed at its nth step; its exit code."""
    command = [sys.executable, "-m", "tests.unit.storage.restoring_child"]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def one(what: str, source: Path, target: Path, last: int) -> int:
            print(what, source, target, last, file=child.stdin, flush=True)
            return int(child.stdout.readline())  # type: ignore[union-attr]

        yield one
        child.stdin.close()


def _next_start(case: Case) -> tuple[int, int]:
    """What a start finds: it finishes a restore that was cut off, then opens the database."""
    if restore_marker(case.database).exists():
        with pytest.raises(RestorePending, match="cut off"):
            JournalReader.open(case.database)
        with pytest.raises(RestorePending):
            JournalWriter(case.database)
        assert finish_restore(case.database)
    assert not finish_restore(case.database)
    return seq_of(case.database), venue_says(case.venue)


@pytest.mark.slow
def test_killed_anywhere_one_of_the_two_is_usable_and_nothing_is_lost(
    tmp_path: Path, attempt: Attempt
) -> None:
    """`kill -9` before and after each step, and again while the next start finishes it."""
    outcomes: list[bool] = []
    original = tmp_path / "original"
    original.mkdir()
    first = make_case(original)
    for last in range(1, 200):
        folder = tmp_path / "round"
        shutil.copytree(original, folder)
        case = Case(folder / "a.db", folder / "kept.db", first.kept_seq, first.last_seq)
        code = attempt("restore", case.backup, case.database, last)
        found = _next_start(case)
        old, new = (case.last_seq, 2), (case.kept_seq, 1)
        assert found in (old, new), f"killed at step {last}"
        outcomes.append(found == new)
        if found == new:
            (aside,) = folder.glob("a-replaced-*Z.db")
            assert (case.last_seq, 2) == (seq_of(aside), venue_says(Path(f"{aside}.venue")))
            assert Path(f"{aside}.spill").exists()
        assert () == verify(case.database).problems
        shutil.rmtree(folder)
        if code == 0:
            break
        assert -signal.SIGKILL == code
    assert code == 0, "the restore has more steps than the test goes through"
    assert outcomes == sorted(outcomes), "once it has happened it stays so"
    assert outcomes.count(False) > 10 < outcomes.count(True)


@pytest.mark.slow
def test_a_killed_backup_counts_as_none_and_hurts_nothing(tmp_path: Path, attempt: Attempt) -> None:
    case = make_case(tmp_path)
    complete = 0
    for last in range(1, 200):
        folder = tmp_path / "round"
        folder.mkdir()
        code = attempt("backup", case.database, folder / "b.db", last)
        if (folder / "b.db").exists():
            complete += 1
            found = examined(folder / "b.db")
            assert (case.last_seq, True) == (found.head.seq, found.venue is not None)
        shutil.rmtree(folder)
        if code == 0:
            break
        assert -signal.SIGKILL == code
    assert code == 0, "the backup has more steps than the test goes through"
    assert 1 < complete < last
    assert case.last_seq == seq_of(case.database)
    assert () == verify(case.database).problems


def test_a_marker_that_cannot_be_read_stops_everybody(case: Case) -> None:
    restore_marker(case.database).write_text("nonsense")
    with pytest.raises(JournalDamaged, match="unreadable"):
        finish_restore(case.database)
    with pytest.raises(RestorePending):
        JournalWriter(case.database)
    restore_marker(case.database).write_text(
        json.dumps({"aside": "x", "seq": 1, "hash": "00" * 32})
    )
    for path in present_files(case.database):
        path.unlink()
    with pytest.raises(JournalDamaged, match="is gone"):
        finish_restore(case.database)


# ----------------------------------------------------------------------------------------- the loss


def test_what_would_be_lost_is_counted(tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    writer, story = JournalWriter(database), long_story()
    half = len(story.turns) // 2
    write(writer, story.turns[:half])
    kept = make_backup(database, tmp_path / "b.db", reason="manual")
    write(writer, story.turns[half:])
    events = [event for turn in story.turns[half:] for event in turn]
    found = loss(database, kept)

    def told(name: str) -> int:
        return sum(type(event).__name__ == name for event in events)

    assert (kept.head.seq, writer.head.seq) == (found.common_seq, found.last_seq)
    assert (told("OrderIntended"), told("OrderFilled")) == (found.orders, found.fills)
    assert found.orders > 0 < found.fills
    assert found.first_at_us <= found.last_at_us
    assert ("p/C", "p/H") == found.open_positions  # both with an order that may still fill
    assert not found.problem
    assert not found.is_nothing
    assert loss(kept.path, kept).is_nothing
    writer.close()


def test_another_history_has_nothing_in_common_from_where_it_parts(tmp_path: Path) -> None:
    paths = tmp_path / "a.db", tmp_path / "b.db"
    for path, other in zip(paths, (5, 6), strict=True):
        writer = JournalWriter(path)
        write(writer, [alerts(10), alerts(other), alerts(20)])
        writer.close()
    found = loss(paths[0], examined(paths[1]))
    assert (15, 35) == (found.common_seq, found.last_seq)


def test_a_present_database_that_cannot_be_read_is_told_as_far_as_it_is_known(case: Case) -> None:
    kept = examined(case.backup)
    case.database.write_bytes(b"nonsense" * 1000)
    Path(f"{case.database}-wal").unlink()
    found = loss(case.database, kept)
    assert (case.kept_seq, case.last_seq) == (found.common_seq, found.last_seq)
    assert "cannot be read" in found.problem
    head_path(case.database).write_text("nonsense")
    assert "unreadable" in loss(case.database, kept).problem


def test_the_head_of_a_restored_database_is_its_own(case: Case) -> None:
    restore(examined(case.backup), case.database)
    head = read_head(case.database)
    assert head is not None
    assert case.kept_seq == head.seq

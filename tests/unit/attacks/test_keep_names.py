"""Names that mean the database by another way, or a file of its own that is not there now."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.lock import DatabaseLock
from storage.journal import head_path
from tests.unit.cli.conftest import Hold, database, history, hold

__all__ = ["database", "history", "hold"]


@pytest.fixture
def link(database: Path, tmp_path: Path) -> Path:
    """A symbolic link to the database, in another folder and with another name."""
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "link.db"
    path.symlink_to(database)
    return path


def test_one_lock_however_the_database_is_named(database: Path, link: Path) -> None:
    lock = DatabaseLock(database)
    assert lock.acquire()
    try:
        assert not DatabaseLock(link).acquire()
    finally:
        lock.release()


def test_a_restore_over_a_link_is_refused_while_a_service_holds_the_file(
    hold: Hold, database: Path, link: Path, tmp_path: Path
) -> None:
    assert 0 == hold("backup", tmp_path / "b.db", "--db", database).code
    lock = DatabaseLock(database)
    assert lock.acquire()
    try:
        assert 3 == hold("restore", tmp_path / "b.db", "--db", link, "--confirm").code
    finally:
        lock.release()


def test_a_restore_over_a_link_puts_the_file_in_place_and_leaves_the_link(
    hold: Hold, database: Path, link: Path, tmp_path: Path
) -> None:
    assert 0 == hold("backup", tmp_path / "b.db", "--db", link).code
    assert 0 == hold("restore", tmp_path / "b.db", "--db", link, "--confirm").code
    assert link.is_symlink()
    assert [link] == list(link.parent.iterdir())
    assert 0 == hold("verify", "--db", database).code
    assert head_path(database).exists()


OWN = ("", "-wal", "-shm", "-journal", ".head", ".spill", ".snapshot", ".lock", ".sock", ".venue")
LATER = (".venue-wal", ".restore", ".restoring", ".restoring-journal", ".ballast", ".head.new")


@pytest.mark.parametrize("ending", OWN + LATER)
def test_a_backup_never_takes_a_name_of_the_databases_own(
    hold: Hold, database: Path, ending: str
) -> None:
    own = Path(f"{database}{ending}")
    told = hold("backup", own, "--db", database)
    assert 2 == told.code, told
    assert "belongs to the database itself" in told.error
    assert 0 == hold("verify", "--db", database).code


def test_a_backup_may_be_called_much_like_the_database(hold: Hold, database: Path) -> None:
    for ending in ("-wal.backup", ".old", "2", ".headless"):
        assert 0 == hold("backup", f"{database}{ending}", "--db", database).code


def test_a_backup_that_is_not_there_is_told_as_one(hold: Hold, database: Path) -> None:
    told = hold("restore", "nothing.db", "--db", database)
    assert 4 == told.code
    assert "no such database; name the backup" in told.error


def test_the_doctor_fails_where_no_backup_can_be_made(
    hold: Hold, database: Path, tmp_path: Path
) -> None:
    (tmp_path / "letter").write_text("no folder")
    for folder in ("letter", "letter/below"):
        config = tmp_path / "holdfast.toml"
        config.write_text(f'[backup]\nfolder = "{tmp_path / folder}"\n')
        told = hold("doctor", "--db", database, "--config", config)
        assert 1 == told.code
        assert "is not a folder; name another with backup.folder" in told.out

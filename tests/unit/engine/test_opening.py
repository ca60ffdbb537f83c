"""What a start finds wrong with its database, and what it tells: one line, with the way out."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from actors import opening
from actors.config import load_config, with_overrides
from actors.launch import Launch, LaunchError
from storage import restore as restoring
from storage.backup import examined, make_backup
from storage.backup_folder import backups_in, default_folder
from storage.journal import JournalReader, head_path, restore_marker
from storage.restore import restore
from storage.schema import SCHEMA_VERSION
from tests.engines import START_US, run_synthetic, simulated_engine
from tests.unit.storage.test_schema import old_database


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped database, with a backup from its middle."""
    running = simulated_engine(tmp_path_factory.mktemp("history"))
    run_synthetic(running, 30)
    folder = default_folder(running.database)
    folder.mkdir()
    make_backup(running.database, folder, reason="scheduled", folder=True)
    run_synthetic(running, 150)
    running.end()
    return running.database


@pytest.fixture
def database(history: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    for file in history.parent.iterdir():
        copy = shutil.copytree if file.is_dir() else shutil.copy
        copy(file, tmp_path / file.name)
    return tmp_path / history.name


def launched(database: Path, **config: str) -> Launch:
    overrides = {key.replace("__", "."): value for key, value in config.items()}
    settings = with_overrides(load_config(None), overrides, "test")
    return Launch(config=settings, database=database, speed="max", duration_s=2)


def refusal(database: Path, **config: str) -> LaunchError:
    with pytest.raises(LaunchError) as caught:
        launched(database, **config).run()
    assert "\n" not in str(caught.value)
    return caught.value


def _sql(statement: str) -> Callable[[Path], None]:
    def damage(database: Path) -> None:
        conn = sqlite3.connect(database)
        conn.execute(statement)
        conn.commit()
        conn.close()

    return damage


def _zeroed(root: str) -> Callable[[Path], None]:
    """The first page of a table or an index is zeros."""

    def damage(database: Path) -> None:
        conn = sqlite3.connect(database)
        sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        (page,) = conn.execute(sql, (root,)).fetchone()
        (size,) = conn.execute("PRAGMA page_size").fetchone()
        conn.close()
        with database.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(bytes(size))

    return damage


def _rolled_back(database: Path) -> None:
    """Somebody copied an older one over it."""
    (backup,) = backups_in([default_folder(database)], database)
    shutil.copy(backup.path, database)


def _half(database: Path) -> None:
    with database.open("r+b") as file:
        file.truncate(database.stat().st_size // 2)


def _nonsense(database: Path) -> None:
    database.write_bytes(b"not a database at all" * 1000)


DAMAGES = {
    "changed": _sql("UPDATE journal SET at_us = at_us + 1 WHERE seq = 9"),
    "tail": _sql("DELETE FROM journal WHERE seq > (SELECT max(seq) - 5 FROM journal)"),
    "rolled back": _rolled_back,
    "journal page": _zeroed("journal"),
    "index page": _zeroed("idx_journal_stream"),
    "half": _half,
    "nonsense": _nonsense,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_rolled_back_database_is_refused_with_the_way_out(
    database: Path, damage: str
) -> None:
    (backup,) = backups_in([default_folder(database)], database)
    DAMAGES[damage](database)
    before = database.read_bytes()
    problem = refusal(database)
    assert 3 == problem.exit_code, problem
    command = f"holdfast restore {backup.path} --db {database} --confirm"
    assert str(problem).startswith(str(database))
    assert command in str(problem)
    assert f"up to seq {backup.seq:,}" in str(problem)
    assert f"loses seq {backup.seq + 1:,}.." in str(problem)
    if damage in ("changed", "index page"):
        assert "minutes)" in str(problem), "what can be read of it tells how long that was"
    assert before == database.read_bytes()
    restore(examined(backup.path), database)
    summary = launched(database, backup__interval_s="0").run()
    assert "halt" == summary.truth, "the venue here is another one: that is told, never adopted"
    assert summary.seq > backup.seq


def test_without_a_backup_that_is_said(database: Path) -> None:
    shutil.rmtree(default_folder(database))
    DAMAGES["changed"](database)
    assert "there is no backup in" in str(refusal(database))


def test_a_configured_folder_is_searched_too(database: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    default_folder(database).rename(elsewhere)
    DAMAGES["changed"](database)
    assert f"holdfast restore {elsewhere}" in str(refusal(database, backup__folder=str(elsewhere)))


def test_backups_that_are_damaged_too_are_no_way_out(database: Path) -> None:
    (backup,) = backups_in([default_folder(database)], database)
    _half(backup.path)
    DAMAGES["changed"](database)
    assert "none of the 1 backups" in str(refusal(database))


def test_a_file_that_never_was_ours_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    _nonsense(path)
    assert 4 == refusal(path).exit_code
    head_path(path).write_text('{"seq": 7, "hash": "00"}')
    assert 3 == refusal(path).exit_code


def test_a_restore_that_was_cut_off_is_finished_by_the_next_start(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (backup,) = backups_in([default_folder(database)], database)
    calls = iter([False])

    def killed(database: Path) -> bool:
        for answer in calls:
            return answer
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "finish_restore", killed)
        with pytest.raises(KeyboardInterrupt):
            restore(examined(backup.path), database)
    assert restore_marker(database).exists()
    launched(database, backup__interval_s="0").run()
    reader = JournalReader.open(database)
    (kept,) = reader.conn.execute(
        "SELECT count(*) FROM journal WHERE at_us < ?", (START_US + 10**9,)
    ).fetchone()
    reader.close()
    assert backup.seq == kept


def test_a_migration_without_room_for_its_backup_does_not_happen(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old_database(path, SCHEMA_VERSION - 1)
    before = path.read_bytes()
    default_folder(path).write_text("in the way")
    problem = refusal(path)
    assert 4 == problem.exit_code
    assert str(default_folder(path)) in str(problem)
    assert before == path.read_bytes()


def test_only_what_is_small_enough_is_looked_at_before_a_start(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DAMAGES["index page"](database)
    monkeypatch.setattr(opening, "PAGES_AT_ONCE_BYTES_MAX", 4096)
    opening.check_pages(database)

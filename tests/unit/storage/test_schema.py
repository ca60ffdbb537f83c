"""Old databases grow, new ones are left alone, and everybody may read."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from sqlite_utils import Database

from storage.journal import JournalReader, connect_readonly
from storage.schema import INDEXES, MIGRATIONS, PROJECTIONS, SCHEMA_VERSION, migrate, version_of
from storage.verify import verify
from storage.writer import JournalWriter, open_writing_connection
from tests.unit.storage.stories import long_story, write


def old_database(path: Path, steps: int) -> bytes:
    """A database as an early version left it: with rows, and fewer tables."""
    rows = JournalWriter(path.with_suffix(".new"))
    write(rows, long_story().turns)
    conn = open_writing_connection(path)
    for number, step in enumerate(MIGRATIONS[:steps], start=1):
        step(Database(conn))
        conn.execute(f"PRAGMA user_version = {number}")
    conn.execute("ATTACH ? AS src", (str(rows.path),))
    for table in ("journal", "dedup_keys", "identities"):
        conn.execute(f"INSERT INTO main.{table} SELECT * FROM src.{table}")
    conn.close()
    head = rows.head.hash
    rows.close()
    return head


def older_tables(path: Path, steps: int) -> Path:
    """A database whose tables are full, and lack what later versions added to them."""
    writer = JournalWriter(path)
    write(writer, long_story().turns)
    writer.project_all()
    for table, column in (("orders", "cancel_reason"), ("fills", "slippage_quote")):
        writer.conn.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    writer.conn.execute("DROP TABLE unresolved_facts")
    writer.conn.execute(f"PRAGMA user_version = {steps}")
    writer.close()
    return path


@pytest.mark.parametrize("steps", range(1, SCHEMA_VERSION))
def test_an_old_database_with_rows_is_migrated_and_its_record_is_untouched(
    tmp_path: Path, steps: int
) -> None:
    path = tmp_path / "old.db"
    head = old_database(path, steps)
    assert () == verify(path).problems
    writer = JournalWriter(path)
    assert (SCHEMA_VERSION - steps, head) == (writer.migrated, writer.head.hash)
    writer.project_all()
    assert 0 == migrate(writer.conn, str(path))
    for step in MIGRATIONS:  # each is harmless a second time
        step(Database(writer.conn))
    writer.close()
    report = verify(path)
    assert ((), report.events) == (report.problems, report.checks["projections"])


@pytest.mark.parametrize("steps", range(2, SCHEMA_VERSION))
def test_tables_that_lack_a_column_are_made_anew_so_that_it_holds_what_the_journal_says(
    tmp_path: Path, steps: int
) -> None:
    path = older_tables(tmp_path / "a.db", steps)
    writer = JournalWriter(path)
    assert SCHEMA_VERSION - steps == writer.migrated
    writer.project_all()
    orders, told = writer.conn.execute(
        "SELECT count(*), count(cancel_reason) FROM orders"
    ).fetchone()
    assert 7 == orders
    assert told > 0
    writer.close()
    report = verify(path)
    assert ((), report.events) == (report.problems, report.checks["projections"])


def test_a_migration_that_fails_leaves_the_version_and_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.db"
    old_database(path, 1)

    def half(db: Database) -> None:
        db.execute("CREATE TABLE half (a)")
        raise RuntimeError("power")

    monkeypatch.setattr("storage.schema.MIGRATIONS", (MIGRATIONS[0], half, MIGRATIONS[2]))
    with pytest.raises(RuntimeError, match="power"):
        JournalWriter(path)
    conn = connect_readonly(path)
    tables = {row[0] for row in conn.execute("SELECT name FROM sqlite_schema")}
    assert (1, False) == (version_of(conn), "half" in tables)
    conn.close()


def test_every_index_exists_and_fills_of_a_session_are_found_by_one(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "a.db")
    names = {row[0] for row in writer.conn.execute("SELECT name FROM sqlite_schema")}
    wanted = {f"idx_{t}_{'_'.join(cs)}" for t, indexes in INDEXES.items() for cs in indexes}
    assert wanted <= names
    assert "idx_fills_session_id" in names
    plan = writer.conn.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM fills WHERE session_id = 's1'"
    ).fetchall()
    assert "USING INDEX idx_fills_session_id" in plan[0][3]
    stream = "EXPLAIN QUERY PLAN SELECT * FROM journal WHERE stream = 'order/A' ORDER BY seq"
    plan = writer.conn.execute(stream).fetchall()
    assert "USING INDEX idx_journal_stream" in plan[0][3]
    assert 1 == len(plan), "no sorting: the index holds the seq"
    writer.close()


def test_tables_are_strict_so_that_a_wrong_type_is_refused(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "a.db")
    for table in PROJECTIONS:
        assert writer.conn.execute(
            "SELECT strict FROM pragma_table_list WHERE name = ?", (table,)
        ).fetchone() == (1,)
    writer.close()


# ------------------------------------------------------------------------------------- readers


@pytest.fixture
def database(tmp_path: Path) -> Path:
    writer = JournalWriter(tmp_path / "a.db")
    write(writer, long_story().turns)
    writer.close()
    return writer.path


def test_a_reader_sees_what_a_writer_commits_beside_it_and_cannot_write(database: Path) -> None:
    writer = JournalWriter(database)
    reader = JournalReader.open(database)
    before = reader.head().seq
    write(writer, long_story().turns[:1])
    assert before + 1 == reader.head().seq
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.conn.execute("DELETE FROM journal")
    reader.close()
    writer.close()


def test_a_copy_made_by_the_online_backup_can_be_read_and_verified(database: Path) -> None:
    copy = database.with_name("copy.db")
    source, target = connect_readonly(database), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()
    report = verify(copy)
    assert ((), verify(database).head_hash) == (report.problems, report.head_hash)


READ = "import sys; from storage.verify import verify; print(verify(sys.argv[1]))"


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv to stop being root")
def test_a_closed_database_in_a_directory_that_cannot_be_written(
    database: Path, root: Path
) -> None:
    """Root may write anywhere, so the reader is a process of somebody else."""
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "a.db"
        copy.write_bytes(database.read_bytes())
        copy.chmod(0o444)
        copy.parent.chmod(0o555)
        result = subprocess.run(
            [*(drop if os.geteuid() == 0 else []), sys.executable, "-B", "-c", READ, str(copy)],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        left = [path.name for path in copy.parent.iterdir()]
        copy.parent.chmod(0o755)
    if "ermission denied" in result.stderr or "No module named" in result.stderr:
        pytest.skip("another user cannot read the interpreter or the source tree")
    assert "problems=()" in result.stdout, result.stdout + result.stderr
    assert ["a.db"] == left


def test_a_database_without_shared_memory_is_opened_as_it_stands(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, without needing another user: the first way of opening is refused."""
    connect, tried = sqlite3.connect, []

    def refuses(name: str, **options: object) -> sqlite3.Connection:
        tried.append(name.split("?")[1])
        if tried[-1] == "mode=ro":
            raise sqlite3.OperationalError("unable to open database file")
        return connect(name, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr("storage.journal.sqlite3.connect", refuses)
    reader = JournalReader.open(database)
    assert len(long_story().events) == reader.head().seq
    assert ["mode=ro", "mode=ro&immutable=1"] == tried
    reader.close()
    Path(f"{database}-wal").write_bytes(b"x")
    with pytest.raises(sqlite3.OperationalError):
        JournalReader.open(database)


def test_a_missing_database_is_an_error_that_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holdfast run --db"):
        connect_readonly(tmp_path / "none.db")
    assert [] == list(tmp_path.iterdir())

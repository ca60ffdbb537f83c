"""A database from before the table of unresolved facts gets it, with what its journal says."""

from __future__ import annotations

from pathlib import Path

from fsm import events as ev
from storage.schema import MIGRATIONS
from storage.verify import verify
from storage.writer import JournalWriter
from tests.unit.engine.handmade import Bench


def test_an_older_database_gets_the_table_filled_from_its_journal(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill("t", "1", "nobody")
    assert 1 == len(bench.events(ev.FactUnresolved))
    bench.kill()

    writer = JournalWriter(bench.database)
    before = writer.conn.execute("SELECT * FROM unresolved_facts").fetchall()
    writer.conn.execute("DROP TABLE unresolved_facts")
    number = [step.__name__ for step in MIGRATIONS].index("_m5_ledger")
    writer.conn.execute(f"PRAGMA user_version = {number}")
    writer.close()

    writer = JournalWriter(bench.database)
    writer.project_all()
    assert before == writer.conn.execute("SELECT * FROM unresolved_facts").fetchall() != []
    writer.close()
    assert () == verify(bench.database).problems

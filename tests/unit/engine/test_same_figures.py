"""One journal, one account: whether folded whole, from a snapshot, rebuilt, from a backup, or from
what a backup restored (L7)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.fold import folded
from actors.registry import Books
from actors.runtime.ids import IdSource
from actors.snapshot import captured, snapshot_path
from actors.snapshot_process import make_snapshot
from actors.state import state_document
from actors.world import Rules, World
from fsm import events as ev
from fsm.vocabulary import Side
from storage.backup import make_backup
from storage.journal import JournalReader
from storage.projections import rebuild
from storage.restore import restore
from storage.schema import PROJECTIONS
from storage.writer import JournalWriter, open_writing_connection
from tests.unit.storage.lives import lives
from tests.unit.storage.stories import D, Story, long_story, write

Figures = tuple[dict[str, Any], bytes, dict[str, list[Any]]]


def figures(database: Path) -> Figures:
    """The account, the whole fold, and every table, as a start on this database has them."""
    JournalWriter(database).close()  # catches the tables up
    reader = JournalReader.open(database)
    try:
        books = Books(World(rules=Rules(), ids=IdSource("")), None)
        head = folded(reader, books, database).head
        document = state_document(books, reader.conn, head, everything=True)
        del document["journal"]
        tables = {
            name: reader.conn.execute(f"SELECT * FROM {name} ORDER BY rowid").fetchall()
            for name in PROJECTIONS
        }
        return document, captured(books), tables
    finally:
        reader.close()


def in_every_way(folder: Path, story: Story, snapshot_at: int) -> tuple[Figures, list[Figures]]:
    """The figures of the journal folded from nothing, and of all the other ways to them."""
    database = folder / "a.db"
    writer = JournalWriter(database)
    write(writer, story.turns[:snapshot_at])
    if snapshot_at:
        make_snapshot(database)
    made = make_backup(database, folder / "early.db", reason="manual")
    write(writer, story.turns[snapshot_at:])
    writer.close()
    from_snapshot = figures(database)
    snapshot_path(database).unlink(missing_ok=True)
    whole = figures(database)
    found = [from_snapshot]
    late = make_backup(database, folder / "late.db", reason="manual")
    conn = open_writing_connection(database)
    rebuild(conn)
    conn.close()
    found.append(figures(database))
    found.append(figures(late.path))
    aside = restore(made, database)
    assert aside is not None
    found.append(figures(aside))
    writer = JournalWriter(database)  # what was lost happens once more
    write(writer, story.turns[snapshot_at:])
    writer.close()
    found.append(figures(database))
    return whole, found


def with_restarts(story: Story) -> Story:
    """Begun again, cut off, begun once more, with more capital and more fills."""
    for session, order in (("s2", "J"), ("s3", "K")):  # s2 has no end: it was killed
        story.session(session)
        story.tell(ev.CapitalRecorded(kind="deposit", asset="XRP", amount=D(7), price=D("1.25")))
        story.working(order, Side.BUY, "10", price="1.30")
        story.fill(order, "4", "1.29", fee="0.01")
    story.end("s3")
    return story


@pytest.mark.parametrize("snapshot_at", [0, 5, 20, 30])
def test_a_life_with_everything_in_it_has_one_account(tmp_path: Path, snapshot_at: int) -> None:
    """Fills, a void, fees in both assets, funding, a settlement, capital and a restart."""
    whole, others = in_every_way(tmp_path, with_restarts(long_story()), snapshot_at)
    account = whole[0]["account"]
    assert "0" != account["realized_pnl"]
    assert "0" != account["fees_paid"]
    assert whole[2]["fills"]
    for number, other in enumerate(others):
        assert whole == other, f"way {number}"


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(story=lives(), data=st.data())
def test_any_life_has_one_account(story: Story, data: st.DataObject) -> None:
    snapshot_at = data.draw(st.integers(0, len(story.turns)))
    with tempfile.TemporaryDirectory() as folder:
        whole, others = in_every_way(Path(folder), story, snapshot_at)
        for number, other in enumerate(others):
            assert whole == other, f"way {number}"

"""Commits: whole turns or nothing, in one chain; the first failure is the last word."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import attrs
import pytest

from fsm import events as ev
from storage.journal import JournalReader
from storage.schema import SCHEMA_VERSION, SchemaTooNew
from storage.writer import InlineJournal, JournalFailed, JournalWriter, TurnBatch
from tests.unit.storage.stories import batches, long_story


def alerts(count: int) -> list[ev.Event]:
    return [ev.AlertRaised(severity="info", token="N", text=str(n)) for n in range(count)]


@pytest.fixture
def writer(tmp_path: Path) -> JournalWriter:
    return JournalWriter(tmp_path / "a.db")


def seqs(writer: JournalWriter) -> list[int]:
    with JournalReader.open(writer.path).conn as conn:
        found = [row[0] for row in conn.execute("SELECT seq FROM journal ORDER BY seq")]
    conn.close()
    return found


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 31, 127, 128, 511, 512, 513, 1023, 1024, 1500])
def test_a_turn_of_any_size_is_stored_row_by_row_in_order(writer: JournalWriter, rows: int) -> None:
    told = alerts(rows)
    writer.commit(batches([told]))
    assert told == [r.event for r in JournalReader(writer.conn).verified()]
    assert list(range(1, rows + 1)) == seqs(writer)
    assert (rows, 1) == (writer.head.seq, writer.head.turn)
    writer.close()


def test_turns_that_wait_are_committed_together_and_keep_their_numbers(
    writer: JournalWriter,
) -> None:
    writer.commit(batches([alerts(3), [], alerts(2), alerts(1)]))
    recorded = list(JournalReader(writer.conn).events())
    assert [1, 1, 1, 3, 3, 4] == [r.turn for r in recorded]
    assert (1, 4, 6) == (
        writer.statistics.commits,
        writer.statistics.turns,
        writer.statistics.events,
    )
    writer.close()


def test_the_same_turns_give_the_same_chain_however_they_are_grouped(tmp_path: Path) -> None:
    one, other = JournalWriter(tmp_path / "one.db"), JournalWriter(tmp_path / "other.db")
    turns = batches(long_story().turns)
    one.commit(turns)
    for batch in turns:
        other.commit([batch])
    assert one.head == other.head
    one.close()
    other.close()
    again = JournalWriter(tmp_path / "other.db")
    assert one.head == again.head
    again.close()


def test_a_turn_that_does_not_follow_on_poisons_the_writer(writer: JournalWriter) -> None:
    writer.commit(batches([alerts(1)]))
    with pytest.raises(JournalFailed, match="seq 1 after 1"):
        writer.commit(batches([alerts(1)]))
    assert writer.failed is not None
    assert [1] == seqs(writer)
    writer.close()


def test_a_fact_that_is_booked_already_takes_its_whole_turn_back_and_poisons(
    writer: JournalWriter,
) -> None:
    first, second = batches([alerts(1), alerts(2)])
    key = ("sim|main|XRP/RLUSD|A|fill|T1|settled", 1)
    writer.commit([attrs.evolve(first, dedup_keys=(key,), identities=(("V1", "A", 1),))])
    head = writer.head
    with pytest.raises(JournalFailed, match="UNIQUE constraint failed: dedup_keys"):
        writer.commit([attrs.evolve(second, dedup_keys=(key,), identities=(("V2", "B", 2),))])
    reader = JournalReader(writer.conn)
    assert head == writer.head == reader.head()
    assert reader.has_dedup_key(key[0])
    assert ("A", None) == (reader.client_order_id("V1"), reader.client_order_id("V2"))
    writer.close()


def test_after_a_failure_nothing_is_ever_committed_again(writer: JournalWriter) -> None:
    first, second, third = batches([alerts(1), alerts(1), alerts(1)])
    writer.commit([first])

    def broken() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    writer.before_commit = broken
    with pytest.raises(JournalFailed, match="disk I/O error") as failure:
        writer.commit([second])
    writer.before_commit = None
    for batch in (second, third):
        with pytest.raises(JournalFailed) as again:
            writer.commit([batch])
        assert failure.value is again.value
    assert [1] == seqs(writer)
    writer.close()


def test_a_defect_of_our_own_stops_the_journal_like_a_bad_disk(writer: JournalWriter) -> None:
    def defect() -> None:
        raise ZeroDivisionError

    writer.before_commit = defect
    with pytest.raises(JournalFailed, match="ZeroDivisionError"):
        writer.commit(batches([alerts(1)]))
    assert not writer.conn.in_transaction
    writer.close()


def fill_the_disk(writer: JournalWriter) -> TurnBatch:
    """SQLite's own limit stands for the disk's; the turn is larger than what is left."""
    pages = writer.conn.execute("PRAGMA page_count").fetchone()[0]
    writer.conn.execute(f"PRAGMA max_page_count = {pages + 2}")
    text = "x" * 4000
    told = [ev.AlertRaised(severity="info", token="N", text=text) for _ in range(64)]
    return batches([told], writer.head.seq, writer.head.turn)[0]


def test_a_full_disk_without_ballast_poisons_and_leaves_the_journal_whole(
    writer: JournalWriter,
) -> None:
    writer.commit(batches([alerts(3)]))
    with pytest.raises(JournalFailed, match="full"):
        writer.commit([fill_the_disk(writer)])
    assert 3 == len(list(JournalReader(writer.conn).verified()))
    writer.close()


def test_the_ballast_is_given_back_once_and_the_turn_goes_through(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "a.db", ballast_bytes=1 << 20)
    ballast = Path(f"{writer.path}.ballast")
    assert 1 << 20 == ballast.stat().st_size
    batch = fill_the_disk(writer)

    def space_came_back() -> None:
        if not ballast.exists():
            writer.conn.execute("PRAGMA max_page_count = 100000")

    writer.before_commit = space_came_back
    writer.commit([batch])
    assert (True, 64) == (writer.statistics.ballast_released, writer.head.seq)
    assert not ballast.exists()
    writer.before_commit = None
    with pytest.raises(JournalFailed, match="full"):
        writer.commit([fill_the_disk(writer)])
    writer.close()


def test_a_disk_that_is_still_full_without_the_ballast_is_final(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "a.db", ballast_bytes=4096)
    tries = []

    def full() -> None:
        tries.append(1)
        raise OSError(errno.ENOSPC, "no space left on device")

    writer.before_commit = full
    with pytest.raises(JournalFailed, match="no space left"):
        writer.commit(batches([alerts(1)]))
    assert 2 == len(tries)
    with pytest.raises(JournalFailed):
        writer.commit(batches([alerts(1)]))
    assert 2 == len(tries)
    writer.close()


def test_a_head_that_cannot_be_written_is_counted_and_stops_nothing(writer: JournalWriter) -> None:
    Path(f"{writer.path}.head.new").mkdir()
    writer.commit(batches([alerts(1)]))
    writer.keep_head(force=True)
    assert 1 == writer.statistics.head_failures
    assert writer.statistics.last_problem.startswith("head: ")
    writer.commit(batches([alerts(1)], 1, 1))
    Path(f"{writer.path}.head.new").rmdir()
    writer.close()
    assert JournalReader.open(writer.path).head().seq == 2


def test_a_newer_database_is_refused_and_not_a_byte_of_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    JournalWriter(path).close()
    with sqlite3.connect(path) as conn:
        conn.execute("PRAGMA journal_mode = DELETE")
        conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    conn.close()
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match="nothing was changed"):
        JournalWriter(path)
    assert before == path.read_bytes()


def test_the_inline_journal_reports_each_turn_after_its_commit(writer: JournalWriter) -> None:
    durable: list[tuple[int, int]] = []
    journal = InlineJournal(writer, lambda turn: durable.append((turn, len(seqs(writer)))))
    for batch in batches([alerts(2), alerts(1)]):
        journal.append(batch)
    assert [(1, 2), (2, 3)] == durable
    assert 3 == journal.head.seq
    writer.close()

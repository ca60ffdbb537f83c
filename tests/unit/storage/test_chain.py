"""The chain names the row that does not fit; the head outside finds a tail that is gone."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest

from storage.journal import (
    GENESIS,
    Head,
    JournalDamaged,
    JournalReader,
    chain,
    check_head,
    head_path,
    read_head,
    write_head,
)
from storage.writer import JournalWriter
from tests.unit.storage.stories import long_story, write


@pytest.fixture
def database(tmp_path: Path) -> Path:
    writer = JournalWriter(tmp_path / "a.db")
    write(writer, long_story().turns)
    writer.close()
    return writer.path


def changed(path: Path, *statements: str) -> JournalReader:
    with sqlite3.connect(path) as conn:
        for statement in statements:
            conn.execute(statement)
    conn.close()
    return JournalReader.open(path)


def damage(reader: JournalReader) -> str:
    with pytest.raises(JournalDamaged) as problem:
        list(reader.verified())
    reader.close()
    return str(problem.value)


def test_the_hash_is_the_documented_one_and_starts_from_nothing() -> None:
    expected = hashlib.sha256(bytes(32) + b"1|1|5|mode|ModeMoved|{}").digest()
    assert expected == chain(GENESIS, 1, 1, 5, "mode", "ModeMoved", b"{}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET payload = replace(payload, 'A', 'B') WHERE seq = 9",
        "UPDATE journal SET payload = CAST(x'ff7b7d' AS TEXT) WHERE seq = 9",
        "UPDATE journal SET at_us = at_us + 1 WHERE seq = 9",
        "UPDATE journal SET turn = turn + 1 WHERE seq = 9",
        "UPDATE journal SET stream = 'order/Z' WHERE seq = 9",
        "UPDATE journal SET type = 'OrderMoved' WHERE seq = 9",
        "UPDATE journal SET hash = zeroblob(32) WHERE seq = 9",
    ],
)
def test_any_changed_column_breaks_the_chain_at_its_seq(database: Path, statement: str) -> None:
    assert "journal: the hash chain breaks at seq 9" == damage(changed(database, statement))


def test_a_missing_row_is_named(database: Path) -> None:
    reader = changed(database, "DELETE FROM journal WHERE seq = 9")
    assert "journal: seq 9 is missing (next is 10)" == damage(reader)


def test_rows_that_changed_places_break_the_chain_at_the_first_of_them(database: Path) -> None:
    reader = changed(
        database,
        "UPDATE journal SET seq = -1 WHERE seq = 9",
        "UPDATE journal SET seq = 9 WHERE seq = 12",
        "UPDATE journal SET seq = 12 WHERE seq = -1",
    )
    assert damage(reader).endswith("breaks at seq 9")


def test_reading_may_start_in_the_middle_of_the_chain(database: Path) -> None:
    reader = JournalReader.open(database)
    seq, stored = reader.conn.execute("SELECT seq, hash FROM journal WHERE seq = 9").fetchone()
    rest = list(reader.verified(Head(seq, stored)))
    assert 10 == rest[0].seq
    assert reader.head().seq == rest[-1].seq
    reader.close()


def test_events_can_be_narrowed_to_a_stream_to_types_and_to_a_page(database: Path) -> None:
    reader = JournalReader.open(database)
    order = list(reader.events(stream="order/A"))
    assert {"order/A"} == {r.stream for r in order}
    types = {r.type for r in reader.events(types=("OrderFilled", "OrderSent"))}
    assert {"OrderFilled", "OrderSent"} == types
    assert [4, 5] == [r.seq for r in reader.events(3, limit=2)]
    reader.close()


# ------------------------------------------------------------------------------------ the head


def test_the_head_is_written_at_the_end_and_lies_on_the_chain(database: Path) -> None:
    reader = JournalReader.open(database)
    assert reader.head().hash == read_head(database).hash  # type: ignore[union-attr]
    check_head(reader, database)
    reader.close()


def test_a_head_that_lags_is_fine_and_so_is_none(database: Path) -> None:
    reader = JournalReader.open(database)
    stored = reader.conn.execute("SELECT hash FROM journal WHERE seq = 5").fetchone()[0]
    write_head(database, Head(5, stored))
    check_head(reader, database)
    head_path(database).unlink()
    check_head(reader, database)
    write_head(database, Head(0, GENESIS))
    check_head(reader, database)
    reader.close()


def test_a_head_beyond_the_end_means_a_lost_tail(database: Path) -> None:
    reader = JournalReader.open(database)
    write_head(database, Head(9_999, bytes(32)))
    with pytest.raises(JournalDamaged, match=r"seq 9999 was acknowledged.*restore a backup"):
        check_head(reader, database)
    reader.close()


def test_a_head_off_the_chain_means_another_history(database: Path) -> None:
    reader = JournalReader.open(database)
    write_head(database, Head(5, bytes(32)))
    with pytest.raises(JournalDamaged, match="seq 5 is not the row that was acknowledged"):
        check_head(reader, database)
    reader.close()


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", "{}", '{"seq": 1}', '{"seq": "x", "hash": ""}']
)
def test_an_unreadable_head_says_what_to_do(database: Path, text: str) -> None:
    head_path(database).write_text(text)
    with pytest.raises(JournalDamaged, match=r"unreadable head.*holdfast verify"):
        read_head(database)


def test_a_head_that_is_a_directory_is_unreadable_too(database: Path) -> None:
    head_path(database).unlink()
    head_path(database).mkdir()
    with pytest.raises(JournalDamaged, match="unreadable head"):
        read_head(database)


def test_the_head_is_replaced_as_a_whole_and_only_its_owner_reads_it(database: Path) -> None:
    write_head(database, Head(3, bytes(32)))
    assert 3 == json.loads(head_path(database).read_bytes())["seq"]
    assert 0o600 == head_path(database).stat().st_mode & 0o777
    assert [] == list(database.parent.glob("*.new"))

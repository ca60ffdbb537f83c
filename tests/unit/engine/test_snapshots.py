"""A start from a snapshot is the start from the first event, or there is no snapshot (L7)."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from actors import fold, snapshot
from actors import messages as msg
from actors.fold import folded, snapshot_difference
from actors.registry import Books
from actors.runtime.ids import IdSource
from actors.snapshot import (
    SnapshotUnusable,
    captured,
    snapshot_path,
    snapshot_seq,
    write_snapshot,
)
from actors.snapshot_process import make_snapshot
from actors.world import Rules, World
from fsm import facts
from fsm.vocabulary import Side
from storage import chain_check
from storage.journal import GENESIS, Head, JournalDamaged, JournalReader
from tests.engines import run_synthetic, simulated_engine
from tests.unit.engine.handmade import START_US, Bench, fill, reported

STRATEGIES = ("always-trade-canary", "momentum")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five minutes of trading by two strategies, cut off in the middle of it."""
    folder = tmp_path_factory.mktemp("history")
    running = simulated_engine(folder, strategies=STRATEGIES)
    run_synthetic(running, 300)
    running.engine.close()
    return running.database


@pytest.fixture
def database(history: Path, tmp_path: Path) -> Path:
    """A copy of its own."""
    copy = tmp_path / "a.db"
    with sqlite3.connect(history) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()
    return copy


def books_of(database: Path, *, upto: int | None = None) -> tuple[Books, Head]:
    """Folded from nothing, to the end or to some event."""
    books = Books(World(rules=Rules(), ids=IdSource("")), None)
    reader, head = JournalReader.open(database), Head(0, GENESIS)
    for recorded in reader.verified():
        if upto is not None and recorded.seq > upto:
            break
        books.fold(recorded.event, recorded.seq, recorded.turn, recorded.at_us)
        head = Head(recorded.seq, b"", recorded.turn)
    (hash_,) = reader.conn.execute("SELECT hash FROM journal WHERE seq = ?", (head.seq,)).fetchone()
    reader.close()
    return books, Head(head.seq, hash_, head.turn)


def start(database: Path) -> tuple[bytes, fold.Folded]:
    """What a start makes of the database: the books as bytes, and what it used."""
    books, reader = (
        Books(World(rules=Rules(), ids=IdSource("")), None),
        JournalReader.open(database),
    )
    try:
        found = folded(reader, books, database)
        return captured(books), found
    finally:
        reader.close()


def keep(database: Path, upto: int) -> None:
    books, head = books_of(database, upto=upto)
    write_snapshot(database, books, head)


def test_from_wherever_the_snapshot_is_the_books_become_the_same(database: Path) -> None:
    whole, head = books_of(database)
    expected = captured(whole)
    assert head.seq > 200, "the history is too short to say anything"
    assert whole.world.ledger.realized_pnl != 0
    for upto in range(1, head.seq, head.seq // 25):
        keep(database, upto)
        state, found = start(database)
        assert (expected, head.seq) == (state, found.head.seq), f"from a snapshot at {upto}"


def test_what_was_told_of_trades_is_in_the_snapshot(tmp_path: Path) -> None:
    """Other names, voids that came early, a cancel that was asked for, a sale of too much."""
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported(filled="4")}
    bench.venue.fills = [fill("t1", "4", venue_us=START_US + 7)]
    bench.tell(msg.PassDue("orders"))
    bench.fill(None, "4", venue_us=START_US + 7)
    bench.say(facts.FillVoided(trade_id="t2", client_order_id="a"))
    bench.place("b", side=Side.SELL, qty=Decimal(8))
    bench.accept("b")
    bench.fill("t3", "8", "b")
    bench.tell(msg.CancelOrder("a", "test"))
    bench.kill()
    whole, head = books_of(bench.database)
    order = whole.world.orders["a"]
    assert order.aliases
    assert order.foretold
    assert order.cancel_asked
    assert {"XRP": Decimal(4)} == whole.world.ledger.inventory.oversold
    for upto in range(1, head.seq):
        keep(bench.database, upto)
        assert captured(whole) == start(bench.database)[0], f"from a snapshot at {upto}"


def test_the_process_keeps_what_a_fold_from_nothing_gives(database: Path) -> None:
    keep(database, 50)
    head = make_snapshot(database)
    reader = JournalReader.open(database)

    assert head == reader.head().seq == snapshot_seq(database)
    assert snapshot_difference(reader, database) is None
    reader.close()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _of_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _other_code(path: Path) -> None:
    header, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(header.replace(b'"code":"', b'"code":"0') + b"\n" + rest)


@pytest.mark.parametrize("harm", [_cut, _flip, _empty, _of_a_directory, _other_code])
def test_a_snapshot_that_is_not_whole_or_not_ours_is_as_good_as_none(
    database: Path, harm: object
) -> None:
    keep(database, 100)
    harm(snapshot_path(database))  # type: ignore[operator]
    state, found = start(database)

    assert captured(books_of(database)[0]) == state
    assert found.is_checked


def test_a_snapshot_of_another_journal_is_not_used(database: Path, tmp_path: Path) -> None:
    other = simulated_engine(tmp_path, name="b.db", seed=2, strategies=STRATEGIES)
    run_synthetic(other, 60)
    other.engine.close()
    keep(other.database, 40)
    snapshot_path(other.database).rename(snapshot_path(database))

    assert captured(books_of(database)[0]) == start(database)[0]


def _damage(database: Path, seq: int) -> None:
    with sqlite3.connect(database) as conn:
        conn.execute("UPDATE journal SET at_us = at_us + 1 WHERE seq = ?", (seq,))
    conn.close()


@pytest.mark.parametrize("at_once", [100_000, 0])
@pytest.mark.parametrize("seq", [150, 200])
def test_damage_behind_the_snapshot_stops_the_start(
    database: Path, seq: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked on the way, or by a process beside the fold: the row is named either way."""
    monkeypatch.setattr(fold, "AT_ONCE_MAX", at_once)
    keep(database, 100)
    _damage(database, seq)

    with pytest.raises(JournalDamaged, match=f"breaks at seq {seq}"):
        start(database)


def test_a_short_history_before_the_snapshot_is_checked_at_once(database: Path) -> None:
    keep(database, 100)
    _damage(database, 50)

    with pytest.raises(JournalDamaged, match="breaks at seq 50"):
        start(database)


def test_a_long_history_before_the_snapshot_is_left_to_a_check_that_finds_the_damage(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "AT_ONCE_MAX", 0)
    keep(database, 100)
    _damage(database, 50)
    _, found = start(database)
    assert (False, 100) == (found.is_checked, found.unchecked.seq)

    check = chain_check.ChainCheck(database, Head(0, GENESIS), found.unchecked.seq)
    with pytest.raises(JournalDamaged, match="breaks at seq 50"):
        check.result()


def test_what_nobody_would_check_later_is_checked_at_the_start(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay has nobody beside it."""
    monkeypatch.setattr(fold, "AT_ONCE_MAX", 0)
    keep(database, 100)
    _damage(database, 50)
    books, reader = (
        Books(World(rules=Rules(), ids=IdSource("")), None),
        JournalReader.open(database),
    )

    with pytest.raises(JournalDamaged, match="breaks at seq 50"):
        folded(reader, books, database, leave_older=False)
    reader.close()


def test_a_snapshot_is_not_signed_for_code_that_came_in_between(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot.code_fingerprint()
    monkeypatch.setattr(snapshot, "_fingerprint", lambda: "newer")

    with pytest.raises(SnapshotUnusable, match="replaced"):
        keep(database, 50)
    assert not snapshot_path(database).exists()


def test_a_row_that_is_gone_is_damage_for_the_check(database: Path) -> None:
    with sqlite3.connect(database) as conn:
        conn.execute("DELETE FROM journal WHERE seq = 60")
    conn.close()
    reader = JournalReader.open(database)

    with pytest.raises(JournalDamaged, match="seq 60 is missing"):
        reader.check_chain(Head(0, GENESIS), 100)
    with pytest.raises(JournalDamaged, match="is missing"):
        reader.check_chain(Head(0, GENESIS), 10**9)
    reader.close()


def test_a_wrong_snapshot_is_found_by_verify(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    books, head = books_of(database, upto=100)
    books.world.ledger.realized_pnl += 1
    write_snapshot(database, books, head)
    reader = JournalReader.open(database)

    assert "differs from the fold at seq 100" in (snapshot_difference(reader, database) or "")
    monkeypatch.setattr(snapshot, "code_fingerprint", lambda: "newer")
    assert snapshot_difference(reader, database) is None  # no start would use it
    reader.close()

"""The writer process: order, grouping, failure, kills, close. No test sleeps; each step is waited
for by what it causes."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.lock import DatabaseLock
from storage import process_journal
from storage.journal import JournalReader
from storage.process_journal import ProcessJournal
from storage.writer import JournalFailed, JournalWriter, TurnBatch
from storage.writer_link import FrameReader, Report, turn_frame
from storage.writer_process import WriterProcess
from tests.unit.storage.stories import batches
from tests.unit.storage.test_writer import alerts

PATIENCE_S = 20


class Listener:
    """Collects what the journal tells, and lets a test wait for it."""

    def __init__(self) -> None:
        self.durable: list[int] = []
        self.failures: list[JournalFailed] = []
        self._condition = threading.Condition()

    def on_durable(self, turn: int) -> None:
        with self._condition:
            self.durable.append(turn)
            self._condition.notify_all()

    def on_failed(self, failure: JournalFailed) -> None:
        with self._condition:
            self.failures.append(failure)
            self._condition.notify_all()

    def wait_for_turn(self, turn: int) -> None:
        with self._condition:
            done = self._condition.wait_for(lambda: turn in self.durable, PATIENCE_S)
        assert done, f"turn {turn} was never durable: {self.durable} {self.failures}"

    def wait_for_failures(self, count: int) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: len(self.failures) >= count, PATIENCE_S)


@pytest.fixture
def writer(tmp_path: Path) -> JournalWriter:
    return JournalWriter(tmp_path / "a.db")


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def journal(writer: JournalWriter, listener: Listener) -> Iterator[ProcessJournal]:
    journal = ProcessJournal(writer, listener.on_durable, listener.on_failed)
    yield journal
    journal.close()
    writer.close()


def _twice_the_same_fact() -> tuple[TurnBatch, TurnBatch, TurnBatch]:
    """Three turns of which the second books a fact again that the first has booked."""
    first, second, third = batches([alerts(1)] * 3)
    key = (("a fill", 1),)
    return _with_keys(first, key), _with_keys(second, key), third


def _with_keys(batch: TurnBatch, keys: tuple[tuple[str, int], ...]) -> TurnBatch:
    return TurnBatch(
        batch.turn, batch.first_seq, batch.at_us, batch.events, batch.payloads, dedup_keys=keys
    )


def test_turns_become_durable_in_order_and_what_waits_is_committed_together(
    writer: JournalWriter, journal: ProcessJournal, listener: Listener
) -> None:
    turns = batches([alerts(2)] * 6)
    journal.append(turns[0])
    listener.wait_for_turn(1)
    os.kill(journal.pid, signal.SIGSTOP)
    for batch in turns[1:]:
        journal.append(batch)
    os.kill(journal.pid, signal.SIGCONT)
    listener.wait_for_turn(6)

    assert sorted(listener.durable) == listener.durable
    assert (2, 12) == (writer.statistics.commits, journal.head.seq)


def test_a_turn_is_readable_elsewhere_when_it_is_told_durable(writer: JournalWriter) -> None:
    seen: list[int] = []

    def look(turn: int) -> None:
        reader = JournalReader.open(writer.path)
        seen.append(reader.head().turn - turn)
        reader.close()

    journal = ProcessJournal(writer, look, lambda failure: None)
    for batch in batches([alerts(1)] * 20):
        journal.append(batch)
    journal.close()
    writer.close()

    assert seen
    assert min(seen) >= 0


def test_close_commits_what_waits_and_the_tables_are_complete(
    writer: JournalWriter, listener: Listener
) -> None:
    journal = ProcessJournal(writer, listener.on_durable, listener.on_failed)
    for batch in batches([alerts(3)] * 50):
        journal.append(batch)
    journal.close()
    assert (50, 150) == (listener.durable[-1], writer.head.seq)

    writer.close()
    assert (0, 150) == (writer.projection_lag, writer.projector.seq)


def test_after_a_failure_nothing_is_committed_any_more(
    writer: JournalWriter, journal: ProcessJournal, listener: Listener
) -> None:
    first, second, third = _twice_the_same_fact()
    journal.append(first)
    listener.wait_for_turn(1)
    journal.append(second)
    listener.wait_for_failures(1)

    journal.append(third)
    assert "UNIQUE" in str(writer.failed)
    journal.close()
    reader = JournalReader.open(writer.path)
    assert ([1], 1, 1) == (listener.durable, writer.head.seq, reader.head().seq)
    reader.close()


def test_turns_on_their_way_behind_a_failed_one_are_not_committed(
    writer: JournalWriter, journal: ProcessJournal, listener: Listener
) -> None:
    first, second, third = _twice_the_same_fact()
    os.kill(journal.pid, signal.SIGSTOP)
    for batch in (first, second, third):
        journal.append(batch)
    os.kill(journal.pid, signal.SIGCONT)
    listener.wait_for_failures(1)
    journal.close()

    reader = JournalReader.open(writer.path)
    assert reader.head().turn <= 1
    reader.close()


def test_a_writer_that_is_killed_is_a_failed_journal_and_what_was_told_durable_is_there(
    writer: JournalWriter, journal: ProcessJournal, listener: Listener
) -> None:
    first, second = batches([alerts(1)] * 2)
    journal.append(first)
    listener.wait_for_turn(1)
    os.kill(journal.pid, signal.SIGKILL)
    listener.wait_for_failures(1)

    assert "the writer process has ended (signal 9)" in str(listener.failures[0])
    journal.append(second)
    journal.close()
    again = JournalWriter(writer.path)
    assert (1, 1) == (again.head.turn, again.head.seq)
    again.commit([second])
    again.close()


def test_a_turn_larger_than_the_socket_takes_keeps_its_place(
    writer: JournalWriter, journal: ProcessJournal, listener: Listener
) -> None:
    turns = batches([alerts(40_000), alerts(1), alerts(1)])
    for batch in turns:
        journal.append(batch)
    listener.wait_for_turn(3)

    assert 40_002 == journal.head.seq


def test_a_start_alone_tells_of_no_turn(writer: JournalWriter, listener: Listener) -> None:
    """What waits for its first durable turn must not take an earlier one for it."""
    writer.commit(batches([alerts(1)] * 2))
    journal = ProcessJournal(writer, listener.on_durable, listener.on_failed)
    (third,) = batches([alerts(1)], 2, 2)
    journal.append(third)
    listener.wait_for_turn(3)
    journal.close()
    writer.close()

    assert [3] == listener.durable


def test_the_tables_are_told_to_be_caught_up_without_another_turn(
    writer: JournalWriter, journal: ProcessJournal, listener: Listener
) -> None:
    caught_up, take = threading.Event(), journal._take

    def watched(report: Report) -> None:
        take(report)
        if report.projected_seq == 3:
            caught_up.set()

    journal._take = watched  # type: ignore[method-assign]
    journal.append(batches([alerts(3)])[0])

    assert caught_up.wait(PATIENCE_S)
    assert (0, [1]) == (writer.projection_lag, listener.durable)


def test_a_listener_that_raises_does_not_end_the_reports(writer: JournalWriter) -> None:
    listener = Listener()

    def listen(turn: int) -> None:
        listener.on_durable(turn)
        if turn == 1:
            raise RuntimeError("the loop is closed")

    journal = ProcessJournal(writer, listen, listener.on_failed)
    first, second = batches([alerts(1)] * 2)
    journal.append(first)
    listener.wait_for_turn(1)
    journal.append(second)
    listener.wait_for_turn(2)
    journal.close()

    assert 1 == writer.statistics.callback_failures
    assert "the loop is closed" in writer.statistics.last_problem
    writer.close()


def test_a_head_that_cannot_be_written_is_counted_and_stops_nothing(
    writer: JournalWriter, journal: ProcessJournal, listener: Listener
) -> None:
    Path(f"{writer.path}.head.new").mkdir()
    for batch in batches([alerts(1)] * 3):
        journal.append(batch)
        listener.wait_for_turn(batch.turn)

    assert writer.statistics.head_failures >= 1


def test_signals_for_the_engine_do_not_end_the_writer(
    journal: ProcessJournal, listener: Listener
) -> None:
    first, second = batches([alerts(1)] * 2)
    journal.append(first)
    listener.wait_for_turn(1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(journal.pid, number)
    journal.append(second)
    listener.wait_for_turn(2)

    assert [] == listener.failures


def test_the_lock_stays_taken_until_the_writer_is_done(
    writer: JournalWriter, listener: Listener
) -> None:
    """The engine may be killed: whoever starts next must not write beside its writer."""
    lock, next_one = DatabaseLock(writer.path), DatabaseLock(writer.path)
    assert lock.acquire()
    journal = ProcessJournal(
        writer, listener.on_durable, listener.on_failed, keep_open=lock.descriptors
    )
    (batch,) = batches([alerts(1)])
    journal.append(batch)
    listener.wait_for_turn(1)  # it runs, and holds what it was given
    lock.release()
    assert not next_one.acquire()

    journal.close()
    assert next_one.acquire()
    next_one.release()
    writer.close()


def test_a_writer_that_hangs_is_seen_and_can_be_given_up(
    writer: JournalWriter, journal: ProcessJournal, listener: Listener
) -> None:
    first, second = batches([alerts(1)] * 2)
    journal.append(first)
    listener.wait_for_turn(1)
    assert 0 == journal.stalled_s()
    os.kill(journal.pid, signal.SIGSTOP)
    journal.append(second)
    assert journal.stalled_s() > 0

    journal.give_up("no turn became durable for 30 s")
    listener.wait_for_failures(1)
    assert "no turn became durable for 30 s" in str(listener.failures[0])


def test_close_comes_back_from_a_frozen_writer_and_says_what_is_lost(
    writer: JournalWriter, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_journal, "_END_S", 0.5)
    journal = ProcessJournal(writer, listener.on_durable, listener.on_failed)
    turns = batches([alerts(1), *[alerts(20_000)] * 6])
    journal.append(turns[0])
    listener.wait_for_turn(1)
    os.kill(journal.pid, signal.SIGSTOP)
    for batch in turns[1:]:
        journal.append(batch)
    journal.close()

    assert "the writer process has ended (signal 9)" in str(writer.failed)
    assert 1 == writer.head.turn
    writer.close()


def test_tables_that_a_lock_held_up_are_caught_up_without_another_turn(tmp_path: Path) -> None:
    """In this process, so that the lock comes exactly between the commit and the tables."""
    writer = JournalWriter(tmp_path / "a.db")
    writer.conn.execute("PRAGMA busy_timeout = 1")
    ours, theirs = socket.socketpair()
    process = WriterProcess(writer, theirs, projection_batch_max=100)
    other = sqlite3.connect(writer.path, isolation_level=None, check_same_thread=False)
    project = writer.project

    def locked_once(limit: int) -> int:
        writer.project = project  # type: ignore[method-assign]
        other.execute("BEGIN IMMEDIATE")
        try:
            return project(limit)
        finally:
            other.execute("ROLLBACK")

    writer.project = locked_once  # type: ignore[method-assign]
    thread = threading.Thread(target=process.serve)
    ours.sendall(turn_frame(batches([alerts(3)])[0]))
    thread.start()
    reports, told = FrameReader(ours, Report), list[Report]()
    while not told or told[-1].projected_seq < 3:
        assert reports.receive()
        told += reports.frames()
    ours.close()
    thread.join()
    theirs.close()
    other.close()
    writer.close()

    assert 1 == told[-1].projection_failures

"""The writer thread: order, grouping, failure, close. No test sleeps; events gate every step."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from storage.journal import JournalReader
from storage.writer import JournalFailed, JournalWriter, ThreadedJournal
from tests.unit.storage.stories import batches
from tests.unit.storage.test_writer import alerts

PATIENCE_S = 10


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


class Gate:
    """Holds the writer inside a commit until the test lets it go."""

    def __init__(self, writer: JournalWriter) -> None:
        self.entered, self.open = threading.Event(), threading.Event()
        writer.before_commit = self

    def __call__(self) -> None:
        self.entered.set()
        assert self.open.wait(PATIENCE_S)


def test_turns_become_durable_in_order_and_what_waits_is_committed_together(
    writer: JournalWriter,
) -> None:
    listener, gate = Listener(), Gate(writer)
    journal = ThreadedJournal(writer, listener.on_durable, listener.on_failed)
    turns = batches([alerts(2)] * 6)
    journal.append(turns[0])
    assert gate.entered.wait(PATIENCE_S)
    for batch in turns[1:]:
        journal.append(batch)
    assert (5, [], 0) == (journal.waiting, listener.durable, journal.head.seq)
    gate.open.set()
    listener.wait_for_turn(6)
    assert [1, 6] == listener.durable
    assert (2, 12) == (writer.statistics.commits, journal.head.seq)
    journal.close()
    writer.close()


def test_a_turn_is_readable_elsewhere_when_it_is_told_durable(writer: JournalWriter) -> None:
    seen: list[int] = []

    def look(turn: int) -> None:
        reader = JournalReader.open(writer.path)
        seen.append(reader.head().turn - turn)
        reader.close()

    journal = ThreadedJournal(writer, look, lambda failure: None)
    for batch in batches([alerts(1)] * 20):
        journal.append(batch)
    journal.close()
    assert seen
    assert set(seen) == {0}
    writer.close()


def test_close_commits_what_waits_and_the_tables_are_complete(writer: JournalWriter) -> None:
    listener, gate = Listener(), Gate(writer)
    journal = ThreadedJournal(writer, listener.on_durable, listener.on_failed)
    for batch in batches([alerts(3)] * 50):
        journal.append(batch)
    gate.open.set()
    journal.close()
    assert (50, 150) == (listener.durable[-1], writer.head.seq)
    writer.close()
    assert (0, 150) == (writer.projection_lag, writer.projector.seq)


def test_after_a_failure_later_turns_are_reported_and_never_committed(
    writer: JournalWriter,
) -> None:
    listener = Listener()
    journal = ThreadedJournal(writer, listener.on_durable, listener.on_failed)
    first, second, third = batches([alerts(1)] * 3)
    journal.append(first)
    listener.wait_for_turn(1)

    def broken() -> None:
        raise OSError(5, "I/O error")

    writer.before_commit = broken
    journal.append(second)
    listener.wait_for_failures(1)
    writer.before_commit = None
    journal.append(third)
    listener.wait_for_failures(2)
    journal.close()
    assert ([1], 1) == (listener.durable, writer.head.seq)
    assert listener.failures[0] is listener.failures[1]
    writer.close()


def test_a_listener_that_raises_does_not_end_the_thread(writer: JournalWriter) -> None:
    listener = Listener()

    def listen(turn: int) -> None:
        listener.on_durable(turn)
        if turn == 1:
            raise RuntimeError("the loop is closed")

    journal = ThreadedJournal(writer, listen, listener.on_failed)
    first, second = batches([alerts(1)] * 2)
    journal.append(first)
    listener.wait_for_turn(1)
    journal.append(second)
    listener.wait_for_turn(2)
    journal.close()
    assert 1 == writer.statistics.callback_failures
    assert "the loop is closed" in writer.statistics.last_problem
    writer.close()


def test_a_head_that_cannot_be_written_does_not_end_the_thread(writer: JournalWriter) -> None:
    listener = Listener()
    Path(f"{writer.path}.head.new").mkdir()
    journal = ThreadedJournal(writer, listener.on_durable, listener.on_failed)
    for batch in batches([alerts(1)] * 3):
        journal.append(batch)
        listener.wait_for_turn(batch.turn)
    journal.close()
    assert writer.statistics.head_failures >= 1
    writer.close()


def test_projections_are_fed_while_nothing_waits(writer: JournalWriter) -> None:
    listener, projected = Listener(), threading.Event()
    apply = writer.projector.apply

    def watched(events: object) -> int:
        done = apply(events)  # type: ignore[arg-type]
        if writer.projector.seq == 2:
            projected.set()
        return done

    writer.projector.apply = watched  # type: ignore[method-assign, assignment]
    journal = ThreadedJournal(writer, listener.on_durable, listener.on_failed)
    journal.append(batches([alerts(2)])[0])
    assert projected.wait(PATIENCE_S)
    journal.close()
    writer.close()


def test_many_turns_one_by_one_never_wait_for_an_idle_pause(writer: JournalWriter) -> None:
    """A turn that arrives while idle work holds the lock back must not wait for the next look."""
    listener = Listener()
    journal = ThreadedJournal(writer, listener.on_durable, listener.on_failed)
    idle = writer.project

    def arrives_meanwhile(limit: int) -> int:
        if not listener.durable and not journal.waiting:
            journal.append(batches([alerts(1)])[0])
        return idle(limit)

    waits: list[float] = []
    wait = journal._condition.wait

    def counted(timeout: float | None = None) -> bool:
        if journal.waiting:
            waits.append(timeout or 0)
        return wait(timeout)

    journal._condition.wait = counted  # type: ignore[method-assign]
    writer.project = arrives_meanwhile  # type: ignore[method-assign]
    listener.wait_for_turn(1)
    journal.close()
    assert [] == waits
    writer.close()

"""A database that somebody else has locked: the tables wait, the writer lives on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.projections import Batch, ProjectionRefused
from storage.writer import JournalWriter
from tests.unit.storage.stories import batches
from tests.unit.storage.test_writer import alerts


@pytest.fixture
def writer(tmp_path: Path) -> JournalWriter:
    """A writer that does not wait long for a lock."""
    writer = JournalWriter(tmp_path / "a.db")
    writer.conn.execute("PRAGMA busy_timeout = 1")
    return writer


@pytest.fixture
def other(writer: JournalWriter) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the same file."""
    conn = sqlite3.connect(writer.path, isolation_level=None)
    yield conn
    conn.close()


def test_a_lock_is_counted_loses_no_event_and_the_tables_catch_up_after_it(
    writer: JournalWriter, other: sqlite3.Connection
) -> None:
    writer.commit(batches([alerts(3)] * 4))
    other.execute("BEGIN IMMEDIATE")
    assert 0 == writer.project(5_000)
    assert (1, 12) == (writer.statistics.projection_failures, writer.projection_lag)
    assert (None, None) == (writer.failed, writer.projector.failed)
    other.execute("ROLLBACK")

    assert 12 == writer.project(5_000)
    assert 0 == writer.projection_lag
    writer.close()


def test_a_full_disk_while_projecting_is_no_refused_row_and_is_tried_again(
    writer: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.commit(batches([alerts(3)] * 4))

    def full(self: Batch) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as disk:
        disk.setattr(Batch, "flush", full)
        assert 0 == writer.project(5_000)
    assert (None, 1) == (writer.projector.failed, writer.statistics.projection_failures)
    assert not writer.conn.in_transaction
    writer.project_all()

    assert 0 == writer.projection_lag
    writer.close()


def test_a_row_that_is_refused_still_stops_the_tables_and_not_the_journal(
    writer: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = batches([alerts(1)] * 2)
    writer.commit([first])

    def refused(self: Batch) -> None:
        raise ProjectionRefused("a row that is not there")

    monkeypatch.setattr(Batch, "flush", refused)
    assert 0 == writer.project(5_000)
    assert isinstance(writer.projector.failed, ProjectionRefused)
    writer.commit([second])

    assert (2, None) == (writer.head.seq, writer.failed)
    writer.close()

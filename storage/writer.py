"""The one connection that writes and checkpoints. Who drives it is `process_journal`'s business.

A turn is one transaction or part of one: whatever turns wait are committed together (group
commit), each chunk of rows by one multi-row INSERT, because `executemany` beside a busy event loop
convoys on the interpreter lock. A failed commit poisons the writer: nothing later is committed.
Whatever goes wrong here is said through `failed`, through a callback or through the statistics; it
never ends the writer in silence, because then turns would wait for ever.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from attrs import define, frozen

from fsm.events import Event, Recorded
from storage.backup_folder import back_up_before_migration
from storage.inserts import disk_is_full, insert
from storage.journal import GENESIS, Head, chain, check_before_writing, write_head
from storage.projections import Projector
from storage.schema import migrate

_JOURNAL = "journal (seq, turn, at_us, stream, type, payload, hash)"
_IDENTITIES = "identities (venue_order_id, client_order_id, seq)"
_PENDING_PROJECTION_MAX = 50_000


class JournalFailed(Exception):
    """The journal cannot be written any more; only cancels may leave from here on (L1)."""


@frozen(slots=True)
class TurnBatch:
    """What one turn decided: events with their encoded payloads, dedup keys, identities."""

    turn: int
    first_seq: int
    at_us: int
    events: tuple[Event, ...]
    payloads: tuple[bytes, ...]
    dedup_keys: tuple[tuple[str, int], ...] = ()
    identities: tuple[tuple[str, str, int], ...] = ()
    streams: tuple[str, ...] = ()
    """The events' streams, where the caller has worked them out already."""


@define
class WriterStatistics:
    """Counters since the start; `busy_s` over wall time is the writer's utilisation."""

    commits: int = 0
    turns: int = 0
    events: int = 0
    busy_s: float = 0.0
    last_commit_s: float = 0.0
    ballast_released: bool = False
    head_failures: int = 0
    projection_failures: int = 0
    callback_failures: int = 0
    last_problem: str = ""


class Journal(Protocol):
    """What the dispatcher needs: hand over a turn, hear when it is durable."""

    @property
    def head(self) -> Head:
        """The last durable row."""

    def append(self, batch: TurnBatch) -> None:
        """Hand over a turn; durability is told through the callback given at start."""


#: What is left of the write-ahead log's file when it begins anew: a little more than SQLite's own
#: checkpoints let it grow to (1000 pages of 4 KiB).
WAL_KEPT_BYTES = 8 << 20


def open_writing_connection(path: Path) -> sqlite3.Connection:
    """The writing connection: WAL, FULL, foreign threads allowed (one thread uses it at a time)."""
    conn = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("PRAGMA synchronous = FULL")
    conn.execute("PRAGMA busy_timeout = 5000")
    # A log that grew beside a long reader (a backup) is cut when it begins anew, or its file stays.
    conn.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
    return conn


def _head_of(conn: sqlite3.Connection) -> Head:
    row = conn.execute("SELECT seq, hash, turn FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    return Head(row[0], row[1], row[2]) if row else Head(0, GENESIS)


class JournalWriter:
    """Commits turns and feeds the projections. Not aware of threads: one caller at a time."""

    def __init__(
        self,
        path: Path | str,
        *,
        ballast_bytes: int = 0,
        head_interval_s: float = 1.0,
        backups: Path | None = None,
    ) -> None:
        self.path = Path(path)
        check_before_writing(self.path)  # what is refused is refused before a byte changes
        self.kept = back_up_before_migration(self.path, backups)
        self.conn = open_writing_connection(self.path)
        try:
            self._load(path, ballast_bytes, head_interval_s)
        except BaseException:
            self.conn.close()
            raise

    def _load(self, path: Path | str, ballast_bytes: int, head_interval_s: float) -> None:
        self.migrated = migrate(self.conn, str(path))
        self.has_let_go = False
        self.head = _head_of(self.conn)
        self.projector = Projector(self.conn)
        self.statistics = WriterStatistics()
        self.failed: JournalFailed | None = None
        self.before_commit: Callable[[], None] | None = None  # fault point of chaos scripts
        self._pending_projection: deque[Recorded] = deque()
        self.head_interval_s = head_interval_s
        self._head_written_at = 0.0
        self._head_kept_seq = -1
        self._ballast = Path(f"{path}.ballast")
        self._reserve_ballast(ballast_bytes)

    def _reserve_ballast(self, size: int) -> None:
        """Disk space to give back when the disk is full, so that exits can still be journaled."""
        if size <= 0:
            return
        fd = os.open(self._ballast, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(fd).st_size < size:
                os.posix_fallocate(fd, 0, size)
        except OSError:
            os.ftruncate(fd, 0)  # no room even now: doctor and the disk guard say so
        finally:
            os.close(fd)

    # ------------------------------------------------------------------------------- committing

    def commit(self, batches: Sequence[TurnBatch]) -> None:
        """Commit the turns in one transaction; after it returns they are durable (L1, L5).

        Raises JournalFailed, and does so for ever after the first failure.
        """
        if self.failed is not None:
            raise self.failed
        started = time.perf_counter()
        try:
            head, recorded = self._transaction(batches)
        except Exception as problem:
            # Recorded in `failed`; a defect of ours must stop the journal as a full disk does.
            if not (disk_is_full(problem) and self._release_ballast()):
                raise self._poison(problem) from problem
            try:
                head, recorded = self._transaction(batches)
            except Exception as again:
                raise self._poison(again) from again
        self.head = head
        self._pending_projection.extend(recorded)
        took = time.perf_counter() - started
        self.statistics.commits += 1
        self.statistics.turns += len(batches)
        self.statistics.events += len(recorded)
        self.statistics.busy_s += took
        self.statistics.last_commit_s = took

    def _poison(self, problem: BaseException) -> JournalFailed:
        what = str(problem) or type(problem).__name__
        self.failed = JournalFailed(f"{self.path}: the journal cannot be written: {what}")
        return self.failed

    def _release_ballast(self) -> bool:
        """Give the reserved space back; True when there was some (then one more try is safe)."""
        try:
            if self._ballast.stat().st_size == 0:
                return False
            self._ballast.unlink()
        except OSError:
            return False
        self.statistics.ballast_released = True
        return True

    def _transaction(self, batches: Sequence[TurnBatch]) -> tuple[Head, list[Recorded]]:
        conn = self.conn
        rows: list[object] = []
        recorded: list[Recorded] = []
        seq, previous = self.head.seq, self.head.hash
        for batch in batches:
            assert batch.first_seq == seq + 1, (
                f"turn {batch.turn}: seq {batch.first_seq} after {seq}"
            )
            streams = batch.streams or tuple(event.stream for event in batch.events)
            for event, payload, stream in zip(batch.events, batch.payloads, streams, strict=True):
                seq += 1
                kind = type(event).__name__
                previous = chain(previous, seq, batch.turn, batch.at_us, stream, kind, payload)
                rows += (seq, batch.turn, batch.at_us, stream, kind, payload.decode(), previous)
                recorded.append(Recorded(seq, batch.turn, batch.at_us, stream, event))
        conn.execute("BEGIN IMMEDIATE")
        try:
            if self.before_commit is not None:
                self.before_commit()
            insert(conn, _JOURNAL, 7, rows)
            keys: list[object] = [
                item for batch in batches for pair in batch.dedup_keys for item in pair
            ]
            insert(conn, "dedup_keys (key, seq)", 2, keys)
            names: list[object] = [
                item for batch in batches for triple in batch.identities for item in triple
            ]
            # The newest owner of a venue's id wins: one adopted as external may turn out ours.
            insert(conn, _IDENTITIES, 3, names, "INSERT OR REPLACE")
            conn.execute("COMMIT")
        except BaseException:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            raise
        return Head(seq, previous, batches[-1].turn if batches else self.head.turn), recorded

    # ------------------------------------------------------------------------------ projections

    @property
    def projection_lag(self) -> int:
        """How many committed events the projections have not seen yet."""
        return self.head.seq - self.projector.seq

    def project(self, limit: int) -> int:
        """Bring the projections forward by at most `limit` events; returns how many.

        A row that a projection refuses stops the projector (`projector.failed`), never the
        journal: what is committed stays, and `holdfast rebuild` starts over. A disk or a lock that
        fails for now is counted and tried again when the writer is idle.
        """
        try:
            return self._project(limit)
        except sqlite3.Error as problem:
            self._pending_projection.clear()  # they are in the journal: read again from there
            self.statistics.projection_failures += 1
            self.statistics.last_problem = f"projection: {problem}"
            return 0

    def _project(self, limit: int) -> int:
        if self.projector.failed is not None:
            self._pending_projection.clear()
            return 0
        pending = self._pending_projection
        if not pending or pending[0].seq != self.projector.seq + 1:
            pending.clear()
            return self.projector.catch_up(limit)
        chunk = [pending.popleft() for _ in range(min(limit, len(pending)))]
        return self.projector.apply(chunk)

    def project_all(self) -> None:
        """Bring the projections up to the head."""
        while self.project(5_000):
            pass

    def must_project(self) -> bool:
        """True when so much waits that memory would grow without bound."""
        return len(self._pending_projection) > _PENDING_PROJECTION_MAX

    # -------------------------------------------------------------------------------- the head

    def keep_head(self, *, force: bool = False) -> None:
        """Write the head outside the database when its interval has passed.

        A head that cannot be written only lags behind, which is allowed: the failure is counted
        (`statistics.head_failures`), tried again after the interval, and stops nothing.
        """
        now = time.monotonic()
        if self.head.seq == self._head_kept_seq:
            return
        if force or now - self._head_written_at >= self.head_interval_s:
            self._head_written_at = now
            try:
                write_head(self.path, self.head)
                self._head_kept_seq = self.head.seq
            except OSError as problem:
                self.statistics.head_failures += 1
                self.statistics.last_problem = f"head: {problem}"

    def record_callback_failure(self, problem: Exception) -> None:
        """A listener raised while it was told of a commit: kept in the statistics."""
        self.statistics.callback_failures += 1
        self.statistics.last_problem = f"callback: {problem!r}"

    def head_due_s(self) -> float | None:
        """Seconds until the head is to be kept again; None when the last one is kept."""
        if self.head.seq == self._head_kept_seq:
            return None
        return max(0.0, self._head_written_at + self.head_interval_s - time.monotonic())

    # ------------------------------------------------------------------------------------- ends

    def let_go(self) -> None:
        """Keep the head and close the connection: another process may write."""
        try:
            if self.failed is None:
                self.keep_head(force=True)
        finally:
            self.conn.close()
            self.has_let_go = True

    def take_back(self) -> None:
        """Open the connection again, after `let_go`. Raises sqlite3.Error."""
        self.conn = open_writing_connection(self.path)
        self.has_let_go = False
        self.head, self.projector = _head_of(self.conn), Projector(self.conn)
        self._pending_projection.clear()

    def close(self) -> None:
        """Catch the projections up, keep the head and close the connection."""
        if self.has_let_go:
            return
        try:
            if self.failed is None:
                self.project_all()
                self.keep_head(force=True)
        finally:
            self.conn.close()


class InlineJournal:
    """Commits at once in the caller's thread: for simulated time, where nothing may overtake."""

    def __init__(self, writer: JournalWriter, on_durable: Callable[[int], None]) -> None:
        self.writer = writer
        self._on_durable = on_durable

    @property
    def head(self) -> Head:
        """The last durable row."""
        return self.writer.head

    def append(self, batch: TurnBatch) -> None:
        """Commit and report. Raises JournalFailed."""
        self.writer.commit([batch])
        if self.writer.must_project():
            self.writer.project_all()
        self._on_durable(batch.turn)

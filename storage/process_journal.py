"""The engine's side of the writer process: hands turns over, hears what is durable.

The interpreter lock is why there are two processes: with the writer in a thread, deciding and
writing took turns on one processor (docs/explanation/speed.md). Whatever goes wrong over there is
told as a failed journal; a writer that is gone is one, because nothing more can be durable (L1).
"""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from storage.journal import Head
from storage.projections import ProjectionRefused
from storage.writer import JournalFailed, JournalWriter, TurnBatch
from storage.writer_link import FrameReader, Report, turn_frame

_BUFFER_BYTES = 4 << 20
_END_S = 60.0
#: `-P`: a folder `storage` in the working directory is not ours.
_RUN = ("-P", "-m", "storage.writer_process")


class ProcessJournal:
    """One writer process. Callbacks run in a thread of ours and must only hand over.

    While it runs, `writer` is a mirror: its head, counters and failures are the process's; its
    connection is closed, because one connection writes. `close` gives it the connection back.
    `keep_open` are file descriptors that the process holds too: the lock of the database, so
    that nobody else writes while it finishes what a killed engine had sent.
    """

    def __init__(
        self,
        writer: JournalWriter,
        on_durable: Callable[[int], None],
        on_failed: Callable[[JournalFailed], None],
        *,
        projection_batch_max: int = 5_000,
        keep_open: Sequence[int] = (),
    ) -> None:
        self.writer = writer
        self._on_durable, self._on_failed = on_durable, on_failed
        self._backlog: deque[bytes] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._closed = False
        self._durable_turn = writer.head.turn
        self._handed_over: deque[tuple[int, float]] = deque()
        self._why = ""
        self._sock, theirs = socket.socketpair()
        for end in (self._sock, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        writer.let_go()
        command = [sys.executable, *_RUN, str(theirs.fileno()), str(writer.path)]
        command += [str(projection_batch_max), str(writer.head_interval_s)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), *keep_open),
            start_new_session=True,  # a Ctrl-C is for the engine, which ends us in order
        )
        theirs.close()
        self._sender = threading.Thread(target=self._send, name="journal-sender", daemon=True)
        self._listener = threading.Thread(target=self._listen, name="journal-reports", daemon=True)
        self._sender.start()
        self._listener.start()

    @property
    def head(self) -> Head:
        """The last durable row."""
        return self.writer.head

    @property
    def pid(self) -> int:
        """The writer process's id."""
        return self._process.pid

    def append(self, batch: TurnBatch) -> None:
        """Hand a turn over; returns at once. The dispatcher bounds the turns in flight (L9).

        After a failure it goes nowhere: `on_failed` has told, or is about to, and comes behind
        whatever was told durable.
        """
        if self.writer.failed is not None:
            return
        frame = turn_frame(batch)
        self._handed_over.append((batch.turn, time.monotonic()))
        with self._condition:
            assert not self._closing, f"turn {batch.turn} came after close"
            if not self._backlog:
                frame = frame[self._send_now(frame) :]
            if frame:
                self._backlog.append(frame)
                self._condition.notify()

    def stalled_s(self) -> float:
        """For how many seconds the oldest turn that is not durable has been with the writer."""
        try:
            return time.monotonic() - self._handed_over[0][1]
        except IndexError:
            return 0.0

    def give_up(self, why: str) -> None:
        """End a writer that answers no more, before anything else is done about it: afterwards it
        can commit nothing that was taken for lost. Told as a failed journal."""
        self._why = why
        self._process.kill()

    def close(self) -> None:
        """Let the process commit what waits and end, and take the connection back.

        What it does not commit within a minute, or takes with it when it dies, is a failed journal
        (`writer.failed`), and so is a database that cannot be opened again.
        """
        if self._closed:
            return
        self._closed = True
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._sender.join(_END_S)
        try:
            if self._sender.is_alive():
                self._process.kill()  # it reads no more
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._sender.join()
        self._listener.join()
        self._sock.close()
        if self._handed_over and self.writer.failed is None:
            self._fail(f"the writer process has ended ({_how(self._process.returncode)})")
        if self.writer.failed is None:
            try:
                self.writer.take_back()
            except (sqlite3.Error, OSError) as problem:
                self._fail(f"cannot be opened again: {problem}")

    # ---------------------------------------------------------------------------------- sending

    def _send_now(self, frame: bytes) -> int:
        """As much as the socket takes without waiting: nearly always all of it."""
        try:
            return self._sock.send(frame, socket.MSG_DONTWAIT)
        except OSError:
            return 0  # it is full; or broken, which the sender finds as well

    def _send(self) -> None:
        """The rest of what was too much for the socket, in order; then the end."""
        while True:
            with self._condition:
                while not self._backlog and not self._closing:
                    self._condition.wait()
                if not self._backlog:
                    break
                frame = self._backlog[0]
            try:
                self._sock.sendall(frame)
            except OSError:
                # A turn that cannot be sent is one that is never durable: the listener tells.
                self._process.kill()
                with self._condition:
                    self._backlog.clear()
                break
            with self._condition:
                self._backlog.popleft()  # only now: until then nothing may overtake it
        with suppress(OSError):  # the process is gone already, which its listener has told
            self._sock.shutdown(socket.SHUT_WR)

    # --------------------------------------------------------------------------------- listening

    def _listen(self) -> None:
        reports = FrameReader(self._sock, Report)
        try:
            while reports.receive():
                for report in reports.frames():
                    self._take(report)
        except Exception as problem:
            # Whatever it is, nothing more will be heard of durable turns.
            self.writer.record_callback_failure(problem)
            self.give_up(f"a report of the writer process cannot be read: {problem}")
        if not self._closing and self.writer.failed is None:
            code = self._process.wait()
            self._fail(self._why or f"the writer process has ended ({_how(code)})")

    def _take(self, report: Report) -> None:
        writer, counted = self.writer, self.writer.statistics
        writer.head = Head(report.seq, report.hash, report.turn)
        writer.projector.seq = report.projected_seq
        if report.tables_failed and writer.projector.failed is None:
            writer.projector.failed = ProjectionRefused(report.tables_failed)
        for name in _MIRRORED:
            setattr(counted, name, getattr(report, name))
        counted.last_problem = report.last_problem or counted.last_problem
        if report.failed:
            self._fail(report.failed)
        elif report.turn > self._durable_turn:  # else it only says how far the tables are
            self._durable_turn = report.turn
            while self._handed_over and self._handed_over[0][0] <= report.turn:
                self._handed_over.popleft()
            self._tell(lambda: self._on_durable(report.turn))

    def _fail(self, why: str) -> None:
        if self.writer.failed is None:
            prefix = "" if why.startswith(str(self.writer.path)) else f"{self.writer.path}: "
            self.writer.failed = JournalFailed(f"{prefix}{why}")
        failure = self.writer.failed
        self._tell(lambda: self._on_failed(failure))

    def _tell(self, callback: Callable[[], None]) -> None:
        """A callback that raises must not end the thread: what is durable stays durable."""
        try:
            callback()
        except Exception as problem:
            self.writer.record_callback_failure(problem)


_MIRRORED = (
    "commits",
    "turns",
    "events",
    "busy_s",
    "last_commit_s",
    "ballast_released",
    "head_failures",
    "projection_failures",
)


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"

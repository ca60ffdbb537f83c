"""The writer in a process of its own: it commits what the engine sends, and keeps the tables.

`python -P -m storage.writer_process FD DATABASE PROJECTION_BATCH HEAD_INTERVAL`, started by
`ProcessJournal`. It ends when the engine's side of the socket is closed, however that came about:
what was sent whole is committed first, which is the same as a kill just after that commit.
Signals are the engine's business.
"""

from __future__ import annotations

import gc
import select
import signal
import socket
import sys
from contextlib import suppress

from storage.writer import JournalFailed, JournalWriter
from storage.writer_link import FrameReader, Report, TurnFrame, report_frame

_YOUNG_MAX = 50_000
_TABLES_AGAIN_S = 0.5


class WriterProcess:
    """Serves one engine until it is gone."""

    def __init__(
        self, writer: JournalWriter, sock: socket.socket, *, projection_batch_max: int
    ) -> None:
        self.writer = writer
        self._sock = sock
        self._turns = FrameReader(sock, TurnFrame)
        self._batch_max = projection_batch_max

    def serve(self) -> None:
        """Commit, report, keep the tables while nothing waits; returns when the engine is gone."""
        writer, projecting = self.writer, True
        counted, told = writer.statistics, 0
        while True:
            if self._waiting(0.0 if projecting else self._patience_s()):
                if not self._turns.receive():
                    return
                self._commit()
                projecting = True
                continue
            writer.keep_head()
            projected = writer.failed is None and writer.project(self._batch_max) > 0
            problems = counted.projection_failures + counted.head_failures
            if (projecting and not projected) or problems != told:
                told = problems
                self._report()  # the tables are caught up, have stopped, or something went wrong
            projecting = projected

    def _patience_s(self) -> float | None:
        """How long to wait for a turn before something else is to be done; None: for ever."""
        writer = self.writer
        waits = [due_s for due_s in (writer.head_due_s(),) if due_s is not None]
        if writer.failed is None and writer.projector.failed is None and writer.projection_lag:
            waits.append(_TABLES_AGAIN_S)  # a lock or a full disk held them up
        return min(waits, default=None)

    def _waiting(self, timeout_s: float | None) -> bool:
        return bool(select.select([self._sock], [], [], timeout_s)[0])

    def _commit(self) -> None:
        """Whatever has arrived, in one transaction."""
        batches = [frame.batch() for frame in self._turns.frames()]
        if not batches:
            return  # the rest of a turn is still on its way
        try:
            self.writer.commit(batches)
        except JournalFailed:
            self._report()  # it is kept in `failed`: later turns are reported, never committed
            return
        self._report()
        self.writer.keep_head()
        while self.writer.must_project() and self.writer.project(self._batch_max):
            pass

    def _report(self) -> None:
        writer, counted = self.writer, self.writer.statistics
        report = Report(
            turn=writer.head.turn,
            seq=writer.head.seq,
            hash=writer.head.hash,
            failed=str(writer.failed or ""),
            projected_seq=writer.projector.seq,
            tables_failed=str(writer.projector.failed or ""),
            commits=counted.commits,
            turns=counted.turns,
            events=counted.events,
            busy_s=counted.busy_s,
            last_commit_s=counted.last_commit_s,
            ballast_released=counted.ballast_released,
            head_failures=counted.head_failures,
            projection_failures=counted.projection_failures,
            last_problem=counted.last_problem,
        )
        # The engine may be gone: the next look at the socket says so.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._sock.sendall(report_frame(report))


def main(arguments: list[str]) -> int:
    """Be the writer of one database until the engine is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    fd, database, batch_max, head_interval_s = arguments
    sock = socket.socket(fileno=int(fd))
    writer = JournalWriter(database, head_interval_s=float(head_interval_s))
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_MAX, 20, 100)
    WriterProcess(writer, sock, projection_batch_max=int(batch_max)).serve()
    writer.let_go()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

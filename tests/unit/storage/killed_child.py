"""Run by test_killed.py: writes turns for ever and says which of them are durable."""

from __future__ import annotations

import sys
import threading

from actors.lock import DatabaseLock
from storage.process_journal import ProcessJournal
from storage.writer import JournalWriter
from tests.unit.storage.stories import batches
from tests.unit.storage.test_writer import alerts


def main(path: str) -> None:
    """Until killed: append turns of three events, at most four in flight."""
    lock = DatabaseLock(path)
    assert lock.acquire(), "the writer of the one that was killed does not end"
    writer = JournalWriter(path, head_interval_s=0.02)
    in_flight = threading.Semaphore(4)

    def on_durable(turn: int) -> None:
        sys.stdout.write(f"{turn} {writer.head.seq}\n")
        sys.stdout.flush()
        for _ in range(turn - durable[0]):
            in_flight.release()
        durable[0] = turn

    durable = [writer.head.turn]
    journal = ProcessJournal(
        writer, on_durable, lambda failure: sys.exit(1), keep_open=lock.descriptors
    )
    seq, turn = writer.head.seq, writer.head.turn
    while True:
        in_flight.acquire()
        (batch,) = batches([alerts(3)], seq, turn)
        seq, turn = seq + 3, turn + 1
        journal.append(batch)


if __name__ == "__main__":
    main(sys.argv[1])

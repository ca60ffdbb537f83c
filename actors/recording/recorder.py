"""The recorder itself: a bounded queue in front of the files, and the thread between them.

The loop's part of a row is one append; encoding, packing and the disk are the thread's. Nothing
here ever makes a turn wait or stops trading: a full queue and files that cannot be written cost
rows, which are counted as lost, with the reason, and logged once an episode. In simulated time
nothing is held up by waiting, so `InlineRecorder` writes in the caller's thread and loses nothing
to a queue.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from attrs import define, frozen
from loguru import logger

from actors.feeds.gaps import GapDetector
from actors.recording import rows
from actors.recording.completeness import FURTHER, Completeness, Counts
from actors.recording.files import RecordingFiles
from actors.recording.rows import Recordable
from fsm.market import MarketData
from fsm.timestamps import SECOND_US

_BATCH_MAX = 8_192
_LOSSES_MAX = 10_000
_INLINE_ROWS = 4_096
_CLOSE_WAIT_S = 5.0

QUEUE_FULL = "the recorder's queue was full"


class Tap(Protocol):
    """Where a feed puts what arrives. Neither call waits or raises."""

    def take(self, data: MarketData) -> None:
        """It arrived."""

    def shed(self, data: MarketData) -> None:
        """What was just taken did not reach the engine: its lane was full."""


class NoTap:
    """For a service without a recorder."""

    def take(self, data: MarketData) -> None:
        """Nothing is recorded."""

    def shed(self, data: MarketData) -> None:
        """Nothing is recorded."""


@define(slots=True)
class Loss:
    """Rows of one instrument and window that never got into the queue."""

    count: int
    from_us: int
    to_us: int


LossKey = tuple[str, int, str]
Item = tuple[str, Recordable]


@frozen(slots=True, kw_only=True)
class RecorderSettings:
    """How the recorder behaves, in the core's units."""

    flush_s: float = 1.0
    queue_max: int = 50_000
    window_us: int = 60_000_000
    gap_us: int = 5_000_000


class Scribe:
    """Turns items into lines on disk and keeps the figures. One thread at a time."""

    def __init__(self, files: RecordingFiles, settings: RecorderSettings) -> None:
        self.files = files
        self.completeness = Completeness(settings.window_us)
        self.window_us = settings.window_us
        self.problem = ""
        """Why the last batch could not be written; empty when it could."""
        self.failed_batches = self.retried_batches = 0
        self._gap_us = settings.gap_us
        self._gaps: dict[str, GapDetector] = {}
        self._lost_in_episode = 0
        self._untold: dict[tuple[str, str], rows.Lost] = {}
        self.document: dict[str, Any] = self._figures()

    def prepare(self) -> None:
        """Try the folder now, so that a person hears at the start of what is wrong with it."""
        try:
            self.files.prepare()
        except OSError as problem:
            self._failed(_reason(problem), 0)
        self.document = self._figures()

    def record(self, items: Sequence[Item], losses: dict[LossKey, Loss]) -> None:
        """One batch: every row of it is recorded, or counted as lost. Never raises."""
        if items:
            tally = self._tally(items)
            reason = self._write(items, items[0][1].recv_us, items[-1][1].recv_us)
            self._count(items, tally, reason)
        for (feed, window, instrument), loss in losses.items():
            self._lose(feed, window, instrument, loss, QUEUE_FULL)
        if items or losses:
            self._note()
            self.document = self._figures()

    def close(self) -> None:
        """Close the windows and complete the file."""
        if self._untold:
            last_us = max(told.to_us for told in self._untold.values())
            self._write((), last_us, last_us)
        self.completeness.close_windows()
        self._note()
        self.files.close()
        self.document = self._figures()

    # ---------------------------------------------------------------------------------- writing

    def _write(self, items: Sequence[Item], first_us: int, last_us: int) -> str:
        """Why the batch is lost after one retry; empty when it is recorded."""
        try:
            told = list(self._untold.values())
            text = rows.encode_rows([*told, *(rows.row_of(feed, data) for feed, data in items)])
            try:
                self.files.append(text, first_us, last_us)
            except OSError:
                self.files.abandon()
                self.retried_batches += 1
                self.files.append(text, first_us, last_us)
        except OSError as problem:
            self.files.abandon()
            return _reason(problem)
        except Exception as problem:
            logger.exception("RECORDER_DEFECT a batch of {} rows is lost", len(items))
            self.files.abandon()
            return f"a defect of the recorder: {problem!r}"
        self._untold.clear()
        return ""

    def _note(self) -> None:
        """The figures of closed windows; on a failing disk they wait for the next time."""
        lines = self.completeness.lines()
        if not lines:
            return
        try:
            self.files.note(lines)
            self.completeness.written()
        except OSError as problem:
            self._failed(_reason(problem), 0)

    # --------------------------------------------------------------------------------- counting

    def _tally(self, items: Sequence[Item]) -> dict[LossKey, Counts]:
        window_us = self.window_us
        tally: dict[LossKey, Counts] = {}
        known: tuple[str, GapDetector, Callable[[int], None]] | None = None
        for feed, data in items:
            key = (feed, data.recv_us // window_us, data.instrument)
            counts = tally.get(key)
            if counts is None:
                counts = tally[key] = Counts()
            if type(data) is rows.Shed:
                counts.shed += 1
                continue
            if known is None or known[0] != feed:
                gaps = self._gaps.setdefault(feed, GapDetector(self._gap_us))
                known = feed, gaps, self.completeness.feed(feed).differences.append
            counts.recorded += 1
            if known[1].observe(data.instrument, data.event_us) is not None:
                counts.gaps += 1
            known[2](data.event_us - data.recv_us)
        return tally

    def _count(self, items: Sequence[Item], tally: dict[LossKey, Counts], reason: str) -> None:
        if reason:
            self.failed_batches += 1
            from_us, to_us = items[0][1].recv_us, items[-1][1].recv_us
            for (feed, window, instrument), counts in tally.items():
                if counts.recorded:
                    loss = Loss(counts.recorded, from_us, to_us)
                    self._lose(feed, window, instrument, loss, reason)
                counts.recorded = counts.shed = 0
            self._failed(reason, sum(type(data) is not rows.Shed for _, data in items))
        elif self.problem:
            logger.warning(
                "RECORDER_RECOVERED records again, lost={} reason={}",
                self._lost_in_episode,
                self.problem,
            )
            self.problem, self._lost_in_episode = "", 0
        for (feed, window, instrument), counts in tally.items():
            self.completeness.feed(feed).add(window, instrument, counts)

    def _lose(self, feed: str, window: int, instrument: str, loss: Loss, reason: str) -> None:
        """Count, and have the recording itself say so as soon as it can be written again."""
        self.completeness.feed(feed).add(window, instrument, Counts(lost=loss.count))
        key = (feed, instrument if len(self._untold) < _LOSSES_MAX else FURTHER)
        told = self._untold.get(key)
        if told is None:
            self._untold[key] = rows.Lost(
                feed, loss.from_us, loss.to_us, key[1], loss.count, reason
            )
        else:
            told.count += loss.count
            told.to_us = max(told.to_us, loss.to_us)

    def _failed(self, reason: str, lost: int) -> None:
        if not self.problem:
            logger.warning(
                "RECORDER_FAILS nothing is recorded for now, trading goes on: {}; look at the "
                "folder {} and its disk",
                reason,
                self.files.place.root,
            )
        self.problem = reason
        self._lost_in_episode += lost

    def _figures(self) -> dict[str, Any]:
        files, total = self.files, self.completeness.total()
        return {
            "state": "failing" if self.problem else "recording",
            "problem": self.problem,
            "folder": str(files.place.root),
            "file": None if files.path is None else str(files.path),
            "files": files.count,
            "bytes": files.total_bytes,
            "bytes_max": files.limits.total_bytes_max or None,
            "deleted_files": files.deleted,
            "failed_batches": self.failed_batches,
            "retried_batches": self.retried_batches,
            **total.document(),
            "window_s": self.window_us / 1_000_000,
            "feeds": self.completeness.document(),
        }


def _reason(problem: OSError) -> str:
    where = f"{problem.filename}: " if problem.filename else ""
    return f"{where}{problem.strerror or problem}"


class Recorder:
    """Records in a thread of its own. `start`, then `tap(feed)` for each source, then `close`."""

    def __init__(self, files: RecordingFiles, settings: RecorderSettings) -> None:
        self.scribe = Scribe(files, settings)
        self.limit = settings.queue_max
        self.queue: deque[Item] = deque()
        self._wake_at = settings.queue_max // 2
        self._flush_s = settings.flush_s
        self._losses: dict[LossKey, Loss] = {}
        self._lock = threading.Lock()
        self._behind = False
        self._bell = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Make the folder and start the thread."""
        self.scribe.prepare()
        self._thread.start()

    def tap(self, feed: str) -> QueueTap:
        """Where the source of this name puts what arrives."""
        return QueueTap(self, feed)

    def lose(self, feed: str, data: Recordable) -> None:
        """The queue is full: count the row, by window and instrument (L9)."""
        if not self._behind:
            self._behind = True
            logger.warning(
                "RECORDER_BEHIND its queue of {} rows is full: rows are lost", self.limit
            )
        recv_us = data.recv_us
        with self._lock:
            key = (feed, recv_us // self.scribe.window_us, data.instrument)
            if key not in self._losses and len(self._losses) >= _LOSSES_MAX:
                key = (feed, 0, FURTHER)
            loss = self._losses.get(key)
            if loss is None:
                self._losses[key] = Loss(1, recv_us, recv_us)
            else:
                loss.count += 1
                loss.to_us = recv_us

    def wake_if_half_full(self) -> None:
        """Do not leave a burst waiting for the next flush."""
        if len(self.queue) >= self._wake_at and not self._bell.is_set():
            self._bell.set()

    def document(self) -> dict[str, Any]:
        """The `recorder` section of the state document, as of the last flush."""
        figures = dict(self.scribe.document)
        with self._lock:
            pending = sum(loss.count for loss in self._losses.values())
        figures["received"] += pending
        figures["lost"] += pending
        figures["waiting"], figures["waiting_max"] = len(self.queue), self.limit
        if not self._thread.is_alive():
            figures["state"] = "stopped"
        return figures

    def close(self, wait_s: float = _CLOSE_WAIT_S) -> None:
        """Write what waits and complete the file. A disk that hangs is left alone after a while:
        what was flushed is readable."""
        self._over = True
        self._bell.set()
        if self._thread.is_alive():
            self._thread.join(wait_s)
        if self._thread.is_alive():
            logger.warning(
                "RECORDER_NOT_CLOSED the disk does not answer: rows waiting={}", len(self.queue)
            )

    # ------------------------------------------------------------------------- the thread's part

    def _run(self) -> None:
        while True:
            self._bell.wait(self._flush_s)
            self._bell.clear()
            over = self._over  # read after the bell: one that rings from here on is heard
            try:
                self._drain()
                if over:
                    self.scribe.close()
            except Exception as problem:
                logger.exception("RECORDER_DEFECT {!r}", problem)
            if over:
                return

    def _drain(self) -> None:
        waiting = len(self.queue)
        while True:
            pop = self.queue.popleft
            items = [pop() for _ in range(min(waiting, _BATCH_MAX))]
            waiting -= len(items)
            with self._lock:
                losses, self._losses = self._losses, {}
            self._behind = bool(losses)
            self.scribe.record(items, losses)
            if waiting <= 0:
                return


class QueueTap:
    """One feed's end of the queue."""

    __slots__ = ("_append", "_feed", "_limit", "_queue", "_recorder", "_wake_at")

    def __init__(self, recorder: Recorder, feed: str) -> None:
        self._recorder, self._feed = recorder, feed
        self._queue, self._append = recorder.queue, recorder.queue.append
        self._limit = recorder.limit
        self._wake_at = recorder.limit // 2

    def take(self, data: Recordable) -> None:
        """Queue it; a full queue loses it, counted."""
        waiting = len(self._queue)
        if waiting >= self._wake_at:
            self._recorder.wake_if_half_full()
            if waiting >= self._limit:
                self._recorder.lose(self._feed, data)
                return
        self._append((self._feed, data))

    def shed(self, data: MarketData) -> None:
        """Queue the mark behind it. A mark that finds no room is lost with the row it marks."""
        if len(self._queue) < self._limit:
            mark = rows.Shed(self._feed, data.recv_us, data.event_us, data.instrument)
            self._append((self._feed, mark))


class InlineRecorder:
    """Records in the caller's thread: for simulated time, where waiting holds nothing up."""

    def __init__(self, files: RecordingFiles, settings: RecorderSettings) -> None:
        self.scribe = Scribe(files, settings)
        self._flush_us = round(settings.flush_s * SECOND_US)
        self._items: list[Item] = []
        self._over = False

    def start(self) -> None:
        """Make the folder."""
        self.scribe.prepare()

    def tap(self, feed: str) -> InlineTap:
        """Where the source of this name puts what arrives."""
        return InlineTap(self, feed)

    def take(self, feed: str, data: Recordable) -> None:
        """Keep it, and write when there is enough, or enough time went by in the data."""
        items = self._items
        items.append((feed, data))
        if len(items) >= _INLINE_ROWS or data.recv_us - items[0][1].recv_us >= self._flush_us:
            self.flush()

    def flush(self) -> None:
        """Write what is kept."""
        items, self._items = self._items, []
        if items:
            self.scribe.record(items, {})

    def document(self) -> dict[str, Any]:
        """The `recorder` section of the state document, as of the last flush."""
        figures = {
            **self.scribe.document,
            "waiting": len(self._items),
            "waiting_max": _INLINE_ROWS,
        }
        return figures | ({"state": "stopped"} if self._over else {})

    def close(self) -> None:
        """Write what is kept and complete the file."""
        self._over = True
        self.flush()
        self.scribe.close()


@define(slots=True)
class InlineTap:
    """One feed's end of an inline recorder."""

    recorder: InlineRecorder
    feed: str

    def take(self, data: MarketData) -> None:
        """Record it."""
        self.recorder.take(self.feed, data)

    def shed(self, data: MarketData) -> None:
        """Mark it."""
        mark = rows.Shed(self.feed, data.recv_us, data.event_us, data.instrument)
        self.recorder.take(self.feed, mark)

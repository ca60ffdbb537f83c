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
from typing import Any, Protocol

from attrs import define
from loguru import logger

from actors.recording import rows
from actors.recording.completeness import FURTHER
from actors.recording.files import RecordingFiles
from actors.recording.rows import Recordable
from actors.recording.scribe import LOSSES_MAX, Item, Loss, LossKey, RecorderSettings, Scribe
from fsm.market import MarketData
from fsm.timestamps import SECOND_US

_BATCH_MAX = 8_192
_INLINE_ROWS = 4_096
_CLOSE_WAIT_S = 5.0


class Tap(Protocol):
    """Where a feed puts what arrives. Neither call waits or raises."""

    def take(self, data: MarketData) -> None:
        """It arrived."""

    def shed(self, data: MarketData) -> None:
        """What was just taken did not reach the engine: its lane was full."""


class NoTap:
    """For a feed that nobody records."""

    def take(self, data: MarketData) -> None:
        """Nothing is recorded."""

    def shed(self, data: MarketData) -> None:
        """Nothing is recorded."""


class NoRecorder:
    """The recorder that is switched off, or of a replay: its data is on disk already."""

    def tap(self, feed: str) -> NoTap:
        """Takes nothing."""
        return NoTap()

    def document(self) -> dict[str, Any]:
        """The `recorder` section of the state document."""
        return {"state": "off"}

    def close(self) -> None:
        """There is nothing to close."""


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
        self._given_up = False
        # What the thread is writing: in no other figure while the disk does not answer.
        self._in_hand_rows = 0
        self._in_hand_losses: dict[LossKey, Loss] = {}
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
            if key not in self._losses and len(self._losses) >= LOSSES_MAX:
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
        with self._lock:
            in_hand = self._in_hand_rows + sum(loss.count for loss in self._in_hand_losses.values())
            figures["lost"] += sum(loss.count for loss in self._in_hand_losses.values())
        figures["received"] += in_hand
        if self._behind and not figures["problem"]:
            figures["state"] = "failing"
            figures["problem"] = f"its queue of {self.limit} rows is full: the disk is too slow"
        if self._given_up:
            # Nobody will write what waits: it is lost, and so is what the thread holds.
            figures["lost"] += figures["waiting"] + self._in_hand_rows
            figures["received"] += figures["waiting"]
            figures["waiting"] = 0
            figures["problem"] = figures["problem"] or "the disk does not answer"
        if self._given_up or not self._thread.is_alive():
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
            self._given_up = True
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
                self._in_hand_rows, self._in_hand_losses = len(items), losses
            self._behind = bool(losses)
            self.scribe.record(items, losses)
            with self._lock:
                self._in_hand_rows, self._in_hand_losses = 0, {}
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

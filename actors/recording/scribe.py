"""From rows that arrived to lines on disk, and the count of what became of each.

Every row that is given here is recorded or counted as lost, with the reason. Who gives them, and
from which thread, is `recorder`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, frozen
from loguru import logger

from actors.feeds.gaps import GapDetector
from actors.recording import rows
from actors.recording.completeness import FURTHER, Completeness, Counts
from actors.recording.files import RecordingFiles
from actors.recording.rows import Recordable

#: So many kinds of losses are kept apart; further ones are counted together (L9).
LOSSES_MAX = 10_000
QUEUE_FULL = "the recorder's queue was full"


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
            if self.files.note(lines):
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
        key = (feed, instrument if len(self._untold) < LOSSES_MAX else FURTHER)
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

"""Recording without an engine: a feed on one side, files on the other, and an end.

In real time the feed's rows are moved to now and recorded when they are due, through the service's
own recorder. At full speed they are written as they are, with the times that they have.
"""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trio
from attrs import define

from actors.config_keys import Config
from actors.feeds.errors import MarketFileError
from actors.feeds.files import RecordedFeed, open_market_file
from actors.feeds.synthetic import SyntheticMarket
from actors.pacing import due_by, moved_to_now
from actors.recording.files import InFile, InFolder, recording_files
from actors.recording.recorder import InlineRecorder, Recorder
from actors.recording.starting import recorder_settings
from actors.recording.starting import recording_files as configured_files
from actors.runtime.clock import SystemClock
from actors.settings import instruments_of
from fsm.instrument import Instrument
from fsm.market import MarketData
from fsm.timestamps import SECOND_US

SYNTHETIC = "synthetic"
_ROWS_BETWEEN_CHECKPOINTS = 512


def prepared(
    config: Config, feed: str, out: Path, *, length_s: float | None, simulated: bool
) -> RecordingSession:
    """Everything is opened, nothing recorded yet.

    Raises MarketFileError for a feed that cannot be read, OSError for an `out` that cannot be
    written, FileExistsError when it is there already.
    """
    clock = SystemClock()
    now_us = clock.now_us()
    source = None if feed == SYNTHETIC else _opened(config, Path(feed))
    specs = instruments_of(config) if source is None else source.instruments
    rows: Iterator[MarketData]
    if source is None:
        behind_us = round((length_s or 0) * SECOND_US) if simulated else 0
        rng = random.Random(f"{config.engine.seed}/market/0")
        rows = iter(SyntheticMarket(specs, rng, now_us - behind_us))
    else:
        rows = iter(source)
        if not simulated:
            rows = moved_to_now(rows, due_by(source), now_us)
    name = SYNTHETIC if source is None else f"file:{Path(feed).name}"
    place = InFolder.of_start(out, now_us) if out.is_dir() else InFile(out)
    files = configured_files(config, place, name, specs)
    files.prepare()
    settings = recorder_settings(config)
    recorder = InlineRecorder(files, settings) if simulated else Recorder(files, settings)
    return RecordingSession(
        feed=name,
        rows=rows,
        by_receipt=isinstance(source, RecordedFeed),
        recorder=recorder,
        length_us=None if length_s is None else round(length_s * SECOND_US),
        clock=None if simulated else clock,
        place=place,
        source=source,
    )


def _opened(config: Config, path: Path) -> Any:
    specs: tuple[Instrument, ...] | None = instruments_of(config) if config.instruments else None
    return open_market_file(path, specs)


@define(slots=True, kw_only=True)
class RecordingSession:
    """One recording from its first row to its end."""

    feed: str
    rows: Iterator[MarketData]
    by_receipt: bool
    recorder: Recorder | InlineRecorder
    length_us: int | None
    clock: SystemClock | None
    """None: as fast as the feed can be read, ended by the rows' own times."""
    source: Any = None
    """What a file's rows come from: its report tells what could not be read."""
    place: InFolder | InFile
    ended: str = ""
    error: str = ""

    def run(self) -> dict[str, Any]:
        """Record to the end; gives the recorder's figures with how it ended."""
        sys.setswitchinterval(1e-4)
        trio.run(self._run)
        self.recorder.close()
        figures = self.recorder.document()
        written = (
            [self.place.path(n) for n in range(1, self.recorder.scribe.files.number + 1)]
            if isinstance(self.place, InFile)
            else recording_files(self.place.path(1).parent)
        )
        return {
            "feed": self.feed,
            "ended": self.ended,
            "error": self.error,
            "source": None if self.source is None else self.source.report.summary(),
            "paths": [str(path) for path in written],
            **figures,
        }

    async def _run(self) -> None:
        self.recorder.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_signals, nursery.cancel_scope)
            with trio.move_on_after(self._seconds()) as limited:
                await self._feed()
            if limited.cancelled_caught:
                self.ended = self.ended or "duration_elapsed"
            nursery.cancel_scope.cancel()

    def _seconds(self) -> float:
        if self.clock is None or self.length_us is None:
            return float("inf")
        return self.length_us / SECOND_US

    async def _watch_signals(self, scope: trio.CancelScope) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for number in signals:
                self.ended = self.ended or f"interrupted_{signal.Signals(number).name.lower()}"
                scope.cancel()
                return

    async def _feed(self) -> None:
        tap, first_us = self.recorder.tap(self.feed), 0
        for count, data in enumerate(self._readable()):
            at_us = data.recv_us if self.by_receipt else data.event_us
            if self.clock is not None:
                await self._until(at_us)
            elif count % _ROWS_BETWEEN_CHECKPOINTS == 0:
                await trio.lowlevel.checkpoint()
            first_us = first_us or at_us
            if self.length_us is not None and at_us - first_us >= self.length_us:
                self.ended = "duration_elapsed"
                return
            tap.take(data)
        self.ended = self.ended or "data_ended"

    async def _until(self, due_us: int) -> None:
        assert self.clock is not None
        wait_us = due_us - self.clock.now_us()
        if wait_us > 0:
            await trio.sleep(wait_us / SECOND_US)
        else:
            await trio.lowlevel.checkpoint()

    def _readable(self) -> Iterator[MarketData]:
        """The rows up to where the source cannot be read on; that is said, not hidden."""
        try:
            yield from self.rows
        except MarketFileError as problem:
            self.error, self.ended = str(problem), "data_error"

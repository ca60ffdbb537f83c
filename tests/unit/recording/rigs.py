"""Market data, files and recorders for the tests of recording."""

from __future__ import annotations

import gzip
import json
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors.recording.files import InFolder, Limits, RecordingFiles, recording_files
from actors.recording.recorder import InlineRecorder, Recorder
from actors.recording.rows import Header, encode_header
from actors.recording.scribe import RecorderSettings
from fsm.instrument import Instrument
from fsm.market import MarketData, MarketTrade, Tick
from fsm.vocabulary import Side

D = Decimal
START_US = 1_700_000_000_000_000
SPEC = Instrument(name="ABC/USD", base="ABC", quote="USD", price_tick=D("0.01"))
OTHER = Instrument(name="XYZ/USD", base="XYZ", quote="USD", price_tick=D("0.01"))


def tick(number: int, instrument: str = SPEC.name, *, ahead_us: int = 0) -> Tick:
    """The tick that was received `number` ms after the start; its source is `ahead_us` ahead."""
    recv_us = START_US + number * 1_000
    return Tick(
        instrument=instrument,
        bid=D(number) + D("1.10"),
        ask=D(number) + D("1.20"),
        bid_size=D(5),
        ask_size=None,
        event_us=recv_us + ahead_us,
        recv_us=recv_us,
    )


def trade(number: int, instrument: str = SPEC.name) -> MarketTrade:
    """A trade at the same times."""
    at_us = START_US + number * 1_000
    return MarketTrade(
        instrument=instrument,
        price=D("1.15"),
        qty=D("0.500"),
        side=Side.SELL,
        event_us=at_us,
        recv_us=at_us,
        trade_id=f"t,{number}",
    )


def files_in(root: Path, **limits: int) -> RecordingFiles:
    """Files of a recorder that starts at the beginning of time."""

    def header(number: int, opened_at_us: int) -> bytes:
        return encode_header(
            Header(
                session="s",
                number=number,
                opened_at_us=opened_at_us,
                feeds=("here",),
                instruments=(SPEC, OTHER),
            )
        )

    place = InFolder.of_start(root, START_US)
    return RecordingFiles(place=place, limits=Limits(**limits), header=header)


def threaded(root: Path, *, flush_s: float = 0.01, queue_max: int = 1_000) -> Recorder:
    """A recorder with a thread, not started."""
    settings = RecorderSettings(flush_s=flush_s, queue_max=queue_max, window_us=1_000_000)
    return Recorder(files_in(root), settings)


def inline(root: Path, **limits: int) -> InlineRecorder:
    """A recorder in the caller's thread, started."""
    recorder = InlineRecorder(files_in(root, **limits), RecorderSettings(window_us=1_000_000))
    recorder.start()
    return recorder


def record(root: Path, *data: MarketData) -> Path:
    """A finished recording of this; the folder over all."""
    recorder = inline(root)
    tap = recorder.tap("here")
    for each in data:
        tap.take(each)
    recorder.close()
    return root


def unpacked(path: Path) -> list[str]:
    """The lines of a file that must be a complete gzip."""
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def flushed(path: Path) -> list[str]:
    """The whole lines that can be got out of a file as it is."""
    text = zlib.decompressobj(31).decompress(path.read_bytes()).decode()
    return text.splitlines()[: text.count("\n")]


def windows(root: Path) -> list[dict[str, Any]]:
    """The lines about completeness beside all recordings."""
    found: list[dict[str, Any]] = []
    for file in recording_files(root):
        beside = file.with_name(file.name.replace(".ticks.gz", ".windows.jsonl"))
        if beside.exists():
            found += [json.loads(line) for line in beside.read_text().splitlines()]
    return found

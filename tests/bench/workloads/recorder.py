"""What the recorder takes from the loop: its call a tick, and what its thread's lock costs beside.

`call_us` is the call alone. Then the same rows go through the same stand-in for a turn (about 20 us
of Python, so at a rate that no market has) without and with the recorder: `added_us`, the
difference in wall time, is all of it, with the waiting for the interpreter lock while the
recorder's thread encodes, and for the processor where two are not free. `thread_us` is what that
thread works for a row, most of it outside of the lock (packing).
"""

from __future__ import annotations

import gc
import random
import sys
import time
from pathlib import Path

from actors.config import Config
from actors.feeds.synthetic import SyntheticMarket
from actors.recording.files import InFolder
from actors.recording.recorder import NoTap, Recorder, Tap
from actors.recording.starting import recorder_settings, recording_files
from actors.runtime import collector
from actors.settings import DEFAULT_INSTRUMENTS
from fsm.market import MarketData
from tests.bench.measuring import Figures, Workload

_START_US = 1_700_000_000_000_000
_STEPS = 400
_FLUSH_ROWS = 1_000


def _turn() -> int:
    total = 0
    for step in range(_STEPS):
        total += step
    return total


def _pass(data: list[MarketData], tap: Tap) -> tuple[float, float]:
    """(wall, this thread's CPU) seconds of all rows."""
    take, wall, cpu = tap.take, time.perf_counter(), time.thread_time()
    for each in data:
        _turn()
        take(each)
    return time.perf_counter() - wall, time.thread_time() - cpu


def _recorder(folder: Path) -> Recorder:
    config = Config()
    place = InFolder.of_start(folder, _START_US)
    files = recording_files(config, place, "bench", DEFAULT_INSTRUMENTS)
    return Recorder(files, recorder_settings(config))


def _call_us(folder: Path, data: list[MarketData]) -> float:
    """One `take`, without the thread that drains the queue; emptied as often as that one would."""
    recorder, took = _recorder(folder), 0.0
    take = recorder.tap("bench").take
    for at in range(0, len(data), _FLUSH_ROWS):
        rows = data[at : at + _FLUSH_ROWS]
        started = time.perf_counter()
        for each in rows:
            take(each)
        took += time.perf_counter() - started
        recorder.queue.clear()
    return took / len(data) * 1e6


def run(folder: Path, size: int) -> Figures:
    """`size` rows without and with the recorder, one after the other, in a process that is tuned
    as the service's is."""
    threshold = gc.get_threshold()
    sys.setswitchinterval(1e-4)
    collector.settle_in()
    try:
        return _measured(folder, size)
    finally:
        gc.set_threshold(*threshold)
        gc.unfreeze()


def _measured(folder: Path, size: int) -> Figures:
    market = SyntheticMarket(DEFAULT_INSTRUMENTS, random.Random(1), _START_US)
    data = [next(market) for _ in range(size)]
    _pass(data[: size // 10], NoTap())  # warm
    bare_wall, bare_cpu = _pass(data, NoTap())

    call_us = _call_us(folder, data)
    recorder = _recorder(folder)
    recorder.start()
    process_before, thread_before = time.process_time(), time.thread_time()
    wall, cpu = _pass(data, recorder.tap("bench"))
    recorder.close()
    worker = (time.process_time() - process_before) - (time.thread_time() - thread_before)
    figures = recorder.document()
    assert (size, 0) == (figures["recorded"], figures["lost"]), figures
    return {
        "call_us": call_us,
        "added_us": (wall - bare_wall) / size * 1e6,
        "added_cpu_us": (cpu - bare_cpu) / size * 1e6,
        "thread_us": worker / size * 1e6,
        "bytes_a_row": figures["bytes"] / size,
    }


WORKLOAD = Workload(
    name="recorder",
    about="what recording a tick adds to the loop that takes it in",
    size=200_000,
    quick_size=20_000,
    headline=("call_us", "added_us", "bytes_a_row"),
    run=run,
)

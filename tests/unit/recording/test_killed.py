"""A recorder that is killed at any moment leaves everything that it had flushed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from actors.feeds.recording import RecordedFeed, is_recording
from actors.recording.files import recording_files
from fsm.market import MarketData

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 30

#: Records as fast as it can, in its own thread, and says after each flush how much is on disk.
WRITER = """
import sys
from pathlib import Path
from tests.unit.recording.rigs import threaded, tick

recorder = threaded(Path(sys.argv[1]), flush_s=0.001, queue_max=100_000)
recorder.start()
tap, told, number = recorder.tap("here"), 0, 0
while True:
    number += 1
    tap.take(tick(number))
    while number - recorder.document()["recorded"] > 5_000:
        pass
    recorded = recorder.document()["recorded"]
    if recorded > told:
        told = recorded
        print(told, flush=True)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def killed(folder: Path, after: int, pause_s: float) -> int:
    """Let a process record so much and a little more, kill it; how much it had said is flushed."""
    process = start(folder)
    assert process.stdout is not None
    said = 0
    deadline = time.monotonic() + PATIENCE_S
    while said < after:
        assert time.monotonic() < deadline
        said = int(process.stdout.readline())
    time.sleep(pause_s)
    process.kill()
    rest = process.stdout.read().splitlines(keepends=True)
    process.wait(PATIENCE_S)
    process.stdout.close()
    whole = [int(line) for line in rest if line.endswith("\n")]
    return whole[-1] if whole else said


def check(folder: Path, said: int) -> list[MarketData]:
    """Everything that was flushed is there, in order, without a hole."""
    feed = RecordedFeed(folder)
    read = list(feed)
    assert len(read) >= said
    assert list(range(1, len(read) + 1)) == [_number(data) for data in read]
    assert 0 == feed.report.bad_rows
    return read


def _number(data: MarketData) -> int:
    return (data.recv_us - 1_700_000_000_000_000) // 1_000


def test_what_was_flushed_survives_a_kill_and_a_new_start_writes_elsewhere(tmp_path: Path) -> None:
    said = killed(tmp_path, after=2_000, pause_s=0.0)
    (torn,) = recording_files(tmp_path)
    left = torn.read_bytes()
    check(torn, said)

    again = killed(tmp_path, after=500, pause_s=0.0)
    first, second = recording_files(tmp_path)
    assert (torn, left) == (first, first.read_bytes())
    check(second, again)
    assert len(list(RecordedFeed(tmp_path))) >= said + again


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    said = killed(tmp_path, after=rng.randrange(1, 20_000), pause_s=rng.random() * 0.05)
    (path,) = recording_files(tmp_path)
    assert is_recording(path)
    check(path, said)

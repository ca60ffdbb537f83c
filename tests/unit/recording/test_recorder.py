"""The recorder never makes its feed wait; what it cannot keep is counted, said, and said once."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from actors.feeds.check import Verdict, check_file, judge
from actors.feeds.recording import RecordedFeed
from actors.recording import scribe as module
from actors.recording.files import RecordingFiles, recording_files
from actors.recording.recorder import Recorder
from actors.recording.scribe import Loss, RecorderSettings, Scribe
from tests.unit.recording.rigs import (
    OTHER,
    SPEC,
    START_US,
    files_in,
    inline,
    record,
    threaded,
    tick,
    trade,
    unpacked,
    windows,
)

PATIENCE_S = 10


@pytest.fixture
def told() -> Iterator[list[str]]:
    """Log lines from warnings on."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level="WARNING", format="{message}")
    yield lines
    logger.remove(sink)


def wait_until(recorder: Recorder, recorded: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while recorder.document()["recorded"] < recorded:
        assert time.monotonic() < deadline, recorder.document()
        time.sleep(0.002)


def broken(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The disk refuses this many writes."""
    real, left = RecordingFiles.append, [times]

    def append(self: RecordingFiles, text: bytes, first_us: int, last_us: int) -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(self, text, first_us, last_us)

    monkeypatch.setattr(RecordingFiles, "append", append)


def test_everything_is_recorded_in_order_by_its_thread(tmp_path: Path) -> None:
    recorder = threaded(tmp_path)
    recorder.start()
    tap = recorder.tap("here")
    data = [tick(n) if n % 3 else trade(n) for n in range(1, 900)]
    for each in data:
        tap.take(each)
    recorder.close()

    assert data == list(RecordedFeed(tmp_path))
    figures = recorder.document()
    assert (899, 899, 0) == (figures["received"], figures["recorded"], figures["lost"])
    assert "stopped" == figures["state"]


def test_what_arrived_before_a_flush_is_on_disk_after_it_without_any_close(tmp_path: Path) -> None:
    recorder = threaded(tmp_path)
    recorder.start()
    recorder.tap("here").take(tick(1))
    wait_until(recorder, 1)
    try:
        feed = RecordedFeed(tmp_path)
        assert [tick(1)] == list(feed)
        assert feed.report.truncated, "it is being written"
    finally:
        recorder.close()


def test_feeds_share_one_order_and_have_figures_of_their_own(tmp_path: Path) -> None:
    recorder = inline(tmp_path)
    one, two = recorder.tap("one"), recorder.tap("two")
    one.take(tick(1))
    two.take(tick(2, OTHER.name, ahead_us=1_200_000))
    one.take(tick(3))
    recorder.close()

    (path,) = recording_files(tmp_path)
    assert ["one", "two", "one"] == [line.split('"')[3] for line in unpacked(path)[1:]]
    feeds = recorder.document()["feeds"]
    assert {"one": 2, "two": 1} == {name: feed["recorded"] for name, feed in feeds.items()}
    assert "our clock is 1.2 s behind the source's" == feeds["two"]["clock"]
    assert 1200.0 == feeds["two"]["clock_offset_ms"]
    assert {OTHER.name} == feeds["two"]["instruments"].keys()


class Hung:
    """A disk that does not answer until it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.answer = threading.Event(), threading.Event()
        real = RecordingFiles.append

        def append(files: RecordingFiles, text: bytes, first_us: int, last_us: int) -> None:
            self.reached.set()
            assert self.answer.wait(PATIENCE_S)
            real(files, text, first_us, last_us)

        monkeypatch.setattr(RecordingFiles, "append", append)


def test_a_hanging_disk_never_makes_the_feed_wait_and_the_rest_is_counted_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    disk = Hung(monkeypatch)
    recorder = threaded(tmp_path, queue_max=100)
    recorder.start()
    tap = recorder.tap("here")
    tap.take(tick(1))
    assert disk.reached.wait(PATIENCE_S)
    for number in range(2, 1_002):  # the thread is in the disk's hands: this returns all the same
        tap.take(tick(number, OTHER.name if number % 2 else SPEC.name))

    figures = recorder.document()
    assert (900, 100) == (figures["lost"], figures["waiting"])
    assert 901 == figures["received"], "with what the thread holds, besides what waits"
    assert "failing" == figures["state"]
    assert "queue of 100 rows is full" in figures["problem"]
    assert 1 == len([line for line in told if "RECORDER_BEHIND" in line]), "once an episode"
    recorder.close(wait_s=0.01)
    assert any("RECORDER_NOT_CLOSED" in line for line in told), "and does not hold up the end"
    figures = recorder.document()
    assert ("stopped", 1_001, 1_001, 0) == (
        figures["state"],
        figures["received"],
        figures["lost"],
        figures["waiting"],
    ), "nobody will write what waits"

    disk.answer.set()
    recorder.close(wait_s=PATIENCE_S)
    figures = recorder.document()
    assert (1_001, 101, 900) == (figures["received"], figures["recorded"], figures["lost"])
    by_name = figures["feeds"]["here"]["instruments"]
    assert {450} == {counts["lost"] for counts in by_name.values()}
    feed = RecordedFeed(tmp_path)
    assert [tick(1)] == list(feed)[:1]
    assert 101 == feed.report.quotes
    assert 2 == feed.report.other["lost"], "one mark an instrument"
    assert any("450 rows of XYZ/USD" in text for _, text in feed.report.problems)


def test_a_failed_batch_is_tried_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    recorder = inline(tmp_path)
    tap = recorder.tap("here")
    broken(monkeypatch, times=1)
    tap.take(tick(1))
    recorder.close()
    figures = recorder.document()
    assert [tick(1)] == list(RecordedFeed(tmp_path))
    assert (1, 0, 0) == (
        figures["retried_batches"],
        figures["failed_batches"],
        figures["lost"],
    )
    assert [] == told


def test_a_batch_that_fails_twice_is_lost_counted_and_told_once_an_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    recorder = inline(tmp_path)
    tap = recorder.tap("here")
    broken(monkeypatch, times=6)
    for number in (1, 2, 3):
        tap.take(tick(number))
        tap.take(tick(number, OTHER.name))
        recorder.flush()
        assert "failing" == recorder.document()["state"]
        assert "No space left" in recorder.document()["problem"]
    tap.take(tick(4))
    recorder.flush()
    assert ("recording", "") == (recorder.document()["state"], recorder.document()["problem"])
    recorder.close()

    figures = recorder.document()
    assert (7, 1, 6) == (figures["received"], figures["recorded"], figures["lost"])
    assert 3 == figures["failed_batches"]
    assert ["RECORDER_FAILS", "RECORDER_RECOVERED"] == [line.split()[0] for line in told]
    assert "lost=6" in told[1]
    feed = RecordedFeed(tmp_path)
    assert [tick(4)] == list(feed)
    problems = [text for _, text in feed.report.problems]
    assert len(problems) == 2, "the recording itself says what it lacks"
    assert all("3 rows of" in text and "No space left" in text for text in problems)


def test_a_loss_at_the_very_end_is_told_by_the_recording_too(tmp_path: Path) -> None:
    recorder = inline(tmp_path)
    recorder.scribe.record([("here", tick(1))], {("here", 0, SPEC.name): Loss(5, 1, 2)})
    recorder.close()
    feed = RecordedFeed(tmp_path)
    assert [tick(1)] == list(feed)
    assert ({"lost": 1}, 5) == (feed.report.other, feed.report.lost)
    judgement = judge(check_file(tmp_path))
    assert Verdict.USABLE is judgement.verdict
    assert "5 rows were never recorded" in judgement.reasons


def test_a_folder_that_cannot_be_made_is_one_warning_and_heals_by_itself(
    tmp_path: Path, told: list[str]
) -> None:
    """A file where the folder should be: works for every user, root included."""
    blocked = tmp_path / "ticks"
    blocked.write_text("in the way")
    recorder = inline(blocked)
    assert "failing" == recorder.document()["state"]
    tap = recorder.tap("here")
    for number in (1, 2):
        tap.take(tick(number))
        recorder.flush()
    assert ["RECORDER_FAILS"] == [line.split()[0] for line in told]
    assert str(blocked) in told[0]
    blocked.unlink()
    tap.take(tick(3))
    recorder.close()
    assert (1, 2) == (recorder.document()["recorded"], recorder.document()["lost"])
    assert [tick(3)] == list(RecordedFeed(blocked))


def test_a_defect_costs_the_batch_and_not_the_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    recorder = inline(tmp_path)
    tap = recorder.tap("here")

    def defect(feed: str, data: object) -> object:
        raise TypeError("a row of no kind")

    with monkeypatch.context() as patched:
        patched.setattr(module.rows, "row_of", defect)
        tap.take(tick(1))
        recorder.flush()
    assert "a row of no kind" in recorder.document()["problem"]
    tap.take(tick(2))
    recorder.close()
    assert [tick(2)] == list(RecordedFeed(tmp_path))
    assert any("RECORDER_DEFECT" in line for line in told)


def test_what_a_full_lane_shed_is_marked_and_counted_but_kept(tmp_path: Path) -> None:
    recorder = inline(tmp_path)
    tap = recorder.tap("here")
    for number in range(1, 6):
        tap.take(tick(number))
        if number in (2, 3):
            tap.shed(tick(number))
    recorder.close()
    feed = RecordedFeed(tmp_path)
    assert [tick(n) for n in range(1, 6)] == list(feed)
    assert {"shed": 2} == feed.report.other
    assert feed.report.is_clean, "the recording lacks nothing"
    figures = recorder.document()
    assert (5, 5, 2) == (figures["received"], figures["recorded"], figures["shed"])


def test_every_window_says_what_arrived_was_recorded_was_lost_and_where_gaps_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows of a second; numbers are milliseconds; the gap is of five seconds."""
    recorder = inline(tmp_path)
    tap = recorder.tap("here")
    for number in (0, 400, 999, 1_000, 7_500):
        tap.take(tick(number))
    recorder.flush()
    broken(monkeypatch, times=2)
    tap.take(tick(7_600))
    tap.take(tick(7_700, OTHER.name))
    recorder.flush()
    tap.take(tick(8_000))
    recorder.close()

    lines = windows(tmp_path)
    names = ("received", "recorded", "lost", "gaps")
    assert [(3, 3, 0, 0), (1, 1, 0, 0), (3, 1, 2, 1), (1, 1, 0, 0)] == [
        tuple(line[name] for name in names) for line in lines
    ]
    assert "2023-11-14T22:13:27.000000Z" == lines[2]["from"]
    assert "2023-11-14T22:13:28.000000Z" == lines[2]["to"]
    assert {"ABC/USD": 1, "XYZ/USD": 1} == {
        name: counts["lost"] for name, counts in lines[2]["instruments"].items()
    }
    shown = recorder.document()["feeds"]["here"]["windows"]
    assert [line["received"] for line in lines] == [line["received"] for line in shown]


def test_instruments_and_losses_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.recording.completeness.INSTRUMENTS_MAX", 3)
    recorder = inline(tmp_path)
    tap = recorder.tap("here")
    for number in range(10):
        tap.take(tick(number, f"I{number}/USD"))
    recorder.close()
    by_name = recorder.document()["feeds"]["here"]["instruments"]
    assert ["I0/USD", "I1/USD", "I2/USD", "(further)"] == list(by_name)
    assert 7 == by_name["(further)"]["recorded"]


def test_a_burst_does_not_wait_for_the_next_flush(tmp_path: Path) -> None:
    """Flushes are a minute apart; half a queue wakes the thread."""
    recorder = threaded(tmp_path, flush_s=60.0, queue_max=100)
    recorder.start()
    tap = recorder.tap("here")
    for number in range(1, 61):
        tap.take(tick(number))
    wait_until(recorder, 50)
    recorder.close()
    assert 60 == recorder.document()["recorded"]


def test_figures_on_a_disk_that_fails_wait_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scribe = Scribe(files_in(tmp_path), RecorderSettings(window_us=1_000_000))
    scribe.prepare()

    def refuse(self: RecordingFiles, lines: object) -> bool:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(RecordingFiles, "note", refuse)
        scribe.record([("here", tick(0)), ("here", tick(1_000))], {})
        assert "failing" == scribe.document["state"]
    scribe.record([("here", tick(2_000))], {})
    scribe.close()
    assert [1, 1, 1] == [line["recorded"] for line in windows(tmp_path)]
    assert START_US == tick(0).recv_us


def test_figures_of_a_start_that_could_not_write_yet_are_not_put_to_an_older_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, tick(0))
    before = windows(tmp_path)
    recorder = inline(tmp_path)
    tap = recorder.tap("here")
    with monkeypatch.context() as patched:
        broken(patched, times=1_000)
        for number in (0, 1_000, 2_000):
            tap.take(tick(number))
            recorder.flush()
        assert before == windows(tmp_path)
    tap.take(tick(3_000))
    recorder.close()
    lines = windows(tmp_path)[len(before) :]
    assert [(1, 0), (1, 0), (1, 0), (0, 1)] == [(line["lost"], line["recorded"]) for line in lines]
    older, _ = recording_files(tmp_path)
    assert 1 == len(older.with_name("000001.windows.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    ("offset_us", "words"),
    [
        (None, "not measured yet"),
        (0, "our clock and the source's agree within 1 ms"),
        (-999, "our clock and the source's agree within 1 ms"),
        (35_000, "our clock is 35 ms behind the source's"),
        (1_240_000, "our clock is 1.2 s behind the source's"),
        (-80_000, "our clock is 80 ms ahead of the source's, the way of the data included"),
    ],
)
def test_the_clock_is_told_in_words(offset_us: int | None, words: str) -> None:
    from actors.recording.completeness import clock_in_words

    assert words == clock_in_words(offset_us)

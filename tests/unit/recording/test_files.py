"""Files: complete when closed, readable to the last flush when not, bounded, never appended to."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from actors.feeds.check import Verdict, check_file, judge
from actors.feeds.errors import MarketFileError, NotClean
from actors.feeds.recording import RecordedFeed
from actors.recording import files as module
from actors.recording.files import InFile, InFolder, RecordingFiles, recording_files
from tests.unit.recording.rigs import START_US, files_in, flushed, inline, record, tick, unpacked

LINE = b'["s","here",1,1,"%s"]\n'


def noise(size: int) -> bytes:
    """One line that gzip cannot make smaller than about half."""
    return LINE % os.urandom(size).hex().encode()


def test_every_flush_can_be_read_while_the_file_is_open_and_all_of_it_when_closed(
    tmp_path: Path,
) -> None:
    files = files_in(tmp_path)
    files.prepare()
    for number in range(1, 6):
        files.append(b"[%d]\n" % number, START_US, START_US)
        (path,) = recording_files(tmp_path)
        assert [f"[{n}]" for n in range(1, number + 1)] == flushed(path)[1:]
    files.close()
    assert ["[1]", "[2]", "[3]", "[4]", "[5]"] == unpacked(path)[1:]
    assert path.stat().st_size == files.total_bytes


def test_files_rotate_by_size_and_every_one_is_complete(tmp_path: Path) -> None:
    files = files_in(tmp_path, file_bytes_max=2_000)
    files.prepare()
    for _ in range(20):
        files.append(noise(500), START_US, START_US)
    files.close()
    found = recording_files(tmp_path)
    assert 5 <= len(found) <= 10
    assert 20 == sum(len(unpacked(path)) - 1 for path in found)
    assert all(path.stat().st_size < 3_000 for path in found)


def test_files_rotate_by_age(tmp_path: Path) -> None:
    files = files_in(tmp_path, file_us_max=10_000_000)
    files.prepare()
    for second in range(25):
        at_us = START_US + second * 1_000_000
        files.append(b"[1]\n", at_us, at_us)
    files.close()
    assert [11, 11, 3] == [len(unpacked(path)) - 1 for path in recording_files(tmp_path)]


def test_the_oldest_go_when_the_bound_is_reached_those_of_earlier_starts_first(
    tmp_path: Path,
) -> None:
    earlier = files_in(tmp_path)
    earlier.prepare()
    earlier.append(noise(2_000), START_US, START_US)
    earlier.note([b"{}\n"])
    earlier.close()
    first = recording_files(tmp_path)

    files = files_in(tmp_path, total_bytes_max=10_000, file_bytes_max=2_000)
    files.prepare()
    for number in range(40):
        files.append(noise(500), START_US + number, START_US + number)
        on_disk = sum(path.stat().st_size for path in recording_files(tmp_path))
        assert on_disk <= 10_000
        assert files.total_bytes <= 10_000
    files.close()

    assert not first[0].parent.exists(), "an empty folder of an earlier start goes too"
    kept = recording_files(tmp_path)
    assert files.deleted >= 5
    newest = files.number
    assert [f"{n:06}.ticks.gz" for n in range(newest - len(kept) + 1, newest + 1)] == [
        path.name for path in kept
    ]


def test_a_file_that_another_recorder_writes_is_not_deleted(tmp_path: Path) -> None:
    other = files_in(tmp_path)
    other.prepare()
    other.append(noise(2_000), START_US, START_US)
    (being_written,) = recording_files(tmp_path)

    files = files_in(tmp_path, total_bytes_max=5_000, file_bytes_max=1_000)
    files.prepare()
    for number in range(30):
        files.append(noise(500), START_US + number, START_US + number)
    assert being_written.exists()
    assert files.deleted >= 1
    other.close()
    for number in range(30, 60):
        files.append(noise(500), START_US + number, START_US + number)
    assert not being_written.exists(), "it is done, and the oldest"
    files.close()


def test_one_file_never_takes_more_than_half_of_the_bound(tmp_path: Path) -> None:
    files = files_in(tmp_path, total_bytes_max=4_000, file_bytes_max=1_000_000)
    files.prepare()
    for _ in range(20):
        files.append(noise(300), START_US, START_US)
        assert sum(path.stat().st_size for path in recording_files(tmp_path)) <= 4_000


def test_a_start_never_writes_to_what_is_there(tmp_path: Path) -> None:
    first = record(tmp_path, tick(1))
    (path,) = recording_files(first)
    before = path.read_bytes()
    record(tmp_path, tick(2))
    record(tmp_path, tick(3))
    assert before == path.read_bytes()
    names = [file.parent.name for file in recording_files(tmp_path)]
    stamp = "20231114T221320.000000Z"
    assert [stamp, f"{stamp}-02", f"{stamp}-03"] == names
    assert [tick(1), tick(2), tick(3)] == list(RecordedFeed(tmp_path))


def test_a_write_that_breaks_in_the_middle_leaves_what_was_there_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full after three bytes: they are cut off again, and the file can be completed."""
    files = files_in(tmp_path)
    files.prepare()
    files.append(b"[1]\n", START_US, START_US)

    def full(fd: int, data: bytes) -> None:
        os.write(fd, bytes(data)[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(module, "_write_all", full)
        with pytest.raises(OSError, match="No space left"):
            files.append(b"[2]\n", START_US, START_US)
    files.append(b"[3]\n", START_US, START_US)
    files.close()
    (path,) = recording_files(tmp_path)
    assert ["[1]", "[3]"] == unpacked(path)[1:]


def test_a_file_that_cannot_be_begun_leaves_nothing_and_its_number_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_in(tmp_path)
    files.prepare()

    def full(fd: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(module, "_write_all", full)
        with pytest.raises(OSError, match="No space left"):
            files.append(b"[1]\n", START_US, START_US)
    assert [] == recording_files(tmp_path)
    files.append(b"[2]\n", START_US, START_US)
    files.close()
    assert ["000001.ticks.gz"] == [path.name for path in recording_files(tmp_path)]


def test_a_folder_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    files = files_in(tmp_path / "ticks")
    files.prepare()
    files.append(b"[1]\n", START_US, START_US)
    (path,) = recording_files(tmp_path / "ticks")
    path.unlink()
    path.parent.rmdir()
    files.append(b"[2]\n", START_US, START_US)
    files.close()
    (again,) = recording_files(tmp_path / "ticks")
    assert ["[2]"] == unpacked(again)[1:]


def test_room_is_left_to_the_journal(tmp_path: Path) -> None:
    files = files_in(tmp_path, free_bytes_min=1 << 60)
    files.prepare()
    with pytest.raises(OSError, match=r"recorder\.free_mb_min"):
        files.append(b"[1]\n", START_US, START_US)
    assert [] == recording_files(tmp_path)


def test_a_single_file_must_be_new_and_is_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    place = InFile(tmp_path / "there")
    with pytest.raises(FileExistsError):
        place.prepare()
    with pytest.raises(FileNotFoundError):
        InFile(tmp_path / "no" / "folder").prepare()
    assert [] == InFile(tmp_path / "new").older()
    assert tmp_path / "new.2" == InFile(tmp_path / "new").path(2)


def test_the_bound_survives_a_file_that_cannot_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_in(tmp_path, total_bytes_max=4_000)
    files.prepare()

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "unlink", refuse)
    for _ in range(10):
        files.append(noise(500), START_US, START_US)
    files.close()
    assert 0 == files.deleted


def torn(folder: Path, keep: float) -> Path:
    """A recording of two flushes of which only a part is on disk."""
    recorder = inline(folder)
    tap = recorder.tap("here")
    for number in range(1, 3_001):
        tap.take(tick(number))
        if number % 1_000 == 0:
            recorder.flush()
    recorder.close()
    (path,) = recording_files(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    return path


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.999])
def test_a_torn_end_is_told_and_everything_before_it_is_read(tmp_path: Path, keep: float) -> None:
    path = torn(tmp_path, keep)
    feed = RecordedFeed(path)
    read = list(feed)

    assert [tick(n) for n in range(1, len(read) + 1)] == read
    assert len(flushed(path)) - 1 == len(read)
    assert feed.report.truncated
    assert "killed" in (feed.report.truncated_message or "")
    with pytest.raises(NotClean, match="killed"):
        list(RecordedFeed(path, strict=True))
    judgement = judge(check_file(path))
    assert Verdict.USABLE is judgement.verdict, "killed, or being written: no damage"
    assert "a recording ends early: it holds what was flushed" in judgement.reasons


def test_a_corrupt_file_is_read_up_to_the_damage_and_called_corrupt(tmp_path: Path) -> None:
    path = torn(tmp_path, 1.0)
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 64] = bytes(64)
    path.write_bytes(whole)
    feed = RecordedFeed(path)
    read = list(feed)
    assert [tick(n) for n in range(1, 1_001)] == read[:1_000]
    assert feed.report.problems_total > 0
    assert "corrupt" in (feed.report.truncated_message or "")


def test_a_torn_file_in_the_middle_of_a_folder_does_not_end_the_replay(tmp_path: Path) -> None:
    torn(tmp_path, 0.5)
    record(tmp_path, tick(9_001), tick(9_002))
    read = list(RecordedFeed(tmp_path))
    assert [tick(9_001), tick(9_002)] == read[-2:]
    assert tick(1) == read[0]


@pytest.mark.parametrize("size", [0, 5, 20])
def test_a_file_that_was_killed_at_its_first_bytes_is_passed_over(
    tmp_path: Path, size: int
) -> None:
    record(tmp_path, tick(1))
    (first,) = recording_files(tmp_path)
    record(tmp_path, tick(2))
    first.write_bytes(first.read_bytes()[:size])
    feed = RecordedFeed(tmp_path)
    assert [tick(2)] == list(feed)
    assert feed.report.truncated


def test_a_recording_of_which_nothing_was_flushed_is_refused_in_one_line(tmp_path: Path) -> None:
    record(tmp_path, tick(1))
    (path,) = recording_files(tmp_path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(MarketFileError, match="before its first line"):
        RecordedFeed(tmp_path)


def test_names_sort_in_the_order_of_the_starts(tmp_path: Path) -> None:
    times = [START_US, START_US + 1, START_US + 86_400_000_000, START_US + 10**15]
    names = [InFolder.of_start(tmp_path, at).session for at in times]
    assert sorted(names) == names


def test_the_bound_counts_what_lies_beside_a_recording(tmp_path: Path) -> None:
    files: RecordingFiles = files_in(tmp_path)
    files.prepare()
    files.append(b"[1]\n", START_US, START_US)
    files.note([b"x" * 5_000])
    files.close()
    assert files.total_bytes > 5_000

"""Recordings on disk: gzip files that are complete when closed and readable up to the last flush
when they were not.

Responsible for opening, flushing, rotating and for the bound over all of them; what is in them is
the caller's. Synchronous: whoever calls waits for the disk.

    ROOT/20261120T083119.123456Z/000001.ticks.gz        one folder a start, one file a rotation
                                 000001.windows.jsonl   what of it is complete

A file is never appended to after its process: the next start opens a folder of its own.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from attrs import define, field, frozen
from loguru import logger

from fsm.timestamps import iso_utc

SUFFIX = ".ticks.gz"
WINDOWS_SUFFIX = ".windows.jsonl"
_GZIP = 31  # zlib's window bits for a gzip member
_LEVEL = 6
_MIB = 1024 * 1024
_STARTS_MAX = 100


@frozen(slots=True, kw_only=True)
class Limits:
    """What files may grow to. 0 for no bound of that kind."""

    total_bytes_max: int = 0
    file_bytes_max: int = 0
    file_us_max: int = 0
    free_bytes_min: int = 0

    @property
    def file_bytes(self) -> int:
        """One file never takes more than half of the bound over all: the bound can be held."""
        bounds = [n for n in (self.file_bytes_max, self.total_bytes_max // 2) if n]
        return min(bounds, default=0)


def stamp(at_us: int) -> str:
    """A time as part of a file's name, in an order that sorts: 20261120T083119.123456Z."""
    return iso_utc(at_us).replace("-", "").replace(":", "")


def recording_files(root: Path) -> list[Path]:
    """All recordings of a folder or of one start's folder, oldest first."""
    return sorted([*root.glob(f"*{SUFFIX}"), *root.glob(f"*/*{SUFFIX}")])


def windows_path(path: Path) -> Path:
    """Where the completeness of a recording stands."""
    return path.with_name(path.name.removesuffix(SUFFIX) + WINDOWS_SUFFIX)


@frozen(slots=True)
class InFolder:
    """Rotated recordings below `root`, in a folder of this start."""

    root: Path
    session: str

    @classmethod
    def of_start(cls, root: Path, at_us: int) -> InFolder:
        """A folder's name that no earlier start has used."""
        name = stamp(at_us)
        taken = [name, *(f"{name}-{again:02}" for again in range(2, _STARTS_MAX))]
        return cls(root, next((n for n in taken if not (root / n).exists()), taken[-1]))

    def path(self, number: int) -> Path:
        """Where the file of this number is."""
        return self.root / self.session / f"{number:06}{SUFFIX}"

    def older(self) -> list[Path]:
        """What was there before."""
        return [path for path in recording_files(self.root) if path.parent.name != self.session]

    def prepare(self) -> None:
        """Raises OSError when the folder cannot be made."""
        (self.root / self.session).mkdir(parents=True, exist_ok=True)


@frozen(slots=True)
class InFile:
    """One named file. Only when it breaks in the middle does `NAME.2` follow it."""

    file: Path

    @property
    def root(self) -> Path:
        """Where it lies."""
        return self.file.parent

    @property
    def session(self) -> str:
        """What its header is called by."""
        return self.file.name

    def path(self, number: int) -> Path:
        """Where the file of this number is."""
        return self.file if number == 1 else self.file.with_name(f"{self.file.name}.{number}")

    def older(self) -> list[Path]:
        """Nothing of it is ours to delete."""
        return []

    def prepare(self) -> None:
        """Raises OSError when it cannot be made."""
        if not self.file.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "no such folder", str(self.file.parent))
        if self.file.exists():
            raise FileExistsError(errno.EEXIST, "is there already", str(self.file))


@define(slots=True)
class _Open:
    """The file being written: `good` bytes of it can be read back."""

    path: Path
    fd: int
    packer: zlib._Compress
    first_us: int
    good: int = 0

    def write(self, text: bytes) -> None:
        """Append and flush. Raises OSError, with the file as it was before."""
        before = self.packer.copy()
        packed = self.packer.compress(text) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        try:
            _write_all(self.fd, packed)
        except OSError:
            self.packer = before
            os.ftruncate(self.fd, self.good)
            raise
        self.good += len(packed)

    def is_there(self) -> bool:
        """Whether the name still leads to it: not when somebody removed the folder."""
        try:
            return os.stat(self.path).st_ino == os.fstat(self.fd).st_ino
        except OSError:
            return False


@define(slots=True, kw_only=True)
class RecordingFiles:
    """The files of one start. `header` gives a file's first line for (number, receive time)."""

    place: InFolder | InFile
    limits: Limits
    header: Callable[[int, int], bytes]
    deleted: int = 0
    """Recordings deleted to hold the bound."""
    number: int = 0
    _open: _Open | None = None
    _newest: Path | None = None
    _closed: dict[Path, int] = field(factory=dict)

    def prepare(self) -> None:
        """Look at what is there and make the folder. Raises OSError."""
        self._closed = {path: _size(path) for path in self.place.older()}
        self.place.prepare()
        self._hold_bound()

    @property
    def path(self) -> Path | None:
        """The file being written."""
        return None if self._open is None else self._open.path

    @property
    def file_bytes(self) -> int:
        """Its size on disk."""
        return 0 if self._open is None else self._open.good

    @property
    def total_bytes(self) -> int:
        """Of all recordings, the one being written included."""
        return sum(self._closed.values()) + self.file_bytes

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._closed) + (self._open is not None)

    # ---------------------------------------------------------------------------------- writing

    def append(self, text: bytes, first_us: int, last_us: int) -> None:
        """Write whole lines that arrived between two receive times, and flush them.

        Raises OSError; what was written before can still be read. Then `abandon` and try again.
        """
        self._check_room()
        if self._open is not None and not self._open.is_there():
            self.abandon()
        if self._open is None:
            self._open = self._begin(first_us)
        self._open.write(text)
        limits = self.limits
        if (limits.file_bytes and self._open.good >= limits.file_bytes) or (
            limits.file_us_max and last_us - self._open.first_us >= limits.file_us_max
        ):
            self.close()
        self._hold_bound()

    def note(self, lines: Iterable[bytes]) -> bool:
        """Append lines about completeness beside the newest file of this start; False when there
        is none yet. Raises OSError."""
        path = self._newest
        if path is None or not path.exists():
            return False
        with windows_path(path).open("ab") as out:
            out.writelines(lines)
        return True

    def abandon(self) -> None:
        """Give the file up as it is; the next `append` opens another. Never raises."""
        self.close()

    def close(self) -> None:
        """Complete the file being written. What was flushed stays readable if that fails."""
        given, self._open = self._open, None
        if given is None:
            return
        try:
            try:
                _write_all(given.fd, given.packer.flush(zlib.Z_FINISH))
                os.fsync(given.fd)
            finally:
                os.close(given.fd)
        except OSError as problem:
            logger.warning("RECORDER_FILE_NOT_COMPLETED file={} {}", given.path, problem)
        self._closed[given.path] = _size(given.path) or given.good

    def _begin(self, first_us: int) -> _Open:
        if isinstance(self.place, InFolder):
            self.place.prepare()  # somebody may have removed it
        number = self.number + 1
        path = self.place.path(number)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            with suppress(OSError):  # where there are locks, another recorder does not delete it
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileExistsError:
            self.number = number  # never append to what is there: the retry takes the next name
            raise
        begun = _Open(path, fd, zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP), first_us)
        try:
            begun.write(self.header(number, first_us))
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        self.number, self._newest = number, path
        return begun

    # ---------------------------------------------------------------------------------- bounds

    def _check_room(self) -> None:
        """The journal shares the disk, and needs the room more."""
        if not self.limits.free_bytes_min:
            return
        root = self.place.root
        free = shutil.disk_usage(root if root.exists() else root.parent).free
        if free < self.limits.free_bytes_min:
            raise OSError(
                errno.ENOSPC,
                f"{free // _MIB} MiB free, {self.limits.free_bytes_min // _MIB} are left to the "
                "journal (recorder.free_mb_min)",
            )

    def _hold_bound(self) -> None:
        """Delete the oldest until all fit; the one being written stays."""
        while self.limits.total_bytes_max and self.total_bytes > self.limits.total_bytes_max:
            oldest = next((path for path in self._closed if not _is_being_written(path)), None)
            if oldest is None:
                return
            size = self._closed.pop(oldest)
            try:
                oldest.unlink(missing_ok=True)
                windows_path(oldest).unlink(missing_ok=True)
                self.deleted += 1
                logger.info("RECORDER_DELETED_OLDEST file={} bytes={}", oldest, size)
                if oldest.parent != self.place.path(1).parent and not any(oldest.parent.iterdir()):
                    oldest.parent.rmdir()
            except OSError as problem:
                logger.warning("RECORDER_DELETE_FAILED file={} {}", oldest, problem)


def _is_being_written(path: Path) -> bool:
    """Whether a recorder, of another service perhaps, has the file open."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks
    finally:
        os.close(fd)
    return False


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _size(path: Path) -> int:
    """On disk, what stands beside it included; 0 for what is gone."""
    total = 0
    for each in (path, windows_path(path)):
        try:
            total += each.stat().st_size
        except OSError:
            continue
    return total

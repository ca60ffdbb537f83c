"""A backup: one file that holds a whole database, says what it holds, and was proved to.

Copied through SQLite's online backup from one view of a live, stopped or read-only database, so
that a writer beside it is never made to wait. The copy is checked (pages, manifest, every row of
the chain) before it gets its name: what has the name is good. Which backups are kept is
`backup_folder`'s business, putting one back `restore`'s.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import sqlite3
from pathlib import Path

from attrs import frozen
from sqlite_utils import Database

from fsm.timestamps import iso_utc
from fsm.version import VERSION
from storage.copying import (
    copy_pages,
    drop_manifest,
    pinned,
    pinned_venue,
    remove_with_logs,
    sync_folder,
    written,
)
from storage.journal import (
    GENESIS,
    Head,
    JournalDamaged,
    JournalReader,
    check_head,
    read_head,
    write_head,
)
from storage.page_check import broken_pages
from storage.schema import MANIFEST, MANIFEST_COLUMNS, ForeignDatabase, version_of
from storage.time import wall_us

#: Space that a backup leaves free on the disk of the database: it belongs to the journal.
FREE_BYTES_MIN = 256 << 20
#: A backup while it is made: nobody takes it for one, and the process says whether it still is.
_PARTIAL = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)\.partial(\.venue)?(-journal|-wal|-shm)?")
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class BackupFailed(Exception):
    """No backup was made, and nothing half-written has its name: says why and what to do."""


class BackupExists(BackupFailed):
    """The name is taken; a backup never replaces a file."""


@frozen(slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself; times are ISO 8601 in UTC."""

    seq: int
    head_hash: str
    schema_version: int
    made_at: str
    holdfast_version: str
    reason: str
    source: str
    venue_sha256: str
    """Of the simulated venue's record beside it; empty when there is none."""


@frozen(slots=True, kw_only=True)
class Examined:
    """A database that was looked at as a whole: pages, chain, manifest, and its venue's record."""

    path: Path
    head: Head
    last_at_us: int
    """When its last event was; 0 when it has none."""
    schema_version: int
    manifest: Manifest | None = None
    venue: Path | None = None


def venue_beside(backup: Path | str) -> Path:
    """Where the simulated venue's record of a backup is."""
    return Path(f"{backup}.venue")


# ---------------------------------------------------------------------------------------- checking


def examined(path: Path) -> Examined:
    """Look at a whole database: every page, every row of the chain, manifest, head, venue's record.

    Raises JournalDamaged at what is wrong, ForeignDatabase when it holds no journal, and as
    `pinned`.
    """
    kept = read_head(path)  # before the view: beside a live one it may lag, never lead
    try:
        with pinned(path) as conn:
            return _examined(conn, path, kept)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as problem:
        raise JournalDamaged(f"{path}: cannot be read: {problem}") from problem


def _examined(conn: sqlite3.Connection, path: Path, kept: Head | None) -> Examined:
    version = version_of(conn)
    if version == 0:
        raise ForeignDatabase(f"{path}: not a holdfast database (it has no journal)")
    lines = broken_pages(conn, 3)
    if lines:
        raise JournalDamaged(f"{path}: {'; '.join(lines)}")
    reader = JournalReader(conn)
    head = reader.head()
    manifest = manifest_of(conn)
    if manifest is not None:
        check_manifest(reader, manifest, path)
    if kept is not None:
        check_head(reader, path, kept)
    try:
        reader.check_chain(Head(0, GENESIS), head.seq)
    except JournalDamaged as damage:
        raise JournalDamaged(f"{path}: {damage}") from damage
    last = conn.execute("SELECT at_us FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    venue = venue_beside(path) if venue_beside(path).exists() else None
    if manifest is not None and manifest.venue_sha256 and venue is not None:
        _check_venue(venue, manifest)
    return Examined(
        path=path,
        head=head,
        last_at_us=last[0] if last else 0,
        schema_version=version,
        manifest=manifest,
        venue=venue,
    )


def _check_venue(venue: Path, manifest: Manifest) -> None:
    if _sha256(venue) != manifest.venue_sha256:
        raise JournalDamaged(f"{venue}: not the venue's record that was made with the backup")


def manifest_of(conn: sqlite3.Connection) -> Manifest | None:
    """What a backup says of itself; None when the file is none. Raises sqlite3.Error."""
    there = conn.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (MANIFEST,)).fetchone()
    if there is None:
        return None
    names = list(MANIFEST_COLUMNS)
    row = conn.execute(f"SELECT {', '.join(names)} FROM {MANIFEST}").fetchone()
    return None if row is None else Manifest(**dict(zip(names, row, strict=True)))


def check_manifest(reader: JournalReader, manifest: Manifest, path: Path) -> None:
    """The row that a backup ended with must be there: a lost tail shows here and nowhere else.

    It may go on behind it, for one that was traded on. Raises JournalDamaged.
    """
    if manifest.seq == 0:
        return
    sql = "SELECT hash FROM journal WHERE seq = ?"
    row = reader.conn.execute(sql, (manifest.seq,)).fetchone()
    if row is None or bytes(row[0]).hex() != manifest.head_hash:
        raise JournalDamaged(
            f"{path}: was made with seq {manifest.seq} as its last, which it does not hold"
        )


# ------------------------------------------------------------------------------------------ making


def make_backup(
    database: Path, name: Path, *, reason: str, venue: Path | None = None, folder: bool = False
) -> Examined:
    """Make a proved backup with this name; with `folder` in this folder, named by time and seq.

    `venue` is the simulated venue's own record, which is copied to `NAME.venue` when it exists.
    Raises BackupFailed and BackupExists, JournalDamaged when the database itself is, and
    FileNotFoundError, ForeignDatabase, SchemaTooNew for a source that is none.
    """
    now_us, kept = wall_us(), read_head(database)
    try:
        with pinned(database) as source:
            if version_of(source) == 0:
                raise ForeignDatabase(f"{database}: not a holdfast database (it has no journal)")
            if kept is not None:
                check_head(JournalReader(source), database, kept)
            head = JournalReader(source).head()
            if folder:
                name = name / backup_name(database, now_us, head.seq, reason)
            work = _Work(database, name, source, head)
            work.refuse()
            remove_what_was_cut_off(name.parent, (database.name, name.name))
            try:
                return work.make(venue, now_us, reason)
            finally:
                work.clean()
    except sqlite3.OperationalError as problem:
        raise BackupFailed(f"{name}: no backup was made: {_why(problem)}") from problem
    except sqlite3.DatabaseError as problem:
        examined(database)  # raises when it is the database that is damaged
        raise BackupFailed(
            f"{name}: no backup was made, the database is whole: {problem}; look at the disk"
        ) from problem
    except FileNotFoundError:
        raise
    except OSError as problem:
        raise BackupFailed(f"{name}: no backup was made: {problem.strerror}") from problem


def backup_name(database: Path, now_us: int, seq: int, reason: str) -> str:
    """`holdfast.db-20260131T120000Z-seq1234-scheduled.backup`: sorts by time."""
    stamp = iso_utc(now_us)[:19].replace("-", "").replace(":", "")
    return f"{database.name}-{stamp}Z-seq{seq}-{reason}.backup"


def _why(problem: sqlite3.Error) -> str:
    if getattr(problem, "sqlite_errorname", "") == "SQLITE_FULL":
        return "the disk is full; make room, or name another disk"
    return f"{problem}; run `holdfast doctor`"


@frozen
class _Work:
    """One backup while it is made, under names that nobody takes for a backup."""

    database: Path
    name: Path
    source: sqlite3.Connection
    head: Head

    @property
    def partial(self) -> Path:
        return self.name.with_name(f".{self.name.name}.{os.getpid()}.partial")

    @property
    def partial_venue(self) -> Path:
        return Path(f"{self.partial}.venue")

    def refuse(self) -> None:
        """What can be known to go wrong is said before anything is written."""
        parent = self.name.parent
        if not parent.is_dir():
            raise BackupFailed(f"{parent}: no such folder; make it, or name another destination")
        for taken in (self.name, venue_beside(self.name)):
            if os.path.lexists(taken):
                raise BackupExists(f"{taken}: exists, and is not replaced; name another one")
        needed = self._bytes()
        if parent.stat().st_dev == self.database.stat().st_dev:
            needed += FREE_BYTES_MIN
        free = shutil.disk_usage(parent).free
        if free < needed:
            raise BackupFailed(
                f"{parent}: {free >> 20} MiB free, and {(needed >> 20) + 1} MiB are needed; "
                "make room, or name another disk"
            )

    def _bytes(self) -> int:
        pages: int = self.source.execute("PRAGMA page_count").fetchone()[0]
        return pages * int(self.source.execute("PRAGMA page_size").fetchone()[0])

    def make(self, venue: Path | None, now_us: int, reason: str) -> Examined:
        digest = ""
        if venue is not None and venue.exists():
            # At once: it must not know of an order that the books do not know yet.
            with pinned_venue(venue) as record:
                copy_pages(self.source, self.partial)
                copy_pages(record, self.partial_venue)
            digest = _sha256(self.partial_venue)
        else:
            copy_pages(self.source, self.partial)
        manifest = Manifest(
            seq=self.head.seq,
            head_hash=self.head.hash.hex(),
            schema_version=version_of(self.source),
            made_at=iso_utc(now_us),
            holdfast_version=VERSION,
            reason=reason,
            source=self.database.name,
            venue_sha256=digest,
        )
        self._prove(manifest)
        self._give_names(with_venue=bool(digest))
        sync_folder(self.name.parent)
        write_head(self.name, self.head)
        with pinned(self.name) as conn:
            (last_us,) = conn.execute("SELECT coalesce(max(at_us), 0) FROM journal").fetchone()
        return Examined(
            path=self.name,
            head=self.head,
            last_at_us=last_us,
            schema_version=manifest.schema_version,
            manifest=manifest,
            venue=venue_beside(self.name) if digest else None,
        )

    def _prove(self, manifest: Manifest) -> None:
        drop_manifest(self.partial)  # of a backup that was put in place by hand
        with written(self.partial) as conn:
            Database(conn)[MANIFEST].insert(  # type: ignore[union-attr]
                {name: getattr(manifest, name) for name in MANIFEST_COLUMNS},
                columns=MANIFEST_COLUMNS,
                strict=True,
            )
        fd = os.open(self.partial, os.O_RDWR)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        try:
            found = examined(self.partial)
        except JournalDamaged as damage:
            examined(self.database)  # raises when it is the database that is damaged
            raise BackupFailed(
                f"{self.name}: the copy came out damaged, the database is whole: {damage}; "
                "look at the disk"
            ) from damage
        assert found.head == self.head, f"{found.head} is not {self.head}"

    def _give_names(self, *, with_venue: bool) -> None:
        """The backup's own name comes last: what has it is complete."""
        if with_venue:
            _named(self.partial_venue, venue_beside(self.name))
        try:
            _named(self.partial, self.name)
        except BaseException:
            if with_venue:
                venue_beside(self.name).unlink()
            raise

    def clean(self) -> None:
        """Remove what was begun and has no name."""
        remove_with_logs(self.partial)
        remove_with_logs(self.partial_venue)


def remove_what_was_cut_off(folder: Path, names: tuple[str, ...]) -> None:
    """Delete what killed backups of these names have left in a folder. Raises OSError."""
    for path in list(folder.iterdir()):
        match = _PARTIAL.fullmatch(path.name)
        if match and match["name"].startswith(names) and _is_gone(int(match["pid"])):
            path.unlink(missing_ok=True)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _named(partial: Path, name: Path) -> None:
    """Give it its name, unless somebody has taken that meanwhile."""
    try:
        os.link(partial, name)
    except FileExistsError:
        raise BackupExists(f"{name}: exists, and is not replaced; name another one") from None
    except OSError as problem:
        if problem.errno not in _NO_HARD_LINKS:
            raise
        os.rename(partial, name)  # a disk without hard links: `refuse` has looked
    else:
        os.unlink(partial)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

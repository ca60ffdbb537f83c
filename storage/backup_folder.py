"""The folder of backups: what lies in it, what is kept, which one is the best to go back to.

Goes by names (`backup.backup_name`), so that a look costs nothing however large the files are.
Deletes only what was made on a schedule or before a migration, never what a person made.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen

from fsm.timestamps import micros_from_iso
from storage.backup import BackupFailed, Examined, examined, make_backup, manifest_of, venue_beside
from storage.copying import pinned
from storage.journal import JournalDamaged, head_path
from storage.schema import SCHEMA_VERSION, ForeignDatabase, SchemaTooNew, version_of

MANUAL, SCHEDULED, BEFORE_MIGRATION = "manual", "scheduled", "before_migration"
_NAME = re.compile(r"-(\d{8}T\d{6}Z)-seq(\d+)-(manual|scheduled|before_migration)\.backup")
#: How many of the newest are looked at before none is called good.
_LOOKED_AT_MAX = 5


@frozen(slots=True, kw_only=True)
class Kept:
    """A backup as its name tells it."""

    path: Path
    made_at_us: int
    seq: int
    reason: str

    @property
    def day(self) -> str:
        """The UTC day that it was made on."""
        return datetime.fromtimestamp(self.made_at_us // 1_000_000, UTC).date().isoformat()


def default_folder(database: Path) -> Path:
    """Where backups lie when nothing is configured: beside the database."""
    return Path(f"{database}.backups")


def backups_in(folders: Iterable[Path], database: Path) -> list[Kept]:
    """The backups of this database in these folders, newest first. Raises OSError."""
    found: dict[Path, Kept] = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in folder.iterdir():
            name = path.name
            if not name.startswith(database.name):
                continue
            match = _NAME.fullmatch(name, len(database.name))
            if match is not None and path.is_file():
                stamp, seq, reason = match.groups()
                found[path.resolve()] = Kept(
                    path=path, made_at_us=micros_from_iso(stamp), seq=int(seq), reason=reason
                )
    return sorted(found.values(), key=lambda kept: (kept.made_at_us, kept.seq), reverse=True)


# --------------------------------------------------------------------------------------- retention


def surplus(backups: list[Kept], keep: int, keep_days: int) -> list[Kept]:
    """Which may go: neither among the newest `keep` nor the last one of one of the `keep_days`
    days before. The last one before a migration and what a person made stay.

    Takes them newest first. At least the newest always stays: by its time, and by its seq, because
    a clock that was set back makes the one that was just made look old.
    """
    made = [kept for kept in backups if kept.reason != MANUAL]
    stays = {kept.path for kept in made[: max(keep, 1)]}
    furthest = sorted(made, key=lambda kept: kept.seq, reverse=True)
    stays |= {kept.path for kept in furthest[: max(keep, 1)]}
    stays |= {kept.path for kept in [k for k in made if k.reason == BEFORE_MIGRATION][:1]}
    last_of_day: dict[str, Path] = {}
    for kept in made:
        last_of_day.setdefault(kept.day, kept.path)
    stays |= set(list(last_of_day.values())[:keep_days])
    return [kept for kept in made if kept.path not in stays]


def prune(folder: Path, database: Path, keep: int, keep_days: int) -> list[Path]:
    """Delete what may go, and what lies beside a backup that is gone; returns the deleted backups.

    A file that is not what its name says is left alone. Raises OSError.
    """
    gone: list[Path] = []
    for kept in surplus(backups_in([folder], database), keep, keep_days):
        if _says_so_itself(kept):
            kept.path.unlink()
            _remove_beside(kept.path)
            gone.append(kept.path)
    for path in list(folder.iterdir()):
        name = path.name.removesuffix(".venue").removesuffix(".head").removeprefix(database.name)
        match = _NAME.fullmatch(name)
        backup = path.with_name(database.name + name)
        if match and match[3] != MANUAL and path != backup and not backup.exists():
            path.unlink(missing_ok=True)
    return gone


def _says_so_itself(kept: Kept) -> bool:
    try:
        with pinned(kept.path) as conn:
            manifest = manifest_of(conn)
    except (sqlite3.Error, OSError, JournalDamaged, SchemaTooNew):
        return False
    return manifest is not None and (manifest.reason, manifest.seq) == (kept.reason, kept.seq)


def _remove_beside(backup: Path) -> None:
    for path in (venue_beside(backup), head_path(backup)):
        path.unlink(missing_ok=True)


# ------------------------------------------------------------------------------ before a migration


def back_up_before_migration(database: Path, folder: Path | None = None) -> Examined | None:
    """Keep the database as it is before its schema changes; None when that changes nothing.

    Raises as `make_backup`: without its backup a migration does not happen.
    """
    if not database.exists() or database.stat().st_size == 0:
        return None
    with pinned(database) as conn:
        version = version_of(conn)
        if not 0 < version < SCHEMA_VERSION:
            return None
        if conn.execute("SELECT 1 FROM journal LIMIT 1").fetchone() is None:
            return None
    place = folder if folder is not None else default_folder(database)
    made_folder(place)
    return make_backup(database, place, reason=BEFORE_MIGRATION, folder=True)


def made_folder(folder: Path) -> None:
    """Make the folder of backups, for this user alone; one that is there stays as it is.

    Raises BackupFailed.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise BackupFailed(
            f"{folder}: the folder of backups cannot be made ({problem.strerror}); name another "
            "with backup.folder"
        ) from problem


# ---------------------------------------------------------------------------- the one to go back to


def best_backup(
    folders: Iterable[Path], database: Path, hashes: dict[int, str] | None = None
) -> Examined | None:
    """The newest backup that is whole, out of the newest few; None when none is.

    One of another history (`hashes`: what is known of this one, by seq) only when there is no
    other. Each is read as a whole: three seconds for a million events.
    """
    other: Examined | None = None
    for kept in backups_in(folders, database)[:_LOOKED_AT_MAX]:
        try:
            found = examined(kept.path)
        except (JournalDamaged, ForeignDatabase, SchemaTooNew, sqlite3.Error, OSError):
            continue
        known = (hashes or {}).get(found.head.seq)
        if known is None or known == found.head.hash.hex():
            return found
        other = other or found
    return other

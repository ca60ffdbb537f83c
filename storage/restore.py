"""Puts a backup in a database's place, so that a kill anywhere leaves one of the two usable.

First the new files are made whole beside the old ones. Then one small file, `DATABASE.restore`,
says what is to be done: until it is there nothing has happened, and from then on the restore is
only ever finished, by this process or by the next one that may write. Nobody opens the database
while the file is there (`storage.journal`), because an old log beside a new file would be folded
into it. What was there before is moved aside under another name and never deleted.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from fsm.timestamps import iso_utc
from storage.backup import Examined, examined
from storage.copying import (
    copy_pages,
    drop_manifest,
    pinned,
    pinned_venue,
    remove_with_logs,
    sync_folder,
)
from storage.journal import Head, JournalDamaged, restore_marker, write_head
from storage.time import wall_us

#: What belongs to a database, beside its file; the file itself goes last.
BESIDE = ("-wal", "-shm", "-journal", ".head", ".spill", ".snapshot")
_LOGS = ("-wal", "-shm", "-journal")


@frozen(kw_only=True)
class _Plan:
    """What the marker says: enough for another process to finish."""

    aside: str
    seq: int
    hash: str
    venue: str = ""
    venue_aside: str = ""


def staged(path: Path) -> Path:
    """Where a new file waits until it takes the old one's place."""
    return Path(f"{path}.restoring")


def present_files(database: Path, venue: Path | None = None) -> list[Path]:
    """Those of its files that are there; a lost database may have left its head or its log."""
    paths = [database, *(Path(f"{database}{ending}") for ending in BESIDE)]
    if venue is not None:
        paths += [venue, *(Path(f"{venue}{ending}") for ending in _LOGS)]
    return [path for path in paths if os.path.lexists(path)]


def restore(source: Examined, database: Path, venue: Path | None = None) -> Path | None:
    """Put a backup that was examined in place; the caller holds the database's lock.

    With `venue` the simulated venue's record that lies beside the backup takes that file's place.
    Returns what the present database is called from now on; None when there was none. Raises
    JournalDamaged when the copy is not what was examined, OSError and sqlite3.Error; nothing has
    happened to the present files then.
    """
    database = database.absolute()
    venue = venue.absolute() if venue is not None else None
    finish_restore(database)
    record = source.venue if venue is not None else None
    try:
        _stage(source, record, database, venue)
        aside = _free_name(database)
        plan = _Plan(
            aside=str(aside),
            seq=source.head.seq,
            hash=source.head.hash.hex(),
            venue=str(venue) if record is not None else "",
            venue_aside=_aside_of_venue(database, venue, aside) if record is not None else "",
        )
        had_one = bool(present_files(database))
        _write_marker(database, plan)
    except BaseException:
        if not restore_marker(database).exists():
            _unstage(database, venue)
        raise
    finish_restore(database)
    return aside if had_one else None


def _stage(source: Examined, record: Path | None, database: Path, venue: Path | None) -> None:
    """The new files, whole and durable, under names that nobody opens."""
    _unstage(database, venue)
    with pinned(source.path) as conn:
        copy_pages(conn, staged(database))
    drop_manifest(staged(database))
    _sync(staged(database))
    found = examined(staged(database))
    if found.head != source.head:
        raise JournalDamaged(f"{source.path}: has changed while it was restored; try again")
    if record is not None:
        assert venue is not None
        with pinned_venue(record) as conn:
            copy_pages(conn, staged(venue))
        sync_folder(venue.parent)
    sync_folder(database.parent)


def _unstage(database: Path, venue: Path | None) -> None:
    for path in (database, venue):
        if path is not None:
            remove_with_logs(staged(path))


def finish_restore(database: Path) -> bool:
    """Finish a restore that was cut off; False when there was none. Holds the database's lock.

    Each step is done once however often this is cut off itself: as long as the new file waits,
    what has the old names is old. Raises JournalDamaged, OSError.
    """
    database = database.absolute()
    plan = _read_marker(database)
    if plan is None:
        return False
    venue = Path(plan.venue) if plan.venue else None
    waits = staged(database).exists()
    if not waits and not database.exists():
        raise JournalDamaged(
            f"{database}: a restore was cut off and {staged(database)} is gone; what was there "
            f"before is {plan.aside}: remove {restore_marker(database)} and restore again"
        )
    if venue is not None and staged(venue).exists():
        for ending in (*_LOGS, ""):
            _move(Path(f"{venue}{ending}"), Path(f"{plan.venue_aside}{ending}"))
        os.rename(staged(venue), venue)
        sync_folder(venue.parent)
    if waits:
        for ending in (*BESIDE, ""):
            _move(Path(f"{database}{ending}"), Path(f"{plan.aside}{ending}"))
        os.rename(staged(database), database)
        sync_folder(database.parent)
    write_head(database, Head(plan.seq, bytes.fromhex(plan.hash)))
    os.unlink(restore_marker(database))
    sync_folder(database.parent)
    return True


def _move(source: Path, target: Path) -> None:
    if os.path.lexists(source):
        os.rename(source, target)


def _free_name(database: Path) -> Path:
    """`holdfast-replaced-20260131T120000Z.db`: a database like any other, to go back to."""
    stamp = iso_utc(wall_us())[:19].replace("-", "").replace(":", "")
    number, name = 1, f"{database.stem}-replaced-{stamp}Z"
    while True:
        suffix = database.suffix if number == 1 else f"-{number}{database.suffix}"
        aside = database.with_name(f"{name}{suffix}")
        if not present_files(aside):
            return aside
        number += 1


def _aside_of_venue(database: Path, venue: Path | None, aside: Path) -> str:
    assert venue is not None
    if venue.name.startswith(database.name) and venue.parent == database.parent:
        return str(aside) + venue.name.removeprefix(database.name)
    return f"{venue}{aside.stem.removeprefix(database.stem)}"


# -------------------------------------------------------------------------------------- the marker


def _write_marker(database: Path, plan: _Plan) -> None:
    """From here on the restore has happened, as far as anybody can tell."""
    path = restore_marker(database)
    temporary = Path(f"{path}.new")
    temporary.write_text(json.dumps(asdict(plan)) + "\n")
    _sync(temporary)
    os.replace(temporary, path)
    sync_folder(path.parent)


def _read_marker(database: Path) -> _Plan | None:
    path = restore_marker(database)
    try:
        raw: dict[str, Any] = json.loads(path.read_bytes())
        return _Plan(**raw)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as problem:
        raise JournalDamaged(
            f"{path}: unreadable ({problem}); look at the files beside it, remove this one, and "
            "restore again"
        ) from problem


def _sync(file: Path) -> None:
    fd = os.open(file, os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

"""`holdfast backup` and `restore`: a whole copy of the database, and the way back to it."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from actors.cli.options import (
    DONE,
    HERE,
    REFUSED,
    UNAVAILABLE,
    USAGE,
    CommandFailed,
    Json,
    Place,
)

if TYPE_CHECKING:
    from actors.config import Config
    from storage.backup import Examined
    from storage.restore_loss import Loss

#: What is behind a database's name in the names of the files that the service keeps beside it.
_OWN_NAME = re.compile(
    r"(\.(venue|lock|sock|head|spill|snapshot|ballast|restore|restoring|token|ticks|backups)"
    r"(\.new)?)?(-wal|-shm|-journal)?"
)


def backup(destination: Path, /, *, json: Json = False, place: Place = HERE) -> int:
    """Copy a live or stopped database into one file, and prove the copy.

    Parameters
    ----------
    destination
        The file to make, or a folder: the name then tells time and seq. Nothing is replaced.
    """
    from actors.cli import output
    from actors.cli.database import best_way_out, open_intact
    from actors.settings import backup_plan, backups_folder
    from storage.backup import BackupExists, BackupFailed, make_backup
    from storage.backup_folder import MANUAL, made_folder
    from storage.journal import JournalDamaged

    database = place.database()
    open_intact(database, place)
    config = _configuration(place)
    if destination.absolute() == backups_folder(config, database).absolute():
        made_folder(destination)
    folder = destination.is_dir()
    if not folder:
        _refuse_own_files(destination, database)
    venue = backup_plan(config, database).venue
    try:
        made = make_backup(database, destination, reason=MANUAL, venue=venue, folder=folder)
    except JournalDamaged as damage:
        raise CommandFailed(f"{damage}; {best_way_out(place, database)}", REFUSED) from damage
    except BackupExists as problem:
        raise CommandFailed(str(problem), REFUSED) from problem
    except BackupFailed as problem:
        raise CommandFailed(str(problem), UNAVAILABLE) from problem
    document = _described(made) | {"database": str(database)}
    if json:
        output.print_json(document)
    else:
        output.print_fields(f"{made.path}: whole, and proved", document.items())
    return DONE


def _refuse_own_files(destination: Path, database: Path) -> None:
    """Also the name of a file that is not there now: a log that SQLite makes, say."""
    from storage.restore import present_files

    inside = destination.absolute().parent.resolve() == database.absolute().parent.resolve()
    name, own = destination.name, database.name
    is_own = inside and name.startswith(own) and _OWN_NAME.fullmatch(name, len(own))
    if is_own or any(
        destination.exists() and destination.samefile(file) for file in present_files(database)
    ):
        raise CommandFailed(
            f"{destination}: belongs to the database itself; name another file", USAGE
        )


def _configuration(place: Place) -> Config:
    """The configuration; where it cannot be read the defaults, and that is said: a backup must not
    depend on a configuration that is being edited."""
    from actors.cli.output import note
    from actors.config import Config, ConfigError, load_config

    try:
        return load_config(place.config)
    except ConfigError as problem:
        if place.config is not None or place.db is None:
            raise
        note(f"the configuration cannot be used, going by the defaults: {problem}")
        return Config()


def _venue(place: Place, database: Path) -> Path | None:
    """The simulated venue's record, where the venue lives in the service."""
    from actors.settings import backup_plan

    return backup_plan(_configuration(place), database).venue


def _described(found: Examined) -> dict[str, Any]:
    from fsm.timestamps import iso_utc

    manifest = found.manifest
    return {
        "file": str(found.path),
        "seq": found.head.seq,
        "hash": found.head.hash.hex(),
        "last_event_at": iso_utc(found.last_at_us) if found.last_at_us else None,
        "made_at": None if manifest is None else manifest.made_at,
        "reason": None if manifest is None else manifest.reason,
        "schema_version": found.schema_version,
        "holdfast_version": None if manifest is None else manifest.holdfast_version,
        "venue_record": None if found.venue is None else str(found.venue),
    }


# ----------------------------------------------------------------------------------------- restore


def restore(
    source: Path | None = None,
    /,
    *,
    confirm: bool = False,
    keep_venue: Annotated[bool, Parameter(name="--keep-venue")] = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Put a backup in the database's place; what is there is kept under another name.

    Without --confirm it says what would be lost, changes nothing and ends with exit code 3.

    Parameters
    ----------
    source
        The backup. Without one, a restore that was cut off is finished.
    confirm
        Do it, although the present database knows more.
    keep_venue
        Leave the simulated venue's record as it is: the next start then meets a venue that knows
        more than the books, as with a real one.
    """
    from actors.lock import DatabaseLock

    database = place.database()
    found = None if source is None else _examined(source, database)
    if database.is_dir():
        raise CommandFailed(f"{database}: a directory, not a database; name a file", UNAVAILABLE)
    lock = DatabaseLock(database)
    try:
        taken = lock.acquire({"database": str(database)})
    except OSError as problem:
        raise CommandFailed(
            f"{database}: cannot be written here ({problem.strerror})", UNAVAILABLE
        ) from problem
    if not taken:
        holder = lock.holder() or {}
        raise CommandFailed(
            f"{database}: a service holds it (process {holder.get('pid', 'unknown')}); stop it "
            "first, nothing was changed",
            REFUSED,
        )
    try:
        return _restore(found, database, place, confirm=confirm, keep_venue=keep_venue, json=json)
    finally:
        lock.release()


def _examined(source: Path, database: Path) -> Examined:
    from actors.cli.database import open_database
    from storage.backup import examined

    if database.exists() and source.exists() and source.samefile(database):
        raise CommandFailed(f"{source}: is the database itself; name a backup", USAGE)
    if not source.is_file():
        what = "a directory, not a backup" if source.is_dir() else "no such database"
        raise CommandFailed(f"{source}: {what}; name the backup to restore", UNAVAILABLE)
    open_database(source).close()
    return examined(source)


def _restore(
    found: Examined | None,
    database: Path,
    place: Place,
    *,
    confirm: bool,
    keep_venue: bool,
    json: bool,
) -> int:
    from actors.cli import output
    from storage.journal import restore_marker
    from storage.restore import finish_restore, present_files
    from storage.restore import restore as put_in_place
    from storage.restore_loss import loss

    finished = finish_restore(database)
    if found is None:
        return _finished(database, finished, json)
    venue = None if keep_venue else _venue(place, database)
    there = bool(present_files(database))
    lost = loss(database, found) if there else None
    document: dict[str, Any] = {
        "database": str(database),
        "source": _described(found),
        "would_lose": None if lost is None else _lost(lost),
        "restored": False,
        "kept_as": None,
    }
    if confirm or not there:
        try:
            aside = put_in_place(found, database, venue)
        except (sqlite3.OperationalError, OSError) as problem:
            what = "not restored, nothing was changed"
            if restore_marker(database).exists():
                what = f"half restored; `holdfast restore --db {database}` goes on"
            raise CommandFailed(
                f"{database}: {what}: {problem}; look at the disk and its permissions", UNAVAILABLE
            ) from problem
        document |= {"restored": True, "kept_as": None if aside is None else str(aside)}
    if json:
        output.print_json(document)
    else:
        _print_restore(document, found, venue)
    if not document["restored"]:
        output.note(
            "nothing was changed; to restore all the same, add --confirm: the present files are "
            "kept under another name"
        )
        return REFUSED
    return DONE


def _finished(database: Path, finished: bool, json: bool) -> int:
    from actors.cli import output

    if not finished:
        raise CommandFailed(
            f"{database}: no restore was cut off here; name the backup: holdfast restore FILE",
            USAGE,
        )
    if json:
        output.print_json({"database": str(database), "restored": True})
    else:
        print(f"{database}: the restore that was cut off is complete")
    return DONE


def _lost(lost: Loss) -> dict[str, Any]:
    from fsm.timestamps import iso_utc

    nothing = lost.last_seq <= lost.common_seq
    return {
        "from_seq": None if nothing else lost.common_seq + 1,
        "to_seq": None if nothing else lost.last_seq,
        "from_at": iso_utc(lost.first_at_us) if lost.first_at_us else None,
        "to_at": iso_utc(lost.last_at_us) if lost.last_at_us else None,
        "orders": lost.orders,
        "fills": lost.fills,
        "capital_events": lost.capital_events,
        "open_positions": list(lost.open_positions),
        "closed_positions": list(lost.closed_positions),
        "problem": lost.problem,
    }


def _print_restore(document: dict[str, Any], found: Examined, venue: Path | None) -> None:
    from actors.cli.output import print_fields

    source, lost = document["source"], document["would_lose"]
    names = ("seq", "last_event_at", "made_at", "reason", "venue_record")
    print_fields(f"{source['file']}: whole, and proved", [(name, source[name]) for name in names])
    if lost is not None:
        verb = "Lost" if document["restored"] else "Would be lost"
        print_fields(f"{verb}: what only {document['database']} knows", lost.items())
    if document["restored"]:
        print(f"{document['database']}: restored up to seq {found.head.seq}")
        if document["kept_as"]:
            print(f"  what was there is {document['kept_as']}")
        if venue is None or found.venue is None:
            print("  the venue knows more than these books: the next start compares them")

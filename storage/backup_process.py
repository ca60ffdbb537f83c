"""Makes a backup in a process of its own, and then deletes what is kept no more.

`python -P -m storage.backup_process DATABASE FOLDER KEEP KEEP_DAYS [VENUE]`: one JSON line with the
new backup's `path`, `seq` and `made_at_us`; exit 3 when the database is damaged, 4 when there could
be no backup, each with one line on standard error.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path

from fsm.timestamps import micros_from_iso
from storage.backup import BackupFailed, make_backup
from storage.backup_folder import SCHEDULED, made_folder, prune
from storage.journal import JournalDamaged
from storage.schema import ForeignDatabase, SchemaTooNew

DAMAGED, FAILED = 3, 4


def command(
    database: Path, folder: Path, keep: int, keep_days: int, venue: Path | None
) -> list[str]:
    """What to run."""
    module = [sys.executable, "-P", "-m", "storage.backup_process", str(database), str(folder)]
    return [*module, str(keep), str(keep_days), *([] if venue is None else [str(venue)])]


def main(arguments: list[str]) -> int:
    """Make one, or say why not."""
    os.nice(10)
    database, folder, keep, keep_days, *venue = arguments
    try:
        made_folder(Path(folder))
        made = make_backup(
            Path(database),
            Path(folder),
            reason=SCHEDULED,
            venue=Path(venue[0]) if venue else None,
            folder=True,
        )
    except JournalDamaged as damage:
        print(damage, file=sys.stderr)
        return DAMAGED
    except (BackupFailed, ForeignDatabase, SchemaTooNew, OSError, sqlite3.Error) as problem:
        print(problem, file=sys.stderr)
        return FAILED
    assert made.manifest is not None
    made_at_us = micros_from_iso(made.manifest.made_at)
    told = {"path": str(made.path), "seq": made.head.seq, "made_at_us": made_at_us}
    print(json.dumps(told), flush=True)
    try:
        prune(Path(folder), Path(database), int(keep), int(keep_days))
    except OSError as problem:
        print(f"{folder}: old backups cannot be deleted: {problem}", file=sys.stderr)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

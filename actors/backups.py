"""Backups on a schedule, beside a running service.

Each is made and proved by a process of its own (`storage.backup_process`), from one view of the
database, so that no turn waits for it. One that fails is an alert and is tried again; a database
that turns out to be damaged halts the system, because the books stand on it.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import trio
from attrs import define, field, frozen
from loguru import logger

from actors import messages as msg
from actors.engine import Engine
from fsm.timestamps import SECOND_US, iso_utc
from storage import backup_process
from storage.backup_folder import Kept, backups_in

#: A session that ends within the first minute makes none: nothing much would be in it.
FIRST_S = 60.0
_RETRY_S = 300.0
#: Longer than this is a disk that hangs.
_LONGEST_S = 3_600.0


@frozen(kw_only=True)
class BackupPlan:
    """Where backups go, how often, and how many stay. `interval_s` 0: none is made."""

    folder: Path
    interval_s: float = 0.0
    keep: int = 14
    keep_days: int = 7
    venue: Path | None = None
    """The simulated venue's record, which goes with the books."""


def last_backup(folder: Path, database: Path) -> dict[str, Any]:
    """What the folder's names say of the newest: `journal.backup` of the state document."""
    try:
        newest = next(iter(backups_in([folder], database)), None)
        problem = None
    except OSError as failed:
        newest, problem = None, f"{folder}: {failed.strerror}"
    return {
        "last_at": None if newest is None else iso_utc(newest.made_at_us),
        "last_seq": None if newest is None else newest.seq,
        "folder": str(folder),
        "failed": problem,
    }


@define(slots=True)
class Backups:
    """Runs beside one engine until cancelled."""

    engine: Engine
    plan: BackupPlan
    document: dict[str, Any] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self.document = last_backup(self.plan.folder, self.engine.settings.database)

    async def run(self) -> None:
        """Soon after the start when the last one is older than the interval, then at it."""
        self._look_for_a_later_one()
        if not self.plan.interval_s:
            return
        await trio.sleep(max(self._due_s(), min(FIRST_S, self.plan.interval_s)))
        retry_s = _RETRY_S
        while True:
            if await self._make():
                retry_s = _RETRY_S
                await trio.sleep(self.plan.interval_s)
            else:
                await trio.sleep(min(retry_s, self.plan.interval_s))
                retry_s *= 2

    def _look_for_a_later_one(self) -> None:
        """A database that was replaced by an older one, head and all, betrays itself only here and
        by what the venue knows."""
        began_at = self.engine.fold.head.seq
        later = max(self._there(), key=lambda kept: kept.seq, default=None)
        if later is not None and later.seq > began_at:
            text = (
                f"{later.path} goes up to seq {later.seq}, these books began at seq {began_at}: "
                "they were restored, or rolled back"
            )
            self.engine.release.notify("warning", "OLDER_THAN_ITS_BACKUP", text)

    def _due_s(self) -> float:
        newest = next(iter(self._there()), None)
        if newest is None:
            return 0.0
        age_s = (self.engine.clock.now_us() - newest.made_at_us) / SECOND_US
        return self.plan.interval_s - max(age_s, 0.0)

    def _there(self) -> list[Kept]:
        try:
            return backups_in([self.plan.folder], self.engine.settings.database)
        except OSError:
            return []  # the first attempt says so, as an alert

    async def _make(self) -> bool:
        """One backup; True when there is one now."""
        database, plan = self.engine.settings.database, self.plan
        if self.document["last_seq"] == self.engine.writer.head.seq:
            return True
        command = backup_process.command(
            database, plan.folder, plan.keep, plan.keep_days, plan.venue
        )
        done = await self._process(command)
        why = done.stderr.decode(errors="replace").strip()[-500:]
        made = self._made(done.stdout)
        if made:
            logger.info("BACKUP {} up to seq {}", made["path"], made["seq"])
            self.document |= {"last_at": iso_utc(made["made_at_us"]), "last_seq": made["seq"]}
        self.document["failed"] = None if not done.returncode else why or "no word"
        if done.returncode == backup_process.DAMAGED:
            logger.critical("JOURNAL_DAMAGED {}", why)
            self.engine.release.notify("critical", "JOURNAL_DAMAGED", why)
            self.engine.inbox.tell_local(msg.Halt("journal_damaged"))
        elif done.returncode:
            last = self.document["last_at"] or "none"
            text = f"{why or f'its process ended with {done.returncode}'}; the last one: {last}"
            self.engine.release.notify("critical", "BACKUP_FAILED", text)
        return not done.returncode

    def _made(self, told: bytes) -> dict[str, Any] | None:
        try:
            found = json.loads(told)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    async def _process(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end; one that cannot be started or does not end has failed."""
        with trio.move_on_after(_LONGEST_S):
            try:
                return await trio.run_process(
                    command,
                    capture_stdout=True,
                    capture_stderr=True,
                    check=False,
                    start_new_session=True,
                )
            except OSError as problem:
                return subprocess.CompletedProcess(command, 1, b"", str(problem).encode())
        told = f"not done after {_LONGEST_S:.0f} s, and ended (a disk that hangs?)"
        return subprocess.CompletedProcess(command, 1, b"", told.encode())

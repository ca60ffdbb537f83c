"""What a service does beside trading so that its next start is quick and safe: snapshots of the
fold at intervals, and the checks that the start did not wait for (the chain's older part, and the
pages of a large file).

All are processes of their own. Neither can hurt trading by failing: a snapshot that is not made
costs a longer start. Damage that is found halts the system, because the books stand on it.
"""

from __future__ import annotations

import subprocess

import trio
from attrs import define
from loguru import logger

from actors import messages as msg
from actors import snapshot_process
from actors.engine import Engine
from actors.snapshot import snapshot_seq
from storage import chain_check, page_check
from storage.journal import GENESIS, Head

_LOOK_S = 1.0
#: Up to this size a start looks at every page itself (0.06 s).
PAGES_AT_ONCE_BYTES_MAX = 64 << 20


@define(slots=True)
class Upkeep:
    """Runs beside one engine until cancelled; `snapshot_events` 0 makes no snapshots."""

    engine: Engine
    snapshot_events: int

    async def run(self) -> None:
        """First the checks, then snapshots whenever enough has happened since the last one."""
        database = self.engine.settings.database
        if not self.engine.fold.is_checked:
            await self._check_older()
        if database.stat().st_size > PAGES_AT_ONCE_BYTES_MAX:
            done = await self._process(page_check.command(database))
            if done.returncode:
                self._halt(chain_check.what_it_told(done.returncode, done.stderr))
            else:
                logger.info("PAGES_CHECKED {}", database)
        await self._keep_snapshots()

    async def _check_older(self) -> None:
        upto = self.engine.fold.unchecked
        command = chain_check.command(self.engine.settings.database, Head(0, GENESIS), upto.seq)
        done = await self._process(command)
        if done.returncode:
            self._halt(chain_check.what_it_told(done.returncode, done.stderr))
            return
        logger.info("CHAIN_CHECKED up to seq {}", upto.seq)

    def _halt(self, told: str) -> None:
        logger.critical("JOURNAL_DAMAGED {}", told)
        self.engine.release.notify("critical", "JOURNAL_DAMAGED", told)
        self.engine.inbox.tell_local(msg.Halt("journal_damaged"))

    async def _keep_snapshots(self) -> None:
        if not self.snapshot_events:
            return
        database = self.engine.settings.database
        kept = self.engine.fold.snapshot_seq
        while True:
            if self.engine.writer.head.seq - kept >= self.snapshot_events:
                done = await self._process(snapshot_process.command(database))
                # Also after a failure: the next try waits until as much again has happened.
                kept = self.engine.writer.head.seq
                if done.returncode:
                    why = done.stderr.decode(errors="replace").strip()[-300:]
                    logger.warning("SNAPSHOT_FAILED {}", why)
                else:
                    kept = snapshot_seq(database)
                    logger.info("SNAPSHOT up to seq {}", kept)
            await trio.sleep(_LOOK_S)

    async def _process(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end; a process that cannot even be started has failed like any other."""
        try:
            return await trio.run_process(
                command, capture_stderr=True, check=False, start_new_session=True
            )
        except OSError as problem:
            return subprocess.CompletedProcess(command, 1, b"", str(problem).encode())

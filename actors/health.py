"""How the process is doing: the figures that the heartbeat guard judges. It decides nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

from actors import messages as msg
from actors.engine import Engine
from actors.runtime.clock import SystemClock
from fsm.timestamps import SECOND_US


def health_report(engine: Engine, turn_longest_s: float, writer_lag_s: float) -> msg.HealthReport:
    """The figures now; what cannot be read is None, and no worse for it."""
    database, clock = engine.settings.database, engine.clock
    return msg.HealthReport(
        turn_longest_s=turn_longest_s,
        writer_lag_s=writer_lag_s,
        wal_bytes=_size(Path(f"{database}-wal")),
        disk_free_bytes=_free(database.absolute().parent),
        clock_skew_s=clock.skew_us() / SECOND_US if isinstance(clock, SystemClock) else None,
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None

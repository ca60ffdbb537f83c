"""The bar that shows how far the reading of a data file is: rows a second and the time left.

On standard error, on a terminal only: a pipe, a log and `--json` see nothing of it.
"""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from actors.runtime.clock import elapsed_s

_EVERY_S = 0.2


class ReadingProgress:
    """A context manager around the reading; `update` may be called as often as one likes."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        shown = sys.stderr.isatty() and not quiet
        # Drawn by `update` itself: no thread, and nothing that an event loop would have to know.
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]}", markup=False),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(file=sys.stderr),
            auto_refresh=False,
            disable=not shown,
            transient=True,
        )
        self._task = self._progress.add_task(name, total=None, rows="", note="")
        self._began: tuple[int, float] | None = None
        self._drawn_at = 0.0
        self._shown = shown

    def __enter__(self) -> ReadingProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def update(self, rows: int, done: int, total: int, note: str = "") -> None:
        """So many rows; `done` of `total` in whatever unit the file is read."""
        now = elapsed_s()
        if not self._shown or now - self._drawn_at < _EVERY_S:
            return
        self._drawn_at = now
        if self._began is None:
            self._began = rows, now
        rows_before, since = self._began
        rate = (rows - rows_before) / max(now - since, 1e-6)
        self._progress.update(
            self._task,
            completed=done,
            total=total or None,
            rows=f"{rows:,} rows" + (f"  {rate:,.0f} rows/s" if rate else ""),
            note=note,
        )
        self._progress.refresh()

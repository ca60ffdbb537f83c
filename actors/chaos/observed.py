"""What a scenario may look at beside the state document: log tokens, alerts, row counts."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loguru import logger

from actors.chaos.expectations import MISSING, look_up
from actors.chaos.scenario import Expectation

_TOKEN = re.compile(r"\[?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)\b")


class LogTokens:
    """Counts the token in capitals that a log line begins with; accumulates over a scenario."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count while the scenario runs."""
        sink = logger.add(self._hear, level=0, format="{message}", catch=False)
        try:
            yield
        finally:
            logger.remove(sink)

    def _hear(self, line: Any) -> None:
        found = _TOKEN.match(line.record["message"])
        if found:
            self.counts[found[1]] = self.counts.get(found[1], 0) + 1


def observed(
    expectation: Expectation,
    document: dict[str, Any],
    conn: sqlite3.Connection,
    log: dict[str, int],
    alerts: dict[str, int],
) -> Any:
    """The value at a path, or MISSING. A token that never came was counted zero times."""
    segments = expectation.segments
    if len(segments) == 2 and segments[0] in ("log", "alerts", "rows"):
        kind, name = segments
        if kind == "rows":
            return _rows(conn, name)
        if kind == "alerts" and name == "total":
            return sum(alerts.values())
        count = (log if kind == "log" else alerts).get(name, 0)
        return MISSING if count == 0 and expectation.expected == "missing" else count
    return look_up(document, segments)


def _rows(conn: sqlite3.Connection, table: str) -> Any:
    known = conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    if table not in [row[0] for row in known]:
        return MISSING
    return conn.execute(f'SELECT COUNT(*) FROM "{table}"').fetchone()[0]

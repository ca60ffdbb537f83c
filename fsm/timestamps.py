"""The one time helper: UTC microseconds since the epoch, and ISO 8601 text of them (P08).

Pure conversions; where "now" comes from is `actors.runtime.clock`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

SECOND_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)


def iso_utc(us: int) -> str:
    """`2026-01-31T12:00:00.000001Z` for microseconds since the epoch."""
    moment = _NAIVE_EPOCH + timedelta(microseconds=us)
    return moment.isoformat(timespec="microseconds") + "Z"


def micros_from_iso(text: str) -> int:
    """Microseconds since the epoch; a time without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)

"""heartbeat: the engine keeps up with time, and its journal has room and a writer that answers.

Two sources: its own ticks, which may come late, and the service's health reports. What a report
said stays true until the next one; a figure that it does not know is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from attrs import frozen

from actors import messages as msg
from actors.guards.base import Gauge, Guard, Trip
from actors.guards.latch import Latch
from actors.world import World
from fsm.money import plain
from fsm.timestamps import SECOND_US

_MIB = 1 << 20
_SHOWN = Decimal("0.001")


@frozen(slots=True)
class Reading:
    """One figure against its limit, both in `unit`."""

    what: str
    value: Decimal
    limit: Decimal
    unit: str
    is_floor: bool = False

    @property
    def is_bad(self) -> bool:
        """Strictly beyond its limit."""
        return self.value < self.limit if self.is_floor else self.value > self.limit


class Heartbeat(Guard):
    """Trips at the first bad reading."""

    name = "heartbeat"
    breaker = "heartbeat_guard"
    token = "HEARTBEAT"
    hears = (msg.HealthReport,)

    def __init__(self, settings: Any, latch: Latch, interval_us: int) -> None:
        super().__init__(settings, latch, interval_us)
        self.report: msg.HealthReport | None = None
        self.tick_us: int | None = None
        self.late_us = 0
        self.bad_us: int | None = None
        """When something was bad last."""

    def _readings(self) -> Iterator[Reading]:
        held, report = self.settings, self.report
        late = Decimal(self.late_us) / SECOND_US
        yield Reading("a guard tick came late by", late, _decimal(held.tick_late_max_s), "s")
        if report is None:
            return
        seconds = (
            ("a turn took", report.turn_longest_s, held.turn_max_s),
            ("a turn waited for its commit", report.writer_lag_s, held.writer_lag_max_s),
            ("the wall clock moved away by", report.clock_skew_s, held.clock_skew_max_s),
        )
        for what, value, limit in seconds:
            if value is not None:
                yield Reading(what, _decimal(abs(value)), _decimal(limit), "s")
        sizes = (
            ("the write-ahead log holds", report.wal_bytes, held.wal_max_mb, False),
            ("free on the disk are", report.disk_free_bytes, held.disk_free_min_mb, True),
        )
        for what, size, limit_mb, is_floor in sizes:
            if size is not None:
                mib = Decimal(size) / _MIB
                yield Reading(what, mib, Decimal(limit_mb), "MiB", is_floor)

    def hear(self, what: object, world: World) -> Trip | None:
        """The service's report."""
        assert isinstance(what, msg.HealthReport)
        self.report = what
        return self._judged(world)

    def observe(self, world: World) -> None:
        """How late this tick is."""
        self.observations += 1
        if self.tick_us is not None:
            self.late_us = max(world.now_us - self.tick_us - self.interval_us, 0)
        self.tick_us = world.now_us

    def trips(self, world: World) -> Trip | None:
        """Whether anything is bad now."""
        return self._judged(world)

    def _judged(self, world: World) -> Trip | None:
        bad = [reading for reading in self._readings() if reading.is_bad]
        if not bad:
            return None
        self.bad_us = world.now_us
        context = {r.what: f"{_shown(r.value)} {r.unit}" for r in bad}
        first = bad[0]
        condition = f"{first.what} {_shown(first.value)} {first.unit}"
        side = "below" if first.is_floor else "above"
        return Trip(f"{condition}, {side} {plain(first.limit)}", dict(context))

    def is_well(self, world: World) -> bool:
        """Nothing was bad for `healthy_s`."""
        self._judged(world)
        healthy_us = round(self.settings.healthy_s * SECOND_US)
        return self.bad_us is None or world.now_us - self.bad_us >= healthy_us

    def cleared(self) -> None:
        """Begin anew."""
        self.bad_us = None

    def gauge(self, world: World) -> Gauge:
        """The reading that is nearest to its limit; the others beside it."""
        readings = list(self._readings())
        worst = max(readings, key=_nearness)
        shown = {r.what: f"{_shown(r.value)} {r.unit}" for r in readings}
        about = f"{worst.what}, {worst.unit}"
        return Gauge(about, Decimal(_shown(worst.value)), worst.limit, dict(shown))


def _nearness(reading: Reading) -> Decimal:
    """1 at the limit, more beyond it."""
    if reading.is_floor:
        return reading.limit / reading.value if reading.value else Decimal(10**9)
    return reading.value / reading.limit


def _decimal(seconds: float) -> Decimal:
    return Decimal(str(seconds))


def _shown(value: Decimal) -> str:
    return plain(value.quantize(_SHOWN))

"""The words of scenario files: modes, results, faults, levels, and the one error they have."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

from fsm.mode import ControlLevel

Us = NewType("Us", int)
"""A duration in microseconds; files write `"1.5s"`, `"500ms"`, `"2m"`."""


class ScenarioError(Exception):
    """The file cannot be run: one line with file, line, key and remedy. Exit code 2."""

    exit_code = 2


class VenueMode(StrEnum):
    """Who answers: the steps alone, or a matching engine with its own truth."""

    SCRIPTED = "scripted"
    SIMULATED = "simulated"


class QueryKind(StrEnum):
    """What an answer is for."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    ORDER = "order"
    OPEN_ORDERS = "open_orders"
    FILLS = "fills"
    POSITIONS = "positions"
    BALANCES = "balances"


class Result(StrEnum):
    """How a request is answered. `timeout` is no answer at all."""

    FOUND = "found"
    ABSENT = "absent"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    REJECTED = "rejected"


class Restart(StrEnum):
    """`kill` ends the engine where it stands, `clean` ends its session first."""

    KILL = "kill"
    CLEAN = "clean"


class FaultKind(StrEnum):
    """What goes wrong."""

    DROP = "drop"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    CORRUPT = "corrupt"
    SLOW_DISK = "slow_disk"
    DISK_FULL = "disk_full"
    DISK_ERROR = "disk_error"
    ACTOR_CRASH = "actor_crash"
    CLOCK_JUMP = "clock_jump"


class Level(StrEnum):
    """The kill switch's levels, and `resume`, which lifts it and HALTED."""

    OFF = "off"
    PAUSE = "pause"
    FLATTEN = "flatten"
    EMERGENCY = "emergency"
    RESUME = "resume"

    @property
    def control(self) -> ControlLevel:
        """The level as the engine knows it; not for `resume`."""
        return ControlLevel(self.value)

"""The system's mode, the operator's control level, and what both together allow.

Two axes: the mode is moved by the engine, the control level only by the operator; what may leave
for the venue is the minimum of both.
"""

from __future__ import annotations

from enum import StrEnum

from fsm.compiled import Table, compile_table
from fsm.machine import Definition, Edge, StateInfo, TriggerKind, edges
from fsm.vocabulary import OrderRole


class ModeState(StrEnum):
    """The mode of the whole system."""

    STARTING = "STARTING"
    OBSERVING = "OBSERVING"
    RECONCILING = "RECONCILING"
    ACTIVE = "ACTIVE"
    IDLE = "IDLE"
    DEGRADED = "DEGRADED"
    HALTED = "HALTED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"

    __hash__ = str.__hash__


S = ModeState


class ModeTrigger(StrEnum):
    """What moves the mode."""

    LEASE_TAKEN = "lease_taken"
    LEASE_HELD = "lease_held"
    LEASE_LOST = "lease_lost"
    BOOKS_MATCH = "books_match"
    DIVERGENCE = "divergence"
    REGIME_BAD = "regime_bad"
    REGIME_GOOD = "regime_good"
    DEGRADE = "degrade"
    RECOVERED = "recovered"
    HALT = "halt"
    RESUME = "resume"
    STOP = "stop"
    STOPPED = "stopped"

    __hash__ = str.__hash__


T = ModeTrigger

CLEAR, REGIME_STANDS_BAD, SOURCE_STANDS = "clear", "regime_stands_bad", "source_stands"
BOOKS_UNVERIFIED = "books_unverified"
REFUSED, ACCEPTED_BY_OPERATOR = "refused", "accepted_by_operator"
RUNNING = (S.RECONCILING, S.ACTIVE, S.IDLE, S.DEGRADED)


def _gate_edges() -> list[Edge]:
    return [
        *edges([S.STARTING], T.LEASE_TAKEN, S.RECONCILING, "trading is gated on reconciliation"),
        *edges(
            [S.STARTING],
            T.LEASE_HELD,
            S.OBSERVING,
            "another holder trades: read only, and say who (N29)",
        ),
        *edges([S.OBSERVING], T.LEASE_TAKEN, S.RECONCILING, "the other holder's lease expired"),
        *edges([S.RECONCILING], T.BOOKS_MATCH, S.ACTIVE, "books equal the venue", CLEAR),
        *edges(
            [S.RECONCILING],
            T.BOOKS_MATCH,
            S.IDLE,
            "books equal the venue, the regime is bad",
            REGIME_STANDS_BAD,
        ),
        *edges(
            [S.RECONCILING],
            T.BOOKS_MATCH,
            S.DEGRADED,
            "books equal the venue, a source stands",
            SOURCE_STANDS,
        ),
        *edges(
            [S.DEGRADED],
            T.BOOKS_MATCH,
            None,
            "degraded before the gate was passed: the books are verified now, the source stands",
            SOURCE_STANDS,
        ),
        *edges(
            [S.RECONCILING],
            T.DIVERGENCE,
            S.HALTED,
            "books differ from the venue: trading is refused",
            REFUSED,
        ),
        *edges(
            [S.RECONCILING],
            T.DIVERGENCE,
            S.DEGRADED,
            "the operator accepted it by an audited flag",
            ACCEPTED_BY_OPERATOR,
        ),
    ]


def _safety_edges() -> list[Edge]:
    return [
        *edges(
            [S.ACTIVE],
            T.REGIME_BAD,
            S.IDLE,
            "the anchor guard sees a bad regime; no episode is spent (N18)",
        ),
        *edges([S.IDLE], T.REGIME_GOOD, S.ACTIVE, "the regime is good again, with hysteresis"),
        *edges(
            [S.RECONCILING, S.DEGRADED, S.HALTED],
            T.REGIME_BAD,
            None,
            "remembered: what follows the way out is IDLE",
        ),
        *edges(
            [S.RECONCILING, S.DEGRADED, S.HALTED],
            T.REGIME_GOOD,
            None,
            "remembered: what follows the way out is ACTIVE",
        ),
        *edges(
            RUNNING, T.DEGRADE, S.DEGRADED, "a source asks for safety; the set of sources grows"
        ),
        *edges([S.DEGRADED], T.RECOVERED, S.ACTIVE, "the last source recovered", CLEAR),
        *edges(
            [S.DEGRADED],
            T.RECOVERED,
            S.IDLE,
            "the last source recovered, the regime is bad",
            REGIME_STANDS_BAD,
        ),
        *edges([S.DEGRADED], T.RECOVERED, None, "other sources stand", SOURCE_STANDS),
        *edges([S.HALTED], T.DEGRADE, None, "remembered for the time after the halt"),
        *edges([S.HALTED], T.RECOVERED, None, "fewer sources; the halt stays", CLEAR),
        *edges([S.RECONCILING, S.HALTED], T.RECOVERED, None, "fewer sources", SOURCE_STANDS),
        *edges([S.RECONCILING, S.HALTED], T.RECOVERED, None, "the gate stays", BOOKS_UNVERIFIED),
        *edges(
            [S.DEGRADED],
            T.RECOVERED,
            S.RECONCILING,
            "degraded before the books were ever verified: back to the gate",
            BOOKS_UNVERIFIED,
        ),
    ]


def _ending_edges() -> list[Edge]:
    return [
        *edges(
            [S.STARTING, S.OBSERVING, *RUNNING],
            T.HALT,
            S.HALTED,
            "one precise reason, written once",
        ),
        *edges([S.HALTED], T.HALT, None, "the first cause wins (N10)"),
        *edges(
            [S.HALTED], T.RESUME, S.RECONCILING, "the operator resumes, gated on reconciliation"
        ),
        *edges(
            [S.RECONCILING, S.DEGRADED],
            T.RESUME,
            None,
            "a halt of before the crash waits behind the gate: the operator lifts it",
        ),
        *edges(
            [*RUNNING, S.HALTED, S.STOPPING],
            T.LEASE_LOST,
            S.STOPPED,
            "a fenced holder sends nothing, not even cancels",
        ),
        *edges(
            [S.STARTING, S.OBSERVING, *RUNNING, S.HALTED],
            T.STOP,
            S.STOPPING,
            "sweep live orders, wait for evidence within a bound",
        ),
        *edges([S.STOPPING], T.STOP, None, "a second press is harmless"),
        *edges([S.STOPPING], T.STOPPED, S.STOPPED, "the session's end is written"),
    ]


_ABOUT = {
    S.STARTING: "not yet holding the account's lease",
    S.OBSERVING: "another holder trades; reads only",
    S.RECONCILING: "comparing the books with the venue; no entries",
    S.ACTIVE: "trading",
    S.IDLE: "the regime is bad; no entries, exits work",
    S.DEGRADED: "out of harm's way; no entries, exits work",
    S.HALTED: "stopped for one precise reason; only the operator resumes",
    S.STOPPING: "sweeping live orders before the end",
    S.STOPPED: "the session has ended",
}

DEFINITION = Definition(
    name="mode",
    initial=S.STARTING,
    states=tuple(StateInfo(s, _ABOUT[s], s is S.STOPPED) for s in ModeState),
    kinds={
        t: TriggerKind.COMMAND if t in (T.RESUME, T.STOP, T.HALT) else TriggerKind.LOCAL
        for t in ModeTrigger
    },
    guards={
        T.BOOKS_MATCH: (CLEAR, REGIME_STANDS_BAD, SOURCE_STANDS),
        T.RECOVERED: (CLEAR, REGIME_STANDS_BAD, SOURCE_STANDS, BOOKS_UNVERIFIED),
        T.DIVERGENCE: (REFUSED, ACCEPTED_BY_OPERATOR),
    },
    edges=(*_gate_edges(), *_safety_edges(), *_ending_edges()),
)

TABLE: Table[ModeState] = compile_table(DEFINITION)


class ControlLevel(StrEnum):
    """The kill switch: moved by the operator alone, and it survives restarts."""

    OFF = "off"
    PAUSE = "pause"
    FLATTEN = "flatten"
    EMERGENCY = "emergency"


class Permission(StrEnum):
    """What may leave for the venue, by purpose."""

    ENTRY = "entry"
    EXIT = "exit"
    CANCEL = "cancel"


_BY_MODE: dict[ModeState, frozenset[Permission]] = {
    S.STARTING: frozenset(),
    S.OBSERVING: frozenset(),
    S.RECONCILING: frozenset({Permission.EXIT, Permission.CANCEL}),
    S.ACTIVE: frozenset(Permission),
    S.IDLE: frozenset({Permission.EXIT, Permission.CANCEL}),
    S.DEGRADED: frozenset({Permission.EXIT, Permission.CANCEL}),
    S.HALTED: frozenset({Permission.EXIT, Permission.CANCEL}),
    S.STOPPING: frozenset({Permission.EXIT, Permission.CANCEL}),
    S.STOPPED: frozenset(),
}
_NO_ENTRY = frozenset({Permission.EXIT, Permission.CANCEL})
_BY_CONTROL: dict[ControlLevel, frozenset[Permission]] = {
    ControlLevel.OFF: frozenset(Permission),
    ControlLevel.PAUSE: _NO_ENTRY,
    ControlLevel.FLATTEN: _NO_ENTRY,
    ControlLevel.EMERGENCY: _NO_ENTRY,
}


def permitted(
    mode: ModeState, control: ControlLevel, what: Permission, *, journal_ok: bool = True
) -> bool:
    """Whether both axes allow it; without a working journal only cancels leave (L1)."""
    if not journal_ok and what is not Permission.CANCEL:
        return False
    return what in _BY_MODE[mode] and what in _BY_CONTROL[control]


def permission_for(role: OrderRole) -> Permission:
    """Entries and quotes open exposure; exits reduce it."""
    return Permission.EXIT if role is OrderRole.EXIT else Permission.ENTRY

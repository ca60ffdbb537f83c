"""The position's machine: one owner from the entry order to the last exit fill (L6).

`qty_changed` is the one fact trigger of quantity; its guards say what the new quantity means.
"No order of it may still fill" is part of every end, so that a late fill finds its owner.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from fsm.compiled import Table, compile_table
from fsm.machine import Definition, Edge, Ignored, StateInfo, TriggerKind, edges


class PositionState(StrEnum):
    """Where a position stands."""

    ENTRY = "ENTRY"
    MONITORING = "MONITORING"
    EXIT_PENDING = "EXIT_PENDING"
    CLOSED = "CLOSED"
    CANCELLED_BY_ENGINE = "CANCELLED_BY_ENGINE"

    __hash__ = str.__hash__


S = PositionState
OPEN = (S.ENTRY, S.MONITORING, S.EXIT_PENDING)
ENDED = (S.CLOSED, S.CANCELLED_BY_ENGINE)


class PositionTrigger(StrEnum):
    """What can happen to a position."""

    QTY_CHANGED = "qty_changed"
    ORDER_ENDED = "order_ended"
    ENTRIES_DEAD = "entries_dead"
    ENGINE_CANCEL = "engine_cancel"
    EXIT_DECIDED = "exit_decided"
    EXIT_FAILED = "exit_failed"
    EXIT_ESCALATED = "exit_escalated"
    RESOLVED = "resolved"

    __hash__ = str.__hash__


T = PositionTrigger

QTY_OPEN = "qty_open"
QTY_DUST_FINAL = "qty_dust_final"
QTY_DUST_WAITING = "qty_dust_waiting"
QTY_FLAT_FINAL = "qty_flat_final"
QTY_FLAT_WAITING = "qty_flat_waiting"
QTY_CASES = (QTY_OPEN, QTY_DUST_FINAL, QTY_DUST_WAITING, QTY_FLAT_FINAL, QTY_FLAT_WAITING)
_FINAL = {
    QTY_DUST_FINAL: "a residual below the minimum is recorded as dust (M08)",
    QTY_FLAT_FINAL: "flat, and no order of it may still fill",
}
_WAITING = {
    QTY_DUST_WAITING: "below the minimum, but an order of it may still fill",
    QTY_FLAT_WAITING: "flat, but an order of it may still fill",
}


def quantity_guard(qty: Decimal, min_qty: Decimal, may_still_fill: bool) -> str:
    """Which case of `qty_changed` holds for the open quantity (base units, signed)."""
    if qty == 0:
        return QTY_FLAT_WAITING if may_still_fill else QTY_FLAT_FINAL
    if abs(qty) < min_qty:
        return QTY_DUST_WAITING if may_still_fill else QTY_DUST_FINAL
    return QTY_OPEN


def _quantity_edges() -> list[Edge]:
    out = [
        *edges(
            [S.ENTRY], T.QTY_CHANGED, S.MONITORING, "protected from the first fill on", QTY_OPEN
        ),
        *edges(
            [S.ENTRY],
            T.QTY_CHANGED,
            S.MONITORING,
            "protected from the first fill on",
            QTY_DUST_WAITING,
        ),
        *edges(
            [S.ENTRY],
            T.QTY_CHANGED,
            S.ENTRY,
            "a void took the fill back; the entry still works",
            QTY_FLAT_WAITING,
        ),
        *edges(
            [S.MONITORING], T.QTY_CHANGED, None, "basis is the VWAP of the entry fills", QTY_OPEN
        ),
        *edges(
            [S.EXIT_PENDING],
            T.QTY_CHANGED,
            None,
            "an exit for the uncovered rest; a flipped sign is an anomaly and is traded back",
            QTY_OPEN,
        ),
        *edges(
            ENDED,
            T.QTY_CHANGED,
            S.MONITORING,
            "late fill or void: it is open again, anomaly",
            QTY_OPEN,
        ),
    ]
    for guard, why in _FINAL.items():
        out += edges(OPEN, T.QTY_CHANGED, S.CLOSED, why, guard)
        out += edges([S.MONITORING, S.EXIT_PENDING], T.ORDER_ENDED, S.CLOSED, why, guard)
        out += edges(ENDED, T.QTY_CHANGED, None, "recorded; there is nothing to protect", guard)
    for guard, why in _WAITING.items():
        out += edges([S.MONITORING, S.EXIT_PENDING], T.QTY_CHANGED, None, why, guard)
        out += edges([S.MONITORING, S.EXIT_PENDING], T.ORDER_ENDED, None, why, guard)
        out += edges(ENDED, T.QTY_CHANGED, None, "recorded; an order of it may still fill", guard)
    out += edges(
        [S.MONITORING, S.EXIT_PENDING], T.ORDER_ENDED, None, "the open quantity stays", QTY_OPEN
    )
    return out


def _decision_edges() -> list[Edge]:
    return [
        *edges([S.ENTRY], T.ENTRIES_DEAD, S.CLOSED, "all entry orders ended, nothing filled"),
        *edges(
            [S.ENTRY],
            T.ENGINE_CANCEL,
            S.CANCELLED_BY_ENGINE,
            "nothing filled; durable together with the marks on its orders",
        ),
        *edges(
            [S.ENTRY],
            T.EXIT_DECIDED,
            None,
            "entries are cancelled, the wish is latched for what may still fill",
        ),
        *edges(
            [S.MONITORING],
            T.EXIT_DECIDED,
            S.EXIT_PENDING,
            "live entries are engine-cancelled, one exit covers the open quantity",
        ),
        *edges(
            [S.EXIT_PENDING],
            T.EXIT_FAILED,
            None,
            "the ladder: same price, marketable, then DEGRADED and an alert; never given up",
        ),
        *edges(
            [S.EXIT_PENDING],
            T.EXIT_ESCALATED,
            None,
            "a higher reason, or a timer, raises the urgency",
        ),
        *edges(
            [S.MONITORING, S.EXIT_PENDING], T.RESOLVED, S.CLOSED, "the venue confirmed the payout"
        ),
    ]


_ABOUT = {
    S.ENTRY: "entry orders are out, nothing is filled",
    S.MONITORING: "open and protected; stops are evaluated on every tick",
    S.EXIT_PENDING: "an exit is decided; only facts move it from here",
    S.CLOSED: "flat or dust, nothing of it may still fill",
    S.CANCELLED_BY_ENGINE: "the engine took the entry back before anything filled",
}

DEFINITION = Definition(
    name="position",
    initial=S.ENTRY,
    states=tuple(StateInfo(s, _ABOUT[s], s in ENDED) for s in PositionState),
    kinds={
        T.QTY_CHANGED: TriggerKind.FACT,
        T.RESOLVED: TriggerKind.FACT,
        T.ORDER_ENDED: TriggerKind.LOCAL,
        T.ENTRIES_DEAD: TriggerKind.LOCAL,
        T.ENGINE_CANCEL: TriggerKind.COMMAND,
        T.EXIT_DECIDED: TriggerKind.COMMAND,
        T.EXIT_FAILED: TriggerKind.LOCAL,
        T.EXIT_ESCALATED: TriggerKind.LOCAL,
    },
    guards={T.QTY_CHANGED: QTY_CASES, T.ORDER_ENDED: QTY_CASES},
    edges=(*_quantity_edges(), *_decision_edges()),
    ignored=(
        Ignored(S.ENTRY, T.RESOLVED, "nothing is held: the venue ends the entries itself"),
        Ignored(S.CLOSED, T.RESOLVED, "nothing is held any more"),
        Ignored(S.CANCELLED_BY_ENGINE, T.RESOLVED, "nothing was ever held"),
    ),
)

TABLE: Table[PositionState] = compile_table(DEFINITION)

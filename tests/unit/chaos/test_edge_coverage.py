"""Every edge of every machine occurs in some scenario, but for those listed with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from actors.entities.mode import Mode
from actors.entities.order import Order
from fsm import events as ev
from fsm import mode as mode_machine
from fsm import order as order_machine
from fsm import position as position_machine
from fsm.compiled import Table
from tests.unit.chaos.runs import FILES, run_file

Edge = tuple[str, str, str, str | None]
TABLES = (order_machine.TABLE, position_machine.TABLE, mode_machine.TABLE)

_FILL = "a fill moves the order on: this state never comes with that filled quantity"
_FLAG = "the operator's flag at the start is not a step of a scenario"
_HOLD = "the reconciler holds UNKNOWN and CANCEL_PENDING only"
_INT = "an intent is sent, withdrawn or in doubt before a venue can answer about it"
_LATER = "nothing in the engine pulls it yet (lease, operator's resolve, halts)"
_NS = "with an inline journal nothing comes between a decision and its release"
_ONCE = "a step that the engine takes only before or after the scenario"
_POS = "a position begins at its first fill and ends with its last order"
_VOID = "what is filled in full is FILLED, so that less than that is left anywhere else"

#: (machine, trigger, guard) -> (states, why no scenario gets there).
UNREACHED: dict[tuple[str, str, str | None], tuple[tuple[str, ...], str]] = {
    ("mode", "halt", None): (
        (
            "STARTING",
            "OBSERVING",
            "IDLE",
            "HALTED",
        ),
        _LATER,
    ),
    ("mode", "lease_lost", None): (
        (
            "RECONCILING",
            "ACTIVE",
            "IDLE",
            "DEGRADED",
            "HALTED",
            "STOPPING",
        ),
        _LATER,
    ),
    ("mode", "lease_held", None): (("STARTING",), _LATER),
    ("mode", "lease_taken", None): (("OBSERVING",), _LATER),
    ("mode", "recovered", "clear"): (("HALTED",), _LATER),
    ("mode", "stop", None): (
        (
            "STARTING",
            "OBSERVING",
            "IDLE",
            "STOPPING",
        ),
        _ONCE,
    ),
    ("mode", "divergence", "accepted_by_operator"): (("RECONCILING",), _FLAG),
    ("order", "fill_voided", "still_complete"): (
        (
            "UNKNOWN",
            "PARTIALLY_FILLED",
            "CANCEL_PENDING",
            "CANCELLED_BY_ENGINE",
            "HELD_FOR_REVIEW",
            "CANCELED",
            "REJECTED",
            "EXPIRED",
        ),
        _VOID,
    ),
    ("order", "held", None): (("CANCELLED_BY_ENGINE",), _HOLD),
    ("order", "accepted", "nothing_filled"): (
        (
            "FILLED",
            "PARTIALLY_FILLED",
        ),
        _FILL,
    ),
    ("order", "accepted", "something_filled"): (
        (
            "INTENDED",
            "SUBMITTED",
            "WORKING",
        ),
        _FILL,
    ),
    ("order", "fill", "rest_left"): (("FILLED",), _VOID),
    ("order", "fill", "rest_zero"): (("FILLED",), _VOID),
    ("order", "found_open", "nothing_filled"): (
        (
            "INTENDED",
            "FILLED",
            "PARTIALLY_FILLED",
        ),
        _FILL,
    ),
    ("order", "found_open", "something_filled"): (
        (
            "INTENDED",
            "SUBMITTED",
            "WORKING",
        ),
        _FILL,
    ),
    ("order", "fill_settled", None): (
        (
            "INTENDED",
            "SUBMITTED",
            "WORKING",
        ),
        _FILL,
    ),
    ("order", "never_arrived", "nothing_filled"): (("INTENDED",), _INT),
    ("order", "never_sent", "request_not_left"): (("INTENDED",), _NS),
    ("position", "qty_changed", "qty_dust_waiting"): (("CLOSED",), _POS),
    ("position", "qty_changed", "qty_flat_waiting"): (
        (
            "CLOSED",
            "ENTRY",
        ),
        _POS,
    ),
    ("position", "qty_changed", "qty_flat_final"): (("ENTRY",), _POS),
}


def _allowed() -> set[Edge]:
    return {
        (machine, state, trigger, guard)
        for (machine, trigger, guard), (states, _) in UNREACHED.items()
        for state in states
    }


def _occurred(monkeypatch: pytest.MonkeyPatch) -> set[Edge]:
    """Run everything and watch: the tables where decisions ask them, events where they do not."""
    seen: set[Edge] = set()
    next_, order_evolve, mode_evolve = Table.next, Order.evolve, Mode.evolve

    def watch_table(
        self: Table, actor: str, state: str, trigger: str, guard: str | None = None
    ) -> str:
        target = next_(self, actor, state, trigger, guard)
        seen.add((self.name, str(state), str(trigger), guard))
        return target

    def watch_order(self: Order, event: Any) -> None:
        if isinstance(event, ev.OrderFillSettled):
            seen.add(("order", str(self.state), "fill_settled", None))
        order_evolve(self, event)

    def watch_mode(self: Mode, event: Any, at_us: int) -> None:
        if isinstance(event, ev.ModeMoved) and event.trigger == "stopped":
            seen.add(("mode", str(self.state), "stopped", None))
        mode_evolve(self, event, at_us)

    monkeypatch.setattr(Table, "next", watch_table)
    monkeypatch.setattr(Order, "evolve", watch_order)
    monkeypatch.setattr(Mode, "evolve", watch_mode)
    for path in FILES:
        run_file(path)
    return seen


@pytest.mark.slow
def test_every_edge_occurs_in_a_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _occurred(monkeypatch)
    edges = {
        (table.name, str(s), str(t), None if g is None else str(g))
        for table in TABLES
        for s, t, g in table.moves
    }
    missing = edges - seen
    for edge in sorted(missing, key=str):
        print("not reached:", *edge)
    assert _allowed() == missing

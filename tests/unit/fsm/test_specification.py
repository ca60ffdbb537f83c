"""The machines against their specification, transcribed by hand as literal rows.

A changed edge is noticed here: it has to be written down a second time. `*_SPEC` is what the
specification says; `*_BEYOND` is what the machines say where it is silent, or differ on purpose,
each with its reason.
"""

from __future__ import annotations

from fsm import mode, order, position
from tests.unit.fsm.machines import as_plain, row, steps

LIVE = (
    "INTENDED SUBMITTED UNKNOWN WORKING PARTIALLY_FILLED CANCEL_PENDING CANCELLED_BY_ENGINE "
    "HELD_FOR_REVIEW"
)
TERMINAL = "FILLED CANCELED REJECTED EXPIRED"
CANCELLABLE = "INTENDED SUBMITTED UNKNOWN WORKING PARTIALLY_FILLED HELD_FOR_REVIEW"
DOUBTFUL = "INTENDED SUBMITTED UNKNOWN CANCEL_PENDING CANCELLED_BY_ENGINE HELD_FOR_REVIEW"
FILLED_OR_NOT = "nothing_filled something_filled"
LEFT_OR_NOT = "nothing_left something_left"

ORDER_SPEC = [
    row("INTENDED", "sent", "SUBMITTED"),
    row(
        "INTENDED CANCEL_PENDING CANCELLED_BY_ENGINE", "never_sent", "CANCELED", "request_not_left"
    ),
    row("INTENDED SUBMITTED WORKING PARTIALLY_FILLED", "outcome_unknown", "UNKNOWN"),
    row(CANCELLABLE, "cancel_requested", "CANCEL_PENDING"),
    row(f"{CANCELLABLE} CANCEL_PENDING", "engine_cancel", "CANCELLED_BY_ENGINE"),
    row("UNKNOWN CANCEL_PENDING CANCELLED_BY_ENGINE", "held", "HELD_FOR_REVIEW"),
    row("HELD_FOR_REVIEW", "resolved_by_operator", "CANCELED", "as_canceled"),
    row("HELD_FOR_REVIEW", "resolved_by_operator", "EXPIRED", "as_expired"),
    row("HELD_FOR_REVIEW", "resolved_by_operator", "REJECTED", "as_rejected"),
    row("INTENDED SUBMITTED UNKNOWN", "accepted", "WORKING", "nothing_filled"),
    row("INTENDED SUBMITTED UNKNOWN", "accepted", "PARTIALLY_FILLED", "something_filled"),
    row(
        "WORKING PARTIALLY_FILLED CANCEL_PENDING CANCELLED_BY_ENGINE HELD_FOR_REVIEW",
        "accepted",
        None,
        FILLED_OR_NOT,
    ),
    row(
        "INTENDED SUBMITTED UNKNOWN HELD_FOR_REVIEW CANCEL_PENDING",
        "found_open",
        "WORKING",
        "nothing_filled",
    ),
    row(
        "INTENDED SUBMITTED UNKNOWN HELD_FOR_REVIEW CANCEL_PENDING",
        "found_open",
        "PARTIALLY_FILLED",
        "something_filled",
    ),
    row("CANCELLED_BY_ENGINE", "found_open", None, FILLED_OR_NOT),
    row(TERMINAL, "found_open", None, FILLED_OR_NOT),
    row(TERMINAL, "accepted", None, FILLED_OR_NOT),
    row(
        "INTENDED SUBMITTED UNKNOWN WORKING PARTIALLY_FILLED HELD_FOR_REVIEW",
        "fill",
        "PARTIALLY_FILLED",
        "rest_left",
    ),
    row("CANCEL_PENDING CANCELLED_BY_ENGINE CANCELED EXPIRED REJECTED", "fill", None, "rest_left"),
    row(f"{LIVE} CANCELED REJECTED EXPIRED", "fill", "FILLED", "rest_zero"),
    row(f"{LIVE} {TERMINAL}", "fill", "FILLED", "beyond_qty"),
    row(LIVE, "canceled", "CANCELED"),
    row(LIVE, "expired", "EXPIRED"),
    row("CANCEL_PENDING CANCELLED_BY_ENGINE", "cancel_refused", None),
    row(DOUBTFUL, "rejected", "REJECTED"),
    row(DOUBTFUL, "never_arrived", "EXPIRED", "nothing_filled"),
    row("FILLED", "fill_voided", "CANCELED", LEFT_OR_NOT),
    row("PARTIALLY_FILLED", "fill_voided", "WORKING", "nothing_left"),
    row("PARTIALLY_FILLED", "fill_voided", None, "something_left"),
    row(
        "UNKNOWN CANCEL_PENDING CANCELLED_BY_ENGINE HELD_FOR_REVIEW CANCELED REJECTED EXPIRED",
        "fill_voided",
        None,
        LEFT_OR_NOT,
    ),
]
ORDER_BEYOND = [
    # Facts are total: a query that finds what the books say confirms it.
    row("WORKING PARTIALLY_FILLED", "found_open", None, FILLED_OR_NOT),
    # A snapshot that was taken before the cancel arrived must not move the order backwards.
    row("CANCEL_PENDING", "found_open", None, "cancel_unanswered"),
    # A full order has no rest, so neither can happen; evidence is booked all the same.
    row("FILLED", "fill", None, "rest_left rest_zero"),
    # The second axis of a fill: quantity and state stay as they are.
    row(f"{LIVE} {TERMINAL}", "fill_settled", None),
    # The excess of an overfill is taken back: what is left still fills the whole order.
    row(
        "FILLED PARTIALLY_FILLED UNKNOWN CANCEL_PENDING CANCELLED_BY_ENGINE HELD_FOR_REVIEW "
        "CANCELED EXPIRED REJECTED",
        "fill_voided",
        None,
        "still_complete",
    ),
]

OPENED = "MONITORING EXIT_PENDING"
POSITION_SPEC = [
    row("ENTRY", "qty_changed", "MONITORING", "qty_open qty_dust_waiting"),
    row("ENTRY", "entries_dead", "CLOSED"),
    row("ENTRY", "engine_cancel", "CANCELLED_BY_ENGINE"),
    row("ENTRY", "exit_decided", None),
    row("MONITORING", "qty_changed", None, "qty_open"),
    row("MONITORING", "exit_decided", "EXIT_PENDING"),
    row(OPENED, "qty_changed", "CLOSED", "qty_flat_final"),
    row("EXIT_PENDING", "qty_changed", None, "qty_open"),
    row("EXIT_PENDING", "exit_failed", None),
    row("EXIT_PENDING", "exit_escalated", None),
    row(OPENED, "resolved", "CLOSED"),
    row(OPENED, "qty_changed", "CLOSED", "qty_dust_final"),
    row("CLOSED CANCELLED_BY_ENGINE", "qty_changed", "MONITORING", "qty_open"),
]
POSITION_BEYOND = [
    # A residual below the minimum cannot be protected or sold: with all its orders ended it is
    # dust at once, also out of ENTRY (specified: MONITORING first, for any quantity but 0).
    row("ENTRY", "qty_changed", "CLOSED", "qty_dust_final"),
    # Specified as CLOSED at once; but while an order may still fill, the owner has to stay.
    row(OPENED, "qty_changed", None, "qty_dust_waiting"),
    row(OPENED, "qty_changed", None, "qty_flat_waiting"),
    # Specified as MONITORING for any quantity but 0; dust would only be closed again.
    row("CLOSED CANCELLED_BY_ENGINE", "qty_changed", None, "qty_dust_final qty_dust_waiting"),
    row("CLOSED CANCELLED_BY_ENGINE", "qty_changed", None, "qty_flat_final qty_flat_waiting"),
    # A void takes the first fill back.
    row("ENTRY", "qty_changed", None, "qty_flat_waiting"),
    row("ENTRY", "qty_changed", "CLOSED", "qty_flat_final"),
    # "No order of it may still fill" can become true without a change of quantity.
    row(OPENED, "order_ended", "CLOSED", "qty_dust_final qty_flat_final"),
    row(OPENED, "order_ended", None, "qty_open qty_dust_waiting qty_flat_waiting"),
]

RUNNING = "RECONCILING ACTIVE IDLE DEGRADED"
MODE_SPEC = [
    row("STARTING", "lease_taken", "RECONCILING"),
    row("STARTING", "lease_held", "OBSERVING"),
    row("OBSERVING", "lease_taken", "RECONCILING"),
    row("RECONCILING", "books_match", "ACTIVE", "clear"),
    row("RECONCILING", "books_match", "IDLE", "regime_stands_bad"),
    row("RECONCILING", "books_match", "DEGRADED", "source_stands"),
    row("RECONCILING", "divergence", "HALTED", "refused"),
    row("RECONCILING", "divergence", "DEGRADED", "accepted_by_operator"),
    row("ACTIVE", "regime_bad", "IDLE"),
    row("IDLE", "regime_good", "ACTIVE"),
    row(RUNNING, "degrade", "DEGRADED"),
    row("DEGRADED", "recovered", "ACTIVE", "clear"),
    row("DEGRADED", "recovered", "IDLE", "regime_stands_bad"),
    row(RUNNING, "halt", "HALTED"),
    row("HALTED", "resume", "RECONCILING"),
    row(RUNNING, "lease_lost", "STOPPED"),
    row(f"STARTING OBSERVING {RUNNING} HALTED STOPPING", "stop", "STOPPING"),
    row("STOPPING", "stopped", "STOPPED"),
]
MODE_BEYOND = [
    # A halt of before a crash waits behind the gate, where the operator may lift it as well.
    row("RECONCILING DEGRADED", "resume", None),
    # A source that recovers while others stand changes only the set.
    row("DEGRADED", "recovered", None, "source_stands"),
    # Degraded before the books were verified: recovery must not skip the gate.
    row("DEGRADED", "recovered", "RECONCILING", "books_unverified"),
    # While halted or at the gate sources come and go as well; neither is left by that.
    row("HALTED", "degrade", None),
    row("HALTED", "recovered", None, "clear source_stands books_unverified"),
    row("RECONCILING", "recovered", None, "source_stands books_unverified"),
    # The same, when the books turn out to match while the source still stands.
    row("DEGRADED", "books_match", None, "source_stands"),
    # A start can fail, and the first cause of a halt wins.
    row("STARTING OBSERVING HALTED", "halt", "HALTED"),
    # The regime is remembered where something else decides what is allowed.
    row("RECONCILING DEGRADED HALTED", "regime_bad", None),
    row("RECONCILING DEGRADED HALTED", "regime_good", None),
    # Both hold the lease and send cancels: a fenced holder sends nothing.
    row("HALTED STOPPING", "lease_lost", "STOPPED"),
]


def test_the_order_machine_is_what_is_specified() -> None:
    assert as_plain(order.TABLE) == steps(ORDER_SPEC + ORDER_BEYOND)


def test_the_position_machine_is_what_is_specified() -> None:
    assert as_plain(position.TABLE) == steps(POSITION_SPEC + POSITION_BEYOND)


def test_the_mode_machine_is_what_is_specified() -> None:
    assert as_plain(mode.TABLE) == steps(MODE_SPEC + MODE_BEYOND)


def test_terminal_and_live_order_states_are_what_is_specified() -> None:
    assert sorted(LIVE.split()) == sorted(order.LIVE)
    assert sorted(TERMINAL.split()) == sorted(order.TABLE.terminal)
    assert {"CLOSED", "CANCELLED_BY_ENGINE"} == set(position.TABLE.terminal)
    assert {"STOPPED"} == set(mode.TABLE.terminal)

"""The order's machine: from intent to a terminal state, with UNKNOWN as a state (L4).

`CANCELED` is the venue's confirmation, `CANCELLED_BY_ENGINE` our own intent; they are different
things. A terminal order expects nothing more; evidence may still change its quantity (a late
fill, a void), never bring it back to a live state (X05).
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from fsm.compiled import Table, compile_table
from fsm.machine import Definition, Edge, Ignored, StateInfo, TriggerKind, edges


class OrderState(StrEnum):
    """Where an order stands."""

    INTENDED = "INTENDED"
    SUBMITTED = "SUBMITTED"
    UNKNOWN = "UNKNOWN"
    WORKING = "WORKING"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    CANCEL_PENDING = "CANCEL_PENDING"
    CANCELLED_BY_ENGINE = "CANCELLED_BY_ENGINE"
    HELD_FOR_REVIEW = "HELD_FOR_REVIEW"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    __hash__ = str.__hash__


S = OrderState
LIVE = (
    S.INTENDED,
    S.SUBMITTED,
    S.UNKNOWN,
    S.WORKING,
    S.PARTIALLY_FILLED,
    S.CANCEL_PENDING,
    S.CANCELLED_BY_ENGINE,
    S.HELD_FOR_REVIEW,
)
TERMINAL = (S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED)
DEAD = (S.CANCELED, S.REJECTED, S.EXPIRED)
_UNSETTLED = (S.INTENDED, S.SUBMITTED, S.UNKNOWN)
_DOUBTFUL = (*_UNSETTLED, S.CANCEL_PENDING, S.CANCELLED_BY_ENGINE, S.HELD_FOR_REVIEW)
_CANCELLABLE = (
    S.INTENDED,
    S.SUBMITTED,
    S.UNKNOWN,
    S.WORKING,
    S.PARTIALLY_FILLED,
    S.HELD_FOR_REVIEW,
)


class OrderTrigger(StrEnum):
    """What can happen to an order."""

    SENT = "sent"
    NEVER_SENT = "never_sent"
    OUTCOME_UNKNOWN = "outcome_unknown"
    CANCEL_REQUESTED = "cancel_requested"
    ENGINE_CANCEL = "engine_cancel"
    HELD = "held"
    RESOLVED_BY_OPERATOR = "resolved_by_operator"
    ACCEPTED = "accepted"
    FOUND_OPEN = "found_open"
    FILL = "fill"
    CANCELED = "canceled"
    EXPIRED = "expired"
    CANCEL_REFUSED = "cancel_refused"
    REJECTED = "rejected"
    NEVER_ARRIVED = "never_arrived"
    FILL_SETTLED = "fill_settled"
    FILL_VOIDED = "fill_voided"

    __hash__ = str.__hash__


T = OrderTrigger

# Guards: for each trigger the cases exclude one another, so that a caller names exactly one.
REQUEST_NOT_LEFT = "request_not_left"
REQUEST_LEFT = "request_left"
NOTHING_FILLED = "nothing_filled"
SOMETHING_FILLED = "something_filled"
CANCEL_UNANSWERED = "cancel_unanswered"
REST_LEFT = "rest_left"
REST_ZERO = "rest_zero"
BEYOND_QTY = "beyond_qty"
NOTHING_LEFT = "nothing_left"
SOMETHING_LEFT = "something_left"
STILL_COMPLETE = "still_complete"
AS_CANCELED, AS_EXPIRED, AS_REJECTED = "as_canceled", "as_expired", "as_rejected"

_GUARDS: dict[str, tuple[str, ...]] = {
    T.NEVER_SENT: (REQUEST_NOT_LEFT, REQUEST_LEFT),
    T.ACCEPTED: (NOTHING_FILLED, SOMETHING_FILLED),
    T.FOUND_OPEN: (NOTHING_FILLED, SOMETHING_FILLED, CANCEL_UNANSWERED),
    T.FILL: (REST_LEFT, REST_ZERO, BEYOND_QTY),
    T.NEVER_ARRIVED: (NOTHING_FILLED, SOMETHING_FILLED),
    T.FILL_VOIDED: (NOTHING_LEFT, SOMETHING_LEFT, STILL_COMPLETE),
    T.RESOLVED_BY_OPERATOR: (AS_CANCELED, AS_EXPIRED, AS_REJECTED),
}

_LOCAL = (T.SENT, T.NEVER_SENT, T.OUTCOME_UNKNOWN)
_COMMANDS = (T.CANCEL_REQUESTED, T.ENGINE_CANCEL, T.HELD, T.RESOLVED_BY_OPERATOR)


def _local_edges() -> list[Edge]:
    not_left = (S.INTENDED, S.CANCEL_PENDING, S.CANCELLED_BY_ENGINE)
    return [
        *edges(
            [S.INTENDED], T.SENT, S.SUBMITTED, "the request left after its intent was durable (L1)"
        ),
        *edges(
            not_left,
            T.NEVER_SENT,
            S.CANCELED,
            "withdrawn or no longer allowed at release: no request has left",
            REQUEST_NOT_LEFT,
        ),
        *edges(
            [S.INTENDED],
            T.OUTCOME_UNKNOWN,
            S.UNKNOWN,
            "after a restart an intent may have left or not: ask, never re-send (L4)",
        ),
        *edges(
            [S.SUBMITTED],
            T.OUTCOME_UNKNOWN,
            S.UNKNOWN,
            "time-out, 5xx or dropped connection: funds stay reserved (L4)",
        ),
        *edges(
            [S.WORKING, S.PARTIALLY_FILLED],
            T.OUTCOME_UNKNOWN,
            S.UNKNOWN,
            "the venue no longer lists it: evidence has to say why (L3)",
        ),
    ]


def _command_edges() -> list[Edge]:
    return [
        *edges(
            _CANCELLABLE,
            T.CANCEL_REQUESTED,
            S.CANCEL_PENDING,
            "a strategy or the operator wants it gone",
        ),
        *edges(
            (*_CANCELLABLE, S.CANCEL_PENDING),
            T.ENGINE_CANCEL,
            S.CANCELLED_BY_ENGINE,
            "the engine takes it back; durable before the cancel is sent (N17)",
        ),
        *edges(
            [S.UNKNOWN, S.CANCEL_PENDING, S.CANCELLED_BY_ENGINE],
            T.HELD,
            S.HELD_FOR_REVIEW,
            "evidence stays inconclusive: a person decides, the system degrades",
        ),
        *edges(
            [S.HELD_FOR_REVIEW],
            T.RESOLVED_BY_OPERATOR,
            S.CANCELED,
            "who and why are recorded",
            AS_CANCELED,
        ),
        *edges(
            [S.HELD_FOR_REVIEW],
            T.RESOLVED_BY_OPERATOR,
            S.EXPIRED,
            "who and why are recorded",
            AS_EXPIRED,
        ),
        *edges(
            [S.HELD_FOR_REVIEW],
            T.RESOLVED_BY_OPERATOR,
            S.REJECTED,
            "who and why are recorded",
            AS_REJECTED,
        ),
    ]


def _presence_edges() -> list[Edge]:
    other_live = (
        S.WORKING,
        S.PARTIALLY_FILLED,
        S.CANCEL_PENDING,
        S.CANCELLED_BY_ENGINE,
        S.HELD_FOR_REVIEW,
    )
    found = (*_UNSETTLED, S.HELD_FOR_REVIEW, S.CANCEL_PENDING)
    out = [
        *edges(_UNSETTLED, T.ACCEPTED, S.WORKING, "the venue has it", NOTHING_FILLED),
        *edges(
            _UNSETTLED,
            T.ACCEPTED,
            S.PARTIALLY_FILLED,
            "a fill overtook the acknowledgement",
            SOMETHING_FILLED,
        ),
        *edges(found, T.FOUND_OPEN, S.WORKING, "a query found it on the book", NOTHING_FILLED),
        *edges(
            found,
            T.FOUND_OPEN,
            S.PARTIALLY_FILLED,
            "a query found its rest on the book",
            SOMETHING_FILLED,
        ),
        *edges(
            [S.CANCEL_PENDING],
            T.FOUND_OPEN,
            None,
            "its cancel may still be on the way: a snapshot never moves it backwards",
            CANCEL_UNANSWERED,
        ),
    ]
    for guard in (NOTHING_FILLED, SOMETHING_FILLED):
        out += edges(other_live, T.ACCEPTED, None, "the venue id is recorded", guard)
        out += edges(
            TERMINAL,
            T.ACCEPTED,
            None,
            "a dead order is live at the venue: cancelled there, anomaly",
            guard,
        )
        out += edges([S.WORKING, S.PARTIALLY_FILLED], T.FOUND_OPEN, None, "as the books say", guard)
        out += edges([S.CANCELLED_BY_ENGINE], T.FOUND_OPEN, None, "the cancel is sent again", guard)
        out += edges(
            TERMINAL,
            T.FOUND_OPEN,
            None,
            "a dead order is live at the venue: cancelled there, anomaly",
            guard,
        )
    return out


def _fill_edges() -> list[Edge]:
    moving = (*_UNSETTLED, S.WORKING, S.PARTIALLY_FILLED, S.HELD_FOR_REVIEW)
    pending = (S.CANCEL_PENDING, S.CANCELLED_BY_ENGINE)
    everything = (*LIVE, *TERMINAL)
    return [
        *edges(moving, T.FILL, S.PARTIALLY_FILLED, "booked; the rest still works", REST_LEFT),
        *edges(pending, T.FILL, None, "booked; the pending cancel is not forgotten", REST_LEFT),
        *edges(
            DEAD,
            T.FILL,
            None,
            "late evidence is booked; a dead order does not revive (L2)",
            REST_LEFT,
        ),
        *edges([S.FILLED], T.FILL, None, "evidence is booked even where it cannot be", REST_LEFT),
        *edges(everything, T.FILL, S.FILLED, "booked; nothing is left", REST_ZERO),
        *edges(
            everything,
            T.FILL,
            S.FILLED,
            "booked in full, anomaly overfill, the system degrades",
            BEYOND_QTY,
        ),
        *edges(everything, T.FILL_SETTLED, None, "the fill is final; quantity is unchanged"),
        *edges(
            [S.FILLED],
            T.FILL_VOIDED,
            S.CANCELED,
            "a fill was taken back: it is no longer filled",
            NOTHING_LEFT,
        ),
        *edges(
            [S.FILLED],
            T.FILL_VOIDED,
            S.CANCELED,
            "a fill was taken back: it is no longer filled",
            SOMETHING_LEFT,
        ),
        *edges(
            [S.PARTIALLY_FILLED],
            T.FILL_VOIDED,
            S.WORKING,
            "nothing is filled any more",
            NOTHING_LEFT,
        ),
        *edges(
            [S.PARTIALLY_FILLED], T.FILL_VOIDED, None, "the quantity is reversed", SOMETHING_LEFT
        ),
        *edges(
            [S.FILLED, S.PARTIALLY_FILLED],
            T.FILL_VOIDED,
            None,
            "what was beyond the quantity was taken back",
            STILL_COMPLETE,
        ),
        *(
            edge
            for guard in (NOTHING_LEFT, SOMETHING_LEFT, STILL_COMPLETE)
            for edge in edges(
                (S.UNKNOWN, *pending, S.HELD_FOR_REVIEW, *DEAD),
                T.FILL_VOIDED,
                None,
                "the quantity is reversed by a new event",
                guard,
            )
        ),
    ]


def _ending_edges() -> list[Edge]:
    return [
        *edges(LIVE, T.CANCELED, S.CANCELED, "the venue confirms that it is off the book"),
        *edges(LIVE, T.EXPIRED, S.EXPIRED, "the venue took it off by its own rule"),
        *edges(
            [S.CANCEL_PENDING, S.CANCELLED_BY_ENGINE],
            T.CANCEL_REFUSED,
            None,
            "something happened first: an evidence lookup is due (cancel_race, N19)",
        ),
        *edges(_DOUBTFUL, T.REJECTED, S.REJECTED, "the venue refused it for good"),
        *edges(
            _DOUBTFUL,
            T.NEVER_ARRIVED,
            S.EXPIRED,
            "absent with proof: its last possible arrival has passed",
            NOTHING_FILLED,
        ),
    ]


def _ignored() -> list[Ignored]:
    quiet = (S.INTENDED, S.SUBMITTED, S.WORKING)
    return [
        *(Ignored(s, t, "already terminal") for s in TERMINAL for t in (T.CANCELED, T.EXPIRED)),
        *(
            Ignored(s, T.CANCEL_REFUSED, "no cancel of ours is pending")
            for s in (*_UNSETTLED, S.WORKING, S.PARTIALLY_FILLED, S.HELD_FOR_REVIEW, *TERMINAL)
        ),
        *(
            Ignored(s, T.REJECTED, "the venue had accepted it: evidence decides, a lookup is due")
            for s in (S.WORKING, S.PARTIALLY_FILLED)
        ),
        *(Ignored(s, T.REJECTED, "already terminal") for s in TERMINAL),
        *(
            Ignored(s, T.NEVER_ARRIVED, "a fill proves that it arrived", SOMETHING_FILLED)
            for s in _DOUBTFUL
        ),
        *(
            Ignored(
                s, T.NEVER_ARRIVED, "the venue had it: absence is no proof (outcome_unknown first)"
            )
            for s in (S.WORKING, S.PARTIALLY_FILLED)
        ),
        *(Ignored(s, T.NEVER_ARRIVED, "already terminal") for s in TERMINAL),
        *(Ignored(s, T.FILL_VOIDED, "it has no fill to take back") for s in quiet),
        *(
            Ignored(s, T.FOUND_OPEN, "only a pending cancel can be unanswered", CANCEL_UNANSWERED)
            for s in (*LIVE, *TERMINAL)
            if s is not S.CANCEL_PENDING
        ),
    ]


_ABOUT = {
    S.INTENDED: "durable intent; no request has left yet",
    S.SUBMITTED: "the request left; no answer yet",
    S.UNKNOWN: "nobody can tell yet whether the venue has it; funds stay reserved",
    S.WORKING: "rests at the venue, nothing filled",
    S.PARTIALLY_FILLED: "rests at the venue, partly filled",
    S.CANCEL_PENDING: "a cancel was asked for; fills may still come",
    S.CANCELLED_BY_ENGINE: "the engine took it back; never assumed filled",
    S.HELD_FOR_REVIEW: "inconclusive evidence; waits for a person",
    S.FILLED: "all of it is filled",
    S.CANCELED: "the venue confirmed a cancel, or it never left",
    S.REJECTED: "the venue refused it",
    S.EXPIRED: "gone by the venue's rule, or proven never to have arrived",
}

DEFINITION = Definition(
    name="order",
    initial=S.INTENDED,
    states=tuple(StateInfo(s, _ABOUT[s], s in TERMINAL) for s in OrderState),
    kinds={
        t: TriggerKind.LOCAL
        if t in _LOCAL
        else TriggerKind.COMMAND
        if t in _COMMANDS
        else TriggerKind.FACT
        for t in OrderTrigger
    },
    guards=_GUARDS,
    edges=(
        *_local_edges(),
        *_command_edges(),
        *_presence_edges(),
        *_fill_edges(),
        *_ending_edges(),
    ),
    ignored=tuple(_ignored()),
)

TABLE: Table[OrderState] = compile_table(DEFINITION)


def fill_guard(rest_before: Decimal, fill_qty: Decimal) -> str:
    """Which case of `fill` holds, from the open rest before it and the fill's quantity."""
    rest = rest_before - fill_qty
    return REST_LEFT if rest > 0 else REST_ZERO if rest == 0 else BEYOND_QTY

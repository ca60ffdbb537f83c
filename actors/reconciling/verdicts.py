"""What evidence means for an order: the decision table of reconciliation, pure (L2, L3, L4).

Three rules, in this order: what the engine cancelled is never assumed filled; a requested cancel
that vanished is a race which evidence decides; everything else is asked for until it is proven,
or old enough for a person. `Unavailable` never changes anything.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from attrs import frozen

from fsm.order import TERMINAL, OrderState

S = OrderState


class Seen(StrEnum):
    """What a pass has learned about one order."""

    UNAVAILABLE = "unavailable"
    """No usable answer about it."""
    UNCHECKED = "unchecked"
    """Absent by its id, but open orders or fills did not answer, so that nothing agrees yet."""
    OPEN = "open"
    """The venue has it on its book."""
    ENDED = "ended"
    """The venue says how it ended, and every fill of it is booked."""
    SHORT = "short"
    """The venue says that more of it is filled than all its fills tell."""
    ABSENT = "absent"
    """Not known by its id, not open, and all fills that there are booked."""
    CONTESTED = "contested"
    """Absent, but there is a fill or an open order of nobody that fits it."""


class Verdict(StrEnum):
    """What follows for the order."""

    NOTHING = "nothing"
    FOUND_OPEN = "found_open"
    END = "end"
    CANCELED = "canceled"
    NEVER_ARRIVED = "never_arrived"
    DOUBT = "doubt"
    HOLD = "hold"
    ASSUME_FILLED = "assume_filled"


@frozen(slots=True, kw_only=True)
class Case:
    """One order, as far as the table looks at it."""

    state: OrderState
    is_external: bool = False
    engine_cancelled: bool = False
    """The engine took it back at some time, whatever its state is now."""
    cancel_asked: bool = False
    """Somebody else took it back at some time, whatever its state is now."""
    known_there: bool = False
    """The venue has acknowledged it, or filled a part of it."""
    age_us: int | None
    """Since its request may have left; None where that cannot be told."""
    cancel_age_us: int | None = None
    """Since its cancel was asked for."""
    doubt_us: int = 0
    """For how long the answers have missed it, or contradicted each other."""
    repeated: bool = False
    """An earlier pass has found the same."""


@frozen(slots=True, kw_only=True)
class Policy:
    """The configured part of the table."""

    max_in_flight_us: int
    age_threshold_us: int
    assume_fill_when_young: bool = False


def verdict(case: Case, seen: Seen, policy: Policy) -> Verdict:
    """The table. A terminal order is not asked about: evidence reaches it as facts."""
    if case.state in TERMINAL:
        return Verdict.NOTHING
    match seen:
        case Seen.UNAVAILABLE | Seen.UNCHECKED:
            return Verdict.NOTHING
        case Seen.OPEN:
            return Verdict.FOUND_OPEN
        case Seen.ENDED:
            return Verdict.END
        case Seen.SHORT | Seen.CONTESTED:
            return _contradiction(case, policy)
        case Seen.ABSENT:
            return _absence(case, policy)
        case _:
            assert_never(seen)


def is_old(case: Case, policy: Policy) -> bool:
    """Old enough for a person; so is an order whose age cannot be told."""
    return case.age_us is None or case.age_us >= policy.age_threshold_us


def _contradiction(case: Case, policy: Policy) -> Verdict:
    """Fills may be listed late: wait as long as anything may be under way, then a person looks."""
    if case.is_external:
        return Verdict.END  # what was filled before it was adopted is not for us to find
    if case.state is S.HELD_FOR_REVIEW or case.doubt_us < policy.max_in_flight_us:
        return Verdict.NOTHING
    return Verdict.HOLD


def _absence(case: Case, policy: Policy) -> Verdict:
    """That an order never arrived has to be found by two passes: in the first one it may have
    filled between the answer about fills and the answer about open orders. So has the end of an
    external one, about which only lists tell: a list may miss it once."""
    found = _absent(case, policy)
    twice = found is Verdict.NEVER_ARRIVED or case.is_external
    return Verdict.NOTHING if twice and not case.repeated else found


def _absent(case: Case, policy: Policy) -> Verdict:
    if case.is_external:
        return Verdict.CANCELED
    arrived_no_more = case.age_us is not None and case.age_us >= policy.max_in_flight_us
    if arrived_no_more and not case.known_there:
        # Proof: nothing is under way any more. One that rests by the books is asked for first.
        return Verdict.DOUBT if case.state in (S.WORKING, S.PARTIALLY_FILLED) else _PROVEN
    if case.engine_cancelled:
        return _rule_1(case)
    if case.state is S.CANCEL_PENDING:
        return _rule_2(case, policy)
    return _rule_3(case, policy)


_PROVEN = Verdict.NEVER_ARRIVED


def _rule_1(case: Case) -> Verdict:
    """The engine cancelled it: gone without fills is canceled, and never anything else (N17)."""
    if case.state is S.HELD_FOR_REVIEW:
        return Verdict.NOTHING
    if case.known_there:
        return Verdict.CANCELED
    return Verdict.HOLD if case.age_us is None else Verdict.NOTHING


def _rule_2(case: Case, policy: Policy) -> Verdict:
    """A cancel was asked for: its confirmation or a fill may be on its way, so look twice; what
    stays absent when nothing can be under way any more is for a person."""
    bound_us = min(policy.max_in_flight_us, policy.age_threshold_us)
    asked_us = case.age_us if case.cancel_age_us is None else case.cancel_age_us
    late = asked_us is None or asked_us >= bound_us
    return Verdict.HOLD if late and case.repeated else Verdict.NOTHING


def _rule_3(case: Case, policy: Policy) -> Verdict:
    """Absent without proof: asked for again, by policy taken for filled, once old held."""
    if case.state is S.HELD_FOR_REVIEW:
        return Verdict.NOTHING
    if is_old(case, policy):
        return Verdict.HOLD
    listed = case.state in (S.WORKING, S.PARTIALLY_FILLED)
    assumed = policy.assume_fill_when_young and case.known_there and not case.cancel_asked
    if assumed and (listed or case.state is S.UNKNOWN):
        return Verdict.ASSUME_FILLED
    return Verdict.DOUBT if listed else Verdict.NOTHING

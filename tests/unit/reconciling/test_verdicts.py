"""The decision table, enumerated: states x evidence x age x policy."""

from __future__ import annotations

from itertools import product

import pytest

from actors.reconciling.verdicts import Case, Policy, Seen, Verdict, verdict
from fsm.order import LIVE, TERMINAL, OrderState

S, V = OrderState, Verdict
IN_FLIGHT, OLD = 60, 300
AGES = (0, 1, 59, 60, 61, 299, 300, 86_400, None)
BOOLS = (False, True)
POLICIES = [
    Policy(max_in_flight_us=IN_FLIGHT, age_threshold_us=OLD, assume_fill_when_young=assume)
    for assume in BOOLS
]
RULE_1 = (S.CANCELLED_BY_ENGINE,)
CASES = [
    Case(
        state=state,
        engine_cancelled=taken_back or state in RULE_1,
        known_there=known,
        age_us=age,
        doubt_us=doubt,
        repeated=repeated,
        is_external=external,
    )
    for state, taken_back, known, age, doubt, repeated, external in product(
        OrderState, BOOLS, BOOLS, AGES, (0, 60), BOOLS, BOOLS
    )
]
ALL = list(product(CASES, Seen, POLICIES))


def reached(case: Case, seen: Seen = Seen.ABSENT, assume: bool = False) -> Verdict:
    return verdict(case, seen, POLICIES[assume])


def order(state: OrderState, age: int | None = 0, **fields: object) -> Case:
    given: dict[str, object] = {"known_there": True} | fields
    return Case(state=state, age_us=age, **given)  # type: ignore[arg-type]


def test_what_the_engine_cancelled_is_never_assumed_filled_whatever_the_policy() -> None:
    for case, seen, policy in ALL:
        if case.engine_cancelled:
            assert V.ASSUME_FILLED is not verdict(case, seen, policy), (case, seen, policy)


def test_a_requested_cancel_or_a_held_order_is_never_assumed_filled() -> None:
    for case, seen, policy in ALL:
        if case.state in (S.CANCEL_PENDING, S.HELD_FOR_REVIEW):
            assert V.ASSUME_FILLED is not verdict(case, seen, policy), (case, seen, policy)


def test_only_absence_under_the_policy_is_assumed_filled_and_only_when_young() -> None:
    for case, seen, policy in ALL:
        if verdict(case, seen, policy) is V.ASSUME_FILLED:
            assert seen is Seen.ABSENT
            assert policy.assume_fill_when_young
            assert case.known_there
            assert case.age_us is not None
            assert case.age_us < OLD
            assert not case.is_external


@pytest.mark.parametrize("seen", [Seen.UNAVAILABLE, Seen.UNCHECKED])
def test_without_an_answer_nothing_changes(seen: Seen) -> None:
    for case, policy in product(CASES, POLICIES):
        assert V.NOTHING is verdict(case, seen, policy)


def test_a_terminal_order_is_left_alone() -> None:
    for case, seen, policy in ALL:
        if case.state in TERMINAL:
            assert V.NOTHING is verdict(case, seen, policy)


def test_absence_is_proof_only_of_what_the_venue_never_had_and_after_the_time_in_flight() -> None:
    for case, seen, policy in ALL:
        proven = verdict(case, seen, policy) is V.NEVER_ARRIVED
        if proven:
            assert seen is Seen.ABSENT
            assert not case.known_there
            assert case.age_us is not None
            assert case.age_us >= IN_FLIGHT
            assert case.repeated
    for state in (S.SUBMITTED, S.UNKNOWN, S.CANCEL_PENDING, S.CANCELLED_BY_ENGINE):
        named = {"known_there": False, "engine_cancelled": state in RULE_1}
        assert V.NEVER_ARRIVED is reached(order(state, 60, repeated=True, **named), assume=True)
        # It may have filled between two answers of the first pass that misses it.
        assert V.NOTHING is reached(order(state, 60, **named), assume=True)


def test_an_external_order_is_never_doubted_held_or_assumed() -> None:
    for case, seen, policy in ALL:
        if case.is_external:
            assert verdict(case, seen, policy) in (V.NOTHING, V.FOUND_OPEN, V.END, V.CANCELED)


def test_what_the_venue_lists_or_has_ended_is_applied_in_every_live_state() -> None:
    for state in LIVE:
        assert V.FOUND_OPEN is reached(order(state), Seen.OPEN)
        assert V.END is reached(order(state), Seen.ENDED)


@pytest.mark.parametrize("age", [0, 299, 300, 86_400])
def test_rule_1_gone_without_fills_is_canceled_at_any_age(age: int) -> None:
    case = order(S.CANCELLED_BY_ENGINE, age, engine_cancelled=True)
    assert V.CANCELED is reached(case) is reached(case, assume=True)


def test_rule_1_one_that_may_be_under_way_is_waited_for() -> None:
    case = order(S.CANCELLED_BY_ENGINE, 59, engine_cancelled=True, known_there=False)
    assert V.NOTHING is reached(case)


@pytest.mark.parametrize(
    ("age", "repeated", "expected"),
    [
        (0, False, V.NOTHING),
        (59, True, V.NOTHING),
        (60, False, V.NOTHING),
        (60, True, V.HOLD),
        (None, True, V.HOLD),
    ],
)
def test_rule_2_a_vanished_order_with_a_requested_cancel_is_held_when_nothing_can_come(
    age: int | None, repeated: bool, expected: Verdict
) -> None:
    assert expected is reached(order(S.CANCEL_PENDING, age, repeated=repeated))


@pytest.mark.parametrize("state", [S.WORKING, S.PARTIALLY_FILLED])
def test_rule_3_one_that_was_listed_is_doubted_then_held(state: OrderState) -> None:
    assert V.DOUBT is reached(order(state, 299))
    assert V.HOLD is reached(order(state, 300))
    assert V.HOLD is reached(order(state, None))


def test_rule_3_one_in_doubt_is_asked_for_again_until_it_is_old() -> None:
    assert V.NOTHING is reached(order(S.UNKNOWN, 299))
    assert V.HOLD is reached(order(S.UNKNOWN, 300)) is reached(order(S.UNKNOWN, 300), assume=True)
    assert V.HOLD is reached(order(S.UNKNOWN, None)) is reached(order(S.UNKNOWN, None), assume=True)


@pytest.mark.parametrize("state", [S.WORKING, S.PARTIALLY_FILLED, S.UNKNOWN])
def test_rule_3_the_policy_assumes_what_the_venue_had_and_lost_while_young(
    state: OrderState,
) -> None:
    assert V.ASSUME_FILLED is reached(order(state, 299), assume=True)
    assert V.ASSUME_FILLED is not reached(order(state, 59, known_there=False), assume=True)


def test_answers_that_contradict_each_other_are_waited_for_then_held_and_never_assumed() -> None:
    for case, policy in product(CASES, POLICIES):
        found = verdict(case, Seen.SHORT, policy)
        if case.state in LIVE and case.state is not S.HELD_FOR_REVIEW and not case.is_external:
            assert found is (V.HOLD if case.doubt_us >= IN_FLIGHT else V.NOTHING)
        else:
            assert found in (V.NOTHING, V.END)

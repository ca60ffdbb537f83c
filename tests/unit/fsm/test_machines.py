"""Laws that every machine keeps, by enumeration of states x triggers x guards."""

from __future__ import annotations

from decimal import Decimal

import pytest
from transitions import Machine, MachineError

from actors.cli.fsm_commands import table_faults
from fsm import order, position
from fsm.compiled import Table, compile_table, facts_of
from fsm.machine import Definition, Edge, GuardedModel, IllegalTrigger, StateInfo, TriggerKind
from tests.unit.fsm.machines import MACHINES, every_case

each_machine = pytest.mark.parametrize(
    ("definition", "table"), MACHINES.values(), ids=MACHINES.keys()
)


def pull(
    machine: Machine, model: GuardedModel, state: str, trigger: str, guards: list[str | None]
) -> str | None:
    """The state after the trigger on the `transitions` machine; None when it refuses."""
    machine.set_state(str(state))
    for name in guards:
        if name is not None:
            setattr(model, name, True)
    try:
        return str(model.state) if machine.events[trigger].trigger(model) else None
    except MachineError:
        return None


@each_machine
def test_the_compiled_table_equals_the_machine_for_every_guard(
    definition: Definition, table: Table
) -> None:
    """Also for no guard and for guards of other triggers: the same target, or both refuse."""
    machine, model = definition.build()
    for state in machine.states:
        for trigger in machine.events:
            cases = definition.cases(trigger)
            for guard in (None, *definition.all_guards):
                model.hold(definition.all_guards, guard)
                target = pull(machine, model, state, trigger, [])
                compiled = table.moves.get((state, trigger, guard))
                if guard not in cases and cases == (None,):
                    # The machine does not look at it; the table refuses a guard that means nothing.
                    assert compiled is None
                    compiled = table.moves.get((state, trigger, None))
                assert target == compiled, (state, trigger, guard)


@each_machine
def test_the_check_command_proves_the_same(definition: Definition, table: Table) -> None:
    assert table_faults(definition, table) == []


def test_the_check_command_sees_a_table_that_differs() -> None:
    moves = {**order.TABLE.moves, ("INTENDED", "sent", None): "WORKING"}
    del moves["WORKING", "canceled", None]
    wrong = Table("order", moves, {}, order.TABLE.legal_triggers, order.TABLE.terminal)
    faults = table_faults(order.DEFINITION, wrong)
    assert [
        "order: INTENDED, sent [None]: the machine says SUBMITTED, the table WORKING",
        "order: WORKING, canceled [None]: the machine says CANCELED, the table None",
    ] == faults


@each_machine
def test_facts_are_total(definition: Definition, table: Table) -> None:
    """Every (state, fact, guard) has an edge or a reason why it is ignored, and never both."""
    for case in every_case(definition, TriggerKind.FACT):
        has_edge, reason = case in table.moves, table.reason_ignored(*case)
        assert has_edge != bool(reason), case


def test_orders_and_positions_have_facts() -> None:
    assert 10 == len(facts_of(order.DEFINITION))
    assert ("qty_changed", "resolved") == facts_of(position.DEFINITION)


@each_machine
def test_an_ignored_fact_never_hides_an_edge(definition: Definition, table: Table) -> None:
    """Checked on the definition: the compiled table drops such an entry without a word."""
    seen = set()
    for item in definition.ignored:
        assert definition.kinds[item.trigger] is TriggerKind.FACT, item
        assert item.reason.strip(), item
        for guard in (item.guard,) if item.guard else definition.cases(item.trigger):
            case = (item.state, item.trigger, guard)
            assert case not in table.moves, case
            assert case not in seen, case
            seen.add(case)
    assert seen == set(table.ignored)


@each_machine
def test_an_illegal_command_names_actor_state_trigger_and_what_is_legal(
    definition: Definition, table: Table
) -> None:
    illegal = 0
    for kind in (TriggerKind.COMMAND, TriggerKind.LOCAL):
        for state, trigger, guard in every_case(definition, kind):
            if (state, trigger, guard) in table.moves:
                continue
            with pytest.raises(IllegalTrigger) as caught:
                table.next("order/o-1", state, trigger, guard)
            error, text = caught.value, str(caught.value)
            assert ("order/o-1", state, trigger, guard) == (
                error.actor,
                error.state,
                error.trigger,
                error.guard,
            )
            assert table.legal_triggers[state] == error.legal
            assert all(word in text for word in ("order/o-1", state, trigger, *error.legal))
            assert error.legal or text.endswith("legal here: none")
            illegal += 1
    assert illegal > 10


@each_machine
def test_a_fact_without_an_edge_never_moves_anything(definition: Definition, table: Table) -> None:
    for case in table.ignored:
        with pytest.raises(IllegalTrigger):
            table.next("a", *case)


@each_machine
def test_legal_triggers_are_those_with_an_edge(definition: Definition, table: Table) -> None:
    for info in definition.states:
        with_edge = {trigger for state, trigger, _ in table.moves if state == info.name}
        assert with_edge == set(table.legal_triggers[info.name])


@each_machine
def test_every_edge_says_why_and_every_state_what(definition: Definition, table: Table) -> None:
    assert [] == [edge for edge in definition.edges if not edge.why.strip()]
    assert [] == [info.name for info in definition.states if not info.about.strip()]


@each_machine
def test_names_in_the_definition_exist(definition: Definition, table: Table) -> None:
    states = {info.name for info in definition.states}
    assert len(definition.states) == len(states)
    assert definition.initial in states
    assert set(definition.guards) <= set(definition.kinds)
    for edge in definition.edges:
        assert {edge.source, edge.target} <= states
        assert edge.trigger in definition.kinds
    assert set(definition.kinds) == {edge.trigger for edge in definition.edges}


@each_machine
def test_every_state_can_be_reached(definition: Definition, table: Table) -> None:
    reached, fresh = {str(definition.initial)}, [str(definition.initial)]
    while fresh:
        here = fresh.pop()
        for (state, _, _), target in table.moves.items():
            if state == here and str(target) not in reached:
                reached.add(str(target))
                fresh.append(str(target))
    assert {str(info.name) for info in definition.states} == reached


@each_machine
def test_guards_of_one_trigger_exclude_one_another(definition: Definition, table: Table) -> None:
    """Named once, always stated where a trigger has them, and one edge a case at most."""
    for trigger, names in definition.guards.items():
        assert len(names) == len(set(names)), trigger
    cases = [(edge.source, edge.trigger, edge.guard) for edge in definition.edges]
    assert len(cases) == len(set(cases))
    for edge in definition.edges:
        assert edge.guard in definition.cases(edge.trigger), edge


@each_machine
def test_a_guard_that_cannot_hold_anywhere_is_not_a_guard(
    definition: Definition, table: Table
) -> None:
    """Each case is used by an edge, or, for what must stay illegal, named here."""
    used = {(edge.trigger, edge.guard) for edge in definition.edges}
    unused = {
        (str(trigger), name)
        for trigger, names in definition.guards.items()
        for name in names
        if (trigger, name) not in used
    }
    expected = {
        "order": {("never_sent", "request_left"), ("never_arrived", "something_filled")},
    }
    assert expected.get(definition.name, set()) == unused


@each_machine
def test_there_are_no_automatic_transitions_and_no_callbacks(
    definition: Definition, table: Table
) -> None:
    machine, model = definition.build()
    assert {str(trigger) for trigger in definition.kinds} == {str(t) for t in machine.events}
    assert [] == [name for name in machine.events if name.startswith("to_")]
    assert not hasattr(model, f"to_{definition.initial}")
    for event in machine.events.values():
        for moves in event.transitions.values():
            assert all(not (m.before or m.after or m.prepare) for m in moves)
    for state in machine.states.values():
        assert not state.on_enter
        assert not state.on_exit
    assert not machine.has_queue


def test_no_trigger_brings_a_dead_order_back(  # X05
) -> None:
    for (state, trigger, guard), target in order.TABLE.moves.items():
        if state in order.TERMINAL:
            assert target in order.TERMINAL, (state, trigger, guard)


def test_an_ended_position_is_opened_by_a_quantity_only() -> None:
    back = {
        (trigger, guard, target)
        for (state, trigger, guard), target in position.TABLE.moves.items()
        if state in position.ENDED and target not in position.ENDED
    }
    assert {("qty_changed", "qty_open", "MONITORING")} == back


def test_from_exit_pending_on_only_facts_move_a_position() -> None:  # L6
    """What the engine pulls there leaves the state, unless no order may fill and it is flat."""
    for (state, trigger, guard), target in position.TABLE.moves.items():
        kind = position.DEFINITION.kinds[position.PositionTrigger(trigger)]
        if state == "EXIT_PENDING" and target != state and kind is not TriggerKind.FACT:
            assert ("order_ended", "CLOSED") == (trigger, target), guard


def test_the_first_edge_whose_guard_holds_wins() -> None:
    """The compiler reads the machine's own order, as `transitions` does."""
    definition = Definition(
        name="two",
        initial="A",
        states=(StateInfo("A", "a"), StateInfo("B", "b"), StateInfo("C", "c")),
        kinds={"go": TriggerKind.LOCAL},
        guards={"go": ("left", "right")},
        edges=(
            Edge("A", "go", "B", "left", "left first"),
            Edge("A", "go", "C", None, "whatever holds"),
        ),
    )
    table = compile_table(definition)
    assert {("A", "go", "left"): "B", ("A", "go", "right"): "C"} == table.moves
    assert [] == table_faults(definition, table)


@pytest.mark.parametrize(
    ("rest", "qty", "expected"),
    [("10", "4", "rest_left"), ("10", "10", "rest_zero"), ("10", "10.1", "beyond_qty"),
     ("0", "1", "beyond_qty"), ("-1", "1", "beyond_qty")],
)  # fmt: skip
def test_fill_guard(rest: str, qty: str, expected: str) -> None:
    assert expected == order.fill_guard(Decimal(rest), Decimal(qty))


@pytest.mark.parametrize(
    ("qty", "may_still_fill", "expected"),
    [("0", True, "qty_flat_waiting"), ("0", False, "qty_flat_final"),
     ("0.4", True, "qty_dust_waiting"), ("-0.4", False, "qty_dust_final"),
     ("0.5", False, "qty_open"), ("-7", True, "qty_open")],
)  # fmt: skip
def test_quantity_guard(qty: str, may_still_fill: bool, expected: str) -> None:
    assert expected == position.quantity_guard(Decimal(qty), Decimal("0.5"), may_still_fill)

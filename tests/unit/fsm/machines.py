"""The three machines, and the steps of each one spelt out, for the tests beside this module."""

from __future__ import annotations

from attrs import frozen

from fsm import mode, order, position
from fsm.compiled import Table
from fsm.machine import Definition, TriggerKind

Case = tuple[str, str, str | None]
MACHINES: dict[str, tuple[Definition, Table]] = {
    m.DEFINITION.name: (m.DEFINITION, m.TABLE) for m in (order, position, mode)
}


@frozen
class Row:
    """One row of a specification: `to` None means that the state stays as it is."""

    sources: tuple[str, ...]
    trigger: str
    to: str | None
    guards: tuple[str | None, ...] = (None,)


def row(sources: str, trigger: str, to: str | None, guards: str = "") -> Row:
    """A row from words parted by spaces."""
    return Row(tuple(sources.split()), trigger, to, tuple(guards.split()) or (None,))


def steps(rows: list[Row]) -> dict[Case, str]:
    """The rows as single steps; two rows must not speak of the same case."""
    found: dict[Case, str] = {}
    for item in rows:
        for source in item.sources:
            for guard in item.guards:
                case = (source, item.trigger, guard)
                assert case not in found, f"stated twice: {case}"
                found[case] = item.to or source
    return found


def as_plain(table: Table) -> dict[Case, str]:
    """The table's moves with plain strings, so that a difference prints well."""
    return {(str(s), str(t), g): str(to) for (s, t, g), to in table.moves.items()}


def every_case(definition: Definition, kind: TriggerKind | None = None) -> list[Case]:
    """Every state x trigger (of one kind) x guard case."""
    return [
        (info.name, trigger, guard)
        for info in definition.states
        for trigger in definition.kinds
        if kind is None or definition.kinds[trigger] is kind
        for guard in definition.cases(trigger)
    ]

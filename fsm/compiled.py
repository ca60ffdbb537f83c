"""The hot path's table, compiled from the `transitions` machine (5.2 us -> 0.06 us a trigger).

The machine stays the single definition: the table is read out of it, and a test pulls every
trigger in every state under every guard on both and compares.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from attrs import frozen
from transitions import Machine

from fsm.machine import Definition, IllegalTrigger, TriggerKind

S = TypeVar("S", bound=str)


@frozen(slots=True)
class Table(Generic[S]):
    """(state, trigger, guard) -> next state, or a reason why the fact changes nothing.

    States are the members of the machine's own enumeration.
    """

    name: str
    moves: dict[tuple[str, str, str | None], S]
    ignored: dict[tuple[str, str, str | None], str]
    legal_triggers: dict[str, tuple[str, ...]]
    terminal: frozenset[str]

    def next(self, actor: str, state: str, trigger: str, guard: str | None = None) -> S:
        """The state that follows. Raises IllegalTrigger when there is no such edge."""
        target = self.moves.get((state, trigger, guard))
        if target is None:
            raise IllegalTrigger(actor, state, trigger, self.legal_triggers[state], guard)
        return target

    def reason_ignored(self, state: str, trigger: str, guard: str | None = None) -> str | None:
        """Why this fact changes nothing here, or None when it does (or is illegal)."""
        return self.ignored.get((state, trigger, guard))

    def allows(self, state: str, trigger: str, guard: str | None = None) -> bool:
        """Whether an edge exists."""
        return (state, trigger, guard) in self.moves


def compile_table(definition: Definition) -> Table[Any]:
    """Read the table out of the machine that `transitions` built from the definition."""
    machine, _ = definition.build()
    members = {str(info.name): info.name for info in definition.states}
    moves = {
        (state, trigger, guard): members[target]
        for trigger in machine.events
        for state in machine.states
        for guard, target in _targets(machine, definition, trigger, state)
    }
    ignored = {
        (item.state, item.trigger, guard): item.reason
        for item in definition.ignored
        for guard in ((item.guard,) if item.guard else definition.cases(item.trigger))
        if (item.state, item.trigger, guard) not in moves
    }
    return Table(
        name=definition.name,
        moves=moves,
        ignored=ignored,
        legal_triggers={
            state: tuple(dict.fromkeys(t for s, t, _ in moves if s == state))
            for state in machine.states
        },
        terminal=frozenset(info.name for info in definition.states if info.terminal),
    )


def _targets(
    machine: Machine, definition: Definition, trigger: str, state: str
) -> list[tuple[str | None, str]]:
    """What the machine's own transitions say: the first whose condition holds wins."""
    found: list[tuple[str | None, str]] = []
    for guard in definition.cases(trigger):
        for transition in machine.events[trigger].transitions.get(state, []):
            names = [condition.func for condition in transition.conditions]
            if all(name == guard for name in names):
                found.append((guard, str(transition.dest)))
                break
    return found


def facts_of(definition: Definition) -> tuple[str, ...]:
    """The triggers that the venue pulls; each must be total over the states."""
    return tuple(t for t, kind in definition.kinds.items() if kind is TriggerKind.FACT)

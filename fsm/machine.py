"""How a machine is written down: states, edges, ignored facts, and the `transitions` machine.

A definition is data; `Definition.build()` turns it into the one `transitions.Machine` that is the
definition of record, and `fsm.compiled` turns that machine into the table of the hot path.
Responsible for shape and for the typed error; what the states mean is in order.py, position.py
and mode.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from attrs import field, frozen
from transitions import Machine


class TriggerKind(StrEnum):
    """Who pulls a trigger: the venue (must be total), our own command, or the engine itself."""

    FACT = "fact"
    COMMAND = "command"
    LOCAL = "local"


class IllegalTrigger(Exception):
    """A command or local trigger that its state does not allow. Changes nothing."""

    def __init__(
        self, actor: str, state: str, trigger: str, legal: tuple[str, ...], guard: str | None = None
    ) -> None:
        self.actor, self.state, self.trigger = actor, state, trigger
        self.legal, self.guard = legal, guard
        held = f" [{guard}]" if guard else ""
        super().__init__(
            f"{actor}: trigger {trigger}{held} is illegal in state {state}; "
            f"legal here: {', '.join(legal) or 'none'}"
        )


@frozen(slots=True)
class StateInfo:
    """One line about a state for the diagrams; terminal means nothing more is expected."""

    name: str
    about: str
    terminal: bool = False


@frozen(slots=True)
class Edge:
    """One legal move. `guard` names the one condition that must hold; `why` is for reviewers."""

    source: str
    trigger: str
    target: str
    guard: str | None
    why: str


@frozen(slots=True)
class Ignored:
    """A (state, fact) pair that changes nothing, with its reason; occurrences are counted."""

    state: str
    trigger: str
    reason: str
    guard: str | None = None


class GuardedModel:
    """The model of the `transitions` machine: one attribute a guard, all False until set."""

    state: str

    def __init__(self, guards: Iterable[str]) -> None:
        for name in guards:
            setattr(self, name, False)

    def hold(self, guards: Iterable[str], held: str | None) -> None:
        """Make `held` the only guard that is true."""
        for name in guards:
            setattr(self, name, name == held)


@frozen(slots=True)
class Definition:
    """A whole machine as data. `guards` lists, for each guarded trigger, its exclusive cases."""

    name: str
    initial: str
    states: tuple[StateInfo, ...]
    kinds: Mapping[str, TriggerKind]
    guards: Mapping[str, tuple[str, ...]]
    edges: tuple[Edge, ...]
    ignored: tuple[Ignored, ...] = field(default=())

    @property
    def all_guards(self) -> tuple[str, ...]:
        """Every guard of every trigger, once, in order of appearance."""
        return tuple(dict.fromkeys(name for names in self.guards.values() for name in names))

    def cases(self, trigger: str) -> tuple[str | None, ...]:
        """The guard values that a caller may state for this trigger (None: it has no guards)."""
        return self.guards.get(trigger) or (None,)

    def build(self) -> tuple[Machine, GuardedModel]:
        """The `transitions` machine, flat, without automatic transitions and callbacks."""
        model = GuardedModel(self.all_guards)
        machine = Machine(
            model=model,
            states=[info.name for info in self.states],
            initial=self.initial,
            auto_transitions=False,
            send_event=False,
        )
        for edge in self.edges:
            machine.add_transition(
                edge.trigger,
                edge.source,
                edge.target,
                conditions=[edge.guard] if edge.guard else None,
            )
        return machine, model


def edges(
    sources: Iterable[str], trigger: str, target: str | None, why: str, guard: str | None = None
) -> list[Edge]:
    """One edge a source; `target=None` means that the state stays as it is."""
    return [Edge(str(source), trigger, str(target or source), guard, why) for source in sources]

"""What an entity actor is: a slotted object with a pure `decide` and an `evolve` (L10).

`decide(message, world)` reads its own state and the world's published view, and answers with a
`Decision`; it changes nothing. `evolve(event)` is the only way in which state changes, and the
same one that a restart uses to fold the journal (L7).
"""

from __future__ import annotations

from attrs import define, field

from actors.effects import Effect
from fsm.events import Event


@define(slots=True)
class Decision:
    """What an actor made of one message.

    `tells` are messages to other actors, handled in the same turn, in order. `dedup_keys` and
    `identities` commit with the event that they belong to (L5).
    """

    events: list[Event] = field(factory=list)
    tells: list[object] = field(factory=list)
    effects: list[Effect] = field(factory=list)
    dedup_keys: list[str] = field(factory=list)
    identities: list[tuple[str, str]] = field(factory=list)
    ignored: str | None = None

    @classmethod
    def ignore(cls, reason: str) -> Decision:
        """Nothing changes; the reason is counted."""
        return cls(ignored=reason)


class Refused(Exception):
    """A command that cannot be carried out; the message is for whoever asked."""

"""Dedup keys of facts that belong to no order: in the journal, or on their way there (L5)."""

from __future__ import annotations

from actors.registry import Books
from actors.runtime.actor import Decision
from fsm.events import Event

#: Far more than the facts of the turns whose commit is outstanding.
_ON_THEIR_WAY_MAX = 1_000


class KnownKeys:
    """Says once of each key that it is news, and lets it commit with what follows from that."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self._known: dict[str, None] = {}

    def is_known(self, key: str) -> bool:
        """Whether something was recorded under this key."""
        reader = self.books.reader
        return key in self._known or (reader is not None and reader.has_dedup_key(key))

    def event_of(self, key: str) -> Event | None:
        """The event that was journaled under this key, where it was one alone."""
        reader = self.books.reader
        return None if reader is None else reader.event_of(key)

    def is_news(self, key: str, decision: Decision) -> bool:
        """Whether nothing was recorded under this key; then it goes with this decision."""
        if self.is_known(key):
            return False
        self.on_its_way(key)
        decision.dedup_keys.append(key)
        return True

    def on_its_way(self, key: str) -> None:
        """An actor will book this under that key, in this turn."""
        self._known[key] = None
        if len(self._known) > _ON_THEIR_WAY_MAX:
            del self._known[next(iter(self._known))]

    def is_any_known(self, head: str) -> bool:
        """Whether something was recorded under a key that begins so."""
        if any(key.startswith(head) for key in self._known):
            return True
        reader = self.books.reader
        return reader is not None and reader.dedup_key_with(head, head) is not None
